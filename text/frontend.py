"""Raw text to the tokens that an acoustic model sees; training and inference both come through here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from text.normalization.characters import plain_letters
from text.normalization.normalizer import INLINE_PHONES, normalize
from text.pronunciation.g2p import WordNetwork
from text.pronunciation.homographs import choose, is_homograph
from text.pronunciation.inflection import compound, inflected, s_ending
from text.pronunciation.lexicon import check_phones, cmudict_phones, own_words, read_lexicon
from text.pronunciation.spelling import LETTER_BEFORE, has_no_vowel, is_spelled, spell
from text.sentences import is_sentence_end
from text.symbols import MARKS, VOWELS, UnknownSymbolError

_CACHE_SIZE = 100_000  # words; about 30 MB when full, which a day of speech does not reach
_LONGEST_WORD = 32  # letters that the network reads at once; longer "words" are cut

_LETTER = r"[^\W\d_]"
_TOKEN = re.compile(
    rf"(?P<inline>{INLINE_PHONES.pattern})"
    rf"|(?P<dotted>(?<!\w)(?:{_LETTER}\.){{2,}}(?:s\b|'s\b)?|(?<!\w)(?:{_LETTER}\.)+{_LETTER}(?!\w)|(?<![\w.'])[A-Z]\.(?=\s|$|,))"
    rf"|(?P<word>'?{_LETTER}+(?:['-]{_LETTER}+)*'?)"
    r"|(?P<ellipsis>\.{2,}|\.(?:\s\.)+)|(?P<dash>--+|—+|(?<!\w)[–-]|[–-](?!\w))|(?P<bracket>[()\[\]])|(?P<mark>[,.?!;:])"
)
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_STRENGTH = {mark: strength for strength, mark in enumerate((",", "-", ";", ":", ".", "!", "?"))}
assert set(_STRENGTH) == set(MARKS)


class UnpronounceableError(ValueError):
    """A text in which nothing can be spoken."""


class Word(NamedTuple):
    """A word of the normalized text."""

    text: str
    phones: list[str]
    source: str  # inline, lexicon, dictionary, homograph, letters, rule or network


class Pronunciation(NamedTuple):
    """The phones of a text, with its words."""

    text: str
    normalized: str
    words: list[Word]
    phones: list[str]  # the phones of all words with the punctuation tokens between them
    warnings: list[str]


class _Token(NamedTuple):
    kind: str
    text: str
    end: int  # position in the normalized text


class Frontend:
    """Text to phones, with nothing to download and no state but caches: the same text gives the same tokens."""

    def __init__(self, lexicon_path: str | Path | None = None) -> None:
        """Builds a front end; dictionaries load with the first word.

        Args:
            lexicon_path: a file of `WORD PH PH ...` lines that wins over every other source.

        Raises:
            LexiconError: the file can't be used; names the line.
        """
        self._lexicon = read_lexicon(lexicon_path) if lexicon_path else {}
        for word in list(self._lexicon):
            self._lexicon.setdefault(plain_letters(word), self._lexicon[word])
        self._network: WordNetwork | None = None
        self._cache: dict[str, tuple[list[str], str]] = {}

    def pronounce(self, text: str) -> Pronunciation:
        """Turns a text into tokens.

        Args:
            text: any text; `{R EH1 D}` in it speaks those phones.

        Returns:
            The normalized text, its words with their phones, the flat tokens, and at most one warning that names
            the characters that were dropped.

        Raises:
            UnpronounceableError: nothing is left to say.
            UnknownSymbolError: phones in braces are not ARPAbet.
        """
        normalized, dropped = normalize(text)
        tokens = list(_tokenize(normalized))
        context = [_context_word(token) for token in tokens]
        shouting = not any(character.islower() for character in normalized)
        words: list[Word] = []
        phones: list[str] = []
        invented = False  # the last mark is a bracket's comma
        for index, token in enumerate(tokens):
            if token.kind == "mark":
                if phones:
                    invented = token.text in "()[]" and (invented or phones[-1] not in _STRENGTH)
                    _add_mark(phones, "," if token.text in "()[]" else token.text)
                continue
            for word in self._speak(token, context, index, shouting, words[-1].phones if words else []):
                if word.phones:
                    words.append(word)
                    phones += word.phones
                    invented = False
        if not words:
            raise UnpronounceableError(f"nothing to pronounce in {_shorten(text)!r}")
        if invented:  # "(so he said)" at the end of a text has no comma
            phones.pop()
        _soften_the(words, phones)
        warnings = []
        if dropped:
            named = " ".join(repr(character) for character in dropped[:10]) + (" ..." if len(dropped) > 10 else "")
            warnings.append(f"dropped characters that can't be spoken: {named} (in {_shorten(text)!r})")
        return Pronunciation(text, normalized, words, phones, warnings)

    def _speak(self, token: _Token, context: list[str], index: int, shouting: bool, said: list[str]) -> Iterator[Word]:
        if token.kind == "inline":
            yield Word(token.text, check_inline(token.text), "inline")
            return
        if token.kind == "letters":
            letters = token.text.removesuffix("'s").removesuffix("s") if token.text[-1] == "s" else token.text
            phones = spell(plain_letters(letters))
            ending = s_ending(phones) if phones and letters != token.text else []
            yield Word(token.text, phones + ending, "letters")
            return
        if token.text.lower() == "'s" and said:  # after phones in braces: "{L AY1 R}'s"
            yield Word(token.text, s_ending(said), "rule")
            return
        yield from self._speak_word(token.text, context, index, shouting)

    def _speak_word(self, word: str, context: list[str], index: int, shouting: bool) -> Iterator[Word]:
        lower = word.lower()
        if lower in self._lexicon:
            yield Word(word, list(self._lexicon[lower]), "lexicon")
            return
        owner = lower.removesuffix("'s")
        if owner != lower and owner in self._lexicon:
            yield Word(word, self._lexicon[owner] + s_ending(self._lexicon[owner]), "lexicon")
            return
        if len(word) == 1:
            yield _single_letter(word, context, index, shouting)
            return
        if is_homograph(lower) and not (word.isupper() and not shouting) and (word == lower or word not in own_words()):
            yield Word(word, choose(context, index), "homograph")
            return
        key = lower if shouting else word
        if key not in self._cache:
            pronunciation = self._whole(key)
            if pronunciation is None and "-" in word:
                for part in filter(None, word.split("-")):
                    position = index if len(part) > 1 else -1
                    around = [*context[:index], part.lower(), *context[index + 1 :]]
                    yield from self._speak_word(part, around, position, shouting)
                return
            if len(self._cache) >= _CACHE_SIZE:
                self._cache.clear()
            self._cache[key] = pronunciation or self._unknown(key)
        phones, source = self._cache[key]
        yield Word(word, list(phones), source)

    def _whole(self, word: str) -> tuple[list[str], str] | None:
        """A word as the dictionaries have it, or as letters."""
        if word in own_words():
            return own_words()[word], "dictionary"
        if word.isupper() and "'" not in word and "-" not in word and is_spelled(word):
            return spell(plain_letters(word)), "letters"
        phones = self._known(word.lower())
        return (phones, "dictionary") if phones else None

    def _known(self, word: str) -> list[str] | None:
        plain = plain_letters(word)
        return self._lexicon.get(word) or self._lexicon.get(plain) or own_words().get(word) or cmudict_phones(plain)

    def _unknown(self, word: str) -> tuple[list[str], str]:
        """A word that no dictionary has: by its parts, else by the network."""
        plain = plain_letters(word)
        if len(plain) > _LONGEST_WORD:
            chunks = [plain[start : start + _LONGEST_WORD] for start in range(0, len(plain), _LONGEST_WORD)]
            return [phone for chunk in chunks for phone in (self._whole(chunk) or self._unknown(chunk))[0]], "network"
        lower = plain.lower().strip("'")
        initials = re.fullmatch(r"([A-Z]{2,})('?s)", plain)
        if initials:  # CDs, the FBI's
            phones = self._known(initials[1].lower()) if not is_spelled(initials[1]) else None
            phones = phones or spell(initials[1])
            return phones + s_ending(phones), "letters"
        phones = self._known(lower) or inflected(lower, self._known)
        if phones:
            return phones, "rule"
        humps = _CAMEL.findall(plain)
        if len(humps) > 1 and any(hump.islower() or hump.istitle() for hump in humps[:2]) and plain[1:] != lower[1:]:
            pieces = [self._whole(hump) or self._unknown(hump) for hump in humps]
            return [phone for phones, _ in pieces for phone in phones], "rule"
        if lower.endswith("'s"):
            stem, source = self._whole(plain[:-2]) or self._unknown(plain[:-2])
            return stem + s_ending(stem), source
        letters = lower.replace("'", "")
        phones = compound(letters, self._known)
        if phones:
            return phones, "rule"
        if has_no_vowel(letters):
            return spell(letters), "letters"
        self._network = self._network or WordNetwork()
        predicted = self._network.predict(letters)
        return (predicted, "network") if predicted else (spell(letters), "letters")


def check_inline(braces: str) -> list[str]:
    """The phones of `{R EH1 D}`.

    Raises:
        UnknownSymbolError: one is not ARPAbet; the message shows the braces.
    """
    try:
        return check_phones(braces.strip("{}").split())
    except UnknownSymbolError as error:
        raise UnknownSymbolError(f"{braces}: {error}") from None


def _tokenize(normalized: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(normalized):
        kind, text, end = match.lastgroup or "", match.group(), match.end()
        if kind == "dotted":
            yield _Token("letters", text.replace(".", ""), end)
            if text.endswith(".") and is_sentence_end(text[:-1], normalized[end:].lstrip(" \"')]")):
                yield _Token("mark", ".", end)
        elif kind == "ellipsis":
            following = normalized[end:].lstrip(" \"'([")[:1]
            yield _Token("mark", "-" if following.islower() else ".", end)
        elif kind == "dash":
            yield _Token("mark", "-", end)
        elif kind in ("bracket", "mark"):
            yield _Token("mark", text, end)
        elif kind == "inline":
            yield _Token(kind, text, end)
        else:
            yield _Token("word", _strip_quotes(text), end)


def _strip_quotes(word: str) -> str:
    """Takes quotation marks off a word, and leaves apostrophes: 'em, runnin'."""
    if word[0] == "'" and cmudict_phones(word.lower().rstrip("'")) is None:
        word = word[1:]
    if word[-1] == "'" and not word.lower().endswith("in'"):
        word = word[:-1]
    return word


def _context_word(token: _Token) -> str:
    if token.kind == "mark":
        return token.text
    return token.text.lower() if token.kind == "word" else "name"


def _single_letter(word: str, context: list[str], index: int, shouting: bool) -> Word:
    before = context[index - 1] if index > 0 else ""
    article = word == "a" or (
        word == "A" and index >= 0 and (not before.isalpha() or shouting or before not in LETTER_BEFORE)
    )
    if article:
        return Word(word, ["AH0"], "dictionary")
    plain = plain_letters(word)
    if word == "I" or word in own_words():
        return Word(word, list(own_words().get(word, ["AY1"])), "dictionary")
    return Word(word, spell(plain) if len(plain) == 1 else ["AH0"], "letters")


def _add_mark(phones: list[str], mark: str) -> None:
    """Adds a mark; of marks in a row the strongest stays, so that a pause is one token."""
    if phones[-1] in _STRENGTH:
        phones[-1] = max(phones[-1], mark, key=_STRENGTH.__getitem__)
    else:
        phones.append(mark)


def _soften_the(words: list[Word], phones: list[str]) -> None:
    """Says "the" with IY0 before a vowel, as speakers do."""
    position = 0
    for index, word in enumerate(words[:-1]):
        while phones[position] in _STRENGTH:
            position += 1
        if word.text.lower() == "the" and word.source == "dictionary" and words[index + 1].phones[0][:2] in VOWELS:
            word.phones[-1] = "IY0"
            phones[position + len(word.phones) - 1] = "IY0"
        position += len(word.phones)


def _shorten(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
