"""The tokens that an aligner sees, and the way back from their durations to words and phones in seconds."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from text.symbols import is_mark, is_pause
from utils.textgrid import Interval, Tier

# All marks and pauses are one symbol: each alone would be too rare to be learned from ten minutes of speech, and what
# is heard is the same silence.
PAUSE = "sp"
_DIGITS = str.maketrans("", "", "0123456789")


class Tokens(NamedTuple):
    """An utterance as the aligner sees it. Pauses are optional: they may last no frame."""

    symbols: list[str]  # S; vowels without stress, which is hard to hear and makes each of them rarer
    labels: list[str]  # S; the phones as the text has them, "" for pauses
    word_of: list[int]  # S; index of the word, -1 for pauses

    def append(self, symbol: str, label: str, word: int) -> None:
        """Adds a token at the end."""
        self.symbols.append(symbol)
        self.labels.append(label)
        self.word_of.append(word)

    @property
    def optional(self) -> list[bool]:
        """The tokens that may last no frame."""
        return [word < 0 for word in self.word_of]


def utterance_tokens(phones: Sequence[str], words: Sequence[tuple[str, int]]) -> Tokens:
    """A pause at either end and at every mark, and the phones of the words between them.

    Args:
        phones: the front end's tokens.
        words: each word's text and how many of the phones, marks not counted, are its.

    Raises:
        ValueError: words and phones do not fit together.
    """
    owners = [index for index, (_, count) in enumerate(words) for _ in range(count)]
    tokens = Tokens([PAUSE], [""], [-1])
    spoken = 0
    for phone in [*phones, PAUSE]:
        if is_mark(phone) or is_pause(phone):
            if tokens.word_of[-1] >= 0:  # two pauses in a row are one
                tokens.append(PAUSE, "", -1)
            continue
        if spoken >= len(owners):
            raise ValueError(f"{len(owners)} phones in words, more in the sentence")
        tokens.append(phone.translate(_DIGITS), phone, owners[spoken])
        spoken += 1
    if spoken != len(owners):
        raise ValueError(f"{len(owners)} phones in words, {spoken} in the sentence")
    return tokens


def record_tokens(record: Mapping[str, Any]) -> Tokens:
    """The tokens of a record of `processors.stage1.aligner_inputs`."""
    return utterance_tokens(record["phones"], record["words"])


def with_pauses_between_words(tokens: Tokens) -> Tokens:
    """The same with an optional pause between any two words: people also pause where nothing is written."""
    more = Tokens([], [], [])
    for symbol, label, word in zip(*tokens, strict=True):
        if more.word_of and word >= 0 and 0 <= more.word_of[-1] != word:
            more.append(PAUSE, "", -1)
        more.append(symbol, label, word)
    return more


def without_short_pauses(tokens: Tokens, written: Tokens, durations: Sequence[int], shortest: int) -> Tokens:
    """Takes away pauses between words that last too little: they are closures of stops, or nothing.

    Args:
        tokens: of `with_pauses_between_words`.
        written: what these were made from; its own pauses stay.
        durations: of `tokens`, frames.
        shortest: frames that a pause between words must last.
    """
    kept = Tokens([], [], [])
    place = 0  # in `written`
    for token, frames in zip(zip(*tokens, strict=True), durations, strict=True):
        own = place < len(written.symbols) and token == tuple(column[place] for column in written)
        if own or frames >= shortest:
            kept.append(*token)
        place += own
    return kept


def with_cut_frames(tokens: Tokens, durations: Sequence[int], cuts: Iterable[tuple[int, int]]) -> list[int]:
    """Durations in frames of the whole recording.

    Args:
        tokens: S tokens.
        durations: S numbers of frames of the mel that was aligned.
        cuts: (frame of that mel, how many frames are missing before it), in order. They go to the pause that is there;
            where there is none, to the phone.
    """
    ends = list(accumulate(durations))
    longer = list(durations)
    for position, count in cuts:
        # The tokens that touch the place, with those of no length between them.
        first, last = bisect_left(ends, position), min(bisect_right(ends, position), len(ends) - 1)
        pauses = [index for index in range(first, last + 1) if tokens.word_of[index] < 0]
        longer[pauses[0] if pauses else first] += count
    return longer


def tiers(
    tokens: Tokens, durations: Sequence[int], words: Sequence[str], seconds: float, seconds_per_frame: float
) -> list[Tier]:
    """Durations as the tiers "words" and "phones" of a TextGrid; pauses have the label "".

    Args:
        tokens: S tokens.
        durations: S numbers of frames.
        words: what `tokens.word_of` counts.
        seconds: length of the recording; the last interval ends there, a fraction of a frame after the last frame.
        seconds_per_frame: hop size / sample rate.
    """
    ends = [frames * seconds_per_frame for frames in accumulate(durations)]
    last = max(index for index, frames in enumerate(durations) if frames)
    phones: list[Interval] = []
    spans: list[Interval] = []
    owner = -1
    for index, frames in enumerate(durations):
        if not frames:
            continue
        start, end = (phones[-1].end if phones else 0.0), (seconds if index == last else ends[index])
        phones.append(Interval(start, end, tokens.labels[index]))
        word = tokens.word_of[index]
        if spans and word == owner and word >= 0:
            spans[-1] = spans[-1]._replace(end=end)
        else:
            spans.append(Interval(start, end, words[word] if word >= 0 else ""))
        owner = word
    return [Tier("words", spans), Tier("phones", phones)]
