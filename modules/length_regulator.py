"""Phones to frames (FastSpeech, arXiv:1905.09263, sec. 3.2)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LengthRegulator(nn.Module):
    """Repeats each phone's encoding for its number of mel frames.

    Each frame looks up its phone in the running sum of the durations; there is no loop over phones. The look-up is an
    embedding's, whose gradient is summed in a fixed order on a GPU too.
    """

    def forward(self, x: Tensor, durations: Tensor, num_frames: int | None = None) -> tuple[Tensor, Tensor]:
        """Expands.

        Args:
            x: [B, S, C] float.
            durations: [B, S] int64, frames, 0 allowed, 0 on padding.
            num_frames: T. Given, nothing waits for the device and the durations are not checked; frames past T are
                cut. None: the largest sum of a row.

        Returns:
            Expanded [B, T, C], 0 past the end of a row, and mel_lengths [B] int64.

        Raises:
            ValueError: a duration is negative (looked at only where `num_frames` is None).
        """
        batch, num_phones, _ = x.shape
        if num_frames is None and bool((durations < 0).any()):
            raise ValueError(f"durations must not be negative, got {int(durations.min())}")
        ends = durations.cumsum(dim=1)
        mel_lengths = ends[:, -1]
        if num_frames is None:
            num_frames = int(mel_lengths.max())
        mel_lengths = mel_lengths.clamp(max=num_frames)
        frames = torch.arange(num_frames, device=x.device).expand(batch, num_frames)
        phone = torch.searchsorted(ends, frames.contiguous(), right=True)  # num_phones past the end of a row:
        padded = F.pad(x, (0, 0, 0, 1))  # a last phone of zeros, for the frames past the end
        row = torch.arange(batch, device=x.device).unsqueeze(1) * (num_phones + 1)
        return F.embedding(phone + row, padded.flatten(0, 1)), mel_lengths


def round_durations(
    log_durations: Tensor, phone_padding_mask: Tensor, control: float, max_frames: int
) -> tuple[Tensor, Tensor]:
    """Whole numbers of frames from the predictor's log(d + 1), d = clamp(round(exp(log) - 1) * control, 0), rounded.

    A row whose phones would all vanish keeps one frame, at the phone with the longest prediction; a row of more than
    `max_frames` frames is scaled down to fit. Where Amphion truncates after the control, this rounds: half of the
    phones would otherwise lose half a frame at control 1.5.

    Args:
        log_durations: [B, S] float32.
        phone_padding_mask: [B, S] bool, True = padding.
        control: factor, > 0; 2 is half as fast.
        max_frames: the most frames a row may have.

    Returns:
        Durations [B, S] int64, 0 on padding, and [B] bool, True where the row was scaled down.
    """
    frames = torch.round(torch.exp(log_durations.float()) - 1) * control
    frames = torch.round(frames.clamp(0, 1e6)).masked_fill(phone_padding_mask, 0).long()  # a whole number from infinity
    longest = log_durations.masked_fill(phone_padding_mask, -torch.inf).argmax(dim=1, keepdim=True)
    vanished = (frames.sum(dim=1, keepdim=True) == 0) & ~phone_padding_mask.all(dim=1, keepdim=True)
    frames = frames.scatter_add(1, longest, vanished.long())
    ends = frames.cumsum(dim=1)
    total = ends[:, -1:]
    # The ends are scaled, not the durations: those would lose a frame a phone, and short phones all they have.
    ends = torch.where(total > max_frames, ends * max_frames // total.clamp(min=1), ends)
    return ends.diff(dim=1, prepend=torch.zeros_like(total)), (total > max_frames).squeeze(1)
