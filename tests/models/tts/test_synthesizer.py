import dataclasses
import math

import numpy as np
import pytest
import torch

from config.schema import PreprocessConfig
from models.tts import synthesizer as synthesizer_module
from models.tts.fastspeech2.config import FastSpeech2Config
from models.tts.fastspeech2.model import FastSpeech2, FeatureStats
from models.tts.pieces import Piece
from models.tts.synthesizer import Controls, Script, Synthesizer
from utils.errors import UserError
from utils.logging import logger

HOP = 256
FRAMES = 4  # a phone, as the model predicts


def make_model(num_speakers: int = 1, max_seq_len: int = 4000) -> FastSpeech2:
    config = FastSpeech2Config(max_seq_len=max_seq_len)
    transformer = dataclasses.replace(
        config.transformer, encoder_layer=1, decoder_layer=1, encoder_hidden=8, decoder_hidden=8, conv_filter_size=8
    )
    predictor = dataclasses.replace(config.variance_predictor, filter_size=8)
    postnet = dataclasses.replace(config.postnet, hidden=8, layers=2)
    config = dataclasses.replace(config, transformer=transformer, variance_predictor=predictor, postnet=postnet)
    torch.manual_seed(0)
    model = FastSpeech2(config, 20, 80, num_speakers, FeatureStats(200.0, 50.0, -2.0, 2.0, 10.0, 5.0, -2.0, 2.0))
    if model.speaker_embedding is not None:
        torch.nn.init.normal_(model.speaker_embedding.weight)
    linear = model.variance_adaptor.duration_predictor.linear
    torch.nn.init.zeros_(linear.weight)
    torch.nn.init.constant_(linear.bias, math.log(FRAMES + 1))
    return model


def hold(mel: torch.Tensor, mel_lengths: torch.Tensor) -> list[torch.Tensor]:
    """A vocoder whose samples are each frame's mean."""
    rows = zip(mel, mel_lengths.tolist(), strict=True)
    return [(row[:n].mean(1) / 100).repeat_interleave(HOP) for row, n in rows]


def utterance(utt_id: str, *lengths: int, pause: float = 0.2, speaker: int | None = None) -> Script:
    pieces = [Piece([1 + (i * 7 + n) % 19 for i in range(n)], pause) for n in lengths]
    return Script(utt_id, [*pieces[:-1], pieces[-1]._replace(pause_after=0.0)], speaker)


@pytest.fixture
def synthesizer() -> Synthesizer:
    return Synthesizer(make_model(), PreprocessConfig().mel, hold, "cpu")


@pytest.fixture
def warnings(caplog, monkeypatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logger, "propagate", True)
    monkeypatch.setattr(logger, "handlers", [])
    return caplog


def test_a_text_sounds_the_same_alone_and_in_a_batch(synthesizer):
    utterances = [utterance("long", 30), utterance("short", 3), utterance("two", 5, 12)]
    together = {speech.utt_id: speech for speech in synthesizer.speak(utterances)}
    assert set(together) == {"long", "short", "two"}
    for one in utterances:
        (alone,) = synthesizer.speak([one])
        np.testing.assert_allclose(together[one.utt_id].wav, alone.wav, atol=1e-5)
        np.testing.assert_allclose(together[one.utt_id].mel, alone.mel, atol=1e-4)
    assert len(together["short"].wav) == 3 * FRAMES * HOP


def test_pieces_are_joined_in_order_with_silence_between(synthesizer):
    (speech,) = synthesizer.speak([utterance("two", 5, 3, pause=0.2)])
    gap = round(0.2 * 22050)
    first, second = 5 * FRAMES * HOP, 3 * FRAMES * HOP
    assert len(speech.wav) == first + gap + second
    assert not speech.wav[first : first + gap].any()
    parts = [next(iter(synthesizer.speak([utterance("one", n)]))).wav for n in (5, 3)]
    np.testing.assert_allclose(speech.wav[:first], parts[0], atol=1e-5)
    np.testing.assert_allclose(speech.wav[-second:], parts[1], atol=1e-5)
    assert len(speech.mel) == 8 * FRAMES


