"""A pool of worker processes that make shards."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.context import BaseContext

from config.schema import AudioConfig
from processors.stage1 import worker
from processors.stage1.plan import ShardPlan
from processors.stage1.shard_set import ShardHeader
from utils.errors import UserError

Task = Callable[[ShardPlan], ShardHeader]  # makes one shard; a function in processors.stage1.worker


class Workers:
    """The worker processes of one machine."""

    def __init__(self, num_processes: int) -> None:
        """Sets the number of processes, which `make` starts.

        Args:
            num_processes: at least 1.
        """
        self.num_processes = num_processes

    def make(
        self, plans: Sequence[ShardPlan], config: AudioConfig, task: Task = worker.make_shard
    ) -> Iterator[tuple[ShardPlan, ShardHeader]]:
        """Makes shards and yields each as soon as it is written, in no fixed order.

        The workers come from a fork server that has only imported the heavy packages, so they start immediately and
        share its memory. On platforms without a fork server they are spawned; a fork of this process might hang because
        of its threads. If the caller stops early (Ctrl-C, an error), the workers are terminated immediately. Shards are
        written atomically, so only time is lost.

        Args:
            plans: the shards to make.
            config: the preprocess section.
            task: makes one shard.

        Yields:
            The plan and the header of each shard.

        Raises:
            UserError: a worker was killed or could not start.
            OSError: a shard cannot be written.
        """
        running: dict[Future[ShardHeader], ShardPlan] = {}
        # The largest come first, so that no worker is still busy with a large one at the end.
        waiting = sorted(plans, key=lambda plan: len(plan.utterances))
        with _environment(worker.ONE_THREAD):
            context = _context(worker.heavy_packages(config))
            executor = ProcessPoolExecutor(
                self.num_processes, mp_context=context, initializer=worker.start, initargs=(config,)
            )
            try:
                while waiting or running:
                    # Two per worker keep all workers busy; more would only take memory.
                    while waiting and len(running) < 2 * self.num_processes:
                        plan = waiting.pop()
                        running[executor.submit(task, plan)] = plan
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        yield running.pop(future), future.result()
            except BrokenProcessPool:
                raise UserError(
                    "a worker process died (killed, or out of memory?). Finished shards are kept, and the same command "
                    "resumes from there. A smaller --num_workers needs less memory"
                ) from None
            finally:
                if waiting or running:
                    for process in multiprocessing.active_children():
                        process.terminate()
                executor.shutdown(wait=True, cancel_futures=True)


def _context(packages: list[str]) -> BaseContext:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(packages)
    # Ctrl-C reaches the whole process group. The server must ignore it, even in the seconds that it takes to import.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, handler)
    # Wait until the server is ready, so that an earlier Ctrl-C leaves no half-started workers.
    first = context.Process(target=_nothing)
    first.start()
    first.join()
    return context


def _nothing() -> None:
    pass


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Sets environment variables for child processes; numerical libraries read them on import."""
    previous = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in previous.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
