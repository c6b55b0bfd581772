"""Folders of recordings as people have them."""

import os
import sys
from pathlib import Path

import pytest

from preprocessors import read_corpus
from utils.errors import UserError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def found(root: Path) -> list[tuple[str, str, str]]:
    corpus = read_corpus("mine", root, needs_text=False)
    assert corpus.skipped == corpus.mended == [] and {u.text for u in corpus.utterances} == {""}
    return [(u.utt_id, u.speaker, u.wav_path.relative_to(root).as_posix()) for u in corpus.utterances]


def test_nested_folders_name_ids_and_speakers(tmp_path: Path) -> None:
    touch(tmp_path, "hello.WAV", "ann/one.wav", "ann/day 1/take3.flac", "bob/take 3 (final).ogg")
    assert found(tmp_path) == [
        ("ann_day_1_take3", "ann", "ann/day 1/take3.flac"),
        ("ann_one", "ann", "ann/one.wav"),
        ("bob_take_3_final", "bob", "bob/take 3 (final).ogg"),
        ("hello", "mine", "hello.WAV"),
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="its file systems take any bytes as a name")
def test_a_folders_name_that_is_not_utf_8_can_be_written(tmp_path: Path) -> None:
    touch(tmp_path, os.fsdecode(b"ann\xe9/one.wav"))
    (utterance,) = read_corpus("mine", tmp_path, needs_text=False).utterances
    assert (utterance.utt_id, utterance.speaker) == ("ann__one", "ann\N{REPLACEMENT CHARACTER}")
    assert utterance.wav_path.is_file()


def test_what_is_no_recording_is_left_alone(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", "a.txt", "._a.wav", ".cache/b.wav", "notes.wav.txt", "wav")
    assert [utt_id for utt_id, _, _ in found(tmp_path)] == ["a"]


def test_ids_are_unique_and_depend_on_no_other_recording_but_namesakes(tmp_path: Path) -> None:
    touch(tmp_path, "a/b.wav", "c.wav")
    before = {path: utt_id for utt_id, _, path in found(tmp_path)}
    assert set(before.values()) == {"a_b", "c"}
    touch(tmp_path, "a_b.wav", "a_b.flac", "0.wav", "long/" + "x" * 200 + "1.wav", "long/" + "x" * 200 + "2.wav")
    after = {path: utt_id for utt_id, _, path in found(tmp_path)}
    assert len(set(after.values())) == 7 and after["c.wav"] == "c" and after["0.wav"] == "0"
    assert all(after[path].startswith("a_b-") for path in ("a/b.wav", "a_b.wav", "a_b.flac"))
    assert all(utt_id.isprintable() and not set(utt_id) & set("/\\ ") for utt_id in after.values())


def test_a_link_that_leads_back_ends(tmp_path: Path) -> None:
    touch(tmp_path, "real/in/a.wav")
    os.symlink(tmp_path / "real", tmp_path / "real/in/again")
    assert [path for _, _, path in found(tmp_path)] == ["real/in/a.wav"]


def test_a_corpus_keeps_its_ids_and_lines_without_a_text(tmp_path: Path) -> None:
    touch(tmp_path, "wavs/a.wav", "wavs/stray.wav")
    (tmp_path / "metadata.csv").write_bytes(b"a|text\nb||\nc\nd|caf\xe9\ne|one|two|three\na|again\n../x|out\n")
    corpus = read_corpus("LJSpeech", tmp_path, needs_text=False)
    assert [u.utt_id for u in corpus.utterances] == ["a", "b", "c", "d", "e"]
    assert corpus.utterances[0].wav_path == tmp_path / "wavs" / "a.wav"
    assert [entry.reason for entry in corpus.skipped] == ["id occurs twice", "id is not usable as a file name"]


def test_errors_say_what_is_missing_and_where(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"dataset_path.mine = .*absent.*no such folder; it must contain recordings"):
        read_corpus("mine", tmp_path / "absent", needs_text=False)
    touch(tmp_path, "a.txt")
    with pytest.raises(UserError, match=r"dataset_path.mine = .*no recording was found.*\.flac"):
        read_corpus("mine", tmp_path, needs_text=False)
