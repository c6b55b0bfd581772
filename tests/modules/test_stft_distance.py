import math

import pytest
import torch

from modules.stft_distance import MultiResolutionSTFTDistance


@pytest.fixture
def distance() -> MultiResolutionSTFTDistance:
    return MultiResolutionSTFTDistance()


@pytest.fixture
def tone() -> torch.Tensor:
    return 0.3 * torch.sin(2 * math.pi * 440 * torch.arange(12000) / 22050)[None]


def test_nothing_lies_between_a_waveform_and_itself(distance, tone):
    assert distance(tone, tone) == 0
    assert distance(-tone, tone) == 0  # magnitudes do not tell the sign


def test_more_noise_is_farther_away(distance, tone):
    noise = torch.randn_like(tone)
    found = [distance(tone + level * noise, tone).item() for level in (0.001, 0.003, 0.01, 0.03, 0.1)]
    assert found == sorted(found)
    assert found[0] > 0.1 and found[-1] > 2 * found[0]


def test_half_the_amplitude_is_a_half_plus_the_logarithm_of_two(distance):
    noise = torch.randn(2, 8000)
    assert distance(noise / 2, noise).item() == pytest.approx(0.5 + math.log(2), abs=2e-3)


def test_each_row_counts_the_same(distance):
    reference = torch.randn(2, 8000) * torch.tensor([[1.0], [0.01]])
    wav = reference * torch.tensor([[0.5], [1.0]])
    assert distance(wav, reference).item() == pytest.approx((0.5 + math.log(2)) / 2, abs=2e-3)


def test_silence_has_finite_values_and_gradients(distance, tone):
    wav = torch.zeros_like(tone, requires_grad=True)
    found = distance(wav, tone)
    found.backward()
    assert found.isfinite() and wav.grad.isfinite().all()
    assert distance(tone, torch.zeros_like(tone)).isfinite()


def test_a_row_below_the_floor_is_as_good_as_silence(distance, tone):
    assert distance(tone * 1e-7, torch.zeros_like(tone)) == 0


def test_nothing_of_it_is_in_a_checkpoint(distance):
    assert distance.state_dict() == {}


@pytest.mark.parametrize("shapes", [((1, 5000), (1, 5001)), ((5000,), (5000,)), ((1, 1024), (1, 1024))])
def test_unusable_input_is_refused(distance, shapes):
    with pytest.raises(ValueError, match=r"same N > 1024"):
        distance(*(torch.zeros(shape) for shape in shapes))
