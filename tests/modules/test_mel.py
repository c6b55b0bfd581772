"""The mel equals its definition, computed here another way."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.mel import MelSpectrogram, mel_filters

SETTINGS = {"sample_rate": 22050, "n_fft": 1024, "win_size": 1024, "hop_size": 256, "n_mel": 80, "fmin": 0.0}


@pytest.fixture(scope="module")
def mel() -> MelSpectrogram:
    return MelSpectrogram(**SETTINGS, fmax=8000.0)


@given(num_samples=st.integers(385, 20000))
@settings(deadline=None, max_examples=40)
def test_one_frame_a_whole_hop(num_samples: int) -> None:
    module = MelSpectrogram(**SETTINGS, fmax=8000.0)
    assert module(torch.zeros(2, num_samples)).shape == (2, num_samples // 256, 80)


@pytest.mark.parametrize(("fmin", "fmax", "n_mel"), [(0.0, 8000.0, 80), (55.0, 7600.0, 100), (0.0, 11025.0, 128)])
def test_filters_are_slaneys(fmin: float, fmax: float, n_mel: int) -> None:
    from librosa.filters import mel as reference

    expected = reference(sr=22050, n_fft=1024, n_mels=n_mel, fmin=fmin, fmax=fmax).T
    np.testing.assert_allclose(mel_filters(22050, 1024, n_mel, fmin, fmax).numpy(), expected, atol=1e-7)


def test_values_follow_the_formula_on_noise(mel: MelSpectrogram) -> None:
    from librosa.filters import mel as reference

    wav = np.random.default_rng(0).normal(0, 0.1, 5000)
    padded = np.pad(wav, 384, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1024)
    frames = np.stack([padded[t * 256 : t * 256 + 1024] * window for t in range(5000 // 256)])
    magnitude = np.sqrt(np.abs(np.fft.rfft(frames)) ** 2 + 1e-9)
    filters = reference(sr=22050, n_fft=1024, n_mels=80, fmin=0, fmax=8000)
    expected = np.log(np.maximum(magnitude @ filters.T, 1e-5))
    found = mel(torch.from_numpy(wav).float().unsqueeze(0))[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_tone_is_loudest_in_its_own_band(mel: MelSpectrogram) -> None:
    wav = 0.3 * torch.sin(2 * math.pi * 1000 * torch.arange(22050) / 22050).unsqueeze(0)
    band = mel.filters[round(1000 * 1024 / 22050)].argmax()
    assert (mel(wav)[0, 5:-5].argmax(-1) == band).all()


def test_a_shorter_window_lies_in_the_middle_of_its_frame() -> None:
    module = MelSpectrogram(22050, 1024, 512, 256, 80, 0.0, 8000.0)
    impulse = torch.zeros(1, 2560)
    impulse[0, 4 * 256 + 128] = 1.0  # the middle of frame 4
    assert module.magnitude(impulse)[0].mean(-1).argmax() == 4


def test_silence_has_finite_values_and_gradients(mel: MelSpectrogram) -> None:
    wav = torch.zeros(1, 4096, requires_grad=True)
    out = mel(wav)
    out.sum().backward()
    assert (out >= math.log(1e-5) - 1e-4).all()
    assert torch.isfinite(wav.grad).all()


def test_autocast_does_not_touch_it(mel: MelSpectrogram) -> None:
    wav = torch.randn(1, 4096, generator=torch.Generator().manual_seed(0)) * 0.1
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(mel(wav.bfloat16().float()), mel(wav.bfloat16()))
        assert mel(wav).dtype == torch.float32


@pytest.mark.parametrize(("n_fft", "win_size", "hop_size"), [(1024, 1024, 256), (1024, 800, 200)])
def test_a_part_with_its_neighborhood_has_the_frames_of_the_whole_clip(
    n_fft: int, win_size: int, hop_size: int
) -> None:
    module = MelSpectrogram(22050, n_fft, win_size, hop_size, 80, 0.0, 8000.0)
    clip = torch.randn(2, 40 * hop_size) * 0.1
    whole, margin = module(clip), module.padding
    inside = module(clip[:, 10 * hop_size - margin : 30 * hop_size + margin], padded=False)
    torch.testing.assert_close(inside, whole[:, 10:30], rtol=0, atol=1e-5)
    reflected = torch.nn.functional.pad(clip, (margin, margin), mode="reflect")
    torch.testing.assert_close(module(reflected, padded=False), whole, rtol=0, atol=1e-5)
    start = module.magnitude(reflected[:, : 5 * hop_size + 2 * margin], padded=False)
    torch.testing.assert_close(start, module.magnitude(clip)[:, :5], rtol=0, atol=1e-5)


def test_without_padding_one_frame_needs_its_samples(mel: MelSpectrogram) -> None:
    assert mel(torch.zeros(1, 1024), padded=False).shape == (1, 1, 80)
    with pytest.raises(ValueError, match="N > 1023"):
        mel(torch.zeros(1, 1023), padded=False)


def test_nothing_of_it_is_in_a_checkpoint(mel: MelSpectrogram) -> None:
    assert mel.state_dict() == {}


@pytest.mark.parametrize("shape", [(1, 384), (22050,), (1, 1, 22050)])
def test_unusable_input_is_refused(mel: MelSpectrogram, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="N > 384"):
        mel(torch.zeros(shape))


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="fmax"):
        MelSpectrogram(**SETTINGS, fmax=12000.0)
    with pytest.raises(ValueError, match="hop_size=255"):
        MelSpectrogram(**{**SETTINGS, "hop_size": 255}, fmax=8000.0)
