"""The user's pronunciations win, and a mistake in them is found."""

from pathlib import Path

import pytest

from text.frontend import Frontend
from text.pronunciation.lexicon import LexiconError, cmudict, cmudict_phones, own_words, read_lexicon
from text.symbols import is_phone


def write(folder: Path, text: str) -> str:
    path = folder / "lexicon.txt"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_comments_variants_and_case(tmp_path: Path) -> None:
    path = write(
        tmp_path, ";;; mine\n# too\n\nLyre  l ay1 r  # the project\nTOMATO T AH0 M AA1 T OW2\ntomato(2) T AH0\n"
    )
    assert read_lexicon(path) == {"lyre": ["L", "AY1", "R"], "tomato": ["T", "AH0", "M", "AA1", "T", "OW2"]}


@pytest.mark.parametrize(
    ("line", "problem"), [("word W XX1 D", "'XX1'"), ("word", "no phones"), ("word W ER9 D", "'ER9'")]
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, problem: str) -> None:
    with pytest.raises(LexiconError, match=rf"lexicon\.txt:2: .*{problem}"):
        read_lexicon(write(tmp_path, f"fine F AY1 N\n{line}\n"))


def test_a_missing_or_binary_file(tmp_path: Path) -> None:
    with pytest.raises(LexiconError, match="no-such-file"):
        read_lexicon(tmp_path / "no-such-file")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LexiconError, match="binary"):
        read_lexicon(tmp_path / "binary")


def test_the_lexicon_wins_over_everything(tmp_path: Path) -> None:
    path = write(tmp_path, "read R AA1\nfbi F IY1 B IY0\nhello HH OW1\nZOË Z OW1\nwell-known N OW1\na EY1\n")
    words = {word.text: word for word in Frontend(path).pronounce("I read, hello FBI, Zoë's well-known a b.").words}
    assert words["read"].phones == ["R", "AA1"] and words["hello"].phones == ["HH", "OW1"]
    assert words["FBI"].phones == ["F", "IY1", "B", "IY0"] and words["well-known"].phones == ["N", "OW1"]
    assert words["a"].phones == ["EY1"]
    assert {word.source for word in words.values() if word.text in ("read", "FBI", "hello", "a")} == {"lexicon"}
    assert words["Zoë's"].phones == ["Z", "OW1", "Z"]


def test_cmudict() -> None:
    assert len(cmudict()) > 130_000
    assert cmudict_phones("hello") == ["HH", "AH0", "L", "OW1"]
    assert cmudict_phones("zorgblat") is None
    assert all(is_phone(phone) for entry in cmudict().values() for phone in entry.partition("#")[0].split())


def test_own_words_are_arpabet() -> None:
    assert own_words()["résumé"] == ["R", "EH1", "Z", "AH0", "M", "EY2"]
    assert all(phones and all(map(is_phone, phones)) for phones in own_words().values())
