from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from models.tts.fastspeech2.config import (
    FastSpeech2Config,
    PostNetConfig,
    TransformerConfig,
    VarianceEmbeddingConfig,
    VariancePredictorConfig,
)
from models.tts.fastspeech2.loss import fastspeech2_loss
from models.tts.fastspeech2.model import FastSpeech2, FastSpeech2Output, FeatureStats, SpeakerStats
from models.tts.fastspeech2.recorded import RecordedFastSpeech2

STATS = FeatureStats(200.0, 50.0, -3.0, 5.0, 40.0, 25.0, -1.5, 8.0)
SMALL = FastSpeech2Config(
    max_seq_len=60,
    transformer=TransformerConfig(
        encoder_layer=1, decoder_layer=2, encoder_hidden=16, decoder_hidden=16, conv_filter_size=24
    ),
    variance_predictor=VariancePredictorConfig(filter_size=16),
    variance_embedding=VarianceEmbeddingConfig(n_bins=16),
    postnet=PostNetConfig(hidden=12, layers=3),
)


def small_model(num_speakers: int = 1) -> FastSpeech2:
    torch.manual_seed(1)
    model = FastSpeech2(SMALL, 20, 5, num_speakers, STATS)
    if model.speaker_embedding is not None:
        torch.nn.init.normal_(model.speaker_embedding.weight)
    for norm in model.postnet.norms:  # of a trained model: else padding would stay 0 by luck
        torch.nn.init.normal_(norm.bias)
    for norm in (model.variance_adaptor.pitch_predictor.norm1, model.variance_adaptor.energy_predictor.norm1):
        torch.nn.init.normal_(norm.bias)
    return model.eval()


class Batch:
    """Random utterances: what the model reads and what the loss reads."""

    def __init__(self, lengths: list[int], seed: int = 0, extra_phones: int = 0, extra_frames: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.phone_lengths = torch.tensor(lengths)
        valid = torch.arange(max(lengths)) < self.phone_lengths[:, None]
        shape = valid.shape
        self.phone_ids = torch.randint(1, 20, shape, generator=generator) * valid
        self.durations = torch.randint(0, 4, shape, generator=generator) * valid
        self.durations[:, 0] += 1
        self.pitch = torch.randn(shape, generator=generator) * valid
        self.energy = torch.randn(shape, generator=generator) * valid
        self.mel_lengths = self.durations.sum(dim=1)
        frames = int(self.mel_lengths.max())
        self.mel = torch.randn(len(lengths), frames, 5, generator=generator) - 5
        self.mel[torch.arange(frames) >= self.mel_lengths[:, None]] = 0
        for name in ("phone_ids", "durations", "pitch", "energy"):
            setattr(self, name, torch.nn.functional.pad(getattr(self, name), (0, extra_phones)))
        self.mel = torch.nn.functional.pad(self.mel, (0, 0, 0, extra_frames))

    def row(self, index: int) -> dict[str, Tensor]:
        """One utterance alone: phone_ids, phone_lengths and its features."""
        length = int(self.phone_lengths[index])
        rows = {name: getattr(self, name)[index : index + 1, :length] for name in ("phone_ids", *FEATURES)}
        return rows | {"phone_lengths": self.phone_lengths[index : index + 1]}

    def all(self) -> dict[str, Tensor]:
        return {name: getattr(self, name) for name in ("phone_ids", "phone_lengths", *FEATURES)}


FEATURES = ("durations", "pitch", "energy")


def run(model: FastSpeech2, inputs: dict[str, Tensor], free: bool = False, **options: Any) -> FastSpeech2Output:
    inputs = {name: value for name, value in inputs.items() if not (free and name in FEATURES)}
    return model(**inputs, **options)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=4), st.integers(0, 1000), st.booleans())
def test_an_utterance_is_the_same_alone_and_in_any_batch(lengths: list[int], seed: int, free: bool) -> None:
    model, batch = small_model(), Batch(lengths, seed)
    with torch.no_grad():
        together = run(model, batch.all(), free)
        for row, length in enumerate(lengths):
            alone = run(model, batch.row(row), free)
            frames = int(together.mel_lengths[row])
            assert int(alone.mel_lengths[0]) == frames
            for name in ("mel", "mel_postnet"):
                ours = getattr(together, name)[row]
                torch.testing.assert_close(ours[:frames], getattr(alone, name)[0], atol=1e-5, rtol=0)
                assert (ours[frames:] == 0).all()
            for name in ("log_durations", "pitch", "energy", "durations"):
                ours = getattr(together, name)[row]
                torch.testing.assert_close(ours[:length], getattr(alone, name)[0], atol=1e-5, rtol=0)
                assert (ours[length:] == 0).all()


