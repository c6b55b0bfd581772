"""Where somebody speaks: on sounds whose place is known."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.mel import MelSpectrogram
from processors.speech_activity import Silence, cut_silences, find_silences, speech_frames

RATE, HOP = 22050, 256
SECONDS_PER_FRAME = HOP / RATE
MEL = MelSpectrogram(RATE, 1024, 1024, HOP, 80, 0.0, 8000.0)


def mel_of(wav: np.ndarray) -> np.ndarray:
    return MEL(torch.from_numpy(wav.astype(np.float32))[None])[0].numpy()


def syllables(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Something like speech: voiced sounds of changing pitch and color, and hisses, a tenth of a second each."""
    parts = []
    while sum(map(len, parts)) < seconds * RATE:
        t = np.arange(int(rng.uniform(0.06, 0.16) * RATE)) / RATE
        if rng.random() < 0.7:
            pitch, color = rng.uniform(120, 260), rng.uniform(500, 2500)
            harmonics = np.arange(1, 30) * pitch
            levels = np.exp(-(((harmonics - color) / 700) ** 2)) + 0.05
            part = (levels[:, None] * np.sin(2 * np.pi * harmonics[:, None] * t)).sum(0) * 0.05
        else:
            part = np.diff(rng.standard_normal(len(t) + 1)) * 0.04
        parts.append(part * np.hanning(len(t)) ** 0.3)
    return np.concatenate(parts)


def flags(found: list[Silence] | None, total: int) -> np.ndarray:
    """Frames of the whole recording that are cut out."""
    assert found is not None
    missing, removed = np.zeros(total, bool), 0
    for silence in found:
        missing[silence.cut_at + removed : silence.cut_at + removed + silence.cut] = True
        removed += silence.cut
    return missing


@pytest.mark.parametrize("noise", [None, -70, -55, -45])
@pytest.mark.parametrize(("front", "behind"), [(0.0, 0.0), (0.3, 0.6), (2.0, 8.0)])
def test_silence_at_the_ends_goes_and_speech_stays(noise: int | None, front: float, behind: float) -> None:
    rng = np.random.default_rng(0)
    speech = syllables(3.0, rng)
    wav = np.concatenate([np.zeros(int(front * RATE)), speech, np.zeros(int(behind * RATE))])
    if noise is not None:
        wav = wav + rng.standard_normal(len(wav)) * 10 ** (noise / 20)
    mel = mel_of(wav)
    silences = find_silences(mel, SECONDS_PER_FRAME)
    missing = flags(silences, len(mel))
    first, last = int(front / SECONDS_PER_FRAME), int((front + len(speech) / RATE) / SECONDS_PER_FRAME)
    assert not missing[first:last].any()
    kept = (len(mel) - missing.sum() - (last - first)) * SECONDS_PER_FRAME
    assert kept < 0.6  # of silence, both ends together
    assert len(cut_silences(mel, silences or [])) == len(mel) - missing.sum()


def test_a_long_pause_is_shortened() -> None:
    rng = np.random.default_rng(1)
    wav = np.concatenate([syllables(2.0, rng), np.zeros(4 * RATE), syllables(2.0, rng)])
    silences = find_silences(mel_of(wav), SECONDS_PER_FRAME)
    assert silences is not None
    (pause,) = silences
    assert 3.2 < pause.cut * SECONDS_PER_FRAME < 4.0
    assert pause.start < pause.cut_at < pause.end  # what is left of it lies on both sides


def test_a_click_and_a_hum_are_no_speech() -> None:
    rng = np.random.default_rng(2)
    t = np.arange(RATE) / RATE
    hum = sum(0.05 / k * np.sin(2 * np.pi * 110 * k * t) for k in range(1, 9))
    click = np.zeros(RATE)
    click[RATE // 2 : RATE // 2 + 3] = 0.9, -0.8, 0.5
    wav = np.concatenate([hum, np.zeros(RATE // 2), syllables(3.0, rng), click])
    mel = mel_of(wav + rng.standard_normal(len(wav)) * 1e-3)
    speech = speech_frames(mel, SECONDS_PER_FRAME)
    begins, ends = np.flatnonzero(speech)[[0, -1]] * SECONDS_PER_FRAME
    assert begins == pytest.approx(1.5, abs=0.1) and ends == pytest.approx(len(wav) / RATE - 1, abs=0.1)


@pytest.mark.parametrize("kind", ["zeros", "noise", "tone"])
def test_there_may_be_no_speech_at_all(kind: str) -> None:
    rng = np.random.default_rng(3)
    wav = {
        "zeros": np.zeros(3 * RATE),
        "noise": rng.standard_normal(3 * RATE) * 0.01,
        "tone": np.sin(2 * np.pi * 440 * np.arange(3 * RATE) / RATE) * 0.3,
    }[kind]
    assert find_silences(mel_of(wav), SECONDS_PER_FRAME) is None


def test_the_level_of_a_recording_does_not_matter() -> None:
    rng = np.random.default_rng(4)
    wav = np.concatenate([np.zeros(RATE), syllables(2.0, rng), np.zeros(RATE)])
    wav += rng.standard_normal(len(wav)) * 1e-3
    loud, quiet = (speech_frames(mel_of(wav * gain), SECONDS_PER_FRAME) for gain in (1.0, 0.1))
    assert (loud != quiet).mean() < 0.02


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 400))
def test_silences_lie_in_order_inside_what_is_left(seed: int, frames: int) -> None:
    rng = np.random.default_rng(seed)
    levels = np.repeat(rng.choice([-10.0, -2.0], -(-frames // 7)), rng.integers(1, 60, -(-frames // 7)))[:frames]
    mel = levels[:, None] + rng.normal(0, 1, (len(levels), 8))
    silences = find_silences(mel, SECONDS_PER_FRAME)
    if silences is None:
        return
    left = len(mel) - sum(silence.cut for silence in silences)
    assert len(cut_silences(mel, silences)) == left
    places = [place for silence in silences for place in (silence.start, silence.end)]
    assert places == sorted(places) and all(0 <= place <= left for place in places)
    assert all(silence.start <= silence.cut_at <= silence.end for silence in silences)


def test_a_breath_right_before_speech_is_no_speech() -> None:
    rng = np.random.default_rng(5)
    count = int(0.7 * RATE)
    breath = np.convolve(rng.standard_normal(count), np.ones(4) / 4, "same") * np.hanning(count) * 0.004
    wav = np.concatenate([np.zeros(RATE), breath, syllables(3.0, rng), np.zeros(RATE)])
    speech = speech_frames(mel_of(wav + rng.standard_normal(len(wav)) * 1e-3), SECONDS_PER_FRAME)
    begins = np.flatnonzero(speech)[0] * SECONDS_PER_FRAME
    assert 1.7 - 0.35 < begins < 1.7 + 0.1
