"""Silence at the ends: found within a frame, and only there."""

import numpy as np
import pytest

from processors.trim import MARGIN, trim_silence

HOP = 256
RATE = 22050


def tone(num_samples: int, amplitude: float = 0.3) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * 440 * np.arange(num_samples) / RATE)).astype(np.float32)


def silence(num_samples: int) -> np.ndarray:
    return np.zeros(num_samples, dtype=np.float32)


@pytest.mark.parametrize("lead", [0, 100, 3000, 22050])
@pytest.mark.parametrize("tail", [0, 100, 3000, 22050])
def test_a_tone_is_found_within_a_hop_of_the_margin(lead: int, tail: int) -> None:
    sound = tone(RATE)
    wav = np.concatenate([silence(lead), sound, silence(tail)])
    kept = trim_silence(wav, HOP, 60.0)
    assert len(kept) % HOP == 0
    first = int(np.flatnonzero(kept)[0])  # the tone's first sample is 0, its second is not
    assert min(lead, MARGIN * HOP) <= first <= (MARGIN + 1) * HOP
    quiet = len(kept) - 1 - int(np.flatnonzero(kept)[-1])
    assert quiet <= (MARGIN + 1) * HOP
    heard = kept[np.flatnonzero(kept)[0] :][:RATE]
    assert np.array_equal(heard[: RATE - 2 * HOP], sound[1 : RATE - 2 * HOP + 1])  # up to the last, unfinished hop


def test_the_start_lies_on_a_hop() -> None:
    wav = np.concatenate([silence(5000), tone(RATE)])
    kept = trim_silence(wav, HOP, 60.0)
    starts = [at for at in range(0, 5001, HOP) if np.array_equal(wav[at : at + len(kept)], kept)]
    assert starts == [(5000 // HOP - MARGIN) * HOP]


def test_pauses_inside_stay() -> None:
    wav = np.concatenate([tone(HOP * 20), silence(HOP * 200), tone(HOP * 20)])
    assert np.array_equal(trim_silence(wav, HOP, 60.0), wav)


def test_the_threshold_is_what_it_says() -> None:
    loud, soft = tone(HOP * 40), tone(HOP * 40, 0.3 * 10 ** (-50 / 20))  # 50 dB below
    wav = np.concatenate([soft, loud, soft])
    assert len(trim_silence(wav, HOP, 60.0)) == len(wav)
    assert len(trim_silence(wav, HOP, 40.0)) == len(loud) + 2 * MARGIN * HOP


def test_nothing_is_trimmed_without_a_threshold_but_the_rest_of_a_frame() -> None:
    wav = np.concatenate([silence(5000), tone(1000), silence(5000)])
    assert np.array_equal(trim_silence(wav, HOP, None), wav[: 11000 // HOP * HOP])
    assert len(trim_silence(wav[:HOP], HOP, 60.0)) == HOP
    assert len(trim_silence(tone(HOP - 1), HOP, 60.0)) == 0
