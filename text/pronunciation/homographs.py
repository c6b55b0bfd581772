"""Words with one spelling and two pronunciations, distinguished by their neighbors.

The pairs of a verb and another part of speech are from g2p_en's `homographs.en` (PyPI package g2p_en 2.1.0,
Apache-2.0), read as data. `_SPECIAL` has the words that are missing or wrong in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from text.pronunciation.g2p import package_file
from text.pronunciation.part_of_speech import CLASSES, NOT_PLURAL_ENDINGS, Context, is_adjective, is_verb
from text.symbols import is_phone

_DET, _OBJECT, _SUBJECT, _MODAL, _BE, _HAVE = (
    CLASSES[name] for name in ("determiner", "object", "subject", "modal", "be", "have")
)
_PREPOSITION, _CONJUNCTION = CLASSES["preposition"], CLASSES["conjunction"]
_WINDOW = 40  # words on either side that a rule can use


def _in(name: str, *candidates: str) -> bool:
    return any(word in CLASSES[name] for word in candidates)


def _past(context: Context) -> bool:
    """Whether "read" is a past tense or a participle."""
    head, after = context.head, context.after
    clause = context.clause_before()
    if head in _BE or head in _HAVE:
        return True
    if head in _SUBJECT and context.second_before in _HAVE | {"had"}:
        return True
    if head in _MODAL or head in _DET or is_adjective(head) or context.is_question_verb():
        return False
    if head in ("and", "or", "then", "but"):
        if any(word in _MODAL for word in clause):
            return False
        return _tells_past(context)
    if not head or head in ("let", "me", "him", "us", "them", "her") or after in ("more", "aloud") and not head:
        return _tells_past(context) if head in ("me", "him", "us", "them", "her") and not _let(context) else False
    if _in("present", *(token for token in context.tokens if token != context.word)):
        return False
    if head in ("he", "she", "it", "who", "that", "which"):
        return True
    if head in ("i", "we", "they", "you") or head.endswith("s") and not head.endswith(NOT_PLURAL_ENDINGS):
        return _tells_past(context) or (head in ("i", "we") and (after in _DET or after in ("it", "about", "that")))
    return True  # "The sign read", "Tom read"


def _let(context: Context) -> bool:
    return context.second_before in ("let", "make", "help", "hear", "watch", "see")


def _tells_past(context: Context) -> bool:
    others = [token for token in context.tokens if token != context.word]
    return _in("past", *others) or any(len(token) > 4 and token.endswith("ed") for token in others)


def _metal(context: Context) -> bool:
    head, after = context.before, context.after
    if after in CLASSES["lead_metal"] or after in CLASSES["lead_metals"] or head in CLASSES["lead_metals"]:
        return True
    if context.near(CLASSES["lead_metals"], 4) and (head in _CONJUNCTION or after in _CONJUNCTION):
        return True
    noun = not after or after in _PREPOSITION or after in _CONJUNCTION or after in CLASSES["verb_after"]
    return (head in CLASSES["lead_before"] and noun) or (head == "" and after in CLASSES["verb_after"])


def _alive(context: Context) -> bool:
    head, after = context.head, context.after
    if after in CLASSES["live_noun"] or context.before in CLASSES["live_before"] or head in _BE:
        return True
    if context.before in _DET or context.before in ("with", "using"):
        return True
    return not head and after in ("from", "on", "at")


def _lives(context: Context) -> bool:
    head, after = context.head, context.after
    if head in _DET or head in _PREPOSITION or is_adjective(head) or head.endswith("'s") or head in ("save", "saved"):
        return False
    if head in ("he", "she", "it", "who", "that", "which"):
        return True
    settled = after in (
        "in",
        "with",
        "at",
        "on",
        "near",
        "alone",
        "there",
        "here",
        "by",
        "next",
        "across",
        "under",
        "for",
    )
    return bool(head) and settled and head not in _CONJUNCTION and not head.endswith(("ing", "ed", "s"))


def _close(context: Context) -> bool:
    """Whether "close" is pronounced with Z: the verb, or a noun for the end of something."""
    head, after = context.head, context.after
    if context.before in CLASSES["close_adverb"]:
        return False
    if head in _DET:
        return not after or after == "of"
    if after == "to" and head != "to" and head not in _MODAL:
        return False
    if head and context.object_follows():
        return True
    return is_verb(context)


def _used_to(context: Context) -> bool:
    """Whether "used" is pronounced with S: a habit ("used to swim"), or accustomed ("is used to it")."""
    if context.after != "to":
        return False
    then, head = context.second_after, context.head
    accustomed = then in _DET or then in _OBJECT or then.endswith("ing")
    if head in ("get", "gets", "got", "getting", "gotten", "become", "became", "grown", "grew"):
        return True
    if head in _BE or head in _HAVE or not head:
        return accustomed and head in _BE
    return _in("person", head) or _in("stative", then) or head in ("not", "never")


def _tear(context: Context) -> bool:
    """Whether "tear" rhymes with "air"."""
    after = context.after
    window = context.tokens[context.index + 1 : context.index + 6]
    if context.second_before == "wear" or after in ("apart", "down", "off", "out", "open", "through", "up"):
        return True
    if after in ("gas", "duct", "ducts", "drop", "drops", "stained", "fell", "rolled") or "eye" in window:
        return False
    return is_verb(context) or (after in ("in", "across") and "eyes" not in window and context.word == "tear")


def _wind(context: Context) -> bool:
    if context.head in _DET or context.head in _PREPOSITION or is_adjective(context.head):
        return False
    if context.word == "winds":
        return bool(context.head) and context.after in CLASSES["wind_path"]
    return is_verb(context) or (context.after in ("up", "down") and context.head not in _DET)


def _bow(context: Context) -> bool:
    """Whether "bow" rhymes with "now"."""
    if context.near(CLASSES["bow_weapon"], 8):
        return False
    return is_verb(context) or context.after in ("of", "down", "out") or context.near(CLASSES["bow_bend"], 8)


def _argument(context: Context) -> bool:
    quarrel = context.after in ("with", "over", "about", "broke", "erupted", "between")
    return quarrel and context.before in ("a", "the", "furious", "big", "terrible", "bitter")


def _tiny(context: Context) -> bool:
    if context.after in CLASSES["minute_noun"]:
        return True
    degree = context.before in _BE or context.before in (
        "very",
        "so",
        "extremely",
        "too",
        "most",
        "almost",
        "incredibly",
    )
    return degree and (not context.after or context.after in _CONJUNCTION)


def _learned_adjective(context: Context) -> bool:
    """Whether a word in -ed is an adjective that pronounces the -ed as a syllable: "a learned man"."""
    described = bool(context.after) and context.after not in _PREPOSITION | _DET | _OBJECT | {"to", "that", "how"}
    return described and (context.before in _DET or context.before in ("very", "most", "")) and context.before != "who"


def _dived(context: Context) -> bool:
    return context.after in CLASSES["motion"] and context.before not in _DET and bool(context.before)


def _content(context: Context) -> bool:
    """Whether "content" means satisfied."""
    return context.head in _BE or context.after in ("with", "to") and context.head not in _DET


def _invalid_person(context: Context) -> bool:
    ended = not context.after or context.after in _PREPOSITION | _CONJUNCTION | CLASSES["verb_after"] | {"who"}
    return context.before in _DET and ended


# word -> (test, phones if it is true, phones if not)
_SPECIAL: dict[str, tuple[Callable[[Context], bool], str, str]] = {
    "read": (_past, "R EH1 D", "R IY1 D"),
    "lead": (_metal, "L EH1 D", "L IY1 D"),
    "live": (_alive, "L AY1 V", "L IH1 V"),
    "lives": (_lives, "L IH1 V Z", "L AY1 V Z"),
    "wind": (_wind, "W AY1 N D", "W IH1 N D"),
    "winds": (_wind, "W AY1 N D Z", "W IH1 N D Z"),
    "wound": (lambda c: c.after in CLASSES["wind_path"] or c.after in ("tightly", "the"), "W AW1 N D", "W UW1 N D"),
    "tear": (_tear, "T EH1 R", "T IH1 R"),
    "tears": (_tear, "T EH1 R Z", "T IH1 R Z"),
    "close": (_close, "K L OW1 Z", "K L OW1 S"),
    "closer": (lambda c: False, "K L OW1 Z ER0", "K L OW1 S ER0"),
    "closes": (lambda c: True, "K L OW1 Z IH0 Z", "K L OW1 S IH0 Z"),
    "use": (is_verb, "Y UW1 Z", "Y UW1 S"),
    "used": (_used_to, "Y UW1 S T", "Y UW1 Z D"),
    "unused": (lambda c: c.after == "to", "AH0 N Y UW1 S T", "AH0 N Y UW1 Z D"),
    "minute": (_tiny, "M AY0 N UW1 T", "M IH1 N AH0 T"),
    "bass": (lambda c: c.near(CLASSES["fish"], 12), "B AE1 S", "B EY1 S"),
    "bow": (_bow, "B AW1", "B OW1"),
    "bows": (_bow, "B AW1 Z", "B OW1 Z"),
    "row": (_argument, "R AW1", "R OW1"),
    "sow": (lambda c: not is_verb(c) and c.before in _DET, "S AW1", "S OW1"),
    "dove": (_dived, "D OW1 V", "D AH1 V"),
    "deserts": (lambda c: c.before == "just" or is_verb(c), "D IH0 Z ER1 T S", "D EH1 Z ER0 T S"),
    "content": (_content, "K AH0 N T EH1 N T", "K AA1 N T EH0 N T"),
    "contents": (lambda c: False, "K AH0 N T EH1 N T S", "K AA1 N T EH0 N T S"),
    "learned": (_learned_adjective, "L ER1 N AH0 D", "L ER1 N D"),
    "blessed": (_learned_adjective, "B L EH1 S AH0 D", "B L EH1 S T"),
    "cursed": (_learned_adjective, "K ER1 S AH0 D", "K ER1 S T"),
    "dogged": (_learned_adjective, "D AO1 G AH0 D", "D AO1 G D"),
    "crooked": (lambda c: True, "K R UH1 K AH0 D", ""),
    "ragged": (lambda c: True, "R AE1 G AH0 D", ""),
    "jagged": (lambda c: True, "JH AE1 G AH0 D", ""),
    "crabbed": (lambda c: True, "K R AE1 B D", ""),
    "invalid": (_invalid_person, "IH1 N V AH0 L AH0 D", "IH0 N V AE1 L AH0 D"),
    "complex": (_invalid_person, "K AA1 M P L EH0 K S", "K AH0 M P L EH1 K S"),
}


# Lines of g2p_en's list in which the verb and the noun are swapped.
_SWAPPED = frozenset(
    ("OBJECT", "REBEL", "EXPLOIT", "EXPLOITS", "FRAGMENT", "IMPRINT", "SEGMENT", "SUBCONTRACT", "TORMENT", "MISCONDUCT")
)
# Lines of g2p_en's list that are ignored: CMUdict has these words.
_WRONG = frozenset(("PROCESSES", "MANDATE"))


@lru_cache(maxsize=1)
def verb_pairs() -> dict[str, tuple[list[str], list[str]]]:
    """Reads g2p_en's list: word to its phones as a verb and as another part of speech; skips unknown phones."""
    pairs: dict[str, tuple[list[str], list[str]]] = {}
    for line in package_file("g2p_en", "homographs.en").read_text(encoding="utf-8").splitlines():
        fields = line.split("|")
        if line.startswith("#") or len(fields) != 4 or fields[3].strip() != "V" or fields[0] in _WRONG:
            continue
        verb, other = fields[1].split(), fields[2].split()
        if fields[0] in _SWAPPED:
            verb, other = other, verb
        if all(is_phone(phone) for phone in verb + other):
            pairs[fields[0].lower()] = (verb, other)
    return pairs


def is_homograph(word: str) -> bool:
    """Whether a lower-case word has two pronunciations that `choose` distinguishes."""
    return word in _SPECIAL or word in verb_pairs()


def choose(tokens: Sequence[str], index: int) -> list[str]:
    """Returns the phones of a homograph in its context.

    Args:
        tokens: lower-case words and marks of the text.
        index: position of a word for which `is_homograph` is true.
    """
    start = max(0, index - _WINDOW)
    context = Context(tokens[start : index + _WINDOW], index - start)
    special = _SPECIAL.get(context.word)
    if special:
        test, yes, no = special
        return (yes if test(context) else no).split()
    verb, other = verb_pairs()[context.word]
    return list(verb if is_verb(context) else other)
