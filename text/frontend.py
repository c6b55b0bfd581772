"""The front end: raw text to the tokens of an acoustic model, for training and inference alike."""

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
_LONGEST_WORD = 32  # letters that the network reads in one pass; longer "words" are cut

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
    """A text that contains nothing to pronounce."""


class Word(NamedTuple):
    """A word of the normalized text, with its phones."""

    text: str
    phones: list[str]
    source: str  # inline, lexicon, dictionary, homograph, letters, rule or network


class Pronunciation(NamedTuple):
    """The result of `Frontend.pronounce`."""

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
    """Converts text to phones. It downloads nothing, and equal texts give equal tokens: the only state is a cache."""

    def __init__(self, lexicon_path: str | Path | None = None) -> None:
        """Reads the user's lexicon; the dictionaries are loaded when the first word is pronounced.

        Args:
            lexicon_path: a file of `WORD PH PH ...` lines, which overrides every other source.

        Raises:
            LexiconError: the file can't be used; the message names the line.
        """
        self._lexicon = read_lexicon(lexicon_path) if lexicon_path else {}
        for word in list(self._lexicon):
            self._lexicon.setdefault(plain_letters(word), self._lexicon[word])
        self._network: WordNetwork | None = None
        self._cache: dict[str, tuple[list[str], str]] = {}

    def pronounce(self, text: str) -> Pronunciation:
        """Normalizes a text and looks up or predicts the phones of its words.

        Args:
            text: any text; phones in braces, `{R EH1 D}`, are used as they are.

        Returns:
            The normalized text, its words, its tokens, and at most one warning, which lists the characters that were
            dropped.

        Raises:
            UnpronounceableError: the text contains nothing to pronounce.
            UnknownSymbolError: phones in braces are not ARPAbet.
        """
        normalized, dropped = normalize(text)
        tokens = list(_tokenize(normalized))
        context = [_context_word(token) for token in tokens]
        shouting = not any(character.islower() for character in normalized)
        words: list[Word] = []
        phones: list[str] = []
        from_bracket = False  # whether the last mark is a comma that stands for a bracket
        for index, token in enumerate(tokens):
            if token.kind == "mark":
                if phones:
                    from_bracket = token.text in "()[]" and (from_bracket or phones[-1] not in _STRENGTH)
                    _add_mark(phones, "," if token.text in "()[]" else token.text)
                continue
            for word in self._speak(token, context, index, shouting, words[-1].phones if words else []):
                if word.phones:
                    words.append(word)
                    phones += word.phones
                    from_bracket = False
        if not words:
            raise UnpronounceableError(f"nothing to pronounce in {_shorten(text)!r}")
        if from_bracket:  # a closing bracket at the end of a text is no pause
            phones.pop()
        _soften_the(words, phones)
        warnings = []
        if dropped:
            shown = " ".join(repr(character) for character in dropped[:10]) + (" ..." if len(dropped) > 10 else "")
            warnings.append(f"dropped characters that can't be spoken: {shown} (in {_shorten(text)!r})")
        return Pronunciation(text, normalized, words, phones, warnings)

    def _speak(
        self, token: _Token, context: list[str], index: int, shouting: bool, previous: list[str]
    ) -> Iterator[Word]:
        if token.kind == "inline":
            yield Word(token.text, check_inline(token.text), "inline")
            return
        if token.kind == "letters":
            letters = token.text.removesuffix("'s").removesuffix("s") if token.text[-1] == "s" else token.text
            phones = spell(plain_letters(letters))
            ending = s_ending(phones) if phones and letters != token.text else []
            yield Word(token.text, phones + ending, "letters")
            return
        if token.text.lower() == "'s" and previous:  # after phones in braces: "{L AY1 R}'s"
            yield Word(token.text, s_ending(previous), "rule")
            return
        yield from self._speak_word(token.text, context, index, shouting)

    def _speak_word(self, word: str, context: list[str], index: int, shouting: bool) -> Iterator[Word]:
        lower = word.lower()
        if lower in self._lexicon:
            yield Word(word, list(self._lexicon[lower]), "lexicon")
            return
        stem = lower.removesuffix("'s")
        if stem != lower and stem in self._lexicon:
            yield Word(word, self._lexicon[stem] + s_ending(self._lexicon[stem]), "lexicon")
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
                    part_context = [*context[:index], part.lower(), *context[index + 1 :]]
                    yield from self._speak_word(part, part_context, position, shouting)
                return
            if len(self._cache) >= _CACHE_SIZE:
                self._cache.clear()
            self._cache[key] = pronunciation or self._unknown(key)
        phones, source = self._cache[key]
        yield Word(word, list(phones), source)

    def _whole(self, word: str) -> tuple[list[str], str] | None:
        """Looks a whole word up, or spells it; returns phones and source, or None for an unknown word."""
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
        """Derives the phones of a word that no dictionary has: from its parts, else with the network."""
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
    """Returns the phones in braces such as `{R EH1 D}`.

    Raises:
        UnknownSymbolError: one of them is not ARPAbet; the message quotes the braces.
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
    """Removes quotation marks from a word and keeps apostrophes: 'em, runnin'."""
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
    """Appends a mark; of consecutive marks only the strongest stays, so that a pause is one token."""
    if phones[-1] in _STRENGTH:
        phones[-1] = max(phones[-1], mark, key=_STRENGTH.__getitem__)
    else:
        phones.append(mark)


def _soften_the(words: list[Word], phones: list[str]) -> None:
    """Gives "the" the vowel IY0 before another vowel, as speakers do."""
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
