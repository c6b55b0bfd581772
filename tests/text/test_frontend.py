"""Text to tokens."""

import pickle
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from text.frontend import Frontend, Pronunciation, UnpronounceableError
from text.normalization.normalizer import normalize
from text.symbols import MARKS, SYMBOLS, SymbolTable, UnknownSymbolError, is_mark, is_phone

PAIRS_PATH = Path(__file__).parent / "data" / "normalizer_pairs.txt"


@pytest.fixture(scope="module")
def frontend() -> Frontend:
    return Frontend()


def tokens(frontend: Frontend, text: str) -> str:
    return " ".join(frontend.pronounce(text).phones)


def sources(pronunciation: Pronunciation) -> dict[str, str]:
    return {word.text: word.source for word in pronunciation.words}


def test_a_sentence(frontend: Frontend) -> None:
    result = frontend.pronounce("Dr. Smith paid $2.")
    assert result.text == "Dr. Smith paid $2."
    assert result.normalized == "Doctor Smith paid two dollars."
    assert " ".join(result.phones) == "D AA1 K T ER0 S M IH1 TH P EY1 D T UW1 D AA1 L ER0 Z ."
    assert [word.text for word in result.words] == ["Doctor", "Smith", "paid", "two", "dollars"]
    assert result.warnings == []


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("Yes, no", ","),
        ("Yes.", "."),
        ("Yes?", "?"),
        ("Yes!", "!"),
        ("Yes; no: no", "; :"),
        ("Yes", ""),
        ("Yes - no", "-"),
        ("yes—no", "-"),
        ("yes -- no", "-"),
        ("yes – no", "-"),
        ("yes-no", ""),
        ("Paris–London", ""),
        ("What?!", "?"),
        ("What!!!", "!"),
        ("Well... no", "-"),
        ("Well... No...", ". ."),
        ("yes (no) yes", ", ,"),
        ("yes (no).", ", ."),
        ("yes (no)", ","),
        ("yes, (no)", ","),
        ("(yes) no", ","),
        ("... yes", ""),
        ('"Yes," he said. "No!"', ", . !"),
        ("in the U.S. army", ""),
        ("in the U.S.", "."),
        ("in the U.S. He won", "."),
        ("J. Edgar", ""),
        ("Plan B.", "."),
        ("at 5 p.m. today", ""),
        ("at 5 p.m., we", ","),
        ("in the U.S.; he", ";"),
        ("yes ,, no", ","),
    ],
)
def test_marks(frontend: Frontend, text: str, marks: str) -> None:
    assert " ".join(token for token in frontend.pronounce(text).phones if is_mark(token)) == marks


@pytest.mark.parametrize(
    ("text", "phones", "source"),
    [
        ("hello", "HH AH0 L OW1", "dictionary"),
        ("FBI", "EH1 F B IY1 AY1", "dictionary"),
        ("the NASA", "N AE1 S AH0", "dictionary"),
        ("the US", "Y UW2 EH1 S", "letters"),
        ("the U.S.", "Y UW2 EH1 S", "letters"),
        ("the U.S.A.", "Y UW2 EH2 S EY1", "letters"),
        ("the XQZ", "EH2 K S K Y UW2 Z IY1", "letters"),
        ("some QVDs", "K Y UW2 V IY2 D IY1 Z", "letters"),
        ("the ACLU's", "EY2 S IY2 EH2 L Y UW1 Z", "letters"),
        ("do it NOW", "N AW1", "dictionary"),
        ("GIVE US", "AH1 S", "dictionary"),
        ("résumé", "R EH1 Z AH0 M EY2", "dictionary"),
        ("Zoë", "Z OW1 IY0", "dictionary"),
        ("naïve", "N AY0 IY1 V", "dictionary"),
        ("straße", "S T R AE1 S", "network"),
        ("a Polish", "P OW1 L IH0 SH", "dictionary"),
        ("to polish", "P AA1 L IH0 SH", "dictionary"),
        ("the blimps", "B L IH1 M P S", "dictionary"),
        ("keyboardist's", "K IY1 B AO2 R D IH0 S T S", "rule"),
        ("tenantless", "T EH1 N AH0 N T L AH0 S", "rule"),
        ("capitally", "K AE1 P AH0 T AH0 L IY0", "rule"),
        ("retouched", "R IY0 T AH1 CH T", "rule"),
        ("kneaded", "N IY1 D IH0 D", "rule"),
        ("connived", "K AH0 N AY1 V D", "rule"),
        ("quills", "K W IH1 L Z", "rule"),
        ("pushbutton", "P UH1 SH B AH2 T AH0 N", "rule"),
        ("OpenAI", "OW1 P AH0 N EY2 AY1", "rule"),
        ("runnin'", "R AH1 N IH0 N", "dictionary"),
        ("the dogs'", "D AA1 G Z", "dictionary"),
        ("get 'em", "AH0 M", "dictionary"),
        ("zorgblat", "Z AO1 R B G L AE2 T", "network"),
        ("zorgblat's", "Z AO1 R B G L AE2 T S", "network"),
        ("nth", "EH1 N TH", "dictionary"),
        ("pqrst", "P IY2 K Y UW2 AA2 R EH2 S T IY1", "letters"),
        ("I", "AY1", "dictionary"),
        ("Plan A", "EY1", "letters"),
        ("A plan, a", "AH0", "dictionary"),
        ("the letter W", "D AH1 B AH0 L Y UW0", "letters"),
        ("{B AE1 CH}", "B AE1 CH", "inline"),
        ("{B AE1 CH}'s", "IH0 Z", "rule"),
        ("dogs and {B AE1 T}'s", "S", "rule"),
    ],
)
def test_last_word(frontend: Frontend, text: str, phones: str, source: str) -> None:
    word = frontend.pronounce(text).words[-1]
    assert (" ".join(word.phones), word.source) == (phones, source)


