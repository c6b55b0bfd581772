import math

import numpy as np
import pytest
import torch

from modules.periodicity import VOICED, periodicity, periodicity_errors

RATE, HOP = 22050, 256


def harmonics(f0: float, seconds: float = 0.5, amplitude: float = 0.2) -> torch.Tensor:
    """[1, N]: ten harmonics that fall by 1 / k."""
    time = torch.arange(int(seconds * RATE)) / RATE
    return amplitude * sum(torch.sin(2 * math.pi * k * f0 * time + k) / k for k in range(1, 11))[None]


def inner(values: torch.Tensor) -> torch.Tensor:
    """Without the frames that reach beyond the ends."""
    return values[:, 3:-3]


@pytest.mark.parametrize("f0", [70.0, 110.0, 200.0, 330.0, 500.0])
def test_a_voice_is_periodic(f0):
    assert inner(periodicity(harmonics(f0), RATE, HOP)).min() > 0.95


def test_a_gliding_voice_is_periodic(harmonic_tone):
    wav = torch.from_numpy(harmonic_tone(np.linspace(120, 260, RATE))).float()[None]
    assert inner(periodicity(wav, RATE, HOP)).min() > 0.9


def test_white_noise_is_not():
    found = periodicity(0.1 * torch.randn(4, RATE), RATE, HOP)
    assert found.max() < 0.4 and found.mean() < 0.25


def test_deep_noise_is_not_periodic_though_neighboring_samples_are_alike():
    spectrum = torch.fft.rfft(torch.randn(2, RATE))
    spectrum *= torch.exp(-torch.arange(spectrum.shape[1]) / 40)  # falls by 9 dB each 40 Hz
    deep = torch.fft.irfft(spectrum)
    assert periodicity(deep / deep.abs().max(), RATE, HOP).median() < VOICED


def test_noise_on_a_voice_lowers_it_step_by_step():
    voice, noise = harmonics(150.0), torch.randn(1, RATE // 2)
    found = [periodicity(voice + level * noise, RATE, HOP).mean().item() for level in (0, 0.02, 0.05, 0.1, 0.3, 1)]
    assert found == sorted(found, reverse=True)


def test_loudness_and_offset_do_not_matter_but_silence_is_unvoiced():
    voice = harmonics(200.0)
    found = periodicity(torch.cat([voice, voice / 10, voice * 0.9 + 0.1]), RATE, HOP)
    torch.testing.assert_close(inner(found[1:2]), inner(found[:1]), rtol=0, atol=1e-2)
    torch.testing.assert_close(inner(found[2:]), inner(found[:1]), rtol=0, atol=1e-2)
    assert not periodicity(torch.zeros(1, 5000), RATE, HOP).any()
    assert inner(periodicity(torch.full((1, 5000), 0.5), RATE, HOP)).max() < 0.01
    assert periodicity(1e-5 * voice, RATE, HOP).max() < 0.1


@pytest.mark.parametrize("f0", [40.0, 45.0])
def test_a_period_longer_than_the_longest_is_not_found(f0):
    tone = 0.2 * torch.sin(2 * math.pi * f0 * torch.arange(RATE) / RATE)[None]
    assert inner(periodicity(tone, RATE, HOP)).max() < VOICED


def test_frames_lie_as_the_mels():
    wav = 0.05 * torch.randn(1, 40 * HOP)
    wav[:, 20 * HOP :] = harmonics(200.0, 1.0)[:, : 20 * HOP]
    found = periodicity(wav, RATE, HOP)
    assert found.shape == (1, 40)
    assert (found[0, :18] < VOICED).all() and (found[0, 22:38] > 0.9).all()


@pytest.mark.parametrize("num_samples", [256, 511, 512, 7777])
def test_one_frame_a_whole_hop(num_samples):
    assert periodicity(torch.zeros(2, num_samples), RATE, HOP).shape == (2, num_samples // HOP)


def test_rows_do_not_see_each_other():
    wavs = torch.cat([harmonics(100.0), 0.1 * torch.randn(1, RATE // 2)])
    torch.testing.assert_close(periodicity(wavs, RATE, HOP)[1:], periodicity(wavs[1:], RATE, HOP))


def test_a_waveform_has_no_errors_against_itself():
    voice = harmonics(180.0) + 0.01 * torch.randn(1, RATE // 2)
    errors = periodicity_errors(voice, voice, RATE, HOP)
    assert errors.periodicity_rmse == 0 and errors.voicing_error == 0


def test_a_voice_turned_to_noise_for_half_its_time_is_half_wrong():
    voice = harmonics(180.0, 1.0)
    hoarse = voice.clone()
    hoarse[:, RATE // 2 :] = 0.1 * torch.randn(1, RATE - RATE // 2)
    errors = periodicity_errors(voice, hoarse, RATE, HOP)
    assert errors.voicing_error.item() == pytest.approx(0.5, abs=0.05)
    assert errors.periodicity_rmse.item() == pytest.approx(0.8 * math.sqrt(0.5), abs=0.1)


def test_rows_count_the_same():
    voice = harmonics(180.0).repeat(2, 1)
    made = voice.clone()
    made[1] = 0.1 * torch.randn(RATE // 2)
    both, worse = periodicity_errors(voice, made, RATE, HOP), periodicity_errors(voice[1:], made[1:], RATE, HOP)
    torch.testing.assert_close(torch.stack(both), torch.stack(worse) / 2)


def test_the_threshold_decides():
    voice = harmonics(180.0)
    breathy = voice + 0.15 * torch.randn(1, RATE // 2)
    level = periodicity(breathy, RATE, HOP).mean().item()
    assert periodicity_errors(voice, breathy, RATE, HOP, voiced=level - 0.25).voicing_error < 0.1
    assert periodicity_errors(voice, breathy, RATE, HOP, voiced=level + 0.15).voicing_error > 0.6


def test_unusable_input_is_refused():
    with pytest.raises(ValueError, match="at least 256"):
        periodicity(torch.zeros(1, 255), RATE, HOP)
    with pytest.raises(ValueError, match="f0_min"):
        periodicity(torch.zeros(1, 5000), RATE, HOP, 500.0, 100.0)
    with pytest.raises(ValueError, match="cannot be compared"):
        periodicity_errors(torch.zeros(1, 5000), torch.zeros(1, 5001), RATE, HOP)
