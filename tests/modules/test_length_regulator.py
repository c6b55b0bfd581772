import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.length_regulator import LengthRegulator, round_durations
from modules.masks import padding_mask

durations_of_a_batch = st.integers(1, 6).flatmap(
    lambda phones: st.lists(st.lists(st.integers(0, 5), min_size=phones, max_size=phones), min_size=1, max_size=4)
)


@settings(deadline=None)
@given(durations_of_a_batch, st.integers(0, 40) | st.none())
def test_repeats_each_phone(durations: list[list[int]], num_frames: int | None) -> None:
    x = torch.randn(len(durations), len(durations[0]), 3)
    y, lengths = LengthRegulator()(x, torch.tensor(durations), num_frames)
    longest = max(map(sum, durations)) if num_frames is None else num_frames
    assert y.shape == (len(durations), longest, 3)
    assert lengths.tolist() == [min(sum(row), longest) for row in durations]
    for row, frames in enumerate(durations):
        expected = x[row].repeat_interleave(torch.tensor(frames), dim=0)[:longest]
        assert torch.equal(y[row, : len(expected)], expected)
        assert (y[row, len(expected) :] == 0).all()


def test_the_gradient_of_a_phone_is_the_sum_over_its_frames() -> None:
    x = torch.zeros(1, 3, 1, requires_grad=True)
    y, _ = LengthRegulator()(x, torch.tensor([[2, 0, 3]]), 7)
    (y * torch.arange(1.0, 8.0)[:, None]).sum().backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [1 + 2, 0, 3 + 4 + 5]


def test_negative_durations_are_refused() -> None:
    with pytest.raises(ValueError, match="negative, got -2"):
        LengthRegulator()(torch.zeros(1, 3, 1), torch.tensor([[2, -2, 3]]))


def rounded(frames: list[float], control: float = 1.0, limit: int = 100) -> tuple[list[int], bool]:
    """Durations from predictions given in frames, for a batch of one."""
    logs = torch.tensor([frames]).add(1).log()
    durations, shortened = round_durations(logs, torch.zeros(1, len(frames), dtype=torch.bool), control, limit)
    return durations[0].tolist(), bool(shortened[0])


def test_durations_are_rounded_before_and_after_the_control() -> None:
    assert rounded([2.4, 2.6, -0.3, 0.2]) == ([2, 3, 0, 0], False)
    assert rounded([2.4, 3.1], control=1.3) == ([3, 4], False)  # 2.6 and 3.9, where Amphion's truncation gives 2 and 3


@pytest.mark.parametrize(("frames", "control"), [([0.1, 0.4, 0.2], 1.0), ([1.0, 1.2, 1.1], 0.3)])
def test_one_frame_is_left_at_the_longest_phone(frames: list[float], control: float) -> None:
    assert rounded(frames, control) == ([0, 1, 0], False)


def test_padding_never_gets_a_frame() -> None:
    logs = torch.tensor([[0.1, 0.2, 5.0], [9.0, 9.0, 9.0]])
    durations, shortened = round_durations(logs, padding_mask(torch.tensor([2, 0]), 3), 1.0, 100)
    assert durations.tolist() == [[0, 1, 0], [0, 0, 0]]
    assert shortened.tolist() == [False, False]


@settings(deadline=None)
@given(st.lists(st.floats(-1, 40), min_size=1, max_size=30), st.integers(1, 20))
def test_too_long_is_scaled_down_to_the_limit(logs: list[float], limit: int) -> None:
    frames = torch.round(torch.tensor(logs).exp() - 1).tolist()
    durations, shortened = round_durations(
        torch.tensor([logs]), torch.zeros(1, len(logs), dtype=torch.bool), 1.0, limit
    )
    assert (durations >= 0).all()
    total = int(durations.sum())
    if shortened:
        assert total == limit
    else:
        assert total == max(1, sum(max(frame, 0) for frame in frames))


def test_scaling_keeps_the_proportions() -> None:
    assert rounded([1.0] * 8, limit=4) == ([0, 1] * 4, True)
    assert rounded([30.0, 60.0, 90.0], limit=60) == ([10, 20, 30], True)
