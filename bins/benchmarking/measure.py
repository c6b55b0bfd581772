"""Measures time per section, memory, operations and kernels, and the speed of matrix products."""

from __future__ import annotations

import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from bins.benchmarking.baseline import plain_convolutions

Record = dict[str, Any]  # one line of results


class Options(NamedTuple):
    """The options that experiments share."""

    steps: int | None = None  # optimizer steps, batches or utterances; None: chosen by device
    real: bool = False  # the configured corpus instead of random data
    baseline: bool = False  # also the plain step, in turns
    num_workers: int | None = None  # processes of stage 1; None: the cores
    kernels: Path | None = None  # write the table of the GPU kernels of a training step to this file
    features: Path | None = None  # keep random features in this folder and use those that are there


class Sections:
    """Adds up the time spent in named sections; on a GPU by events in its queue, so that nothing waits for it."""

    def __init__(self, device: torch.device) -> None:
        """Prepares the stopwatches.

        Args:
            device: where the work is done.
        """
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
        """Wraps a function so that its calls are timed."""

        def timed(*arguments: Any, **keywords: Any) -> Any:
            with self.section(name):
                return function(*arguments, **keywords)

        return timed

    def totals(self) -> dict[str, float]:
        """Returns the seconds of each section; waits for the device."""
        synchronize(self.device)
        for name, start, end in self._events:
            self._add(name, start.elapsed_time(end) / 1000)
        self._events.clear()
        return dict(self._seconds)

    def reset(self) -> None:
        """Resets all sections."""
        self._seconds.clear()
        self._events.clear()

    def _add(self, name: str, seconds: float) -> None:
        self._seconds[name] = self._seconds.get(name, 0.0) + seconds


def synchronize(device: torch.device) -> None:
    """Waits until the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory(device: torch.device, graphs: bool = False) -> float:
    """Returns the peak memory in GiB: allocated by torch on a GPU, else of this process since its start.

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
    """Returns the operations per second of a large matrix product, the best of several, as the limit of this device."""
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
    """Counts the operations of matrix products and convolutions by definition, whatever the algorithm."""
    with plain_convolutions(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        yield counter


def write_kernels(step: Callable[[], object], path: Path) -> None:
    """Profiles one call and writes a table of its operations, the most expensive on the device first.

    Args:
        step: the work; it has run before, so that nothing is compiled or chosen now.
        path: a text file, overwritten.
    """
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA], record_shapes=True) as profiler:
        step()
        torch.cuda.synchronize()
    kernels = [e for e in profiler.key_averages() if e.device_type == torch.autograd.DeviceType.CUDA]
    total = sum(event.self_device_time_total for event in kernels) / 1000
    lines = [f"{sum(event.count for event in kernels)} kernels, {total:.2f} ms on the device", ""]
    for events in (profiler.key_averages(group_by_input_shape=True), kernels):
        lines.append("ms on the device, calls, operation, shapes of its inputs")
        for event in sorted(events, key=lambda event: -event.self_device_time_total)[:60]:
            shapes = str([shape for shape in event.input_shapes or [] if shape])
            lines.append(f"{event.self_device_time_total / 1000:8.3f} {event.count:6d} {event.key[:120]} {shapes}")
        lines.append("")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines), encoding="utf-8")


def machine(device: torch.device, dtype: torch.dtype) -> Record:
    """Returns the fields of a record that describe the machine."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return {"device": name, "threads": torch.get_num_threads(), "dtype": str(dtype).removeprefix("torch.")}


def processor() -> str:
    """Returns the model name of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def rounded(value: float) -> float:
    """Rounds a measurement: to four digits below 1,000, to a whole number above."""
    return round(value) if value >= 1000 else float(f"{value:.4g}")
