"""The generator: lengths, padding, chunks, gradients, and the head that reads the pitch."""

import pytest
import torch

from config.schema import MelSettings
from models.vocoder.sourcefilter.generator import PitchReading, SourceFilterGenerator, heard_pitch
from models.vocoder.sourcefilter.trainer import pitch_loss
from models.vocoder.sourcefilter.vocoder import SourceFilterVocoder
from modules.mel import MelSpectrogram

MEL = MelSettings(sample_rate=22050, n_fft=1024, win_size=1024, hop_size=256, n_mel=80, fmin=0.0, fmax=8000.0)


def make(mel=MEL, seed=0):
    torch.manual_seed(seed)
    generator = SourceFilterGenerator(mel, 32, 48, 3, 7, 32, 5)
    with torch.no_grad():  # an output layer that does something
        generator.out.weight.mul_(20)
    return generator


def random_mel(*shape, seed=0):
    return torch.randn(*shape, 80, generator=torch.Generator().manual_seed(seed)) * 2 - 4


@pytest.fixture
def vocoder():
    return SourceFilterVocoder(make().eval().requires_grad_(False), {}, "test")


@pytest.mark.parametrize("hop_size", [256, 200])
@pytest.mark.parametrize("frames", [1, 2, 33])
def test_frames_give_exactly_as_many_hops(frames, hop_size):
    generator = make(MelSettings(22050, 1024, 800, hop_size, 80, 0.0, 8000.0)).eval()
    wav = generator(random_mel(2, frames)).wav
    assert wav.shape == (2, frames * hop_size) and wav.isfinite().all() and wav.abs().max() > 0


def test_chunks_and_streams_are_the_whole(vocoder, monkeypatch):
    mel, lengths = random_mel(1, 203), torch.tensor([203])
    whole = vocoder(mel, lengths)[0]
    torch.testing.assert_close(whole, vocoder.generate(mel)[0], atol=1e-5, rtol=1e-4)
    streamed = list(vocoder.stream(mel[0]))
    assert [len(wave) // 256 for wave in streamed] == [16, 32, 64, 91]
    torch.testing.assert_close(torch.cat(streamed), whole, atol=1e-4, rtol=1e-3)
    monkeypatch.setattr(vocoder, "cpu_frames", 30)
    torch.testing.assert_close(vocoder(mel, lengths)[0], whole, atol=1e-4, rtol=1e-3)


def test_padding_changes_nothing(vocoder):
    lengths = torch.tensor([40, 23, 7])
    mel = random_mel(3, 40)
    together = vocoder.generate(mel, lengths)
    other_padding = torch.where((torch.arange(40) < lengths[:, None])[..., None], mel, random_mel(3, 40, seed=1))
    assert torch.equal(together, vocoder.generate(other_padding, lengths))
    for row, length in enumerate(lengths.tolist()):
        alone = vocoder.generate(mel[row : row + 1, :length])[0]
        assert (together[row, : length * 256] - alone).abs().max() < 1e-4 * alone.abs().max()
        assert together[row, length * 256 :].abs().sum() == 0


def test_speech_is_the_same_each_time_and_training_is_not():
    generator, mel = make(), random_mel(1, 20)
    training = [generator.train()(mel).wav for _ in range(2)]
    speaking = [generator.eval()(mel).wav for _ in range(2)]
    assert torch.equal(*speaking) and not torch.equal(*training)


def test_an_untrained_generator_gives_the_mel_back_roughly():
    """Magnitudes start from the pseudo-inverse."""
    torch.manual_seed(0)
    generator = SourceFilterGenerator(MEL, 32, 48, 3, 7, 32, 5).eval()
    spectrogram = MelSpectrogram(22050, 1024, 1024, 256, 80, 0.0, 8000.0)
    time = torch.arange(60 * 256) / 22050
    wav = sum((2 * torch.pi * 150 * k * time).sin() / k for k in range(1, 40)) * 0.1
    mel = spectrogram(wav[None])
    made = spectrogram(generator(mel, torch.full((1, 60), 150.0)).wav)
    assert (made - mel)[:, 3:-3].abs().mean() < 1.2
    assert torch.corrcoef(torch.stack([made[0, 3:-3].mean(0), mel[0, 3:-3].mean(0)]))[0, 1] > 0.9


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_are_finite_for_speech_noise_and_silence(dtype):
    generator = make().train()
    mel = torch.stack([random_mel(16), torch.full((16, 80), -11.512925), torch.full((16, 80), 2.0)])
    pitch = torch.stack([torch.full((16,), 140.0), torch.zeros(16), torch.full((16,), -1.0)])
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
        generated = generator(mel, pitch)
    assert generated.wav.dtype == torch.float32
    losses = [generated.wav.square().mean(), pitch_loss(generated.reading, pitch.clamp(min=0))]
    sum(losses).backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


def test_the_head_learns_to_read_tones():
    """Harmonic tones of 90 to 350 Hz and noise: after a short training, half a semitone and hardly a wrong voicing."""
    torch.manual_seed(0)
    spectrogram = MelSpectrogram(22050, 1024, 1024, 256, 80, 0.0, 8000.0)
    generator = SourceFilterGenerator(MEL, 16, 16, 1, 7, 64, 5)

    def make_batch(count):
        pitch = (90 + 260 * torch.rand(count, 1)).repeat(1, 24)
        pitch[:, 12:] *= torch.randint(0, 2, (count, 1))  # half of them end in noise
        hertz = pitch.repeat_interleave(256, 1)
        angle = 2 * torch.pi * (hertz / 22050).cumsum(1)
        tone = sum((angle * k).sin() / k for k in range(1, 20)) * (hertz > 0)
        return spectrogram(0.1 * tone + 0.005 * torch.randn(hertz.shape)), pitch

    optimizer = torch.optim.Adam(generator.pitch_head.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0.05, 300)
    for _ in range(300):
        mel, pitch = make_batch(8)
        optimizer.zero_grad()
        pitch_loss(generator.read_pitch(mel), pitch).backward()
        optimizer.step()
        schedule.step()
    mel, pitch = make_batch(32)
    reading = PitchReading(*(values[:, 3:-3] for values in generator.read_pitch(mel)))  # a clip's ends are hard to read
    heard, pitch = heard_pitch(reading), pitch[:, 3:-3]
    assert ((reading.voicing > 0) != (pitch > 0)).float().mean() < 0.05
    assert ((heard == 0) & (pitch > 0)).float().mean() < 0.02
    both = (heard > 0) & (pitch > 0)
    assert (12 * (heard[both] / pitch[both]).log2().abs()).median() < 0.5
