import torch
from torch import nn

from modules.masked_batch_norm import MaskedBatchNorm1d
from modules.masks import padding_mask


def pair() -> tuple[MaskedBatchNorm1d, nn.BatchNorm1d]:
    """Ours and PyTorch's with the same, not trivial, state."""
    theirs = nn.BatchNorm1d(3)
    for tensor in (theirs.weight.data, theirs.bias.data, theirs.running_mean):
        assert tensor is not None
        tensor.normal_()
    ours = MaskedBatchNorm1d(3)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def test_without_padding_it_is_batch_norm() -> None:
    ours, theirs = pair()
    x, weights = torch.randn(4, 6, 3) * 3 + 2, torch.randn(4, 6, 3)
    inputs = x.clone().requires_grad_(), x.clone().requires_grad_()
    results = ours(inputs[0]), theirs(inputs[1].transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(*results)
    for result in results:
        (result * weights).sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, atol=1e-5, rtol=1e-5)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x.transpose(1, 2)).transpose(1, 2))


def test_padding_moves_no_statistic() -> None:
    ours, theirs = pair()
    lengths = [5, 2, 0]
    x = torch.randn(3, 5, 3) * 3 + 2
    mask = padding_mask(torch.tensor(lengths), 5)
    x[mask] = 1e4
    torch.testing.assert_close(ours(x, mask)[~mask], theirs(x[~mask]))  # PyTorch's, on the valid frames gathered
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())


def test_nothing_but_padding_is_finite() -> None:
    ours, _ = pair()
    y = ours(torch.randn(2, 4, 3), torch.ones(2, 4, dtype=torch.bool))
    assert y.isfinite().all()
    assert all(tensor.isfinite().all() for tensor in ours.state_dict().values())
