"""Makes a corpus whose boundaries are exact: the synthesizer flite reads texts, and tells when it says each phone.

It has LJSpeech's layout: `metadata.csv`, `wavs/` (22,050 Hz, 16 bits) and `TextGrid/` with the tiers "words" and
"phones". The phones are flite's own. It does not tell where words begin, but it says the same word alone in the same
phones, or nearly so: the sentence's phones are matched with those of its words alone.
"""

import re
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import soundfile
import soxr

from utils.textgrid import Interval, Tier, write_textgrid

SAMPLE_RATE = 22050
_PAUSE = "pau"
_SPEAKS_FAST = "kal"  # a voice that takes little time, for when nobody listens; the phones are those of all voices
_WORDS_A_CALL = 40


def make_corpus(folder: Path, metadata: Path, count: int, voices: Sequence[str], num_workers: int) -> None:
    """Makes a corpus.

    Args:
        folder: for the corpus; `metadata.csv` is written last.
        metadata: lines of "id|text|text in words"; the texts are taken evenly spaced from all of it.
        count: texts; each voice reads all of them.
        voices: of flite, e.g. "slt"; with several, ids begin with the voice.
        num_workers: how many copies of flite run at once.

    Raises:
        OSError: a file cannot be read or written.
        subprocess.CalledProcessError: flite failed.
    """
    lines = [line.split("|") for line in metadata.read_text(encoding="utf-8").splitlines() if line.count("|") >= 2]
    chosen = [lines[i] for i in np.linspace(0, len(lines) - 1, min(count, len(lines))).round().astype(int)]
    for name in ("wavs", "TextGrid"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(num_workers) as pool:
        words = sorted({word for line in chosen for word in written_words(line[2])})
        groups = [words[i : i + _WORDS_A_CALL] for i in range(0, len(words), _WORDS_A_CALL)]
        alone = {word: phones for group in pool.map(phones_alone, groups) for word, phones in group.items()}

        def make(voice: str, line: list[str]) -> str:
            utt_id = f"{voice}_{line[0]}" if len(voices) > 1 else line[0]
            audio, spoken = speak(line[2], voice)
            soundfile.write(folder / "wavs" / f"{utt_id}.wav", audio, SAMPLE_RATE, subtype="PCM_16")
            tiers = [word_tier(spoken, written_words(line[2]), alone), Tier("phones", spoken)]
            write_textgrid(folder / "TextGrid" / f"{utt_id}.TextGrid", tiers)
            return "|".join([utt_id, *line[1:3]])

        jobs = [(voice, line) for voice in voices for line in chosen]
        made = list(pool.map(make, *zip(*jobs, strict=True)))
    (folder / "metadata.csv").write_text("\n".join(made) + "\n", encoding="utf-8")


def speak(text: str, voice: str) -> tuple[np.ndarray, list[Interval]]:
    """Audio [N] at `SAMPLE_RATE`, and its phones: ARPAbet without stress, "sil" at the ends, "sp" between."""
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "speech.wav"
        ends = [entry.rsplit(":", 1) for entry in _flite("-voice", voice, "-psdur", "-t", text, "-o", str(wav))]
        audio, rate = soundfile.read(wav)
    audio = np.clip(soxr.resample(audio, rate, SAMPLE_RATE), -1, 1)
    seconds = len(audio) / SAMPLE_RATE
    phones: list[Interval] = []
    for place, (name, end) in enumerate(ends):
        outer = place in (0, len(ends) - 1)
        label = ("sil" if outer else "sp") if name == _PAUSE else arpabet(name)
        last = place == len(ends) - 1
        phones.append(Interval(phones[-1].end if phones else 0.0, seconds if last else min(float(end), seconds), label))
    return audio, phones


def phones_alone(words: Sequence[str]) -> dict[str, list[str]]:
    """How each word is said between two pauses, in one call if that can be told apart."""
    names = _flite("-voice", _SPEAKS_FAST, "-ps", "-t", ", ".join(words), "-o", "none")
    runs = [run.split() for run in " ".join(names).split(_PAUSE)]
    said = [[arpabet(name) for name in run] for run in runs if run]
    if len(said) == len(words):
        return dict(zip(words, said, strict=True))
    if len(words) == 1:
        return {words[0]: [phone for run in said for phone in run]}
    return {word: phones for one in words for word, phones in phones_alone([one]).items()}


def word_tier(spoken: Sequence[Interval], words: Sequence[str], alone: dict[str, list[str]]) -> Tier:
    """The words of a sentence.

    Args:
        spoken: the sentence's phones.
        words: what is written, in order.
        alone: word -> its phones when it stands alone.
    """
    expected = [(phone, index) for index, word in enumerate(words) for phone in alone[word]]
    places = [place for place, phone in enumerate(spoken) if not _is_pause(phone)]
    matcher = SequenceMatcher(None, [spoken[p].label for p in places], [phone for phone, _ in expected], autojunk=False)
    owners = [-1] * len(spoken)  # of pauses
    for _, first, end, other_first, other_end in matcher.get_opcodes():
        for step in range(end - first):  # a phone that is not among the expected ones goes with those before it
            other = other_first + step * (other_end - other_first) // (end - first)
            owners[places[first + step]] = expected[min(max(0, other), len(expected) - 1)][1]
    intervals: list[Interval] = []
    for place, (phone, owner) in enumerate(zip(spoken, owners, strict=True)):
        if place and owner >= 0 and owner == owners[place - 1]:
            intervals[-1] = intervals[-1]._replace(end=phone.end)
        else:
            intervals.append(phone._replace(label=words[owner] if owner >= 0 else ""))
    return Tier("words", intervals)


def written_words(text: str) -> list[str]:
    """The words of a text in small letters; an apostrophe is part of its word, a hyphen is not."""
    return re.findall(r"[a-z0-9]+(?:'[a-z]+)*", text.lower())


def arpabet(name: str) -> str:
    """The ARPAbet symbol for flite's name of a phone."""
    return "AH" if name == "ax" else name.upper()


def _is_pause(interval: Interval) -> bool:
    return interval.label in ("sil", "sp")


def _flite(*arguments: str) -> list[str]:
    return subprocess.run(["flite", *arguments], capture_output=True, text=True, check=True).stdout.split()
