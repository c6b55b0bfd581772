"""Raw text to the tokens that an acoustic model sees; training and inference both come through here."""

from __future__ import annotations

import re
from dataclasses import dataclass

from text.g2p import WordNetwork
from text.lexicon import cmudict_phones, read_lexicon


class UnpronounceableError(ValueError):
    """A text in which nothing can be spoken."""


@dataclass(frozen=True)
class Word:
    """A word and where its phones came from."""

    text: str
    phones: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class Pronunciation:
    """What a text becomes."""

    text: str
    normalized: str
    words: list[Word]
    phones: list[str]
    warnings: list[str]


_TOKEN = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*|[,.?!;:—–-]")


class Frontend:
    """First version: dictionary and network only."""

    def __init__(self, lexicon_path: str | None = None) -> None:
        self.lexicon = read_lexicon(lexicon_path) if lexicon_path else {}
        self._network: WordNetwork | None = None

    def pronounce(self, text: str) -> Pronunciation:
        words: list[Word] = []
        phones: list[str] = []
        for token in _TOKEN.findall(text):
            if not token[0].isalpha():
                if phones and phones[-1] not in ",.?!;:-":
                    phones.append("-" if token in "—–" else token)
                continue
            key = token.lower()
            source, found = "lexicon", self.lexicon.get(key)
            if found is None:
                source, found = "dictionary", cmudict_phones(key)
            if found is None:
                self._network = self._network or WordNetwork()
                source, found = "network", self._network.predict(key)
            words.append(Word(token, tuple(found), source))
            phones += found
        if not words:
            raise UnpronounceableError(f"nothing to pronounce in {text!r}")
        return Pronunciation(text, text, words, phones, [])
