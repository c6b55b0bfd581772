"""metadata.csv as people write it."""

from pathlib import Path

import pytest

from preprocessors import READERS, read_corpus
from utils.errors import UserError
from utils.utterance import Utterance


def read(root: Path, data: bytes):
    (root / "metadata.csv").write_bytes(data)
    return read_corpus("LJSpeech", root)


def test_two_and_three_columns(tmp_path: Path) -> None:
    corpus = read(tmp_path, b"a|In 1984|In nineteen eighty-four\nb|Only raw\n")
    assert corpus.utterances == [
        Utterance("a", "LJSpeech", "In nineteen eighty-four", tmp_path / "wavs" / "a.wav"),
        Utterance("b", "LJSpeech", "Only raw", tmp_path / "wavs" / "b.wav"),
    ]
    assert corpus.skipped == []


def test_bom_crlf_quotes_and_empty_lines(tmp_path: Path) -> None:
    corpus = read(tmp_path, b'\xef\xbb\xbfa|He said "no.|He said "no.\r\n\r\n   \nb|"Quoted", she said.|\r\n')
    assert [(u.utt_id, u.text) for u in corpus.utterances] == [("a", 'He said "no.'), ("b", '"Quoted", she said.')]
    assert corpus.mended == [("b", "normalized text is empty: the raw text is used", "")]


def test_line_separators_inside_a_text_are_text(tmp_path: Path) -> None:
    corpus = read(tmp_path, "a|one\u2028two\x0bthree\nb|four".encode())
    assert [u.utt_id for u in corpus.utterances] == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"a|again", "id occurs twice"),
        (b"only-an-id", "metadata line has missing or extra columns"),
        (b"x|1|2|3", "metadata line has missing or extra columns"),
        (b"x||", "text is empty"),
        (b"x|  ", "text is empty"),
        (b"../../etc/passwd|out", "id is not usable as a file name"),
        (b"/etc/passwd|out", "id is not usable as a file name"),
        (b"..|out", "id is not usable as a file name"),
        (b"sub\\x|out", "id is not usable as a file name"),
        (b"x\x00y|out", "id is not usable as a file name"),
        (b"|no id", "id is not usable as a file name"),
        (b"x|caf\xe9", "metadata line is not UTF-8"),
    ],
)
def test_a_bad_line_is_skipped_with_its_reason(tmp_path: Path, line: bytes, reason: str) -> None:
    corpus = read(tmp_path, b"a|first\n" + line + b"\nz|last\n")
    assert [u.utt_id for u in corpus.utterances] == ["a", "z"]
    assert [(entry.reason) for entry in corpus.skipped] == [reason]
    assert all(u.wav_path.parent == tmp_path / "wavs" for u in corpus.utterances)


def test_an_own_name_gets_the_same_reader(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("a|hello\n")
    corpus = read_corpus("my-voice", tmp_path)
    assert corpus.utterances[0].speaker == "my-voice"


def test_errors_say_what_is_missing_and_where(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"dataset_path.LJSpeech = .*no such folder.*metadata.csv"):
        read_corpus("LJSpeech", tmp_path / "absent")
    with pytest.raises(
        UserError, match=r"dataset_path.LJSpeech = .*must contain metadata.csv.*wavs/<id>.wav.*it is empty"
    ):
        read_corpus("LJSpeech", tmp_path)
    (tmp_path / "notes").mkdir()
    with pytest.raises(UserError, match=r"dataset_path.VCTK = .*must contain txt/p225/p225_001.txt.*it has notes"):
        read_corpus("VCTK", tmp_path)
    with pytest.raises(UserError) as caught:
        read_corpus("mine", tmp_path)
    assert all(name in str(caught.value) for name in READERS) and "take1.txt (or .lab)" in str(caught.value)


def test_line_ends_of_old_programs(tmp_path: Path) -> None:
    assert [u.utt_id for u in read(tmp_path, b"a|one\rb|two\r").utterances] == ["a", "b"]


@pytest.mark.parametrize(
    ("data", "words"),
    [("a|one\n".encode("utf-16"), "UTF-16, as some spreadsheets save it; save it as UTF-8"), (b" \n", "is empty")],
)
def test_a_file_that_no_line_can_be_read_of_is_an_error(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(UserError, match=words):
        read(tmp_path, data)


def test_quoted_columns_are_named(tmp_path: Path) -> None:
    (skipped,) = read(tmp_path, b'"a"|"one"\n').skipped
    assert skipped.reason == "metadata line is quoted"
