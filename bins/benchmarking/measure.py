"""What bins/benchmark.py measures with: sections of time, memory, the rate of matrix products, a model's operations."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bins.benchmarking.baseline import plain_convolutions


class Sections:
    """Adds up the time spent in named sections; on a GPU by events in its queue, so that nothing waits for it."""

    def __init__(self, device: torch.device) -> None:
        """Args: device: where the work is done."""
        self.device = device
        self._seconds: dict[str, float] = {}
        self._events: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """Times a `with` block; sections must not overlap."""
        if self.device.type != "cuda":
            began = time.perf_counter()
            yield
            self._add(name, time.perf_counter() - began)
            return
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        yield
        end.record()
        self._events.append((name, start, end))

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed."""

        def timed(*arguments: Any, **keywords: Any) -> Any:
            with self.section(name):
                return function(*arguments, **keywords)

        return timed

    def totals(self) -> dict[str, float]:
        """Seconds of each section; waits for the device."""
        synchronize(self.device)
        for name, start, end in self._events:
            self._add(name, start.elapsed_time(end) / 1000)
        self._events.clear()
        return dict(self._seconds)

    def reset(self) -> None:
        """Forgets what was measured."""
        self._seconds.clear()
        self._events.clear()

    def _add(self, name: str, seconds: float) -> None:
        self._seconds[name] = self._seconds.get(name, 0.0) + seconds


def synchronize(device: torch.device) -> None:
    """Waits until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory(device: torch.device, graphs: bool = False) -> float:
    """GiB: on a GPU what torch had allocated at most, else the most that this process held, from its start on.

    Args:
        device: where the work was done.
        graphs: it was CUDA graphs, whose memory torch does not count: all that is in use on the GPU then.
    """
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return (total - free if graphs else torch.cuda.max_memory_allocated(device)) / 2**30
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second of a large matrix product, the best of some: what this device can do at most."""
    size, repeats = (8192, 10) if device.type == "cuda" else (1024, 3)
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(3):
        synchronize(device)
        began = time.perf_counter()
        for _ in range(repeats):
            a @ b
        synchronize(device)
        best = min(best, (time.perf_counter() - began) / repeats)
    return 2 * size**3 / best


@contextmanager
def counting_operations() -> Iterator[FlopCounterMode]:
    """Counts the operations of products and convolutions as a model defines them, whatever algorithm does them."""
    with plain_convolutions(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        yield counter
