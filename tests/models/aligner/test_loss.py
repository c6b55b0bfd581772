"""The losses against an enumeration of all paths and against torch's CTC."""

import itertools
import math

import pytest
import torch

from models.aligner.loss import binarization_loss, forward_sum_loss

BLANK = -1.0


def enumerated(scores: torch.Tensor, phones: int) -> float:
    """-log of the sum over all label sequences [T] that collapse to 1 ... phones; scores [T, S + 1], normalized."""
    total = 0.0
    for path in itertools.product(range(phones + 1), repeat=len(scores)):
        if [label for label, _ in itertools.groupby(path) if label] == list(range(1, phones + 1)):
            total += math.exp(sum(float(scores[t, label]) for t, label in enumerate(path)))
    return -math.log(total)


def with_blank(log_probs: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.pad(log_probs, (1, 0), value=BLANK).log_softmax(2)


def test_forward_sum_is_the_sum_over_all_paths() -> None:
    log_probs = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0)).log_softmax(2)
    log_probs[1, :, 2] = -1e4  # padding
    frames, phones = [5, 4], [3, 2]
    scores = with_blank(log_probs)
    expected = [enumerated(scores[b, : frames[b]], phones[b]) / frames[b] for b in range(2)]
    loss = forward_sum_loss(log_probs, torch.tensor(phones), torch.tensor(frames), BLANK)
    assert float(loss) == pytest.approx(sum(expected) / 2, rel=1e-5)


def test_forward_sum_is_ctc_over_positions() -> None:
    log_probs = torch.randn(1, 40, 9, generator=torch.Generator().manual_seed(1)).log_softmax(2)
    targets = torch.arange(1, 10).unsqueeze(0)
    ctc = torch.nn.functional.ctc_loss(
        with_blank(log_probs).transpose(0, 1), targets, torch.tensor([40]), torch.tensor([9]), reduction="sum"
    )
    loss = forward_sum_loss(log_probs, torch.tensor([9]), torch.tensor([40]), BLANK)
    assert float(loss) == pytest.approx(float(ctc) / 40, rel=1e-5)


def test_scores_that_are_not_normalized_gain_nothing() -> None:
    """Without normalization a constant added to everything would lower the loss without end."""
    scores = torch.randn(1, 12, 4, generator=torch.Generator().manual_seed(2)).log_softmax(2)
    lengths, frames = torch.tensor([4]), torch.tensor([12])
    raised = [float(forward_sum_loss(scores + shift, lengths, frames, BLANK)) for shift in (0.0, 100.0, 1000.0)]
    assert min(raised) > 0
    assert raised[1] == pytest.approx(raised[2], rel=1e-4)


def test_padding_changes_nothing() -> None:
    log_probs = torch.randn(1, 8, 3, generator=torch.Generator().manual_seed(3)).log_softmax(2)
    padded = torch.nn.functional.pad(log_probs, (0, 2, 0, 5), value=-1e4)
    lengths, frames = torch.tensor([3]), torch.tensor([8])
    durations = torch.tensor([[2, 3, 3]])
    assert torch.allclose(
        forward_sum_loss(padded, lengths, frames, BLANK), forward_sum_loss(log_probs, lengths, frames, BLANK)
    )
    assert torch.allclose(
        binarization_loss(padded, torch.tensor([[2, 3, 3, 0, 0]]), frames),
        binarization_loss(log_probs, durations, frames),
    )


def test_fewer_frames_than_phones_is_an_error() -> None:
    with pytest.raises(ValueError, match="no path"):
        forward_sum_loss(torch.zeros(1, 2, 3).log_softmax(2), torch.tensor([3]), torch.tensor([2]), BLANK)


def test_binarization_looks_at_the_path_alone() -> None:
    log_probs = torch.randn(1, 4, 3, generator=torch.Generator().manual_seed(4)).log_softmax(2)
    expected = -(log_probs[0, 0, 0] + log_probs[0, 1, 2] + log_probs[0, 2, 2] + log_probs[0, 3, 2]) / 4
    found = binarization_loss(log_probs, torch.tensor([[1, 0, 3]]), torch.tensor([4]))
    assert float(found) == pytest.approx(float(expected), rel=1e-6)


def test_gradients_are_finite_where_phones_barely_fit() -> None:
    raw = torch.randn(2, 6, 6, requires_grad=True)
    loss = forward_sum_loss(raw.log_softmax(2), torch.tensor([6, 1]), torch.tensor([6, 6]), BLANK)
    loss.backward()
    assert raw.grad is not None and raw.grad.isfinite().all()


def test_float32_under_autocast() -> None:
    log_probs = torch.randn(1, 30, 6, generator=torch.Generator().manual_seed(5)).log_softmax(2)
    lengths, frames = torch.tensor([6]), torch.tensor([30])
    durations = torch.tensor([[5, 5, 5, 5, 5, 5]])
    with torch.autocast("cpu", torch.bfloat16):
        forward_sum = forward_sum_loss(log_probs, lengths, frames, BLANK)
        binarization = binarization_loss(log_probs, durations, frames)
    assert forward_sum.dtype == binarization.dtype == torch.float32
    assert torch.equal(forward_sum, forward_sum_loss(log_probs, lengths, frames, BLANK))
    assert torch.equal(binarization, binarization_loss(log_probs, durations, frames))
