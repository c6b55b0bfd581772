"""The types that the reader of a corpus returns and stage 1 uses."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

# Suffixes of the files that are recordings; libsndfile reads all of them.
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff")


class Utterance(NamedTuple):
    """A recording with its text."""

    utt_id: str  # unique in the corpus, and usable as a file name
    speaker: str
    text: str  # as written in the corpus, not empty; "" if texts are not needed
    wav_path: Path
    split: str = ""  # "train", "valid" or "test" if the corpus determines it


class Skipped(NamedTuple):
    """An utterance that is left out."""

    utt_id: str  # or the position in the corpus if the id itself is unusable
    reason: str  # one of a few fixed texts, so that the report can count them
    detail: str  # specific to this utterance; may be empty


class Mended(NamedTuple):
    """An utterance that is kept although something was wrong with it, and was fixed if possible."""

    utt_id: str
    what: str  # the problem or its fix; one of a few fixed texts, so that the report can count them
    detail: str  # specific to this utterance; may be empty


class Corpus(NamedTuple):
    """The utterances of a corpus, with those that its reader skipped or fixed."""

    utterances: list[Utterance]  # ids are unique
    skipped: list[Skipped]
    mended: list[Mended]
    layout: str = ""  # name of the layout that the folder was read as, for the user
