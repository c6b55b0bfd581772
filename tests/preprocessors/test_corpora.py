"""Known corpora: small trees of each layout, with what makes them hard to read."""

import json
from collections import Counter
from pathlib import Path

import pytest

from preprocessors import read_corpus
from utils.errors import UserError
from utils.utterance import Corpus

DATA = Path(__file__).resolve().parents[3] / "shared/data"


def write(root: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def facts(corpus: Corpus) -> list[tuple[str, str, str]]:
    return [(u.utt_id, u.speaker, u.text) for u in corpus.utterances]


def reasons(corpus: Corpus) -> list[tuple[str, str]]:
    return [(entry.utt_id, entry.reason) for entry in corpus.skipped]


VCTK_TEXTS = {
    "txt/p225/p225_001.txt": "Please call  Stella.\n",
    "txt/p225/p225_002.txt": b"\xef\xbb\xbfAsk her. ",
    "txt/p225/p225_003.txt": " \n",
    "txt/p225/p225_004.txt": b"caf\xe9",
    "txt/p225/p225_005.txt": "Nobody recorded this.",
    "txt/s5/s5_001.txt": "Please call Stella.",
    "speaker-info.txt": "ID  AGE  GENDER\np376 22 M\n",
}


@pytest.mark.parametrize("root", ["", "VCTK-Corpus-0.92"])
def test_vctk_092_is_read_with_its_first_microphone(tmp_path: Path, root: str) -> None:
    sounds = "wav48_silence_trimmed"
    both = [f"{sounds}/p225/p225_00{n}_mic{m}.flac" for n in (1, 2, 3, 4) for m in (1, 2)]
    others = [f"{sounds}/s5/s5_001_mic2.flac", f"{sounds}/p315/p315_001_mic1.flac", f"{sounds}/log.txt"]
    write(tmp_path / root, {**VCTK_TEXTS, **dict.fromkeys([*both, *others, f"{sounds}/p225/._p225_001_mic1.flac"], "")})
    corpus = read_corpus("anything", tmp_path)
    assert corpus.layout == "VCTK 0.92, microphone 1"
    assert facts(corpus) == [
        ("p225_001", "p225", "Please call Stella."),
        ("p225_002", "p225", "Ask her."),
        ("s5_001", "s5", "Please call Stella."),
    ]
    assert [u.wav_path.name for u in corpus.utterances][1:] == ["p225_002_mic1.flac", "s5_001_mic2.flac"]
    assert reasons(corpus) == [
        ("p225_003", "text is empty"),
        ("p225_004", "text is not UTF-8"),
        ("p225_005", "text without a recording"),
        ("p315_001", "recording without a text"),
    ]
    vocoder = read_corpus("anything", tmp_path, needs_text=False)
    assert facts(vocoder)[:3] != [] and {u.utt_id for u in vocoder.utterances} == {
        *(u.utt_id for u in corpus.utterances),
        *("p225_003", "p225_004", "p315_001"),
    }


def test_vctk_080(tmp_path: Path) -> None:
    write(tmp_path / "VCTK-Corpus", {**VCTK_TEXTS, "wav48/p225/p225_001.wav": "", "wav48/p225/p225_002.WAV": ""})
    corpus = read_corpus("VCTK", tmp_path)
    assert corpus.layout == "VCTK 0.80"
    assert [(u.utt_id, u.wav_path.name) for u in corpus.utterances] == [
        ("p225_001", "p225_001.wav"),
        ("p225_002", "p225_002.WAV"),
    ]


LIBRITTS = {
    "103/1241/103_1241_000000_000001.wav": "",
    "103/1241/103_1241_000000_000001.normalized.txt": "matthew Cuthbert is surprised",
    "103/1241/103_1241_000000_000001.original.txt": "CHAPTER II. MATTHEW CUTHBERT",
    "103/1241/103_1241_000000_000002.wav": "",
    "103/1241/103_1241.trans.tsv": "103_1241_000000_000002\tMr. X\tMister X [Illustration: Village] came.\nshort\n",
    "103/1241/103_1241.book.tsv": "103_1241_000000_000002\t...\t20.1\n",
    "103/1241/103_1241_000000_000003.wav": "",
    "103/1241/._103_1241_000000_000001.wav": "",
    "84/121550/84_121550_000007_000000.normalized.txt": "No sound.",
    "84/121550/84_121550_000008_000000.flac": "",
    "84/121550/84_121550_000008_000000.normalized.txt": "[Illustration]",
}


@pytest.mark.parametrize("root", ["train-clean-100", "LibriTTS/train-clean-100", "LibriTTS_R/train-clean-100", "."])
def test_libritts(tmp_path: Path, root: str) -> None:
    write(tmp_path / root, LIBRITTS)
    write(tmp_path, {"SPEAKERS.txt": "; comment", ".DS_Store": ""})
    corpus = read_corpus("LibriTTS", tmp_path)
    assert facts(corpus) == [
        ("103_1241_000000_000001", "103", "matthew Cuthbert is surprised"),
        ("103_1241_000000_000002", "103", "Mister X came."),
    ]
    assert [(note.utt_id, note.what) for note in corpus.mended][0] == (
        "103_1241_000000_000002",
        "text in brackets is left out",
    )
    assert dict(reasons(corpus)) == {
        "103_1241_000000_000003": "recording without a text",
        "84_121550_000007_000000": "text without a recording",
        "84_121550_000008_000000": "text is empty",
    }


def test_subsets_are_chosen_by_name(tmp_path: Path) -> None:
    for subset in ("train-clean-100", "train-other-500", "dev-clean"):
        number = sum(map(ord, subset))
        write(
            tmp_path / subset,
            {f"{number}/1/{number}_1_0_0.wav": "", f"{number}/1/{number}_1_0_0.normalized.txt": f"From {subset}."},
        )
    assert len(read_corpus("LibriTTS", tmp_path).utterances) == 3
    chosen = read_corpus("LibriTTS", tmp_path, subsets=["dev-clean", "train-clean-100"])
    assert [u.text for u in chosen.utterances] == ["From dev-clean.", "From train-clean-100."]
    assert chosen.layout == "LibriTTS: dev-clean, train-clean-100"
    with pytest.raises(UserError, match=r"no train-clean-360; did you mean train-clean-100\? There are: dev-clean"):
        read_corpus("LibriTTS", tmp_path, subsets=["train-clean-360"])
    write(tmp_path / "own", {"metadata.csv": "a|one\n"})
    with pytest.raises(UserError, match=r"preprocess\.subsets: mine .* has no subsets"):
        read_corpus("mine", tmp_path / "own", subsets=["train"])


@pytest.mark.parametrize("root", ["train-clean-100", "LibriSpeech/train-clean-100", "."])
def test_librispeech_becomes_lower_case(tmp_path: Path, root: str) -> None:
    write(
        tmp_path / root,
        {
            "4088/158077/4088-158077.trans.txt": "4088-158077-0000 THE WAR MESSAGE\n4088-158077-0001 IT'S U S\n",
            "4088/158077/4088-158077-0000.flac": "",
            "4088/158077/4088-158077-0001.flac": "",
        },
    )
    write(tmp_path / "alignment", {"4088/158077/4088-158077-0000.TextGrid": ""})
    corpus = read_corpus("LibriSpeech", tmp_path)
    assert facts(corpus) == [
        ("4088-158077-0000", "4088", "the war message"),
        ("4088-158077-0001", "4088", "it's u s"),
    ]


def test_hifitts_keeps_its_splits_and_stays_in_its_folder(tmp_path: Path) -> None:
    def line(path: str, text: object = "Spoken, with marks.") -> str:
        return json.dumps({"audio_filepath": path, "text": "spoken", "text_normalized": text, "duration": 1.0})

    write(
        tmp_path,
        {
            "92_manifest_clean_train.json": f"{line('audio/92_clean/10425/a_01_x.flac')}\n{line('../outside.flac')}\n\n"
            f'{line("/etc/passwd")}\n{{"broken": 1\n[1]\n{line("audio/92_clean/10425/absent.flac")}\n',
            "92_manifest_clean_dev.json": line("audio/92_clean/10425/a_02_x.flac") + "\n",
            "92_manifest_other_test.json": line("audio/92_other/7/a_01_x.flac") + "\n",
            "6097_manifest_clean_test.json": line("audio/6097_clean/10425/a_01_x.flac"),
            "notes.json": "[]",
            **dict.fromkeys(
                (
                    *("audio/92_clean/10425/a_01_x.flac", "audio/92_clean/10425/a_02_x.flac"),
                    *("audio/92_other/7/a_01_x.flac", "audio/6097_clean/10425/a_01_x.flac"),
                ),
                "",
            ),
        },
    )
    corpus = read_corpus("HiFiTTS", tmp_path)
    assert {(u.utt_id, u.speaker, u.split) for u in corpus.utterances} == {
        ("92_clean_10425_a_01_x", "92", "train"),
        ("92_clean_10425_a_02_x", "92", "valid"),
        ("92_other_7_a_01_x", "92", "test"),
        ("6097_clean_10425_a_01_x", "6097", "test"),
    }
    assert {u.text for u in corpus.utterances} == {"Spoken, with marks."}
    assert Counter(reason for _, reason in reasons(corpus)) == {
        "recording is outside the folder of the corpus": 2,
        "manifest line is not a JSON object with a path and a text": 2,
        "text without a recording": 1,
    }
    subset = read_corpus("HiFiTTS", tmp_path, subsets=["92_other", "6097_clean"])
    assert len(subset.utterances) == 2
    with pytest.raises(UserError, match="no noisy; there are: 6097_clean, 92_clean, 92_other, clean, other"):
        read_corpus("HiFiTTS", tmp_path, subsets=["noisy"])


def test_a_link_out_of_the_corpus_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path, {"secret.flac": ""})
    row = json.dumps({"audio_filepath": "audio/x.flac", "text_normalized": "Hm."})
    write(tmp_path / "corpus", {"92_manifest_clean_train.json": row})
    (tmp_path / "corpus/audio").mkdir()
    (tmp_path / "corpus/audio/x.flac").symlink_to(tmp_path / "secret.flac")
    corpus = read_corpus("HiFiTTS", tmp_path / "corpus")
    assert [reason for _, reason in reasons(corpus)] == ["recording is outside the folder of the corpus"]


