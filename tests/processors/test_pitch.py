"""Every extractor finds the pitch of tones, in the middle of each mel frame."""

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import pytest

from processors import pitch
from processors.pitch import EXTRACTORS, check_extractor, extract_pitch
from utils.errors import UserError

RATE, HOP = 22050, 256
INSTALLED = [name for name in EXTRACTORS if name != "swift-f0" or find_spec("swift_f0")]


@pytest.mark.parametrize("name", INSTALLED)
def test_a_tone_of_440_hz(name: str, harmonic_tone: Callable[..., np.ndarray]) -> None:
    wav = harmonic_tone(np.full(RATE, 440.0)).astype(np.float32)
    found = extract_pitch(name, wav, RATE, HOP, 71, 800)
    assert found.shape == (RATE // HOP,) and found.dtype == np.float32
    assert np.abs(found[5:-5] - 440).max() < 2


@pytest.mark.parametrize("name", INSTALLED)
def test_a_value_belongs_to_the_middle_of_its_frame(name: str, harmonic_tone: Callable[..., np.ndarray]) -> None:
    glide = np.linspace(150, 450, RATE)  # half a hop late would be 1.7 Hz off
    found = extract_pitch(name, harmonic_tone(glide).astype(np.float32), RATE, HOP, 71, 800)
    middles = glide[(np.arange(len(found)) * HOP + HOP // 2)]
    assert abs(np.median((found - middles)[8:-8])) < 0.6


@pytest.mark.parametrize("name", INSTALLED)
@pytest.mark.parametrize("num_samples", [1024, 1025, 5119, 5120, 5121])
def test_as_many_values_as_mel_frames(name: str, num_samples: int) -> None:
    wav = np.random.default_rng(0).normal(0, 0.1, num_samples).astype(np.float32)
    assert extract_pitch(name, wav, RATE, HOP, 71, 800).shape == (num_samples // HOP,)


@pytest.mark.parametrize("name", INSTALLED)
def test_silence_is_unvoiced(name: str) -> None:
    assert not extract_pitch(name, np.zeros(RATE, np.float32), RATE, HOP, 71, 800).any()


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100, 48000])
def test_dio_at_other_rates(rate: int) -> None:
    wav = sum(np.sin(2 * np.pi * 200 * k * np.arange(rate) / rate) / k for k in range(1, 5)).astype(np.float32) * 0.2
    found = extract_pitch("dio", wav, rate, rate // 100, 71, 800)
    assert np.abs(found[5:-5] - 200).max() < 2


def test_a_missing_package_is_named_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setitem(__import__("sys").modules, "swift_f0", None)
    pitch._swift_detector.cache_clear()
    with pytest.raises(UserError, match=r"\[pitch\]"):
        check_extractor("swift-f0")
    check_extractor("dio")