def test_hyphens_by_parts(frontend: Frontend) -> None:
    result = frontend.pronounce("a zorgblat-proof out-of-the-box fox")
    assert [word.text for word in result.words] == "a zorgblat proof out of the box fox".split()


def test_the_before_a_vowel(frontend: Frontend) -> None:
    assert tokens(frontend, "The end, the hour of the dog, the {AH0 B}") == (
        "DH IY0 EH1 N D , DH IY0 AW1 ER0 AH1 V DH AH0 D AO1 G , DH IY0 AH0 B"
    )
    assert tokens(frontend, "the dog") == "DH AH0 D AO1 G"  # the cache is not touched


def test_inline_phones(frontend: Frontend) -> None:
    assert tokens(frontend, "I will {R EH1 D}, {ZH} 2!") == "AY1 W IH1 L R EH1 D , ZH T UW1 !"
    assert frontend.pronounce("the {L AY1 R}").normalized == "the {L AY1 R}"


@pytest.mark.parametrize("text", ["say {R XX D}", "say {QQ}", "say {R EH7 D}"])
def test_unknown_inline_phone_is_an_error(frontend: Frontend, text: str) -> None:
    with pytest.raises(UnknownSymbolError, match=r"\{.*\}: unknown phone"):
        frontend.pronounce(text)


def test_other_braces_are_text(frontend: Frontend) -> None:
    assert tokens(frontend, "say {hello}") == "S EY1 HH AH0 L OW1"


def test_one_warning_names_what_was_dropped(frontend: Frontend) -> None:
    result = frontend.pronounce("Hi 😀 世界 you 😀")
    assert len(result.warnings) == 1
    assert all(repr(character) in result.warnings[0] for character in "😀世界")
    assert " ".join(result.phones) == "HH AY1 Y UW1"


@pytest.mark.parametrize("text", ["", "   ", "...", "世界", "😀", "?!", "()", "_", "\x00", "\ud800", "`", "--"])
def test_nothing_to_say(frontend: Frontend, text: str) -> None:
    with pytest.raises(UnpronounceableError, match="nothing to pronounce"):
        frontend.pronounce(text)