ARCTIC = '( arctic_a0001 "Author of the \\"danger\\" trail." )\n(wav/arctic_a0002.wav "Not at this case.")\nnoise\n'


def test_arctic_has_the_same_ids_for_all_speakers(tmp_path: Path) -> None:
    for speaker in ("slt", "bdl"):
        folder = tmp_path / f"cmu_us_{speaker}_arctic"
        write(folder, {"etc/txt.done.data": ARCTIC, "wav/arctic_a0001.wav": "", "wav/arctic_b0001.wav": ""})
    corpus = read_corpus("CMU-ARCTIC", tmp_path)
    assert facts(corpus) == [
        ("bdl_arctic_a0001", "bdl", 'Author of the "danger" trail.'),
        ("slt_arctic_a0001", "slt", 'Author of the "danger" trail.'),
    ]
    assert ("slt_arctic_a0002", "text without a recording") in reasons(corpus)
    assert ("bdl_arctic_b0001", "recording without a text") in reasons(corpus)
    (alone,) = read_corpus("mine", tmp_path / "cmu_us_slt_arctic").utterances
    assert (alone.utt_id, alone.speaker) == ("slt_arctic_a0001", "slt")


@pytest.mark.parametrize("root", ["", "en_US", "en_US/by_book"])
def test_mailabs(tmp_path: Path, root: str) -> None:
    books = tmp_path / "en_US/by_book"
    for book in ("female/judy/emerald", "female/mary/emerald", "mix/sea"):
        write(books / book, {"metadata.csv": "a_01|1 cat|one cat\nb_01|gone\n", "wavs/a_01.wav": ""})
    corpus = read_corpus("M-AILABS", tmp_path / root if root != "en_US/by_book" else books)
    ids = [(u.utt_id, u.speaker) for u in corpus.utterances if u.text == "one cat"]
    assert ids == [("judy_a_01", "judy"), ("mary_a_01", "mary"), ("mix-sea_a_01", "mix-sea")]


