"""Runs stage 1 in several processes started by `accelerate launch` or torchrun, on one machine or several.

The processes are ranks of torch.distributed with the gloo backend. Rank 0 runs the stage. Whenever it makes shards,
each of the n ranks makes every n-th one with its worker processes, into a folder that all machines share.
torch.distributed pickles the objects that it sends, so the network between the machines must be trusted.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple

from config.schema import AudioConfig
from processors.stage1 import worker
from processors.stage1.plan import ShardPlan
from processors.stage1.pool import Task, Workers
from processors.stage1.shard_set import ShardHeader, header_of
from utils.errors import UserError

JOIN_TIMEOUT = timedelta(minutes=5)  # for all processes to start
WORK_TIMEOUT = timedelta(days=7)  # for the slowest rank, and for the aligner, which rank 0 trains
VISIBLE_SECONDS = 120.0  # for a network file system to show a file written by another machine
# If these are set, torch and accelerate assume several processes; but only rank 0 trains the aligner.
_LAUNCHED = ("RANK", "WORLD_SIZE", "LOCAL_RANK")


class _Job(NamedTuple):
    """Shards that the ranks make between them."""

    plans: list[ShardPlan]
    config: AudioConfig
    task: Task


class _Done(NamedTuple):
    """The result of the part of a job that one rank did."""

    headers: list[ShardHeader]  # in the order of the rank's plans
    error: str | None


def run_on_ranks(num_processes: int, work: Callable[[Workers], None]) -> None:
    """Runs stage 1 in this process, or on rank 0 with the workers of all ranks.

    Args:
        num_processes: worker processes of each rank.
        work: runs the stage, given the workers that make its shards.

    Raises:
        UserError: the stage failed, a rank failed or died, or not all processes started.
        OSError: a file cannot be read or written.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:  # without importing torch
        work(Workers(num_processes))
        return
    with _joined(num_processes) as ranks:
        if ranks.rank == 0:
            work(ranks)
            ranks.broadcast(None)
        else:
            ranks.help(Workers(num_processes))


class RankedWorkers(Workers):
    """The worker processes of all ranks."""

    def __init__(self, num_processes: int) -> None:
        """Connects to the other ranks, which must do the same.

        Args:
            num_processes: worker processes of this rank.
        """
        import torch.distributed as dist

        self._dist = dist
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        members: list[Any] = [None] * self.size
        dist.all_gather_object(members, (socket.gethostname(), num_processes))
        self._hosts = [host for host, _ in members]
        self._own = Workers(num_processes)
        self._group = dist.new_group(timeout=WORK_TIMEOUT, backend="gloo")
        super().__init__(sum(count for _, count in members))

    def make(
        self, plans: Sequence[ShardPlan], config: AudioConfig, task: Task = worker.make_shard
    ) -> Iterator[tuple[ShardPlan, ShardHeader]]:
        """Makes shards as `Workers.make` does, on all ranks. Called on rank 0, whose shards are yielded first.

        Raises:
            UserError: a rank failed or died, or the ranks do not share the folder.
            OSError: a shard cannot be written.
        """
        job = _Job(list(plans), config, task)
        self.broadcast(job)
        yield from self._own.make(job.plans[:: self.size], config, task)
        for rank, done in enumerate(self._gather(_Done([], None))):
            if done.error is not None:
                raise UserError(f"process {rank} of {self.size} (on {self._hosts[rank]}) failed: {done.error}")
            if rank > 0:
                for plan, header in zip(job.plans[rank :: self.size], done.headers, strict=True):
                    self._wait_for(plan, rank)
                    yield plan, header

    def help(self, workers: Workers) -> None:
        """Makes the shards of this rank for every job, until rank 0 has no more jobs.

        Args:
            workers: the worker processes of this rank.

        Raises:
            UserError: this rank or rank 0 failed.
        """
        while (job := self.broadcast(None)) is not None:
            plans, error = job.plans[self.rank :: self.size], None
            headers: dict[str, ShardHeader] = {}
            try:
                headers = {plan.name: header for plan, header in workers.make(plans, job.config, job.task)}
            except (UserError, OSError) as failure:
                error = str(failure)
            self._gather(_Done([headers[plan.name] for plan in plans] if error is None else [], error))
            if error is not None:
                raise UserError(error)

    def broadcast(self, job: _Job | None) -> _Job | None:
        """Sends a job from rank 0 to all ranks and returns it; None means that there are no more jobs."""
        box = [job]
        with self._contact():
            self._dist.broadcast_object_list(box, 0, self._group)
        return box[0]

    def _gather(self, done: _Done) -> list[_Done]:
        """Collects the results of all ranks on rank 0; returns an empty list on the others."""
        boxes: list[Any] | None = [None] * self.size if self.rank == 0 else None
        with self._contact():
            self._dist.gather_object(done, boxes, 0, self._group)
        return boxes or []

    def _wait_for(self, plan: ShardPlan, rank: int) -> None:
        deadline = time.monotonic() + VISIBLE_SECONDS
        while (header := header_of(plan)) is None or header["fingerprint"] != plan.fingerprint:
            if time.monotonic() > deadline:
                raise UserError(
                    f"process {rank} of {self.size} (on {self._hosts[rank]}) wrote {plan.path}, but it is not visible "
                    "here: preprocess.processed_dir must be one folder that all machines share"
                )
            time.sleep(0.2)

    @contextmanager
    def _contact(self) -> Iterator[None]:
        """Turns the RuntimeError that gloo raises when another process has ended into a UserError."""
        try:
            yield
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            cause = "another process died" if self.rank == 0 else "the first process ended; see its message"
            raise UserError(
                f"process {self.rank} of {self.size}: {cause} ({reason}). Finished shards are kept, and the same "
                "command resumes from there"
            ) from None


@contextmanager
def _joined(num_processes: int) -> Iterator[RankedWorkers]:
    import torch.distributed as dist

    size = os.environ["WORLD_SIZE"]
    try:
        dist.init_process_group("gloo", timeout=JOIN_TIMEOUT)
        ranks = RankedWorkers(num_processes)
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"the {size} processes of WORLD_SIZE did not find each other ({reason}). Start all of them with "
            "`accelerate launch` or torchrun, with the same main process address and port"
        ) from None
    launched = {name: os.environ.pop(name) for name in _LAUNCHED if name in os.environ}
    try:
        yield ranks
    finally:
        os.environ.update(launched)
        dist.destroy_process_group()
