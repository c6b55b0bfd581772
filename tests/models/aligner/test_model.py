"""The aligner's log probabilities: normalized, with the prior inside, blind to padding and to autocast."""

import pytest
import scipy.stats
import torch

from models.aligner.config import AlignerConfig
from models.aligner.model import Aligner
from models.aligner.prior import beta_binomial_log_prior


@pytest.fixture(scope="module")
def aligner() -> Aligner:
    torch.manual_seed(0)
    return Aligner(AlignerConfig(channels=8), num_symbols=10, n_mel=6)


def inputs() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.tensor([[1, 2, 3, 4], [5, 6, 0, 0]])
    mel = torch.randn(2, 12, 6, generator=generator)
    return ids, torch.tensor([4, 2]), mel, torch.tensor([12, 7])


def test_the_prior_is_beta_binomial() -> None:
    found = beta_binomial_log_prior(torch.tensor([5, 3, 1]), torch.tensor([9, 4, 6]), 5, 9)
    assert found.dtype == torch.float32
    for row, (phones, frames) in enumerate([(5, 9), (3, 4), (1, 6)]):
        for t in range(1, frames + 1):
            expected = scipy.stats.betabinom.logpmf(range(phones), phones - 1, t, frames - t + 1)
            assert found[row, t - 1, :phones].tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def test_each_frame_is_a_distribution_over_its_own_phones(aligner: Aligner) -> None:
    log_probs = aligner(*inputs())
    assert torch.allclose(log_probs.exp().sum(2), torch.ones(2, 12), atol=1e-5)
    assert (log_probs[1, :, 2:] < -1000).all() and log_probs[1, :, :2].isfinite().all()


def test_the_prior_is_in_what_the_path_search_sees(aligner: Aligner) -> None:
    """Equal sounds and equal phones: the prior alone tells frames apart, and the path is the diagonal."""
    log_probs = aligner(torch.full((1, 4), 3), torch.tensor([4]), torch.zeros(1, 12, 6), torch.tensor([12]))
    prior = beta_binomial_log_prior(torch.tensor([4]), torch.tensor([12]), 4, 12)
    assert torch.allclose(log_probs, prior, atol=1e-5)


def test_padding_changes_nothing(aligner: Aligner) -> None:
    ids, lengths, mel, mel_lengths = inputs()
    alone = aligner(ids[1:, :2], lengths[1:], mel[1:, :7], mel_lengths[1:])
    assert torch.allclose(aligner(ids, lengths, mel, mel_lengths)[1, :7, :2], alone[0], atol=1e-5)


def test_float32_under_autocast(aligner: Aligner) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        found = aligner(*inputs())
    assert found.dtype == torch.float32
    assert torch.equal(found, aligner(*inputs()))


def test_loudness_does_not_matter(aligner: Aligner) -> None:
    ids, lengths, mel, mel_lengths = inputs()
    assert torch.allclose(
        aligner(ids, lengths, mel, mel_lengths), aligner(ids, lengths, mel + 3, mel_lengths), atol=1e-4
    )
