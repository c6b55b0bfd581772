import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from modules.masks import padding_mask
from modules.variance_adaptor import Scaling, VarianceAdaptor, VariancePredictor, quantization_boundaries


def adaptor(mask_padding: bool = True) -> VarianceAdaptor:
    bins = torch.linspace(-2, 2, 15)
    net = VarianceAdaptor(8, 8, 3, 0.0, bins, bins, max_frames=50, mask_padding=mask_padding)
    return net.eval()


def test_linear_boundaries_span_the_range_evenly() -> None:
    boundaries = quantization_boundaries(-2.0, 4.0, 200.0, 50.0, 256, "linear")
    assert len(boundaries) == 255
    torch.testing.assert_close(boundaries.diff(), torch.full((254,), 6 / 254), atol=1e-5, rtol=0)


def test_log_boundaries_are_even_in_the_logarithm_of_hertz() -> None:
    boundaries = quantization_boundaries(-2.0, 4.0, 200.0, 50.0, 32, "log")
    hertz = boundaries.double() * 50 + 200
    torch.testing.assert_close(hertz[[0, -1]], torch.tensor([100.0, 400.0]).double(), atol=1e-3, rtol=0)
    torch.testing.assert_close(hertz.log().diff(), torch.full((30,), math.log(4) / 30).double(), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("minimum", "scale", "message"), [(-4.0, "log", "smallest is 0;"), (-1.0, "cubic", "got 'cubic'")]
)
def test_impossible_quantizations_are_refused(minimum: float, scale: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quantization_boundaries(minimum, 4.0, 200.0, 50.0, 256, scale)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_a_predictor_gives_the_same_alone_and_in_a_batch(lengths: list[int]) -> None:
    predictor = VariancePredictor(8, 8, 3, 0.0)
    x = torch.randn(len(lengths), max(lengths), 8)
    mask = padding_mask(torch.tensor(lengths), max(lengths))
    together = predictor(x, mask, True)
    assert (together[mask] == 0).all()
    for row, length in enumerate(lengths):
        alone = predictor(x[row : row + 1, :length], mask[row : row + 1, :length], True)
        # The LayerNorm of a nearly constant row enlarges rounding; leaking padding would change the leading digits.
        torch.testing.assert_close(together[row, :length], alone[0], atol=1e-4, rtol=0)


def embedded(net: VarianceAdaptor, pitch: Tensor, energy: Tensor) -> Tensor:
    """What the adaptor adds for given features, a frame a phone, to encodings of zero."""
    zeros = torch.zeros(1, pitch.size(1), 8)
    mask = torch.zeros(1, pitch.size(1), dtype=torch.bool)
    return net(zeros, mask, torch.ones(1, pitch.size(1), dtype=torch.long), pitch, energy).x


def test_given_features_are_embedded_by_their_bins() -> None:
    net = adaptor()
    bins = net.pitch_bins
    pitch = torch.stack([bins[0] - 9, bins[0], bins[0] + 1e-3, bins[-1] + 9])[None]
    expected = net.pitch_embedding.weight[[0, 0, 1, 15]] + net.energy_embedding.weight[0]
    torch.testing.assert_close(embedded(net, pitch, torch.full((1, 4), -9.0))[0], expected)


def test_the_energy_predictor_sees_the_pitch() -> None:
    net = adaptor()
    x, mask = torch.randn(1, 5, 8), torch.zeros(1, 5, dtype=torch.bool)
    durations = torch.ones(1, 5, dtype=torch.long)
    low, high = (net(x, mask, durations, torch.full((1, 5), value)) for value in (-1.0, 1.0))
    assert torch.equal(low.pitch, high.pitch)
    assert torch.equal(low.log_durations, high.log_durations)
    assert not torch.allclose(low.energy, high.energy)


def test_controls_change_what_is_predicted_and_only_that() -> None:
    net = adaptor()
    x, mask = torch.randn(1, 5, 8), torch.zeros(1, 5, dtype=torch.bool)
    plain = net(x, mask)
    raised = net(x, mask, pitch_scaling=Scaling(1.5, 0.25), duration_control=2.0)
    torch.testing.assert_close(raised.pitch, plain.pitch * 1.5 + 0.25)
    assert torch.equal(raised.log_durations, plain.log_durations)
    given_pitch = net(x, mask, pitch=torch.zeros(1, 5), pitch_scaling=Scaling(1.5, 0.25))
    torch.testing.assert_close(given_pitch.pitch, plain.pitch)
    torch.nn.init.constant_(net.duration_predictor.linear.bias, math.log(4.0))
    torch.nn.init.zeros_(net.duration_predictor.linear.weight)
    assert net(x, mask).durations.tolist() == [[3] * 5]
    assert net(x, mask, duration_control=2.0).durations.tolist() == [[6] * 5]


def test_a_row_past_the_limit_says_that_it_was_shortened() -> None:
    net = adaptor()
    torch.nn.init.constant_(net.duration_predictor.linear.bias, 3.0)
    torch.nn.init.zeros_(net.duration_predictor.linear.weight)
    output = net(torch.randn(2, 9, 8), padding_mask(torch.tensor([9, 2]), 9))  # 19 frames a phone
    assert output.durations.sum(1).tolist() == [50, 38]
    assert output.shortened.tolist() == [True, False]
    shorter = net(torch.randn(1, 9, 8), padding_mask(torch.tensor([9]), 9), max_frames=40)
    assert shorter.durations.sum().item() == 40
