import pytest
import torch
import torch.nn.functional as F

from modules.reflection import reflected


@pytest.mark.parametrize(("left", "right"), [(0, 0), (3, 0), (0, 2), (6, 6)])
def test_values_and_gradient_are_those_of_reflection_padding(left: int, right: int) -> None:
    x = torch.randn(2, 1, 7, requires_grad=True)
    padded = reflected(x, left, right)
    expected = F.pad(x, (left, right), mode="reflect")
    assert torch.equal(padded, expected)
    weight = torch.randn_like(expected)
    gradients = [torch.autograd.grad((y * weight).sum(), x)[0] for y in (padded, expected)]
    torch.testing.assert_close(*gradients)