def test_the_users_word_wins_with_an_ending_too(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("reagan R IY1 G AH0 N\nNASA N AA1 S AH0\n")
    own = Frontend(tmp_path / "words.txt")
    words = own.pronounce("Reagan, Reagan's, NASA's.").words
    assert [" ".join(word.phones) for word in words] == ["R IY1 G AH0 N", "R IY1 G AH0 N Z", "N AA1 S AH0 Z"]
    assert {word.source for word in words} == {"lexicon"}


@pytest.mark.parametrize("text", ["Hello \u0292.\u0292.s world", "\ua729.\ua729.'s a"])
def test_initials_of_letters_without_a_name(frontend: Frontend, text: str) -> None:
    assert frontend.pronounce(text).words


def test_same_text_same_tokens(frontend: Frontend) -> None:
    text = "Zorgblat read the FBI's 12 records, résumé (used) on Elm Dr."
    first = frontend.pronounce(text)
    assert frontend.pronounce(text) == first == Frontend().pronounce(text)
    assert pickle.loads(pickle.dumps(first)) == first


def check(result: Pronunciation) -> None:
    """What holds for every text."""
    SymbolTable(SYMBOLS).ids(result.phones)
    assert result.phones[0] not in MARKS
    assert not any(is_mark(a) and is_mark(b) for a, b in zip(result.phones, result.phones[1:], strict=False))
    assert sum(len(word.phones) for word in result.words) == sum(map(is_phone, result.phones))
    assert len(result.warnings) <= 1


def survives(text: str) -> None:
    """Tokens or the two errors that are promised; and what is normalized stays."""
    try:
        result = SHARED.pronounce(text)
    except (UnpronounceableError, UnknownSymbolError):
        return
    check(result)
    assert normalize(result.normalized)[0] == result.normalized


def test_ten_thousand_random_strings() -> None:
    dice = random.Random(3)
    blocks = [
        (0, 0x7F),
        (0, 0x7F),
        (0xA0, 0x24F),
        (0x300, 0x52F),
        (0x2000, 0x2BFF),
        (0, 0xFFFF),
        (0x1F000, 0x1FAFF),
        (0, 0x10FFFF),
    ]
    for _ in range(10_000):
        low, high = dice.choice(blocks)
        survives("".join(chr(dice.randint(low, high)) for _ in range(dice.randint(0, 25))))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(max_size=60))
def test_random_unicode(text: str) -> None:
    survives(text)


SHARED = Frontend()
PIECES = [
    *(
        "Dr.",
        "St.",
        "No.",
        "Mr.",
        "etc.",
        "a.m.",
        "U.S.",
        "Jan.",
        "vs.",
        "II",
        "IV",
        "XIV",
        "Henry",
        "Chapter",
        "I",
        "A",
    ),
    *(
        "5",
        "12",
        "1984",
        "3.5",
        "1,000",
        "007",
        "1/2",
        "½",
        "$",
        "£5",
        "€",
        "%",
        "5%",
        "km",
        "°C",
        "-5",
        "5-6",
        "1914-18",
    ),
    *(
        "10:30",
        "9am",
        "12/25/2020",
        "2020-01-02",
        "555-1234",
        "1st",
        "'90s",
        "BC",
        "AD",
        "B.C.",
        "x²",
        "#1",
        "@you",
        "&",
        "+",
    ),
    *(
        "=",
        "/",
        "and/or",
        "a@b.com",
        "www.x.org",
        "x.com/a",
        "{R EH1 D}",
        "{",
        "}",
        "(",
        ")",
        "“",
        "”",
        "'",
        "’s",
        "...",
        "—",
        "-",
    ),
    *(
        "the",
        "a",
        "in",
        "of",
        "Street",
        "Smith",
        "people",
        "was",
        ".",
        ",",
        "?",
        "!",
        ":",
        ";",
        "é",
        "ß",
        "π",
        "😀",
        "Ⅳ",
        "³",
    ),
]


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(PIECES), max_size=8), st.lists(st.sampled_from(["", " "]), min_size=8, max_size=8))
def test_random_pieces(pieces: list[str], joints: list[str]) -> None:
    survives("".join(piece + joint for piece, joint in zip(pieces, joints, strict=False)))


def test_every_prefix_of_hard_texts() -> None:
    lines = [line for line in PAIRS_PATH.read_text(encoding="utf-8").splitlines() if " => " in line]
    raw = [line.split(" => ")[0] for line in lines]
    texts = [" ".join(raw[start : start + 2]) for start in range(0, len(raw), 2)]
    assert len(texts) >= 200
    for text in texts:
        for end in range(1, len(text) + 1):
            try:
                check(SHARED.pronounce(text[:end]))
            except UnpronounceableError:
                assert not any(character.isalnum() for character in text[:end]) or not text[:end].strip().isascii()


def test_a_very_long_word_and_number_end() -> None:
    check(SHARED.pronounce("x" * 5000 + "a" * 5000))
    check(SHARED.pronounce("1" * 5000))
    check(SHARED.pronounce("1,000" * 2000))
    check(SHARED.pronounce("-" * 5000 + "a." * 5000))
    check(SHARED.pronounce("{R EH1 " * 2000))
