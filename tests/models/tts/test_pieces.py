import pytest

from config.schema import PreprocessConfig
from models.tts.experiment import Experiment
from models.tts.fastspeech2.config import FastSpeech2Config
from models.tts.pieces import CLAUSE_PAUSE, PARAGRAPH_PAUSE, SENTENCE_PAUSE, TextReader
from text.symbols import AMPHION_SYMBOLS, SYMBOLS, SymbolTable
from utils.errors import UserError
from utils.logging import logger


def reader(tmp_path, published=False, symbols=SYMBOLS, max_seq_len=4000, duration=1.0) -> TextReader:
    table = SymbolTable(AMPHION_SYMBOLS if published else symbols)
    model, preprocess = FastSpeech2Config(max_seq_len=max_seq_len), PreprocessConfig()
    return TextReader(Experiment(tmp_path, tmp_path, published, "FastSpeech2", model, preprocess, table, {}), duration)


@pytest.fixture
def messages(caplog, monkeypatch):
    monkeypatch.setattr(logger, "propagate", True)
    monkeypatch.setattr(logger, "handlers", [])
    return lambda: [record.getMessage() for record in caplog.records]


def test_sentences_and_paragraphs_pause(tmp_path):
    pieces = reader(tmp_path).read("One day. Two days?\n\nThree days.", "u")
    assert [piece.pause_after for piece in pieces] == [SENTENCE_PAUSE, PARAGRAPH_PAUSE, 0.0]
    names = [[SYMBOLS[i] for i in piece.phone_ids] for piece in pieces]
    assert names[0] == ["W", "AH1", "N", "D", "EY1", "."]
    assert names[1][-1] == "?"


def test_a_long_sentence_is_cut_at_its_commas_with_a_short_pause(tmp_path):
    sentence = "we saw the green birds, " * 40 + "and that was it."
    pieces = reader(tmp_path).read(sentence, "u")
    assert len(pieces) > 2
    assert {piece.pause_after for piece in pieces[:-1]} == {CLAUSE_PAUSE}
    words = SymbolTable(SYMBOLS).ids(["B", "ER1", "D", "Z"])
    spoken = [i for piece in pieces for i in piece.phone_ids]
    assert sum(spoken[k : k + 4] == words for k in range(len(spoken))) == 40  # nothing is lost


def test_a_model_of_few_frames_or_slow_speech_gets_shorter_pieces(tmp_path):
    assert reader(tmp_path).max_chars == 300
    assert 60 <= reader(tmp_path, max_seq_len=1000).max_chars <= 1000 * 256 / 22050 / 0.07
    assert reader(tmp_path, duration=100.0).max_chars == 60


def test_no_piece_exceeds_the_models_limit(tmp_path):
    digits = "1234567 " * 30
    pieces = reader(tmp_path, max_seq_len=100).read(digits, "u")
    assert len(pieces) > 30 * 20 / 100
    assert max(len(piece.phone_ids) for piece in pieces) <= 100


def test_a_published_model_gets_its_own_names(tmp_path):
    (piece,) = reader(tmp_path, published=True).read("One, two.", "u")
    assert [AMPHION_SYMBOLS[i] for i in piece.phone_ids] == ["@W", "@AH1", "@N", "@sp", "@T", "@UW1", "@sp"]


@pytest.mark.parametrize(("text", "words"), [("", "the text is empty"), (" \n", "empty"), ("*** ...", "nothing to")])
def test_nothing_to_say_is_an_error(tmp_path, messages, text, words):
    with pytest.raises(UserError, match=f"^name: .*{words}") as error:
        reader(tmp_path).read(text, "name")
    assert error.value.exit_code == 2
    assert messages() == []


def test_what_is_dropped_is_said(tmp_path, messages):
    assert reader(tmp_path).read("Hello \u4e16 there.", "name")
    assert len(messages()) == 1
    assert messages()[0].startswith("name: ")
    assert "\u4e16" in messages()[0]


def test_a_symbol_that_the_model_lacks_is_named(tmp_path):
    with pytest.raises(UserError, match="name: symbol 'Z'") as error:
        reader(tmp_path, symbols=[s for s in SYMBOLS if s != "Z"]).read("zoo", "name")
    assert error.value.exit_code == 2


def test_the_models_own_lexicon(tmp_path):
    assert reader(tmp_path).read("zoo", "u")[0].phone_ids == SymbolTable(SYMBOLS).ids(["Z", "UW1"])
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("zoo B IY1\n")
    assert reader(tmp_path).read("zoo", "u")[0].phone_ids == SymbolTable(SYMBOLS).ids(["B", "IY1"])
    lexicon.write_text("zoo QQ\n")
    with pytest.raises(UserError, match="lexicon.txt"):
        reader(tmp_path)
