"""One utterance of a corpus: what a reader yields and the feature pipeline takes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

# Of files that count as recordings; libsndfile reads all of them.
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff")


class Utterance(NamedTuple):
    """A recording and what is said in it."""

    utt_id: str  # unique in its corpus, usable as a file name
    speaker: str
    text: str  # as the corpus writes it, not empty; "" where texts are not needed
    wav_path: Path


class Skipped(NamedTuple):
    """An utterance that is left out."""

    utt_id: str  # or the place in the corpus where the id itself is unusable
    reason: str  # one of a few, so that the report can count them
    detail: str  # what was found there; may be empty


class Mended(NamedTuple):
    """An utterance that is kept although something was wrong with it."""

    utt_id: str
    what: str  # what was wrong or what was done about it; one of a few, so that the report can count them
    detail: str  # what was found there; may be empty


class Corpus(NamedTuple):
    """The utterances of a corpus, as its reader returns them."""

    utterances: list[Utterance]  # ids are unique
    skipped: list[Skipped]
    mended: list[Mended]
