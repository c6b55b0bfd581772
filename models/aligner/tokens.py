"""The tokens of the aligner, and the conversion of their durations to words and phones in seconds."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from text.symbols import is_mark, is_pause
from utils.textgrid import Interval, Tier

# One symbol for all marks and pauses: each mark is too rare to be learned from ten minutes of speech, and all of them
# sound like the same silence.
PAUSE = "sp"
_DIGITS = str.maketrans("", "", "0123456789")


class Tokens(NamedTuple):
    """The tokens of an utterance, phones and pauses. Pauses are optional: they may last 0 frames."""

    symbols: list[str]  # S; vowels without stress: it is hard to hear and would make each vowel rarer
    labels: list[str]  # S; the phones as in the text, "" for pauses
    word_of: list[int]  # S; index of the word, -1 for pauses

    def append(self, symbol: str, label: str, word: int) -> None:
        """Appends a token."""
        self.symbols.append(symbol)
        self.labels.append(label)
        self.word_of.append(word)

    @property
    def optional(self) -> list[bool]:
        """Flags of the tokens that may last 0 frames."""
        return [word < 0 for word in self.word_of]


def utterance_tokens(phones: Sequence[str], words: Sequence[tuple[str, int]]) -> Tokens:
    """Builds the tokens of an utterance: phones, with a pause at either end and at every mark.

    Args:
        phones: tokens of the front end.
        words: text and number of phones, without marks, of each word.

    Raises:
        ValueError: the words do not have as many phones as the sentence.
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
    """Returns the tokens of a record of `processors.stage1.aligner_inputs`."""
    return utterance_tokens(record["phones"], record["words"])


def with_pauses_between_words(tokens: Tokens) -> Tokens:
    """Adds an optional pause between any two words: speakers also pause where the text has no mark."""
    spaced = Tokens([], [], [])
    for symbol, label, word in zip(*tokens, strict=True):
        if spaced.word_of and word >= 0 and 0 <= spaced.word_of[-1] != word:
            spaced.append(PAUSE, "", -1)
        spaced.append(symbol, label, word)
    return spaced


def without_short_pauses(tokens: Tokens, written: Tokens, durations: Sequence[int], shortest: int) -> Tokens:
    """Removes added pauses that are too short: they are stop closures, or no pauses at all.

    Args:
        tokens: from `with_pauses_between_words`.
        written: the tokens that `with_pauses_between_words` was given; their pauses stay.
        durations: durations of `tokens`, frames.
        shortest: least frames of an added pause.
    """
    kept = Tokens([], [], [])
    position = 0  # in `written`
    for token, frames in zip(zip(*tokens, strict=True), durations, strict=True):
        is_written = position < len(written.symbols) and token == tuple(column[position] for column in written)
        if is_written or frames >= shortest:
            kept.append(*token)
        position += is_written
    return kept


def with_cut_frames(tokens: Tokens, durations: Sequence[int], cuts: Iterable[tuple[int, int]]) -> list[int]:
    """Adds the frames that were cut out of the mel to the durations.

    Args:
        tokens: S tokens.
        durations: S numbers of frames of the mel that was aligned.
        cuts: (frame of that mel, number of frames missing before it), in order. They are added to the pause at this
            frame; if there is none, to the phone.

    Returns:
        S numbers of frames of the whole recording.
    """
    ends = list(accumulate(durations))
    longer = list(durations)
    for position, count in cuts:
        # The tokens that touch this position, and the tokens of 0 frames between them.
        first, last = bisect_left(ends, position), min(bisect_right(ends, position), len(ends) - 1)
        pauses = [index for index in range(first, last + 1) if tokens.word_of[index] < 0]
        longer[pauses[0] if pauses else first] += count
    return longer


def tiers(
    tokens: Tokens, durations: Sequence[int], words: Sequence[str], seconds: float, seconds_per_frame: float
) -> list[Tier]:
    """Converts durations to the tiers "words" and "phones" of a TextGrid; pauses have the label "".

    Args:
        tokens: S tokens.
        durations: S numbers of frames.
        words: the text of each word; `tokens.word_of` holds indices of it.
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
