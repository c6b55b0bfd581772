"""The framed STFT and its inverse."""

import pytest
import torch

from modules.mel import MelSpectrogram
from modules.stft import FramedSTFT

SIZES = [(1024, 1024, 256), (1024, 1024, 300), (512, 400, 100), (256, 256, 64)]


def make(n_fft, win_size, hop_size):
    stft = FramedSTFT(n_fft, win_size, hop_size)
    return stft, stft.window.square().sum().sqrt()


@pytest.mark.parametrize("sizes", SIZES)
def test_the_inverse_gives_the_signal_back(sizes):
    stft, scale = make(*sizes)
    wav = torch.randn(2, 30 * sizes[2], generator=torch.Generator().manual_seed(0))
    spectrum = stft(wav)
    assert spectrum.shape == (2, 30, sizes[0] // 2 + 1)
    torch.testing.assert_close(stft.inverse(spectrum * scale), wav, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("frames", [1, 2, 7])
def test_frames_give_as_many_hops(frames):
    stft, _ = make(1024, 1024, 256)
    assert stft.inverse(torch.randn(1, frames, 513, dtype=torch.complex64)).shape == (1, frames * 256)


def test_white_noise_has_bins_of_unit_power():
    stft, _ = make(1024, 1024, 256)
    power = stft(torch.randn(1, 400 * 256, generator=torch.Generator().manual_seed(0))).abs().square()
    assert power[:, :, 1:-1].mean() == pytest.approx(1, rel=0.03)


def test_its_frames_are_those_of_the_mel():
    stft, scale = make(1024, 1024, 256)
    spectrogram = MelSpectrogram(22050, 1024, 1024, 256, 80, 0.0, 8000.0)
    wav = torch.randn(1, 20 * 256)
    magnitude = spectrogram.magnitude(wav)[:, 2:-2]  # its ends are reflected
    torch.testing.assert_close(stft(wav).abs()[:, 2:-2] * scale, magnitude, atol=1e-3, rtol=1e-3)


def test_masked_frames_add_nothing():
    stft, _ = make(1024, 1024, 256)
    spectrum = torch.randn(1, 12, 513, dtype=torch.complex64)
    mask = (torch.arange(12) < 9).float()[None, :, None]
    torch.testing.assert_close(stft.inverse(spectrum, mask)[:, : 9 * 256], stft.inverse(spectrum[:, :9]))
