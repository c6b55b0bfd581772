"""The loss of the aligner: first over all monotonic paths, then increasingly over the best one."""

import torch
import torch.nn.functional as F
from torch import Tensor

from modules.masks import padding_mask


def forward_sum_loss(log_probs: Tensor, phone_lengths: Tensor, mel_lengths: Tensor, blank: float) -> Tensor:
    """Computes the negative log likelihood of all monotonic paths (arXiv:2108.10447, eq. 2).

    This is CTC with the positions 1 ... S of a row as labels, all different, and a first column of constant score as
    the blank. Each frame is normalized over phones and blank: CTC of numbers that do not sum to 1 is meaningless and
    can be made arbitrarily small.

    Args:
        log_probs: float32 [B, T, S], from the aligner.
        phone_lengths: [B] int64.
        mel_lengths: [B] int64, each at least the row's phone_lengths.
        blank: score of the blank; the log-sum-exp of a frame's phones is 0.

    Returns:
        Scalar: the mean over rows of the loss per frame.

    Raises:
        ValueError: a row has fewer frames than phones, so that no path passes through all of them.
    """
    if log_probs.device.type == "cpu" and bool((mel_lengths < phone_lengths).any()):
        raise ValueError("fewer frames than phones: there is no path")
    with torch.autocast(log_probs.device.type, enabled=False):
        scores = F.log_softmax(F.pad(log_probs.float(), (1, 0), value=blank), dim=2)
        size = log_probs.shape[2]
        targets = torch.arange(1, size + 1, device=log_probs.device).expand(len(log_probs), -1)
        loss = F.ctc_loss(scores.transpose(0, 1), targets, mel_lengths, phone_lengths, blank=0, reduction="none")
        return (loss / mel_lengths).mean()


def binarization_loss(log_probs: Tensor, durations: Tensor, mel_lengths: Tensor) -> Tensor:
    """Computes the negative log probability per frame of the best path's phones (arXiv:2108.10447, eq. 4).

    Args:
        log_probs: float32 [B, T, S], from the aligner.
        durations: [B, S] int64, frames of each phone on the best path; each row sums to its mel_lengths.
        mel_lengths: [B] int64.

    Returns:
        Scalar, the mean over frames.
    """
    ends = durations.cumsum(1)
    frames = torch.arange(log_probs.shape[1], device=log_probs.device).expand(len(log_probs), -1).contiguous()
    positions = torch.searchsorted(ends, frames, right=True).clamp(max=log_probs.shape[2] - 1)
    chosen = log_probs.gather(2, positions.unsqueeze(2)).squeeze(2)
    chosen = chosen.masked_fill(padding_mask(mel_lengths, log_probs.shape[1]), 0)
    return -chosen.sum() / mel_lengths.sum()