@pytest.mark.skipif(not DATA.is_dir(), reason="the real excerpts are not here")
@pytest.mark.parametrize(
    ("name", "folder", "layout", "clips", "speakers"),
    [
        ("VCTK", "VCTK-excerpt", "VCTK 0.92, microphone 1", 46, 10),
        ("mine", "LibriTTS-excerpt", "LibriTTS: test-clean, train-clean-360", 12, 12),
        ("LibriSpeech", "LibriSpeech-excerpt", "LibriSpeech: train-clean-100", 80, 4),
        ("LJSpeech", "LJSpeech-32", "a list of texts, metadata.csv: id, text, normalized text", 32, 1),
        ("Kathleen", "Kathleen-as-found", "recordings with a text beside each; one speaker", 10, 1),
    ],
)
def test_real_excerpts(name: str, folder: str, layout: str, clips: int, speakers: int) -> None:
    corpus = read_corpus(name, DATA / folder)
    assert corpus.layout.startswith(layout)
    assert len(corpus.utterances) == clips and not corpus.skipped
    assert len({u.speaker for u in corpus.utterances}) == speakers
    assert all(u.wav_path.is_file() and u.text == " ".join(u.text.split()) != "" for u in corpus.utterances)
    assert read_corpus(name, DATA / folder, needs_text=False).utterances == corpus.utterances
