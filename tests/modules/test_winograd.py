import pytest
import torch
import torch.nn.functional as F

from modules.winograd import winograd_conv1d


@pytest.mark.parametrize("taps", [3, 5, 7, 9, 11])
@pytest.mark.parametrize("length", [1, 3, 4, 5, 30])
def test_is_a_convolution(taps: int, length: int) -> None:
    generator = torch.Generator().manual_seed(taps)
    x, weight, bias, upstream = (
        torch.randn(shape, generator=generator, requires_grad=True)
        for shape in ((2, length, 6), (5, 6, taps), (5,), (2, length, 5))
    )
    results = []
    for y in (
        winograd_conv1d(x, weight, bias),
        F.conv1d(x.transpose(1, 2), weight, bias, padding=taps // 2).transpose(1, 2),
    ):
        results.append((y, *torch.autograd.grad(y, (x, weight, bias), upstream)))
    torch.testing.assert_close(*results, atol=2e-4, rtol=1e-4)


def test_the_rounding_error_stays_small_at_full_size() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 40, 256, generator=generator)
    weight = torch.randn(64, 256, 9, generator=generator) / 48  # outputs of about 1
    exact = F.conv1d(x.double().transpose(1, 2), weight.double(), padding=4).transpose(1, 2)
    assert (winograd_conv1d(x, weight, torch.zeros(64)) - exact).abs().max() < 2e-5
