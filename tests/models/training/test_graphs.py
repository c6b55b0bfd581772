"""What CudaRecorder asks of torch.cuda, which is played by a list here; a GPU's own tests are in test_gpu.py."""

import gc
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

from models.training.graphs import CudaRecorder


@pytest.fixture
def said(monkeypatch):
    """Everything that is asked of torch.cuda, in order."""
    said = []

    class Stream:
        def __init__(self, name="side"):
            self.name = name

        def wait_stream(self, other):
            said.append(f"{self.name} waits for {other.name}")

    @contextmanager
    def stream(it):
        said.append(f"on {it.name}")
        yield
        said.append(f"off {it.name}")

    @contextmanager
    def graph(it, pool, stream, capture_error_mode):
        said.append(f"record {it.name} in {pool} on {stream.name}, {capture_error_mode}")
        yield
        said.append(f"recorded {it.name}")

    outside = Stream("default")
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: outside)
    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "the pool")
    monkeypatch.setattr(
        torch.cuda, "CUDAGraph", lambda: SimpleNamespace(name="a graph", replay=lambda: said.append("replayed"))
    )
    monkeypatch.setattr(torch.cuda, "graph", graph)
    return said


def adam():
    return torch.optim.Adam([torch.zeros(1, requires_grad=True)], fused=True)


def test_work_is_recorded_on_the_recorders_stream_and_in_its_memory(said):
    optimizer = adam()

    def work():
        said.append("work")
        assert optimizer.param_groups[0]["capturable"] and not gc.isenabled()

    recorder = CudaRecorder([optimizer])
    with recorder.running():
        launch = recorder.record(work)
        launch()
    assert said == [
        "side waits for default",
        "on side",
        "record a graph in the pool on side, thread_local",
        "work",
        "recorded a graph",
        "replayed",
        "off side",
        "default waits for side",
    ]
    assert not optimizer.param_groups[0]["capturable"] and gc.isenabled()


def test_what_was_switched_for_a_recording_is_switched_back_where_it_fails(said):
    optimizer = adam()

    def work():
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        CudaRecorder([optimizer]).record(work)
    assert not optimizer.param_groups[0]["capturable"] and gc.isenabled()
