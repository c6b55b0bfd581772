"""Recordings as they come: mended or refused, with a reason."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from processors.audio import load_waveform
from processors.skip import SkipUtterance

TONE = 0.3 * np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)


def load(path: Path) -> tuple[np.ndarray, list[str]]:
    return load_waveform(path, sample_rate=22050, max_seconds=5)


def test_a_good_recording_is_left_alone(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", TONE, 22050, subtype="FLOAT")
    wav, mended = load(tmp_path / "a.wav")
    assert mended == [] and wav.dtype == np.float32
    assert np.array_equal(wav, TONE.astype(np.float32))


def test_stereo_and_another_rate_are_mended(tmp_path: Path) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(48000) / 48000)
    soundfile.write(tmp_path / "a.wav", np.stack([0.4 * tone, 0.2 * tone], axis=1), 48000, subtype="FLOAT")
    wav, mended = load(tmp_path / "a.wav")
    assert mended == ["mixed down from 2 channels", "resampled from 48000 Hz"]
    assert len(wav) == 22050
    assert np.abs(wav - TONE)[200:-200].max() < 1e-3


def test_clipping_is_reported_and_kept(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "loud.wav", np.clip(TONE * 5, -1, 1), 22050)
    assert load(tmp_path / "loud.wav")[1] == ["audio is clipped (kept as it is)"]
    touching = TONE.copy()
    touching[[100, 200, 300, 400, 401]] = 1.0  # peaks that touch full scale are no clipping
    soundfile.write(tmp_path / "peak.wav", touching, 22050)
    assert load(tmp_path / "peak.wav")[1] == []


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(22050), "audio is silent"),
        (np.where(np.arange(22050) == 5, np.nan, TONE), "audio has samples that are not numbers"),
        (np.where(np.arange(22050) == 5, np.inf, TONE), "audio has samples that are not numbers"),
        (np.zeros(0), "audio is empty"),
        (np.tile(TONE, 6), "longer than max_seconds"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, samples: np.ndarray, reason: str) -> None:
    soundfile.write(tmp_path / "a.wav", samples, 22050, subtype="FLOAT")
    with pytest.raises(SkipUtterance) as caught:
        load(tmp_path / "a.wav")
    assert caught.value.reason == reason and not caught.value.transient


def test_a_missing_file_and_a_failing_disk_differ(tmp_path: Path) -> None:
    with pytest.raises(SkipUtterance) as caught:
        load(tmp_path / "a.wav")
    assert caught.value.reason == "audio is missing" and not caught.value.transient
    (tmp_path / "a.wav").mkdir()
    with pytest.raises(SkipUtterance) as caught:
        load(tmp_path / "a.wav")
    assert caught.value.reason == "audio cannot be read" and caught.value.transient
