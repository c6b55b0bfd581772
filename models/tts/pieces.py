"""Splits texts of any length into pieces that the model speaks in one pass, with pauses between. Needs no PyTorch."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from models.tts.experiment import Experiment
from text.frontend import Frontend, UnpronounceableError
from text.pronunciation.lexicon import LexiconError
from text.sentences import split_sentences
from text.symbols import UnknownSymbolError
from utils.errors import UserError
from utils.logging import logger

CLAUSE_PAUSE, SENTENCE_PAUSE, PARAGRAPH_PAUSE = 0.1, 0.2, 0.6  # seconds, added to the pause that the model predicts
MAX_CHARS, MIN_CHARS = 300, 60
# English takes about 6 frames of 256 / 22,050 s per character; slow speakers and spelled-out numbers take more.
SECONDS_A_CHAR = 0.1

_SENTENCE_END = re.compile(r"""[.?!…]["'”’»)\]}]*\s*$""")
_PARAGRAPH_END = re.compile(r"\n[^\S\n]*\n\s*$")


class Piece(NamedTuple):
    """A part of a text that the model speaks in one pass."""

    phone_ids: list[int]
    pause_after: float  # seconds of silence before the next piece; 0 after the last piece of a text


class TextReader:
    """Turns texts into pieces with the lexicon, the symbols and the frame limit of one experiment."""

    def __init__(self, experiment: Experiment, duration_control: float = 1.0) -> None:
        """Loads the front end.

        Args:
            experiment: the experiment whose model will speak the pieces.
            duration_control: factor on the durations; slow speech needs shorter pieces.

        Raises:
            UserError: the experiment has a lexicon that cannot be used.
        """
        self.experiment = experiment
        mel = experiment.preprocess
        seconds = experiment.model.max_seq_len * mel.hop_size / mel.sample_rate
        char_limit = int(seconds / SECONDS_A_CHAR / max(duration_control, 1.0))
        self.max_chars = max(MIN_CHARS, min(MAX_CHARS, char_limit))
        lexicon = experiment.root / "lexicon.txt"  # stage 2 copies the one that the features were made with
        try:
            self.frontend = Frontend(lexicon if lexicon.is_file() else None)
        except LexiconError as error:
            raise UserError(str(error), 2) from None

    def read(self, text: str, utt_id: str) -> list[Piece]:
        """Splits, normalizes and pronounces a text; warns about parts that cannot be spoken.

        Args:
            text: text of any length.
            utt_id: named in warnings and errors.

        Returns:
            At least one piece.

        Raises:
            UserError: nothing in the text can be spoken, or a phone in braces is unknown.
        """
        pieces: list[Piece] = []
        warnings: list[str] = []
        try:
            for part in split_sentences(text, self.max_chars):
                pieces += self._pieces(part, warnings)
        except UnknownSymbolError as error:
            raise UserError(f"{utt_id}: {error}", 2) from None
        if not pieces:
            raise UserError(f"{utt_id}: {_nothing_in(text)}", 2)
        for warning in warnings:
            logger.warning("%s: %s", utt_id, warning)
        return [*pieces[:-1], pieces[-1]._replace(pause_after=0.0)]

    def _pieces(self, part: str, warnings: list[str]) -> Iterator[Piece]:
        """Yields one piece; several if spelled-out numbers exceed the model's limit; none if nothing can be spoken."""
        try:
            pronunciation = self.frontend.pronounce(part)
        except UnpronounceableError:
            warnings.append(f"{_nothing_in(part)}: left out")
            return
        if len(pronunciation.phones) > self.experiment.model.max_seq_len and len(part) > 1:
            for half in split_sentences(part, len(part) // 2):
                yield from self._pieces(half, warnings)
            return
        warnings += pronunciation.warnings
        yield Piece(self.experiment.phone_ids(pronunciation.phones), _pause_after(part))


def _pause_after(part: str) -> float:
    if _PARAGRAPH_END.search(part):
        return PARAGRAPH_PAUSE
    return SENTENCE_PAUSE if _SENTENCE_END.search(part) else CLAUSE_PAUSE


def _nothing_in(text: str) -> str:
    stripped = text.strip()
    if not stripped:
        return "the text is empty"
    return f"nothing to pronounce in {stripped if len(stripped) <= 60 else stripped[:57] + '...'!r}"
