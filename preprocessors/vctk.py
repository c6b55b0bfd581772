"""Reader of VCTK 0.92 and 0.80 (https://doi.org/10.7488/ds/2645): many speakers, a folder of texts and of sound each.

0.92 has two microphones. The first is the one of 0.80; a corpus of both would have almost every sentence twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from preprocessors.entries import Entry, find_root, folders_in, listing, read_bytes, recordings_in, to_corpus
from utils.utterance import Corpus

LAYOUT = "txt/p225/p225_001.txt, and wav48_silence_trimmed/p225/p225_001_mic1.flac (0.92) or wav48/p225/p225_001.wav"
SOUNDS = {"wav48_silence_trimmed": "VCTK 0.92, microphone 1", "wav48": "VCTK 0.80"}


def matches(root: Path) -> bool:
    """Whether the folder, or one in it, has this layout."""
    return find_root(root, _fits) is not None


def _fits(folder: Path) -> bool:
    return (folder / "txt").is_dir() and any((folder / name).is_dir() for name in SOUNDS)


def read(root: Path, name: str, needs_text: bool = True) -> Corpus:
    """Reads the corpus; the arguments are those of `preprocessors.read_corpus`. `matches` must be true."""
    folder = find_root(root, _fits)
    assert folder is not None
    sounds = next(name for name in SOUNDS if (folder / name).is_dir())
    return to_corpus(_entries(folder, folder / sounds), SOUNDS[sounds], needs_text)


def _entries(folder: Path, sounds: Path) -> Iterator[Entry]:
    speakers = {path.name for path in (*folders_in(folder / "txt"), *folders_in(sounds))}
    for speaker in sorted(speakers):
        names = [name for name in listing(folder / "txt" / speaker) if name.endswith(".txt")]
        texts = {name.removesuffix(".txt"): folder / "txt" / speaker / name for name in names}
        recordings = _by_utterance(recordings_in(sounds / speaker))
        for utt_id in sorted({*texts, *recordings}):
            text = read_bytes(texts[utt_id]) if utt_id in texts else None
            yield Entry(utt_id, speaker, text, recordings.get(utt_id))


def _by_utterance(recordings: dict[str, Path]) -> dict[str, Path]:
    """Returns one recording for each utterance: that of microphone 1, unless only the other one worked."""
    chosen = {}
    for stem, path in sorted(recordings.items(), reverse=True):  # _mic1 comes last and stays
        chosen[stem.removesuffix("_mic1").removesuffix("_mic2")] = path
    return chosen
