"""The source of voiced speech against sums of cosines."""

import math

import pytest
import torch

from modules.pulses import pulse_phases, pulses

RATE, HOP = 22050, 256


def source(pitch, hop_size=HOP, sample_rate=RATE):
    return pulses(pitch, pulse_phases(pitch, hop_size, sample_rate), hop_size, sample_rate)


@pytest.mark.parametrize("hertz", [71.0, 220.0, 523.25, 799.0])
def test_a_steady_pitch_is_the_sum_of_all_cosines_below_nyquist(hertz):
    frames = 12
    wave = source(torch.full((1, frames), hertz))[0].double()
    num_harmonics = math.floor(RATE / 2 / hertz)
    # The first pulse is in the middle of the frame before the first.
    time = (torch.arange(frames * HOP, dtype=torch.float64) + HOP // 2 + 0.5) / RATE
    harmonics = torch.arange(1, num_harmonics + 1, dtype=torch.float64).unsqueeze(1)
    expected = (2 * math.pi * hertz * harmonics * time).cos().sum(0) / math.sqrt(num_harmonics / 2)
    assert (wave - expected).abs().max() < 2e-3 * expected.abs().max()
    assert wave.square().mean() == pytest.approx(1, rel=0.05)


def test_the_phase_of_a_gliding_pitch_is_the_sum_over_samples():
    frames, hop_size = 20, 200
    pitch = torch.linspace(100, 300, frames)[None]
    middles = (torch.arange(frames) + 0.5) * hop_size
    samples = torch.arange(frames * hop_size) + 0.5
    place = ((samples - middles[0]) / hop_size).clamp(0, frames - 1)
    line = 100 + place / (frames - 1) * 200  # Hz at each sample
    phase = (line.double() / RATE).cumsum(0) - line.double() / RATE / 2
    phase = phase + pitch[0, 0] / RATE * hop_size / 2  # half a frame before the first sample
    num_harmonics = (RATE / 2 / line).floor()
    angle = 2 * math.pi * phase
    kernel = ((num_harmonics + 0.5) * angle).sin() / (2 * (angle / 2).sin()) - 0.5
    expected = kernel / (num_harmonics / 2).sqrt()
    difference = (source(pitch, hop_size)[0] - expected).abs()
    assert difference.quantile(0.99) < 0.02  # a pulse's flank is steep


def test_there_is_silence_where_there_is_no_voice():
    pitch = torch.tensor([[0.0, 0.0, 200.0, 200.0, 0.0, 150.0]])
    wave = source(pitch)[0].unflatten(0, (6, HOP))
    assert wave[[0, 1, 4]].abs().max() == 0
    assert (wave[[2, 3, 5]].square().mean(1) > 0.3).all()
    assert source(torch.zeros(1, 5)).abs().max() == 0


def test_the_pitch_does_not_glide_to_where_there_is_none():
    """A voiced frame beside an unvoiced one has its own pitch up to its edge."""
    alone = source(torch.tensor([[0.0, 200.0, 200.0, 0.0]]))[0, HOP : 3 * HOP]
    steady = source(torch.full((1, 4), 200.0))[0]
    spectra = [torch.fft.rfft(wave * torch.hann_window(2 * HOP)).abs() for wave in (alone, steady[HOP : 3 * HOP])]
    difference = (spectra[0] - spectra[1])[:220].abs()  # up to 9.5 kHz; the last harmonic hides its image
    assert difference.max() < 0.05 * spectra[1].max()  # the first phase differs


def test_a_part_is_the_same_as_in_the_whole():
    pitch = torch.rand(2, 40, generator=torch.Generator().manual_seed(0)) * 300 + 80
    pitch[:, 10:14] = 0
    phases = pulse_phases(pitch, HOP, RATE)
    part = pulses(pitch[:, 8:30], phases[:, 8:31], HOP, RATE)
    whole = pulses(pitch, phases, HOP, RATE)[:, 8 * HOP : 30 * HOP]
    inside = slice(HOP // 2, -HOP // 2)  # the lines to the neighbors' middles are missing
    torch.testing.assert_close(part[:, inside], whole[:, inside])


def test_nothing_aliases():
    """There is no energy between the harmonics."""
    pitch = torch.full((1, 64), 1000.0)
    spectrum = torch.fft.rfft(source(pitch)[0] * torch.blackman_window(64 * HOP)).abs()
    hertz = torch.arange(len(spectrum)) * RATE / (64 * HOP)
    between = (hertz / 1000 - (hertz / 1000).round()).abs() > 0.02
    assert spectrum[between].max() < 1e-3 * spectrum.max()


@pytest.mark.parametrize("hertz", [22050.0, 5000.0])
def test_a_pitch_with_hardly_a_harmonic_is_finite(hertz):
    assert source(torch.full((1, 8), hertz)).isfinite().all()
