"""Work as CUDA graphs: recorded once per shape of its inputs, then replayed with a single launch."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

Step = Callable[[Sequence[Any], dict[str, Tensor]], dict[str, Tensor]]
# Steps of any further shapes run without a graph. On an H200, the graphs of FastSpeech 2 at batch 16, some 90 shapes of
# 2,000 kernels each, take 2.4 GB, inputs included.
MOST_RECORDINGS = 256
# In inference, calls of one shape before it is recorded. On an H200, a recording takes 0.2 s and saves 1.6 ms per call
# of HiFi-GAN V1: a program that speaks a few sentences must not pay for it. Other numbers were not tried.
CALLS_BEFORE_RECORDING = 16


class Recorder(Protocol):
    """Records work and replays it later."""

    def running(self) -> Any:
        """Returns a context that surrounds every step, recorded or not."""

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Records the work without running it.

        Returns:
            A function that does the work on the same tensors each time it is called.
        """


class StepGraphs:
    """A trainer's step, recorded as CUDA graphs (PyTorch's notes on CUDA semantics, "Whole-network capture").

    With small batches, a GPU waits for the host, which launches the thousands of kernels of a step one by one. A
    recording needs a single launch.

    The first steps with given shapes run without a graph: they choose algorithms, compile kernels and create the
    optimizers' state. The next is recorded and replayed. So every step is done exactly once, and a recording holds
    the same kernels as the step.
    """

    def __init__(self, step: Step, recorder: Recorder, unrecorded: int = 1) -> None:
        """Keeps the step; recordings are made in later calls.

        Args:
            step: takes batches (NamedTuples of tensors) and counts, and returns figures, all on the device. All other
                state that it reads or changes must be in tensors that keep their address.
            recorder: a CudaRecorder, except in tests.
            unrecorded: number of steps of each shape without a graph, at least 1.
        """
        self._step, self._recorder, self._unrecorded = step, recorder, unrecorded
        self._recordings: dict[Any, _Recording | int] = {}  # by shapes; a number: its steps so far, without a graph

    def __call__(self, batches: Sequence[Any], counts: dict[str, Tensor], kind: Hashable = None) -> dict[str, Tensor]:
        """Runs one step.

        Args:
            batches: batches of the step.
            counts: further tensors.
            kind: whatever the step's kernels depend on, other than the shapes; each kind has separate recordings.

        Returns:
            The figures of the step; later steps do not overwrite them.
        """
        shapes = (
            kind,
            *(tuple(field.shape for field in batch) for batch in batches),
            tuple(count.shape for count in counts.values()),
        )
        with self._recorder.running():
            recording = self._recordings.get(shapes, 0)
            if isinstance(recording, int):
                if recording == 0 and len(self._recordings) >= MOST_RECORDINGS:
                    return self._step(batches, counts)
                if recording < self._unrecorded:
                    self._recordings[shapes] = recording + 1
                    return self._step(batches, counts)
                recording = self._recordings[shapes] = _Recording(self._step, self._recorder, batches, counts)
            return recording.replay(batches, counts)


class _Recording:
    """A recorded step, for batches of fixed shapes."""

    def __init__(self, step: Step, recorder: Recorder, batches: Sequence[Any], counts: dict[str, Tensor]) -> None:
        self._batches = [type(batch)(*(field.clone() for field in batch)) for batch in batches]
        self._counts = {name: count.clone() for name, count in counts.items()}
        self._figures: dict[str, Tensor] = {}

        def work() -> None:
            self._figures = step(self._batches, self._counts)

        self._launch = recorder.record(work)

    def replay(self, batches: Sequence[Any], counts: dict[str, Tensor]) -> dict[str, Tensor]:
        """Runs the step with other values."""
        for recorded_batch, batch in zip(self._batches, batches, strict=True):
            for recorded_field, field in zip(recorded_batch, batch, strict=True):
                recorded_field.copy_(field)
        for name, count in counts.items():
            self._counts[name].copy_(count)
        self._launch()
        # Cloned, because the next launch may use the same memory.
        return {name: figure.clone() for name, figure in self._figures.items()}


class RecordedFunction:
    """A function of tensors, for inference. On a GPU, its calls are replayed CUDA graphs; threads take turns."""

    def __init__(self, function: Callable[..., dict[str, Tensor]]) -> None:
        """Keeps the function.

        Args:
            function: takes and returns tensors by name, and never waits for the device. All other tensors that it
                reads, such as weights, must keep their address.
        """
        self._function = function
        self._graphs: StepGraphs | None = None
        self._lock = threading.Lock()

    def __call__(self, **inputs: Tensor) -> dict[str, Tensor]:
        """Calls the function.

        Args:
            inputs: all on one device, and in the same order in each call.

        Returns:
            The tensors that the function returns; later calls do not overwrite them.
        """
        if not next(iter(inputs.values())).is_cuda:
            return self._function(**inputs)
        with self._lock:
            if self._graphs is None:
                function = self._function
                self._graphs = StepGraphs(
                    lambda _, inputs: function(**inputs), CudaRecorder([]), CALLS_BEFORE_RECORDING
                )
            return self._graphs([], inputs)


class CudaRecorder:
    """Records CUDA graphs that share memory: they run one after the other, and none needs values of another."""

    def __init__(self, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        """Creates a memory pool and a stream.

        Args:
            optimizers: fused optimizers of the step; when it is recorded, their learning rates must be tensors on the
                device.
        """
        self._optimizers = optimizers
        self._pool = torch.cuda.graph_pool_handle()
        # Recording needs a stream other than the default one, and gradients must always be accumulated on it.
        self._stream = torch.cuda.Stream()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Switches to the stream of the recordings, in order with the work before and after."""
        caller_stream = torch.cuda.current_stream()
        self._stream.wait_stream(caller_stream)
        with torch.cuda.stream(self._stream):
            yield
        caller_stream.wait_stream(self._stream)

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Records a CUDA graph; see `Recorder.record`."""
        graph = torch.cuda.CUDAGraph()
        # "thread_local": the loader's threads may pin memory meanwhile.
        recording = torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local")
        with _nothing_is_collected(), self._optimizers_recordable(), recording:
            work()
        return graph.replay

    @contextmanager
    def _optimizers_recordable(self) -> Iterator[None]:
        """Marks the optimizers as capturable only while recording; outside a recording the mark makes them warn."""
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
    """Turns off Python's garbage collector: freeing objects, above all another graph, breaks a recording."""
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
