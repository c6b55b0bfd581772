"""Audio files come back as they were written, and damaged ones are told apart."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from utils.audio_io import AudioError, mix_down, read_audio, resample, write_wav


def test_full_scale_does_not_wrap_around(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", np.array([1.0, 2.0, -1.0, -2.0, 0.5]), 22050)
    pcm, rate = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert pcm.tolist() == [32767, 32767, -32768, -32768, 16384]
    assert rate == 22050


def test_round_trip_within_half_a_step(tmp_path: Path) -> None:
    wav = np.random.default_rng(0).uniform(-0.9, 0.9, 1000)
    write_wav(tmp_path / "a.wav", wav, 16000)
    samples, rate = read_audio(tmp_path / "a.wav")
    assert rate == 16000 and samples.shape == (1000, 1) and samples.dtype == np.float32
    assert np.abs(samples[:, 0] - wav).max() <= 0.5 / 32768 + 1e-7


def test_numbers_that_are_none_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a.wav"):
        write_wav(tmp_path / "a.wav", np.array([0.0, np.nan]), 22050)


def test_a_truncated_wav_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, np.zeros(1000), 22050)
    path.write_bytes(path.read_bytes()[:1044])
    with pytest.raises(AudioError, match="truncated: 50 %"):
        read_audio(path)
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(AudioError, match="truncated"):
        read_audio(path)


@pytest.mark.parametrize(("data", "reason"), [(b"", "audio is empty"), (b"ID3 not audio", "audio cannot be decoded")])
def test_what_is_no_audio(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "a.wav").write_bytes(data)
    with pytest.raises(AudioError) as caught:
        read_audio(tmp_path / "a.wav")
    assert caught.value.reason == reason


def test_a_header_without_samples(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", np.zeros(0), 22050)
    with pytest.raises(AudioError, match="no samples"):
        read_audio(tmp_path / "a.wav")


def test_too_long(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", np.zeros(22050), 22050)
    with pytest.raises(AudioError, match="1.0 s, the limit is 0.5 s"):
        read_audio(tmp_path / "a.wav", max_seconds=0.5)


def test_channels_become_their_mean() -> None:
    assert mix_down(np.array([[0.5, -0.5], [0.25, 0.75]], np.float32)).tolist() == [0.0, 0.5]


def test_resampling_keeps_a_tone() -> None:
    wav = np.sin(2 * np.pi * 440 * np.arange(48000) / 48000).astype(np.float32)
    out = resample(wav, 48000, 22050)
    expected = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)
    assert len(out) == 22050
    assert np.abs(out - expected)[200:-200].max() < 1e-3
