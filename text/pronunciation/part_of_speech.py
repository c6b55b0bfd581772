"""Whether a word in a sentence is a verb, by rules on its neighbors.

A part-of-speech tagger would need a model, and none is available without a download. To tell verbs from other words,
rules on a window of a few words are as accurate.
"""

from __future__ import annotations

from collections.abc import Sequence

from text.tables import table, words

CLASSES = {name: words("homographs", name) for name in table("homographs") if name != "about"}
_DET, _SUBJECT, _OBJECT, _MODAL, _BE, _HAVE = (
    CLASSES[name] for name in ("determiner", "subject", "object", "modal", "be", "have")
)
_PREPOSITION, _CONJUNCTION, _ADVERB, _CLAUSE = (CLASSES[n] for n in ("preposition", "conjunction", "adverb", "clause"))
_ADJECTIVE_ENDINGS = ("al", "ive", "ous", "ful", "ic", "able", "ible", "ary", "less", "ish", "est", "ian", "ese")
NOT_PLURAL_ENDINGS = ("ss", "us", "is", "'s", "ous")
_NOUN_PHRASE_LIMIT = 5  # words between a question's auxiliary and its verb: "did the three old workers object"


class Context:
    """The words around one word; a mark or the edge of the text is the empty string."""

    def __init__(self, tokens: Sequence[str], index: int) -> None:
        """Finds the neighbors of a word.

        Args:
            tokens: lower-case words and marks of the whole text.
            index: position of the word.
        """
        self.tokens = tokens
        self.index = index
        self.word = tokens[index]
        self.before = self._at(index - 1)
        self.after = self._at(index + 1)
        self.second_after = self._at(index + 2) if self.after else ""
        position = index - 1
        while self._is_adverb(self._at(position)):
            position -= 1
        self.head = self._at(position)  # the word before, adverbs skipped
        self.second_before = self._at(position - 1) if self.head else ""

    def _at(self, index: int) -> str:
        if 0 <= index < len(self.tokens) and self.tokens[index][:1].isalpha():
            return self.tokens[index]
        return ""

    @staticmethod
    def _is_adverb(word: str) -> bool:
        return word in _ADVERB or (len(word) > 4 and word.endswith("ly") and word not in ("family", "only", "supply"))

    def near(self, cues: frozenset[str], reach: int = 6) -> bool:
        """Whether one of the cues is at most `reach` words away, on either side."""
        window = self.tokens[max(0, self.index - reach) : self.index + reach + 1]
        return any(token in cues for token in window if token != self.word)

    def clause_before(self) -> list[str]:
        """Returns the words between the last mark and this word."""
        start = self.index
        while start > 0 and self._at(start - 1):
            start -= 1
        return list(self.tokens[start : self.index])

    def object_follows(self) -> bool:
        return self.after in _DET or self.after in _OBJECT

    def is_question_verb(self) -> bool:
        """Whether an auxiliary opens the clause and only a subject is in between: "did the band record"."""
        clause = self.clause_before()
        for start in range(max(0, len(clause) - 1 - _NOUN_PHRASE_LIMIT), len(clause) - 1):
            opens = start == 0 or clause[start - 1] in _CLAUSE or clause[start - 1] in _CONJUNCTION
            if clause[start] in CLASSES["question"] and opens:
                subject = clause[start + 1 :]
                return not any(word in _MODAL or word in _BE or word in _HAVE for word in subject)
        return False


def is_verb(context: Context) -> bool:
    """Whether a word that can be a verb or something else is a verb here."""
    word, head, after = context.word, context.head, context.after
    third_person = word.endswith("s") and not word.endswith("ss")
    if after == "of":
        return False
    if head == "to":
        noun_before = context.second_before in ("according", "due", "thanks", "close", "prior", "next", "objection")
        return not third_person and not noun_before
    if head in _MODAL:
        return not third_person
    if head == "that":
        return third_person or context.object_follows()
    if head == "which":
        return True
    if head in _SUBJECT:  # "she objects"; but "make it perfect"
        return not (head in ("it", "you") and context.second_before in CLASSES["turning"])
    if head in _DET or head in _BE or head in _HAVE:
        return False
    if head in _OBJECT and context.second_before in ("let", "help", "make", "hear", "watch", "see", "saw", "heard"):
        return True
    if head in _PREPOSITION:
        return False
    if head in _CONJUNCTION:
        return _joined_verb(context, third_person)
    if not head or head in _CLAUSE:
        if third_person or after in CLASSES["verb_after"]:
            return False
        return context.object_follows() and after not in ("one", "two", "three", "what")
    if head.endswith(("'s", "s'")):
        return False
    if context.is_question_verb() and not is_adjective(head):
        return not third_person and (not after or after in _PREPOSITION or after == "to" or context.object_follows())
    if after in CLASSES["verb_after"]:
        return False
    return _after_noun(context, third_person)


def _joined_verb(context: Context, third_person: bool) -> bool:
    """Whether the word is a verb after "and" or "or": it has the part of speech of the word that it is joined to."""
    if context.object_follows() and context.after not in ("one", "two", "three"):
        return True
    for token in reversed(context.clause_before()[:-1][-5:]):
        if token in _MODAL or token in _SUBJECT:
            return not third_person or token in _SUBJECT
        if token in _DET or token in _PREPOSITION:
            return False
    return False


def _after_noun(context: Context, third_person: bool) -> bool:
    """Whether the word is a verb after an ordinary word, which is its subject or a modifier."""
    head, after = context.head, context.after
    if is_adjective(head):
        return False
    if third_person:
        return context.object_follows() or after in ("that", "whether", "all", "how")
    plural = (
        head.endswith("s") and not head.endswith(NOT_PLURAL_ENDINGS) or head in ("men", "women", "children", "police")
    )
    if plural and head not in CLASSES["plural_nouns_as_modifier"]:
        article = context.second_before in ("a", "an")
        return not article and (
            not after or after in _PREPOSITION or after == "to" or after in _CLAUSE or context.object_follows()
        )
    return context.object_follows() and not head.endswith(("ed", "ing"))


def is_adjective(word: str) -> bool:
    return word in CLASSES["adjective"] or (len(word) > 4 and word.endswith(_ADJECTIVE_ENDINGS))
