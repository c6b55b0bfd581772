import dataclasses

import pytest
import torch

from config.load import REPO_ROOT, load_config
from models.vocoder import chunked
from models.vocoder.hifigan.generator import HiFiGANGenerator
from models.vocoder.hifigan.vocoder import HiFiGANVocoder

N_MEL = 5
SHAPES = {
    "1": ("1", (4, 2), (8, 4), 16, (3, 11), ((1, 3), (1, 5))),
    "2": ("2", (3, 2, 2), (7, 2, 4), 16, (3, 5), ((1, 2), (2, 6))),
}


def generator(shape: str) -> HiFiGANGenerator:
    """A generator whose output depends visibly on all of its receptive field."""
    model = HiFiGANGenerator(N_MEL, *SHAPES[shape]).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.abs_()  # nothing cancels out, and no leaky ReLU damps it
    model.conv_post.bias.zero_()
    model.conv_post.weight /= before_tanh(model, torch.ones(1, 64, N_MEL)).max()
    return model


def before_tanh(model: HiFiGANGenerator, mel: torch.Tensor) -> torch.Tensor:
    """The last layer's output [B, 1, N], in which the faintest influence shows."""
    kept: list[torch.Tensor] = []
    handle = model.conv_post.register_forward_hook(lambda _, __, output: kept.append(output))
    model(mel.transpose(1, 2))
    handle.remove()
    return kept[0]


@pytest.fixture(params=SHAPES)
def vocoder(request) -> HiFiGANVocoder:
    return HiFiGANVocoder(generator(request.param), {}, "tests")


@pytest.mark.parametrize(("preset", "frames"), [("v1", 13), ("v2", 13), ("v3", 11)])
def test_the_presets_receptive_fields(preset, frames):
    config = load_config(REPO_ROOT / f"config/hifigan_{preset}.json")
    model = HiFiGANGenerator(80, **dataclasses.asdict(config.model.generator))
    assert model.receptive_field() == (frames, frames)


def test_nothing_beyond_the_receptive_field_is_heard_and_its_border_is(vocoder):
    before, after = vocoder.context
    hop_size, at = vocoder.generator.hop_size, 40
    mel = torch.rand(1, 81, N_MEL).double()
    vocoder.generator.double()

    def frame(mel: torch.Tensor) -> torch.Tensor:
        return before_tanh(vocoder.generator, mel)[0, 0, at * hop_size : (at + 1) * hop_size]

    whole = frame(mel)
    for there, heard in ((at - before, True), (at - before - 1, False), (at + after, True), (at + after + 1, False)):
        changed = mel.clone()
        changed[0, there] += 100
        assert bool((frame(changed) - whole).abs().max() > 1e-12) == heard, there - at


@pytest.mark.parametrize("size", [1, 7, 16, 300])
def test_chunks_are_the_whole(vocoder, monkeypatch, size):
    mel = torch.rand(61, N_MEL)
    whole = vocoder.generator(mel.T[None])[0, 0]
    monkeypatch.setattr(HiFiGANVocoder, "cpu_frames", size)
    chunked = vocoder(mel[None], torch.tensor([61]))[0]
    assert whole.std() > 1e-2
    torch.testing.assert_close(chunked, whole, rtol=0, atol=1e-6)


def test_no_more_frames_are_made_at_once_than_allowed(vocoder, monkeypatch):
    monkeypatch.setattr(HiFiGANVocoder, "cpu_frames", 8)
    seen = []
    vocoder.generator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[-1]))
    vocoder(torch.randn(2, 400, N_MEL), torch.tensor([400, 3]))
    assert len(seen) == 50 + 1
    assert max(seen) == 8 + sum(vocoder.context)


def test_a_stream_starts_early_and_is_the_whole(vocoder, monkeypatch):
    monkeypatch.setattr(HiFiGANVocoder, "cpu_frames", 40)
    seen = []
    vocoder.generator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[-1]))
    mel = torch.rand(200, N_MEL)
    chunks = vocoder.stream(mel)
    first = next(chunks)
    assert seen == [16 + vocoder.context[1]]  # nothing beyond the first chunk's neighborhood was computed for it
    rest = list(chunks)
    hop_size = vocoder.generator.hop_size
    assert [len(chunk) // hop_size for chunk in (first, *rest)] == [16, 32, 40, 40, 40, 32]
    whole = vocoder.generator(mel.T[None])[0, 0]
    torch.testing.assert_close(torch.cat([first, *rest]), whole, rtol=0, atol=1e-6)
    assert not first.requires_grad


def test_a_mel_of_one_frame(vocoder):
    mel = torch.randn(1, 1, N_MEL)
    wave = vocoder(mel, torch.tensor([1]))[0]
    assert wave.shape == (vocoder.generator.hop_size,)
    torch.testing.assert_close(torch.cat(list(vocoder.stream(mel[0]))), wave)


def test_values_beyond_half_precision_are_made_in_single(vocoder, caplog):
    mel = torch.randn(1, 20, N_MEL)
    scaled = vocoder.generator
    scaled.conv_pre.weight *= 1e4
    scaled.conv_pre.bias *= 1e4
    scaled.half()
    wave = vocoder(mel * 10, torch.tensor([20]))[0]
    assert wave.isfinite().all() and wave.dtype == torch.float32
    assert scaled.conv_pre.weight.dtype == torch.float32


@pytest.mark.gpu
@pytest.mark.parametrize("frames", [12_000, 30])
def test_a_gpu_says_in_half_precision_what_a_cpu_says(vocoder, monkeypatch, frames):
    monkeypatch.setattr(chunked, "GPU_FRAMES", frames)
    mel, lengths = torch.rand(3, 50, N_MEL), torch.tensor([50, 3, 27])
    expected = vocoder(mel, lengths)
    vocoder.generator.to("cuda", torch.float16)
    found = vocoder(mel.cuda(), lengths.cuda())
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == torch.float32 and ours.shape == theirs.shape
        error = (ours.cpu() - theirs).square().mean().sqrt()
        assert error < 0.01 * theirs.square().mean().sqrt()
