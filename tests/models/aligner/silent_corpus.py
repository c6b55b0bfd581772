"""Copies of a corpus with exact boundaries, with what recordings have beside speech: silence, noise, pauses."""

import shutil
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from utils.textgrid import Interval, Tier, read_phones, write_textgrid

PEAK = 0.5  # that speech is scaled to: levels of noise are against full scale, and some 15 dB more against the speech


class Sounds(NamedTuple):
    """What is added to each recording."""

    front: float = 0.0  # s of silence
    behind: float = 0.0  # of silence, as a share of the speech's length
    noise: float | None = None  # dB against full scale, through the whole recording; None: zeros
    pauses: int = 0  # of 1 to 5 s between words, without a mark in the text
    events: bool = False  # a second of hum in front, a breath and a click behind


VARIANTS = {
    "0.3 s in front, 15 % behind": Sounds(0.3, 0.15),
    "0.3 s in front, 60 % behind": Sounds(0.3, 0.6),
    "the same with noise at -45 dB": Sounds(0.3, 0.6, -45),
    "1 s in front, 30 % behind, noise at -35 dB": Sounds(1.0, 0.3, -35),
    "twice the speech's length behind": Sounds(0.0, 2.0),
    "two pauses of 1 to 5 s inside, noise at -60 dB": Sounds(0.5, 0.1, -60, pauses=2),
    "hum, breath and click, noise at -55 dB": Sounds(0.3, 0.3, -55, events=True),
}


def make_variant(source: Path, folder: Path, sounds: Sounds) -> None:
    """Makes a copy of a corpus in LJSpeech's layout with TextGrids; `metadata.csv` is written last."""
    for name in ("wavs", "TextGrid"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(sorted((source / "wavs").glob("*.wav"))):
        rng = np.random.default_rng(number)
        speech, rate = soundfile.read(path)
        tiers = {name: read_phones(source / "TextGrid" / f"{path.stem}.TextGrid", name) for name in ("words", "phones")}
        starts = [word.start for word in tiers["words"][1:] if word.label]
        chosen = sorted(rng.choice(starts, min(sounds.pauses, len(starts)), replace=False)) if sounds.pauses else []
        front = np.zeros(round(sounds.front * rate))
        behind = np.zeros(round(sounds.behind * len(speech)))
        if sounds.events:
            front = np.concatenate([front, hum(rate), np.zeros(rate // 3)])
            click = np.array([0.5, -0.4, 0.2, -0.1])
            behind = np.concatenate([np.zeros(rate // 4), breath(rng, rate), np.zeros(rate // 5), click, behind])
        cuts = [0, *(round(start * rate) for start in chosen), len(speech)]
        inserted = [front, *(np.zeros(round(rng.uniform(1, 5) * rate)) for _ in chosen)]
        scaled = speech * PEAK / max(float(np.abs(speech).max()), 1e-9)
        parts = [part for k, pause in enumerate(inserted) for part in (pause, scaled[cuts[k] : cuts[k + 1]])]
        audio = np.concatenate([*parts, behind])
        if sounds.noise is not None:
            audio = audio + rng.standard_normal(len(audio)) * 10 ** (sounds.noise / 20)
        soundfile.write(folder / "wavs" / path.name, np.clip(audio, -1, 1), rate, subtype="PCM_16")
        delays = np.cumsum([len(pause) / rate for pause in inserted]).tolist()
        seconds = len(audio) / rate
        moved = [
            Tier(name, _moved(intervals, chosen, delays, seconds, "sil" if name == "phones" else ""))
            for name, intervals in tiers.items()
        ]
        write_textgrid(folder / "TextGrid" / f"{path.stem}.TextGrid", moved)
    shutil.copy(source / "metadata.csv", folder / "metadata.csv")


def hum(rate: int) -> np.ndarray:
    """A second of a low tone with overtones, swelling slowly."""
    t = np.arange(rate) / rate
    tone = sum(0.05 / k * np.sin(2 * np.pi * 110 * k * t + k) for k in range(1, 9))
    return tone * (1 + 0.2 * np.sin(2 * np.pi * 1.3 * t)) * np.hanning(rate) ** 0.2


def breath(rng: np.random.Generator, rate: int) -> np.ndarray:
    """A third of a second of soft noise without highs."""
    count = round(0.35 * rate)
    return np.convolve(rng.standard_normal(count), np.ones(8) / 8, "same") * np.hanning(count) * 0.012


def _moved(
    intervals: Sequence[Interval], cuts: Sequence[float], delays: Sequence[float], seconds: float, silence: str
) -> list[Interval]:
    """Intervals after the insertions, with silence where there is nothing else."""
    moved: list[Interval] = []
    end = 0.0
    for interval in intervals:
        start = interval.start + delays[bisect_right(cuts, interval.start + 1e-6)]
        if start > end + 1e-6:
            moved.append(Interval(end, start, silence))
        end = interval.end + delays[bisect_left(cuts, interval.end - 1e-6)]
        moved.append(Interval(start, end, interval.label))
    if seconds > end + 1e-6:
        return [*moved, Interval(end, seconds, silence)]
    return [*moved[:-1], moved[-1]._replace(end=seconds)]
