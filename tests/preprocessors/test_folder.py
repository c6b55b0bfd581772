"""Corpora of one's own: a text beside each recording, and lists of many kinds."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocessors import read_corpus
from utils.utterance import Corpus


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"Hello." if name.endswith((".txt", ".lab")) else b"")


def found(corpus: Corpus) -> list[tuple[str, str]]:
    return [(u.utt_id, u.speaker) for u in corpus.utterances]


def test_folders_with_two_recordings_each_are_speakers(tmp_path: Path) -> None:
    names = [f"{speaker}/take {n}" for speaker in ("Ann", "Zoë") for n in (1, 2)]
    touch(tmp_path, *(f"{name}.WAV" for name in names), *(f"{name}.lab" for name in names))
    corpus = read_corpus("mine", tmp_path)
    assert found(corpus) == [("Ann_take_1", "Ann"), ("Ann_take_2", "Ann"), ("Zoë_take_1", "Zoë"), ("Zoë_take_2", "Zoë")]
    assert corpus.layout == "recordings with a text beside each; 2 folders taken as speakers"


@pytest.mark.parametrize("extra", ["Bob/only.wav", "loose.wav"])
def test_otherwise_there_is_one_speaker(tmp_path: Path, extra: str) -> None:
    touch(tmp_path, "Ann/1.wav", "Ann/1.txt", "Ann/2.wav", "Ann/2.txt", extra, extra.replace(".wav", ".txt"))
    assert {speaker for _, speaker in found(read_corpus("mine", tmp_path))} == {"mine"}


def test_what_has_no_partner_is_counted(tmp_path: Path) -> None:
    touch(tmp_path, "a.flac", "a.wav", "a.txt", "a.lab", "b.wav", "c.txt", "docs/readme.txt", ".hidden/d.wav", "e.mp3")
    (tmp_path / "e.txt").write_bytes(b"")
    corpus = read_corpus("mine", tmp_path)
    assert [(u.utt_id, u.wav_path.name) for u in corpus.utterances] == [("a", "a.wav")]
    assert [(s.utt_id, s.reason) for s in corpus.skipped] == [
        ("b", "recording without a text"),
        ("c", "text without a recording"),
        ("e", "text is empty"),
    ]
    assert [u.utt_id for u in read_corpus("mine", tmp_path, needs_text=False).utterances] == ["a", "b", "e"]


def read_list(root: Path, text: str, name: str = "metadata.csv") -> Corpus:
    (root / name).write_text(text, encoding="utf-8")
    return read_corpus("mine", root)


@pytest.mark.parametrize(
    ("text", "speakers"),
    [
        ("a|The first text.\nb|The second text.\n", ["mine", "mine"]),
        ("a.wav|The first text.\nb.wav|The second text.\n", ["mine", "mine"]),
        ("wavs/a.wav|The first text.\nwavs/b.WAV|The second text.\n", ["mine", "mine"]),
        ("a\tThe first text.\nb\tThe second text.\n", ["mine", "mine"]),
        ('a,"The first text."\nb,The second text.\n', ["mine", "mine"]),
        ("a|The first text.|ann\nb|The second text.|ann\n", ["ann", "ann"]),
        ("a|speaker 1|The first text.\nb|speaker 1|The second text.\n", ["speaker 1", "speaker 1"]),
        ("text|speaker_name|audio_file\nThe first text.|ann|wavs/a.wav\nThe second text.|bob|b\n", ["ann", "bob"]),
        ("\n\ufeffPath,Sentence,client_id\na.wav,The first text.,ann\nb.wav,The second text.,\n", ["ann", "mine"]),
        ("id\ttext\tnormalized_text\na\t1st\tThe first text.\nb\tThe second text.\t\n", ["mine", "mine"]),
    ],
)
@pytest.mark.parametrize("folder", ["wavs", "wav"])
def test_lists_as_people_write_them(tmp_path: Path, text: str, speakers: list[str], folder: str) -> None:
    touch(tmp_path, f"{folder}/a.wav", f"{folder}/b.WAV")
    corpus = read_list(tmp_path, text.replace("wavs/", f"{folder}/").lstrip("\n"))
    assert [(u.utt_id, u.text, u.speaker) for u in corpus.utterances] == [
        ("a", "The first text.", speakers[0]),
        ("b", "The second text.", speakers[1]),
    ]
    assert [u.wav_path for u in corpus.utterances] == [tmp_path / folder / "a.wav", tmp_path / folder / "b.WAV"]


def test_short_normalized_texts_are_no_speakers(tmp_path: Path) -> None:
    corpus = read_list(tmp_path, "a|Dr. No|Doctor No\nb|No. 1|Number one\nc|Yes.|Yes.\nd|4|four\n")
    assert [u.text for u in corpus.utterances] == ["Doctor No", "Number one", "Yes.", "four"]


def test_paths_in_folders(tmp_path: Path) -> None:
    touch(tmp_path, "wavs/LJ050/LJ050-0269.wav", "wavs/day 1/x.wav", "other/y.wav")
    corpus = read_list(
        tmp_path, f"LJ050/LJ050-0269|One.\nday 1/x.wav|Two.\n{tmp_path}/other/y.wav|Three.\n/etc/y|No.\n"
    )
    assert [(u.utt_id, u.wav_path.relative_to(tmp_path).as_posix()) for u in corpus.utterances] == [
        ("LJ050_LJ050-0269", "wavs/LJ050/LJ050-0269.wav"),
        ("day_1_x", "wavs/day 1/x.wav"),
        ("other_y", "other/y.wav"),
    ]
    assert [entry.reason for entry in corpus.skipped] == ["id is not usable as a file name"]


def test_recordings_that_the_list_does_not_mention_are_counted(tmp_path: Path) -> None:
    touch(tmp_path, "wavs/a.wav", "wavs/b.wav", "wavs/c.wav")
    corpus = read_list(tmp_path, "a|One.\nb|\n")
    assert [(s.utt_id, s.reason) for s in corpus.skipped] == [
        ("b", "text is empty"),
        ("c", "recording without a text"),
    ]


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=3, max_size=20).map(
    lambda text: f"Well, {text} it is."
)


@given(st.lists(TEXTS, min_size=2, max_size=8), st.sampled_from("|\t,"), st.booleans())
def test_every_text_of_a_list_comes_back(tmp_path_factory, texts: list[str], separator: str, header: bool) -> None:
    def column(text: str) -> str:
        if separator == ",":
            return '"' + text.replace('"', '""') + '"'
        return text.replace("\\", "/").replace("|", "\\|") if separator == "|" else text

    expected = [text.replace("\\", "/") if separator == "|" else text for text in texts]
    lines = [f"u{n:02}{separator}{column(text)}" for n, text in enumerate(texts)]
    lines = [f"id{separator}text", *lines] if header else lines
    corpus = read_list(tmp_path_factory.mktemp("list"), "\n".join(lines) + "\n")
    assert [u.text for u in corpus.utterances] == expected
    assert [u.utt_id for u in corpus.utterances] == [f"u{n:02}" for n in range(len(texts))]
