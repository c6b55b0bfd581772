import torch

from modules.masks import padding_mask


def test_true_is_padding() -> None:
    mask = padding_mask(torch.tensor([3, 0, 1]), 3)
    assert mask.tolist() == [[False, False, False], [True, True, True], [False, True, True]]
