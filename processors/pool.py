"""A pool of worker processes over shards."""

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
from typing import Any

from config.schema import PreprocessConfig
from processors import worker
from processors.plan import ShardPlan
from utils.errors import UserError


def make_shards(
    plans: Sequence[ShardPlan],
    config: PreprocessConfig,
    num_workers: int,
    make: Callable[[ShardPlan], dict[str, Any]] = worker.make_shard,
) -> Iterator[tuple[ShardPlan, dict[str, Any]]]:
    """Makes shards in worker processes and yields each with its header as it is ready, in no fixed order.

    Workers come from a fork server that has imported the heavy packages and done nothing else: they start at once and
    share its memory. (Where there is none they are spawned. A fork of this very process, with its threads, might
    hang.) Whenever the caller stops early (Ctrl-C, an error) the workers are ended at once; shards are written
    atomically, so that costs nothing but time.

    Args:
        plans: the shards to make.
        config: the preprocess section.
        num_workers: processes, at least 1.
        make: what makes one shard, a function of `processors.worker`.

    Raises:
        UserError: a worker was killed, or could not start.
        OSError: a shard cannot be written.
    """
    # The largest first, so that no worker is left alone with a large one at the end.
    waiting = sorted(plans, key=lambda plan: len(plan.utterances))
    running: dict[Future, ShardPlan] = {}
    with _environment(worker.ONE_THREAD):
        context = _context()
        executor = ProcessPoolExecutor(
            min(num_workers, len(plans)), mp_context=context, initializer=worker.start, initargs=(config,)
        )
        try:
            while waiting or running:
                # Two a worker, so that none runs dry; no more, as each waiting one costs memory.
                while waiting and len(running) < 2 * num_workers:
                    plan = waiting.pop()
                    running[executor.submit(make, plan)] = plan
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        except BrokenProcessPool:
            raise UserError(
                "a worker process died (killed, or out of memory?); finished shards are kept: the same command goes "
                "on from there, with less memory under a smaller --num_workers"
            ) from None
        finally:
            if waiting or running:
                for process in multiprocessing.active_children():
                    process.terminate()
            executor.shutdown(wait=True, cancel_futures=True)


def _context() -> BaseContext:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "soundfile", "soxr"])
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
