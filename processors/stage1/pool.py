"""A pool of worker processes over shards."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from typing import Any

from config.schema import AudioConfig
from processors.stage1 import worker
from processors.stage1.plan import ShardPlan, header_of
from utils.errors import UserError
from utils.team import POLL_SECONDS, Team, current_team

VISIBLE_SECONDS = 120.0  # that a network file system may take to show what another machine wrote

Make = Callable[[ShardPlan], dict[str, Any]]


def make_shards(
    plans: Sequence[ShardPlan],
    config: AudioConfig,
    num_workers: int,
    make: Make = worker.make_shard,
) -> Iterator[tuple[ShardPlan, dict[str, Any]]]:
    """Makes shards in worker processes and yields each with its header as it is ready, in no fixed order.

    Where this process leads a team (`utils.team`), the others take part, each with worker processes of its own; the
    shards are the same. Whenever the caller stops early (Ctrl-C, an error) the workers are ended at once; shards are
    written atomically, so that costs nothing but time.

    Args:
        plans: the shards to make.
        config: the preprocess section.
        num_workers: processes, at least 1.
        make: what makes one shard, a function of `processors.stage1.worker`.

    Raises:
        UserError: a worker was killed, or could not start, or another process of the team failed.
        OSError: a shard cannot be written.
    """
    # The largest first, so that no worker is left alone with a large one at the end.
    ordered = sorted(plans, key=lambda plan: len(plan.utterances), reverse=True)
    team = current_team()
    if team is None:
        with closing(_in_pool(enumerate(ordered), config, num_workers, make)) as made:
            yield from ((ordered[index], header) for index, header in made)
    else:
        yield from _in_team(team, ordered, config, num_workers, make)


def count_processes(num_workers: int, num_shards: int) -> int:
    """Worker processes that make so many shards, on all machines."""
    team = current_team()
    return min(team.num_workers if team else num_workers, num_shards)


def help_leader(team: Team, num_workers: int) -> None:
    """Makes what the first process of the team hands out, until it is done.

    Raises:
        UserError: a worker or another process of the team died.
        OSError: a shard cannot be written.
    """
    while (task := team.take()) is not None:
        config, make = task
        with closing(_in_pool(team.claims(), config, num_workers, make, POLL_SECONDS)) as made:
            for found in made:
                if found is not None:
                    team.report(*found)
                team.check()


def _in_team(
    team: Team, plans: Sequence[ShardPlan], config: AudioConfig, num_workers: int, make: Make
) -> Iterator[tuple[ShardPlan, dict[str, Any]]]:
    team.give((config, make), plans)
    left = len(plans)
    unseen: list[tuple[float, int, int, dict[str, Any]]] = []  # made elsewhere: since when, by whom, which, header
    with closing(_in_pool(team.claims(), config, num_workers, make, POLL_SECONDS)) as made:
        while left:
            found = next(made, None)
            if found is not None:
                left -= 1
                yield plans[found[0]], found[1]
            else:
                time.sleep(POLL_SECONDS)
            unseen += [(time.monotonic(), *result) for result in team.results()]
            for entry in list(unseen):
                since, rank, index, header = entry
                if (header_of(plans[index]) or {}).get("fingerprint") == plans[index].fingerprint:
                    unseen.remove(entry)
                    left -= 1
                    yield plans[index], header
                elif time.monotonic() - since > VISIBLE_SECONDS:
                    raise UserError(
                        f"{team.name(rank)} wrote {plans[index].path}, but here it is not to be seen: "
                        "preprocess.processed_dir must be one folder that all machines share"
                    )


def _in_pool(
    items: Iterator[tuple[int, ShardPlan]],
    config: AudioConfig,
    num_workers: int,
    make: Make,
    patience: float | None = None,
) -> Generator[Any, None, None]:
    """Makes shards in worker processes of this one, and yields the number of each with its header.

    Workers come from a fork server that has imported the heavy packages and done nothing else: they start at once and
    share its memory. (Where there is none they are spawned. A fork of this very process, with its threads, might
    hang.)

    Args:
        items: numbered plans; each is asked for when a worker is about to be free.
        config: the preprocess section.
        num_workers: processes, at least 1.
        make: what makes one shard.
        patience: seconds after which None is yielded where nothing was ready.

    Raises:
        UserError: a worker was killed, or could not start.
        OSError: a shard cannot be written.
    """
    running: dict[Future, int] = {}
    more = True
    with _environment(worker.ONE_THREAD):
        context = _context(worker.heavy_packages(config))
        executor = ProcessPoolExecutor(num_workers, mp_context=context, initializer=worker.start, initargs=(config,))
        try:
            while more or running:
                # Two a worker, so that none runs dry; no more, as each waiting one costs memory.
                while more and len(running) < 2 * num_workers:
                    item = next(items, None)
                    if item is None:
                        more = False
                    else:
                        running[executor.submit(make, item[1])] = item[0]
                if running:
                    done = wait(running, patience, return_when=FIRST_COMPLETED).done
                    for future in done:
                        yield running.pop(future), future.result()
                    if not done:
                        yield None
        except BrokenProcessPool:
            raise UserError(
                "a worker process died (killed, or out of memory?); finished shards are kept: the same command goes "
                "on from there, with less memory under a smaller --num_workers"
            ) from None
        finally:
            if more or running:
                for process in multiprocessing.active_children():
                    process.terminate()
            executor.shutdown(wait=True, cancel_futures=True)


def _context(packages: list[str]) -> BaseContext:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(packages)
    # Ctrl-C reaches the whole process group, and the server takes seconds to import all that: it is born deaf to it.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, handler)
    # Waits until it serves. Whoever loses patience before then leaves only this behind, which ends without a word,
    # and no half-started workers.
    first = context.Process(target=_nothing)
    first.start()
    first.join()
    return context


def _nothing() -> None:
    pass


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Sets environment variables for child processes; numerical libraries read them when they are first imported."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
