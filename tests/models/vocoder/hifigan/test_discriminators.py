"""The discriminators are the paper's: their shapes, what each one sees, and the published files' names."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from config.load import REPO_ROOT
from models.vocoder.hifigan.discriminators import (
    HiFiGANDiscriminator,
    MultiPeriodDiscriminator,
    MultiScaleDiscriminator,
)
from models.vocoder.hifigan.gpu_convolutions import block_conv, conv_from_one, conv_to_one
from modules.weight_norm import current_names

PERIODS, PERIOD_CHANNELS, SCALE_CHANNELS = (
    (2, 3, 5, 7, 11),
    (32, 128, 512, 1024, 1024),
    (128, 128, 256, 512, *[1024] * 3),
)
LISTING = REPO_ROOT / "tests/fixtures/amphion_hifigan_tensors.txt"


def small(periods=(2, 3), num_scales=2) -> HiFiGANDiscriminator:
    return HiFiGANDiscriminator(periods, (4, 8, 8, 8, 8), num_scales, (16,) * 7).eval()


@pytest.fixture(scope="module")
def published() -> HiFiGANDiscriminator:
    return HiFiGANDiscriminator(PERIODS, PERIOD_CHANNELS, 3, SCALE_CHANNELS)


def normed(norm, conv: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # what published weights were trained with is deprecated
        return norm(conv)


class PlainStack(nn.Module):
    """A sub-discriminator in the paper's own terms: (k, 1) kernels on [B, C, T, P], PyTorch's first norms."""

    def __init__(self, convs: list[nn.Module], post: nn.Module, norm) -> None:
        super().__init__()
        self.convs = nn.ModuleList(normed(norm, conv) for conv in convs)
        self.conv_post = normed(norm, post)

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.1)
            features.append(x)
        return [*features, self.conv_post(x)]


def plain_period(channels: tuple[int, ...]) -> PlainStack:
    layers = zip((1, *channels), channels, (3, 3, 3, 3, 1), strict=False)
    convs = [nn.Conv2d(a, b, (5, 1), (stride, 1), (2, 0)) for a, b, stride in layers]
    return PlainStack(convs, nn.Conv2d(channels[-1], 1, (3, 1), 1, (1, 0)), nn.utils.weight_norm)


def plain_scale(norm) -> PlainStack:
    convs = [nn.Conv1d(1, 16, 15, 1, 7)]
    convs += [nn.Conv1d(16, 16, 41, s, 20, groups=g) for s, g in ((2, 4), (2, 16), (4, 16), (4, 16), (1, 16))]
    return PlainStack([*convs, nn.Conv1d(16, 16, 5, 1, 2)], nn.Conv1d(16, 1, 3, 1, 1), norm)


def test_the_papers_parameter_counts(published):
    assert sum(p.numel() for p in published.mpd.parameters()) == 41_105_770
    assert sum(p.numel() for p in published.msd.parameters()) == 29_618_821


def test_a_published_file_has_these_names_and_shapes(published):
    state, part = {}, ""
    for line in LISTING.read_text(encoding="utf-8").splitlines():
        if line.startswith("##"):
            part = line.split()[2].rstrip(":") if line.startswith("## discriminator") else ""
        elif part:
            name, shape, _ = line.split("\t")
            size = [int(number) for number in shape.strip("()").split(",") if number.strip()]
            state[f"{part}.{name}"] = torch.zeros(size)
    assert len(state) == 170
    published.load_state_dict(current_names(state), strict=True)


def test_a_period_with_published_weights_computes_what_the_plain_form_does():
    plain, model = plain_period((4, 8, 8, 8, 8)), MultiPeriodDiscriminator((3,), (4, 8, 8, 8, 8))
    with torch.no_grad():
        plain.convs[2].weight_g.mul_(1.5)
    model.discriminators[0].load_state_dict(current_names(plain.state_dict()))
    wav = torch.randn(2, 1, 1000)
    scores, features = model(wav)
    expected = plain(F.pad(wav, (0, 2), mode="reflect").view(2, 1, 334, 3))
    assert len(features[0]) == len(expected) == 6
    for found, layer in zip(features[0], expected, strict=True):
        torch.testing.assert_close(found, layer.transpose(2, 3), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(scores[0], expected[-1].transpose(2, 3).flatten(1), rtol=1e-5, atol=1e-6)


def test_scales_with_published_weights_compute_what_the_plain_form_does():
    plain = [plain_scale(nn.utils.spectral_norm), plain_scale(nn.utils.weight_norm), plain_scale(nn.utils.weight_norm)]
    model = MultiScaleDiscriminator(3, (16,) * 7).eval()
    wav = expected = torch.randn(2, 1, 1000)
    for ours, theirs in zip(model.discriminators, plain, strict=True):
        theirs(wav)  # a step of training: the spectral norm's estimates are no longer what they were at first
        ours.load_state_dict(current_names(theirs.eval().state_dict()))
    scores, features = model(wav)
    for scale, theirs in enumerate(plain):
        expected = F.avg_pool1d(wav, 4, 2, 2) if scale == 1 else F.avg_pool1d(expected, 4, 2, 2) if scale else wav
        layers = theirs(expected)
        assert len(features[scale]) == len(layers) == 8
        for found, layer in zip(features[scale], layers, strict=True):
            torch.testing.assert_close(found[:, :, 0], layer, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(scores[scale], layers[-1].flatten(1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("period", [2, 5, 11])
def test_a_period_keeps_its_interleaved_signals_apart(period):
    model = MultiPeriodDiscriminator((period,), (4, 8, 8, 8, 8))
    wav = torch.randn(1, 1, 40 * period)
    changed = wav.clone()
    changed[0, 0, 20 * period + 1] += 1.0
    for before, after in zip(model(wav)[1][0], model(changed)[1][0], strict=True):
        differs = (before != after).any(dim=3).any(dim=1)[0]
        assert differs.tolist() == [i == 1 for i in range(period)]


def test_a_second_scale_is_deaf_to_what_averages_out():
    model = MultiScaleDiscriminator(2, (16,) * 7).eval()
    alternating = torch.tensor([1.0, -1.0]).repeat(1, 1, 300)
    (_, heard), (_, silence) = model(alternating), model(torch.zeros(1, 1, 600))
    assert not torch.equal(heard[0][0], silence[0][0])
    for found, expected in zip(heard[1], silence[1], strict=True):
        torch.testing.assert_close(found, expected)


def test_only_the_first_scale_is_spectral_normed():
    first, second = MultiScaleDiscriminator(2, (16,) * 7).discriminators
    norms = [[torch.linalg.matrix_norm(conv.weight.flatten(1), 2).item() for conv in d.convs] for d in (first, second)]
    assert norms[0] == pytest.approx([1] * 7, abs=0.05)
    assert any(abs(norm - 1) > 0.1 for norm in norms[1])


def test_a_pass_in_training_improves_the_spectral_norm_and_one_in_evaluation_changes_nothing():
    model = small()
    name = "msd.discriminators.0.convs.6.parametrizations.weight.0._u"
    before = model.state_dict()[name].clone()
    model(torch.randn(1, 1, 256))
    assert torch.equal(model.state_dict()[name], before)
    model.train()(torch.randn(1, 1, 256))
    assert not torch.equal(model.state_dict()[name], before)


def test_recordings_and_resyntheses_share_a_pass():
    model = small()
    real, fake = torch.randn(2, 1, 500), torch.randn(2, 1, 500)
    scores, features = model(torch.cat([real, fake]))
    alone_scores, alone_features = model(fake)
    assert len(scores) == len(features) == 4
    for together, alone in zip(scores, alone_scores, strict=True):
        assert together.shape[0] == 4
        torch.testing.assert_close(together[2:], alone, rtol=1e-5, atol=1e-6)
    for together, alone in zip(features, alone_features, strict=True):
        for a, b in zip(together, alone, strict=True):
            torch.testing.assert_close(a[2:], b, rtol=1e-5, atol=1e-6)


def test_gradients_reach_the_waveform_and_every_parameter():
    model = small().train()
    wav = torch.randn(1, 1, 300, requires_grad=True)
    scores, _ = model(wav)
    torch.stack([score.square().mean() for score in scores]).sum().backward()
    assert wav.grad is not None and (wav.grad != 0).float().mean() > 0.9
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


def test_autocast_leaves_the_norms_in_float32():
    model = small().train()
    wav = torch.randn(1, 1, 300)
    copy = small().train()
    copy.load_state_dict(model.state_dict())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores, _ = model(wav)
    copy(wav)
    assert scores[0].dtype == torch.bfloat16
    for (name, found), expected in zip(model.state_dict().items(), copy.state_dict().values(), strict=True):
        assert torch.equal(found, expected), name


def assert_equal_convolutions(ours, theirs, *inputs):
    """Results and gradients of two functions of the same inputs."""
    found, expected = ours(*inputs), theirs(*inputs)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-4)
    direction = torch.randn_like(expected)
    for a, b in zip(
        torch.autograd.grad(found, inputs, direction), torch.autograd.grad(expected, inputs, direction), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=2e-3)


def layer(in_channels, out_channels, taps, periods=1, length=100, groups=1):
    """Random input, weight and bias."""
    x = torch.randn(2, in_channels, periods, length, requires_grad=True)
    weight = torch.randn(out_channels, in_channels // groups, 1, taps, requires_grad=True)
    return x, weight, torch.randn(out_channels, requires_grad=True)


@pytest.mark.parametrize(
    ("channels", "groups", "stride"),
    [
        ((32, 64), 16, 4),
        ((16, 16), 4, 2),
        ((64, 32), 16, 1),
        ((64, 256), 16, 4),
        ((32, 128), 4, 2),
        ((128, 512), 16, 1),
    ],
)
@pytest.mark.parametrize(("taps", "length"), [(41, 96), (41, 100), (41, 97), (5, 50)])
def test_a_gpus_grouped_convolution_is_the_frameworks(channels, groups, stride, taps, length):
    padding = taps // 2
    assert_equal_convolutions(
        lambda x, weight, bias: block_conv(x, weight, bias, stride, padding, groups),
        lambda x, weight, bias: F.conv2d(x, weight, bias, (1, stride), (0, padding), 1, groups),
        *layer(*channels, taps, length=length, groups=groups),
    )


@pytest.mark.parametrize(("taps", "stride", "periods"), [(15, 1, 1), (5, 3, 7), (16, 2, 2)])
def test_a_gpus_convolution_of_one_channel_is_the_frameworks(taps, stride, periods):
    padding = taps // 2
    assert_equal_convolutions(
        lambda x, weight, bias: conv_from_one(x, weight, bias, stride, padding),
        lambda x, weight, bias: F.conv2d(x, weight, bias, (1, stride), (0, padding)),
        *layer(1, 12, taps, periods),
    )
    assert_equal_convolutions(
        lambda x, weight, bias: conv_to_one(x, weight, bias, 1),
        lambda x, weight, bias: F.conv2d(x, weight, bias, (1, 1), (0, 1)),
        *layer(12, 1, 3, periods),
    )


@pytest.mark.gpu
def test_a_gpu_gives_the_cpus_scores_and_gradients():
    model, wav = small(), torch.randn(2, 1, 1000)
    results = []
    for device in ("cpu", "cuda"):
        model.zero_grad()
        scores, _ = model.to(device)(wav.to(device))
        torch.stack([score.square().mean() for score in scores]).sum().backward()
        results.append([t.detach().cpu() for t in (*scores, *(p.grad for p in model.parameters()))])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-3)  # TF32 has 10 bits


@pytest.mark.parametrize("shape", [(2, 500), (2, 2, 500), (1, 1, 2)])
def test_unusable_input_is_refused(shape):
    with pytest.raises(ValueError, match=r"expected \[B, 1, N\] with N of at least 3"):
        small()(torch.zeros(shape))


def test_shapes_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="periods"):
        MultiPeriodDiscriminator((1, 2), PERIOD_CHANNELS)
    with pytest.raises(ValueError):
        MultiPeriodDiscriminator((2,), (4, 8))
    with pytest.raises(ValueError, match="multiples of 16"):
        MultiScaleDiscriminator(1, (8,) * 7)
    with pytest.raises(ValueError):
        MultiScaleDiscriminator(1, (16,) * 6)