@pytest.mark.parametrize(("duration", "most"), [(1.0, 40), (4.0, 10)])
def test_batches_are_limited_by_padded_phones(synthesizer, monkeypatch, duration, most):
    shapes = []
    original = synthesizer.model.forward

    def spy(phone_ids, *args, **kwargs):
        shapes.append(tuple(phone_ids.shape))
        return original(phone_ids, *args, **kwargs)

    monkeypatch.setattr(synthesizer.model, "forward", spy)
    monkeypatch.setitem(synthesizer_module.MAX_PHONES, "cpu", 40)
    lengths = [3, 50, 9, 4, 10, 11, 2, 8]
    spoken = list(synthesizer.speak([utterance(str(n), n) for n in lengths], Controls(duration=duration)))
    assert sorted(int(speech.utt_id) for speech in spoken) == sorted(lengths)
    assert sum(rows for rows, _ in shapes) == len(lengths)
    assert all(rows == 1 or rows * longest <= most for rows, longest in shapes)
    assert max(rows for rows, _ in shapes) > 1
    assert (1, 50) in shapes  # a piece beyond the limit goes alone


def test_the_vocoder_gets_few_frames_at_once(synthesizer, monkeypatch):
    sizes = []
    monkeypatch.setattr(synthesizer_module, "MAX_VOCODER_FRAMES", 100)

    def spy(mel, mel_lengths):
        sizes.append(mel.shape[0] * mel.shape[1])
        return hold(mel, mel_lengths)

    synthesizer.vocoder = spy
    spoken = list(synthesizer.speak([utterance(str(n), n) for n in (10, 10, 11, 12)]))
    assert len(spoken) == 4
    assert len(sizes) == 2
    assert max(sizes) <= 100


def test_long_lists_are_spoken_window_by_window(synthesizer, monkeypatch):
    monkeypatch.setattr(synthesizer_module, "WINDOW", 3)
    order = [speech.utt_id for speech in synthesizer.speak([utterance(str(9 - n), 9 - n) for n in range(7)])]
    assert order == ["7", "8", "9", "4", "5", "6", "3"]  # sorted by length in each three, but no further


def test_controls_reach_the_model(synthesizer):
    (normal,), (slow,) = (list(synthesizer.speak([utterance("a", 6)], Controls(duration=d))) for d in (1.0, 2.0))
    assert len(slow.wav) == 2 * len(normal.wav)
    (high,) = synthesizer.speak([utterance("a", 6)], Controls(pitch=50.0))
    (loud,) = synthesizer.speak([utterance("a", 6)], Controls(energy=50.0))
    assert np.abs(high.mel - normal.mel).max() > 1e-3
    assert np.abs(loud.mel - normal.mel).max() > 1e-3


def test_no_frames_at_all_and_too_many_make_warnings_not_crashes(warnings):
    synthesizer = Synthesizer(make_model(max_seq_len=50), PreprocessConfig().mel, hold, "cpu")
    (short,) = synthesizer.speak([utterance("hasty", 6)], Controls(duration=0.01))
    assert len(short.wav) == HOP
    (long,) = synthesizer.speak([utterance("drawl", 6)], Controls(duration=100.0))
    assert 0 < len(long.wav) <= 50 * HOP
    messages = [record.getMessage() for record in warnings.records]
    assert len(messages) == 2
    assert messages[0].startswith("hasty: all predicted durations are zero")
    assert messages[1].startswith("drawl: longer than the model's")


def test_each_speaker_has_its_own_sound():
    synthesizer = Synthesizer(make_model(num_speakers=3), PreprocessConfig().mel, hold, "cpu")
    utterances = [utterance("zero", 6, speaker=0), utterance("two", 6, speaker=2)]
    zero, two = sorted(synthesizer.speak(utterances), key=lambda speech: speech.utt_id, reverse=True)
    assert zero.utt_id == "zero"
    assert np.abs(zero.mel[:4] - two.mel[:4]).max() > 1e-3


def test_samples_that_are_no_numbers_are_an_error_that_names_the_text(synthesizer):
    synthesizer.vocoder = lambda mel, lengths: [wav * math.nan for wav in hold(mel, lengths)]
    with pytest.raises(UserError, match="broken: the model produced samples that are not numbers"):
        list(synthesizer.speak([utterance("broken", 4)]))
