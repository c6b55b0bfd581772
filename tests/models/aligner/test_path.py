"""The path search against all paths of small cases, and what it refuses."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.aligner.path import best_durations


def all_durations(frames: int, optional: list[bool]) -> Iterator[list[int]]:
    """Every way to share frames among phones, each at least one where it is not optional."""
    if not optional:
        if frames == 0:
            yield []
        return
    for first in range(0 if optional[0] else 1, frames + 1):
        for rest in all_durations(frames - first, optional[1:]):
            yield [first, *rest]


def score_of(log_probs: Tensor, durations: list[int]) -> float:
    path = torch.repeat_interleave(torch.arange(len(durations)), torch.tensor(durations))
    return float(log_probs[torch.arange(len(path)), path].sum())


@st.composite
def cases(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rows = []
    for _ in range(draw(st.integers(1, 3))):
        optional = draw(st.lists(st.booleans(), min_size=1, max_size=5))
        frames = draw(st.integers(max(1, optional.count(False)), 7))
        rows.append((frames, optional))
    size, length = max(len(o) for _, o in rows), max(f for f, _ in rows)
    seed = draw(st.integers(0, 10_000))
    log_probs = torch.randn(len(rows), length, size, generator=torch.Generator().manual_seed(seed)).log_softmax(2)
    optional = torch.tensor([o + [False] * (size - len(o)) for _, o in rows])
    return log_probs, torch.tensor([len(o) for _, o in rows]), torch.tensor([f for f, _ in rows]), optional


@settings(max_examples=150, deadline=None)
@given(cases())
def test_the_path_is_the_best_of_all(case: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    log_probs, phone_lengths, mel_lengths, optional = case
    found = best_durations(*case)
    assert found.sum(1).tolist() == mel_lengths.tolist()
    for row, (phones, frames) in enumerate(zip(phone_lengths.tolist(), mel_lengths.tolist(), strict=True)):
        own = found[row, :phones].tolist()
        possible = list(all_durations(frames, optional[row, :phones].tolist()))
        assert own in possible
        assert score_of(log_probs[row], own) == pytest.approx(
            max(score_of(log_probs[row], d) for d in possible), abs=1e-5
        )
        assert not found[row, phones:].any()


def test_optional_phones_last_no_frame_where_they_do_not_fit() -> None:
    log_probs = torch.full((1, 4, 4), -9.0)
    log_probs[0, :2, 1] = log_probs[0, 2:, 3] = 0.0
    optional = torch.tensor([[True, False, True, False]])
    assert best_durations(log_probs, torch.tensor([4]), torch.tensor([4]), optional).tolist() == [[0, 2, 0, 2]]


def test_one_phone_takes_all_frames() -> None:
    log_probs = torch.zeros(1, 3, 1)
    none = torch.zeros(1, 1, dtype=torch.bool)
    assert best_durations(log_probs, torch.tensor([1]), torch.tensor([3]), none).tolist() == [[3]]


def test_fewer_frames_than_phones_is_an_error_that_names_the_row() -> None:
    """Without the check the durations would sum up all the same."""
    log_probs = torch.zeros(2, 3, 4).log_softmax(2)
    none = torch.zeros(2, 4, dtype=torch.bool)
    with pytest.raises(ValueError, match="row 1: 4 phones do not fit into 3 frames"):
        best_durations(log_probs, torch.tensor([3, 4]), torch.tensor([3, 3]), none)


def test_a_pause_that_does_not_fit_may_go() -> None:
    optional = torch.tensor([[True, False, True]])
    log_probs = torch.zeros(1, 1, 3).log_softmax(2)
    assert best_durations(log_probs, torch.tensor([3]), torch.tensor([1]), optional).tolist() == [[0, 1, 0]]


@pytest.mark.gpu
def test_a_gpu_finds_the_same() -> None:
    log_probs = torch.randn(4, 200, 30).log_softmax(2)
    optional = torch.rand(4, 30) < 0.3
    lengths, frames = torch.tensor([30, 20, 10, 1]), torch.tensor([200, 100, 150, 50])
    on_gpu = best_durations(*(x.cuda() for x in (log_probs, lengths, frames, optional)))
    assert torch.equal(on_gpu.cpu(), best_durations(log_probs, lengths, frames, optional))