def test_the_leak_of_amphion_is_there_when_asked_for() -> None:
    config = FastSpeech2Config(**{**vars(SMALL), "mask_padding": False})
    model = FastSpeech2(config, 20, 5, 1, STATS).eval()
    model.load_state_dict(small_model().state_dict())
    batch = Batch([9, 5])
    with torch.no_grad():
        together, alone = run(model, batch.all()), run(model, batch.row(1))
    frames = int(alone.mel_lengths[0])
    assert (together.mel_postnet[1, :frames] - alone.mel_postnet[0]).abs().max() > 1e-3
    assert (together.energy[1, :5] - alone.energy[0]).abs().max() > 1e-3


def test_padding_changes_neither_loss_nor_gradients_nor_running_statistics() -> None:
    results = []
    for extra in (0, 7):
        model = small_model().train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        batch = Batch([8, 3, 5], extra_phones=extra, extra_frames=extra)
        losses = fastspeech2_loss(run(model, batch.all(), num_frames=batch.mel.size(1)), batch)
        losses["total"].backward()
        gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
        results.append((losses, gradients, model.state_dict()))
    torch.testing.assert_close(results[0], results[1], atol=1e-5, rtol=1e-5)
    assert all(gradient is not None for gradient in results[0][1].values())


def test_num_frames_pads_and_changes_nothing_else() -> None:
    model, batch = small_model(), Batch([8, 3])
    with torch.no_grad():
        plain, padded = run(model, batch.all()), run(model, batch.all(), num_frames=50)
    assert padded.mel.shape == (2, 50, 5)
    torch.testing.assert_close(padded.mel_postnet[:, : plain.mel.size(1)], plain.mel_postnet, atol=1e-5, rtol=0)
    assert torch.equal(padded.mel_lengths, plain.mel_lengths)


@pytest.mark.parametrize("free", [False, True])
def test_nothing_waits_for_the_device_when_num_frames_is_given(free: bool) -> None:
    """Fake tensors have no values: whatever would read one, and so wait for a GPU, raises."""
    model, batch = small_model(), Batch([8, 3])
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert run(model, batch.all(), free, num_frames=50).mel.shape == (2, 50, 5)
        with pytest.raises(DataDependentOutputException):
            run(model, batch.all(), free)


def test_every_speaker_has_a_voice() -> None:
    model, batch = small_model(num_speakers=3), Batch([6, 4])
    with torch.no_grad():
        first, second = (run(model, batch.all(), speaker_id=torch.tensor(ids)) for ids in ([0, 1], [2, 1]))
        alone = run(model, batch.row(1), speaker_id=torch.tensor([1]))
    assert not torch.allclose(first.mel[0], second.mel[0])
    torch.testing.assert_close(first.mel[1], second.mel[1])
    frames = int(alone.mel_lengths[0])
    torch.testing.assert_close(first.mel_postnet[1, :frames], alone.mel_postnet[0], atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="3 speakers: give speaker_id"):
        run(model, batch.all())


def test_one_speaker_has_no_embedding() -> None:
    assert small_model().speaker_embedding is None
    run(small_model(), Batch([3]).all(), speaker_id=torch.tensor([0]))


@pytest.mark.parametrize("bias", [-30.0, 0.0, 4.0, 100.0])
@pytest.mark.parametrize("control", [0.01, 1.0, 50.0])
def test_extreme_durations_give_a_mel_within_the_limit(bias: float, control: float) -> None:
    model, batch = small_model(), Batch([6, 1])
    torch.nn.init.constant_(model.variance_adaptor.duration_predictor.linear.bias, bias)
    with torch.no_grad():
        output = run(model, batch.all(), free=True, duration_control=control, pitch_control=9.0, energy_control=-9.0)
    assert output.mel_postnet.isfinite().all()
    assert (output.mel_lengths >= 1).all()
    assert (output.mel_lengths <= SMALL.max_seq_len).all()
    assert torch.equal(output.durations.sum(dim=1), output.mel_lengths)
    assert output.shortened.tolist() == [length == SMALL.max_seq_len for length in output.mel_lengths.tolist()]


@pytest.mark.parametrize("num_speakers", [1, 3])
@pytest.mark.parametrize(("num_phones", "duration"), [(1, 1.0), (13, 0.5), (16, 1.0), (37, 1.0), (59, 2.0), (60, 0.1)])
def test_the_padding_of_recorded_shapes_changes_nothing(num_phones: int, duration: float, num_speakers: int) -> None:
    model = small_model(num_speakers)
    torch.nn.init.constant_(model.variance_adaptor.duration_predictor.linear.bias, 0.9)
    phone_ids = torch.arange(num_phones)[None] % 19 + 1
    speaker_id = torch.tensor([2]) if num_speakers > 1 else None
    with torch.inference_mode():
        expected = model(
            phone_ids,
            torch.tensor([num_phones]),
            speaker_id=speaker_id,
            pitch_control=0.7,
            energy_control=1.3,
            duration_control=duration,
        )
        output = RecordedFastSpeech2(model).alone(phone_ids, speaker_id, 0.7, 1.3, duration)
    for name, value in expected._asdict().items():
        torch.testing.assert_close(
            getattr(output, name), value, atol=1e-4, rtol=1e-4, msg=lambda text, n=name: f"{n}: {text}"
        )


