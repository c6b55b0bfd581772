"""Optimizer steps as CUDA graphs: recorded once for each shape of the batches, and launched whole from then on."""

from __future__ import annotations

import gc
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

Step = Callable[[Sequence[Any], dict[str, Tensor]], dict[str, Tensor]]
# Steps of further shapes run without a graph. On an H200, the graphs of FastSpeech 2 at batch 16, some 90 shapes of
# 2,000 kernels each, take 2.4 GB, inputs included.
MOST_RECORDINGS = 256


class Recorder(Protocol):
    """Records work, to repeat it later."""

    def running(self) -> Any:
        """A context around every step, recorded or not."""

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Something that does what the work would do now, on the same tensors, each time that it is called.

        The work itself is not done.
        """


class StepGraphs:
    """A trainer's step that is recorded (CUDA graphs; PyTorch's notes on CUDA semantics, "Whole-network capture").

    Where batches are small, a GPU waits for the host, which launches a step's thousands of kernels one after the other.
    A recording is launched at once.

    The first step with batches of some shapes runs as it is written: this is when algorithms are chosen, kernels are
    compiled and the optimizers' state is made. The second is recorded and replayed. So every step is done exactly once,
    and a recording holds the same kernels as the step.
    """

    def __init__(self, step: Step, recorder: Recorder) -> None:
        """Records nothing yet.

        Args:
            step: takes batches (NamedTuples of tensors) and counts, and gives figures, all on the device. What else it
                depends on and changes must be in tensors that keep their place in memory.
            recorder: CudaRecorder, where it is not a test.
        """
        self._step, self._recorder = step, recorder
        self._recordings: dict[Any, _Recording | None] = {}  # by shapes; None: seen once

    def __call__(self, batches: Sequence[Any], counts: dict[str, Tensor], kind: Hashable = None) -> dict[str, Tensor]:
        """Does the step; the figures are the caller's own.

        Args:
            batches, counts: as the step takes them.
            kind: what the step's kernels depend on beside the shapes; each kind has recordings of its own.
        """
        shapes = (kind, *(tuple(field.shape for field in batch) for batch in batches))
        with self._recorder.running():
            if shapes not in self._recordings:
                if len(self._recordings) < MOST_RECORDINGS:
                    self._recordings[shapes] = None
                return self._step(batches, counts)
            recording = self._recordings[shapes]
            if recording is None:
                recording = self._recordings[shapes] = _Recording(self._step, self._recorder, batches, counts)
            return recording.replay(batches, counts)


class _Recording:
    """One step, for batches of the shapes that it was recorded with."""

    def __init__(self, step: Step, recorder: Recorder, batches: Sequence[Any], counts: dict[str, Tensor]) -> None:
        self._batches = [type(batch)(*(field.clone() for field in batch)) for batch in batches]
        self._counts = {name: count.clone() for name, count in counts.items()}
        self._figures: dict[str, Tensor] = {}

        def work() -> None:
            self._figures = step(self._batches, self._counts)

        self._launch = recorder.record(work)

    def replay(self, batches: Sequence[Any], counts: dict[str, Tensor]) -> dict[str, Tensor]:
        """The step with other values."""
        for mine, given in zip(self._batches, batches, strict=True):
            for own, value in zip(mine, given, strict=True):
                own.copy_(value)
        for name, count in counts.items():
            self._counts[name].copy_(count)
        self._launch()
        # The next recording that is launched may use the same memory.
        return {name: figure.clone() for name, figure in self._figures.items()}


class CudaRecorder:
    """Records CUDA graphs, which share their memory: they run one after the other, and none needs another's values."""

    def __init__(self, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        """Makes a memory pool and a stream.

        Args:
            optimizers: the step's, fused; their learning rates must be tensors on the device by then.
        """
        self._optimizers = optimizers
        self._pool = torch.cuda.graph_pool_handle()
        # Recording needs a stream that is not the default one, and the gradients' accumulation must always be on it.
        self._stream = torch.cuda.Stream()

    @contextmanager
    def running(self) -> Iterator[None]:
        """On the stream of the recordings, after all that was asked for before and before all that comes after."""
        outside = torch.cuda.current_stream()
        self._stream.wait_stream(outside)
        with torch.cuda.stream(self._stream):
            yield
        outside.wait_stream(self._stream)

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """See `Recorder.record`."""
        graph = torch.cuda.CUDAGraph()
        # Threads that pin memory for the loader may continue meanwhile.
        recording = torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local")
        with _nothing_is_collected(), self._optimizers_recordable(), recording:
            work()
        return graph.replay

    @contextmanager
    def _optimizers_recordable(self) -> Iterator[None]:
        """Tells the optimizers that it is on purpose; outside a recording they would warn of the same."""
        groups = [group for optimizer in self._optimizers for group in optimizer.param_groups]
        for group in groups:
            group["capturable"] = True
        try:
            yield
        finally:
            for group in groups:
                group["capturable"] = False


@contextmanager
def _nothing_is_collected() -> Iterator[None]:
    """Without Python's garbage collector: to free another graph, above all, spoils a recording."""
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
