import pytest
import torch
from torch import Tensor

from modules.masks import padding_mask
from modules.postnet import PostNet


def postnet() -> PostNet:
    net = PostNet(4, 8, 3, 5, dropout=0.0)
    for norm in net.norms:
        torch.nn.init.normal_(norm.bias)  # so that padding would not stay 0 by luck
    return net


def padded_mel(lengths: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    mask = padding_mask(lengths, frames)
    return torch.randn(len(lengths), frames, 4).masked_fill(mask.unsqueeze(-1), 0), mask


@pytest.mark.parametrize("training", [True, False])
def test_more_padding_changes_nothing(training: bool) -> None:
    net = postnet().train(training)
    other = postnet().train(training)
    other.load_state_dict(net.state_dict())
    mel, mask = padded_mel(torch.tensor([6, 3]), 6)
    longer, longer_mask = (torch.nn.functional.pad(mel, (0, 0, 0, 4)), padding_mask(torch.tensor([6, 3]), 10))
    result, longer_result = net(mel, mask), other(longer, longer_mask)
    torch.testing.assert_close(result, longer_result[:, :6], atol=1e-5, rtol=0)
    assert (longer_result[longer_mask] == 0).all()
    torch.testing.assert_close(net.state_dict(), other.state_dict())


def test_without_a_mask_padding_leaks_as_in_amphion() -> None:
    net = postnet().eval()
    mel, mask = padded_mel(torch.tensor([8, 5]), 8)
    leaking, masked = net(mel, None), net(mel, mask)
    torch.testing.assert_close(leaking[0], masked[0])
    assert not torch.allclose(leaking[1, 4], masked[1, 4], atol=1e-3)


def test_the_last_layer_has_no_tanh() -> None:
    net = postnet().eval()
    torch.nn.init.constant_(net.norms[-1].bias, 50.0)
    mel, mask = padded_mel(torch.tensor([6]), 6)
    assert (net(mel, mask) > 20).all()