def test_too_many_phones_or_frames_say_so() -> None:
    model = small_model()
    with pytest.raises(ValueError, match="61 positions exceeds the limit of 60"):
        run(model, Batch([61]).all())
    with pytest.raises(ValueError, match="exceeds the limit of 60"):
        run(model, Batch([1]).all() | {"durations": torch.tensor([[61]])})


def test_negative_durations_are_refused() -> None:
    inputs = Batch([3]).all() | {"durations": torch.tensor([[2, -1, 2]])}
    with pytest.raises(ValueError, match="negative, got -1"):
        run(small_model(), inputs)


def test_an_empty_row_is_finite() -> None:
    batch = Batch([4, 2])
    batch.phone_lengths[1] = 0
    for free in (True, False):
        inputs = batch.all() | {"durations": batch.durations * torch.tensor([[1], [0]])}
        output = run(small_model(), inputs, free)
        assert output.mel_postnet.isfinite().all()
        assert int(output.mel_lengths[1]) == 0


def test_the_checkpoint_carries_bins_and_statistics() -> None:
    state = small_model().state_dict()
    other = FastSpeech2(SMALL, 20, 5, 1, FeatureStats(1.0, 1.0, -1.0, 1.0, 1.0, 1.0, -1.0, 1.0))
    other.load_state_dict(state)
    torch.testing.assert_close(other.pitch_in_hz(torch.tensor([0.0, -1.0])), torch.tensor([200.0, 150.0]))
    assert other.variance_adaptor.pitch_bins[[0, -1]].tolist() == [-3.0, 5.0]
    assert not any("position" in name for name in state)


def test_autocast_keeps_what_matters_in_float32() -> None:
    model, batch = small_model(), Batch([8, 3])
    with torch.no_grad():
        exact = run(model, batch.all())
        with torch.autocast("cpu", torch.bfloat16):
            output = run(model, batch.all())
            losses = fastspeech2_loss(output, batch)
    for name in ("mel", "mel_postnet", "log_durations", "pitch", "energy"):
        assert getattr(output, name).dtype == torch.float32
    assert all(loss.dtype == torch.float32 for loss in losses.values())
    torch.testing.assert_close(output.mel_postnet, exact.mel_postnet, atol=0.2, rtol=0)


def test_default_size_is_amphions() -> None:
    model = FastSpeech2(FastSpeech2Config(), 152, 80, 1, STATS)
    assert sum(parameter.numel() for parameter in model.parameters()) == 34_592_835


def test_the_controls_scale_hertz_and_amplitude_by_the_speakers_own_statistics() -> None:
    torch.manual_seed(0)
    speakers = (SpeakerStats(200.0, 50.0, 40.0, 25.0), SpeakerStats(100.0, 20.0, 60.0, 10.0))
    model = FastSpeech2(SMALL, 20, 5, 2, STATS._replace(speakers=speakers)).eval()
    phone_ids, lengths, speaker_id = torch.arange(1, 9)[None].repeat(2, 1), torch.tensor([8, 8]), torch.tensor([0, 1])

    def say(**controls: float) -> FastSpeech2Output:
        return model(phone_ids, lengths, speaker_id=speaker_id, **controls)

    plain, high, loud = say(), say(pitch_control=1.2), say(energy_control=1.2)
    hertz = model.pitch_in_hz(plain.pitch, speaker_id)
    assert (hertz[0] - hertz[1]).mean() > 50  # each around its own mean
    torch.testing.assert_close(model.pitch_in_hz(high.pitch, speaker_id), hertz * 1.2)
    for row, stats in enumerate(speakers):
        amplitude, louder = (e[row] * stats.energy_std + stats.energy_mean for e in (plain.energy, loud.energy))
        torch.testing.assert_close(louder, amplitude * 1.2)
    model.controls_z_scores = True  # published by Amphion
    torch.testing.assert_close(say(pitch_control=1.2).pitch, plain.pitch * 1.2)


def test_a_new_speaker_embedding_changes_nothing() -> None:
    model = FastSpeech2(SMALL, 20, 5, 3, STATS).eval()
    batch = Batch([4, 4])
    first, second = (run(model, batch.all(), speaker_id=torch.full((2,), n)).mel for n in (0, 2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
