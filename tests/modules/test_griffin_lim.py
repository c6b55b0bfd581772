import pytest
import torch

from modules.griffin_lim import GriffinLim

SETTINGS = {
    "sample_rate": 22050,
    "n_fft": 1024,
    "win_size": 1024,
    "hop_size": 256,
    "n_mel": 80,
    "fmin": 0,
    "fmax": 8000,
}


@pytest.fixture(scope="module")
def griffin_lim():
    return GriffinLim(**SETTINGS)


@pytest.fixture(scope="module")
def wav(harmonic_tone):
    glide = torch.linspace(120, 240, 60 * 256).double().numpy()
    return torch.from_numpy(harmonic_tone(glide)).float()


def test_the_mel_comes_back_frame_for_frame(griffin_lim, wav):
    mel = griffin_lim.mel(wav[None])
    rebuilt = griffin_lim(mel, torch.tensor([60]))[0]
    assert rebuilt.shape == (60 * 256,)
    again = griffin_lim.mel(rebuilt[None])
    loud = mel > -5  # the tone's partials and their slopes
    loud[:, :2] = loud[:, -2:] = False  # what the reflection at the ends hears is no tone
    assert (again - mel)[loud].abs().mean() < 0.2
    for shift in (-128, 128):  # half a hop, as another framing would make it, must fit worse
        shifted = griffin_lim.mel(rebuilt.roll(shift)[None])
        assert (shifted - mel)[loud].abs().mean() > 1.1 * (again - mel)[loud].abs().mean()


def test_magnitudes_are_not_negative_and_have_the_given_mel(griffin_lim, wav):
    mel = griffin_lim.mel(wav[None])[0]
    magnitude = griffin_lim.magnitude(mel)
    assert (magnitude >= 0).all()
    refound = griffin_lim.mel.mel(magnitude)
    assert (refound - mel).abs().mean() < 0.01
    assert not magnitude[:, 380:].any()  # above 8 kHz no band looks


def test_iterations_and_momentum_bring_the_waveform_nearer(wav):
    def distance(**options) -> float:
        tool = GriffinLim(**SETTINGS, **options)
        mel = tool.mel(wav[None])
        magnitude = tool.magnitude(mel[0])
        rebuilt = tool(mel, torch.tensor([60]))[0]
        return float((tool.mel.magnitude(rebuilt[None])[0] - magnitude).norm() / magnitude.norm())

    fast, plain, none = distance(), distance(momentum=0.0), distance(iterations=0)
    assert fast < plain < none / 2


def test_deterministic_and_the_same_alone_and_in_a_batch(griffin_lim):
    mel = torch.randn(3, 9, 80, generator=torch.Generator().manual_seed(0)) - 4
    lengths = torch.tensor([4, 9, 1])
    waves = griffin_lim(mel, lengths)
    assert [len(wave) for wave in waves] == [1024, 2304, 256]
    for row, wave in enumerate(waves):
        alone = griffin_lim(mel[row : row + 1], lengths[row : row + 1])[0]
        assert torch.equal(wave, alone)
        assert torch.isfinite(wave).all()


def test_silence_stays_silent(griffin_lim):
    silence = torch.full((1, 8, 80), 1e-5).log()
    assert griffin_lim(silence, torch.tensor([8]))[0].abs().max() < 1e-4


@pytest.mark.parametrize(("win_size", "hop_size"), [(800, 200), (1024, 300), (1024, 250)])
def test_other_windows_and_hops(win_size, hop_size):
    tool = GriffinLim(**{**SETTINGS, "win_size": win_size, "hop_size": hop_size})
    tone = torch.sin(torch.arange(20 * hop_size) * 0.1)
    mel = tool.mel(tone[None])
    rebuilt = tool(mel, torch.tensor([20]))[0]
    assert rebuilt.shape == tone.shape
    middle = slice(4, 16)
    loud = (mel > -3)[:, middle]
    assert (tool.mel(rebuilt[None]) - mel)[:, middle][loud].abs().mean() < 0.2
