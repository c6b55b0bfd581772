"""The corpus of the benchmark: its words, and what flite says, where flite is installed."""

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from preprocessors import read_corpus
from utils.audio_io import read_audio
from utils.textgrid import Interval, read_phones


@pytest.fixture(scope="module")
def flite_corpus() -> ModuleType:
    spec = importlib.util.spec_from_file_location("flite_corpus", Path(__file__).with_name("flite_corpus.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_words_are_found_where_a_sentence_says_them_a_little_differently(flite_corpus: ModuleType) -> None:
    said = ["sil", "DH", "AH", "EH", "N", "D", "sp", "AH", "V", "IH", "T", "sil"]
    spoken = [Interval(0.1 * place, 0.1 * (place + 1), label) for place, label in enumerate(said)]
    alone = {"the": ["DH", "IY"], "end": ["EH", "N", "D"], "of": ["AH", "V"], "it": ["IH", "T"]}
    tier = flite_corpus.word_tier(spoken, flite_corpus.written_words("The end of it."), alone)
    assert [word.label for word in tier.intervals] == ["", "the", "end", "", "of", "it", ""]
    assert [word.end for word in tier.intervals] == pytest.approx([0.1, 0.3, 0.6, 0.7, 0.9, 1.1, 1.2])


def test_hyphens_part_words_and_apostrophes_do_not(flite_corpus: ModuleType) -> None:
    assert flite_corpus.written_words("It's a well-known -- \"O'Neill\".") == ["it's", "a", "well", "known", "o'neill"]


@pytest.mark.skipif(shutil.which("flite") is None, reason="needs flite (apt-get install flite)")
def test_a_corpus_of_two_voices(flite_corpus: ModuleType, tmp_path: Path) -> None:
    metadata = tmp_path / "texts.csv"
    metadata.write_text("a|A cat.|A cat.\nb|Left out.|Left out.\nc|He read it.|He read it.\n", encoding="utf-8")
    flite_corpus.make_corpus(tmp_path / "corpus", metadata, 2, ["slt", "rms"], 1)
    corpus = read_corpus("LJSpeech", tmp_path / "corpus")
    assert sorted(utterance.utt_id for utterance in corpus.utterances) == ["rms_a", "rms_c", "slt_a", "slt_c"]
    for utterance in corpus.utterances:
        path = tmp_path / "corpus" / "TextGrid" / f"{utterance.utt_id}.TextGrid"
        phones, words = read_phones(path), read_phones(path, "words")
        audio, rate = read_audio(utterance.wav_path, 30)
        assert rate == 22050 and phones[-1].end == words[-1].end == pytest.approx(len(audio) / rate, abs=1e-5)
        expected = {"a": ["", "a", "cat", ""], "c": ["", "he", "read", "it", ""]}[utterance.utt_id[-1]]
        assert [word.label for word in words] == expected
        assert {word.start for word in words} <= {phone.start for phone in phones}
