import math

import pytest
import torch

from modules.positions import SinusoidalPositions, sinusoid_table


def test_angles_follow_the_paper() -> None:
    table = sinusoid_table(3000, 8)
    for position, channel in ((0, 0), (1, 0), (1, 1), (2, 4), (2999, 3), (2999, 6)):
        angle = position / 10000 ** (2 * (channel // 2) / 8)
        expected = math.cos(angle) if channel % 2 else math.sin(angle)
        assert table[position, channel].item() == pytest.approx(expected, abs=1e-7)


def test_adds_without_scaling_and_stays_out_of_the_state_dict() -> None:
    positions = SinusoidalPositions(8, 16)
    x = torch.randn(2, 5, 8)
    torch.testing.assert_close(positions(x) - x, sinusoid_table(5, 8).expand(2, 5, 8), atol=1e-6, rtol=0)
    assert not positions.state_dict()


def test_past_the_limit_says_so() -> None:
    with pytest.raises(ValueError, match="17 positions exceeds the limit of 16"):
        SinusoidalPositions(8, 16)(torch.zeros(1, 17, 8))
