"""Expands phones to frames (FastSpeech, arXiv:1905.09263, sec. 3.2)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LengthRegulator(nn.Module):
    """Repeats each phone's encoding for its number of mel frames.

    Each frame finds its phone in the running sum of the durations, without a loop over phones. The encodings are
    looked up by an embedding, whose gradient is summed in a fixed order, also on a GPU.
    """

    def forward(self, x: Tensor, durations: Tensor, num_frames: int | None = None) -> tuple[Tensor, Tensor]:
        """Expands a batch.

        Args:
            x: [B, S, C] float.
            durations: [B, S] int64, frames, 0 allowed, 0 on padding.
            num_frames: T. If given, nothing waits for the device, the durations are not checked and frames past T are
                cut. None: the largest sum of a row.

        Returns:
            Expanded [B, T, C], 0 past the end of a row, and mel_lengths [B] int64.

        Raises:
            ValueError: a duration is negative (checked only if `num_frames` is None).
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
        phone = torch.searchsorted(ends, frames.contiguous(), right=True)  # num_phones past the end of a row
        padded = F.pad(x, (0, 0, 0, 1))  # this extra phone of zeros
        row = torch.arange(batch, device=x.device).unsqueeze(1) * (num_phones + 1)
        return F.embedding(phone + row, padded.flatten(0, 1)), mel_lengths


def round_durations(
    log_durations: Tensor, phone_padding_mask: Tensor, control: float | Tensor, max_frames: int
) -> tuple[Tensor, Tensor]:
    """Converts the predicted log(d + 1) to whole frames, d = clamp(round(exp(log) - 1) * control, 0), rounded.

    A row in which every duration is 0 gets one frame, at the phone with the longest prediction; a row of more than
    `max_frames` frames is scaled down to fit. Amphion truncates after applying the control; this function rounds,
    because at control 1.5 half of the phones would otherwise lose half a frame.

    Args:
        log_durations: [B, S] float32.
        phone_padding_mask: [B, S] bool, True = padding.
        control: factor > 0; 2 halves the speed.
        max_frames: the most frames a row may have.

    Returns:
        Durations [B, S] int64, 0 on padding, and [B] bool, True where the row was scaled down.
    """
    frames = torch.round(torch.exp(log_durations.float()) - 1) * control
    frames = torch.round(frames.clamp(0, 1e6)).masked_fill(phone_padding_mask, 0).long()  # 1e6: infinity has no integer
    longest = log_durations.masked_fill(phone_padding_mask, -torch.inf).argmax(dim=1, keepdim=True)
    vanished = (frames.sum(dim=1, keepdim=True) == 0) & ~phone_padding_mask.all(dim=1, keepdim=True)
    frames = frames.scatter_add(1, longest, vanished.long())
    ends = frames.cumsum(dim=1)
    total = ends[:, -1:]
    # Scales the ends, not the durations: rounding down each duration would drop up to a frame per phone, and short
    # phones entirely.
    ends = torch.where(total > max_frames, ends * max_frames // total.clamp(min=1), ends)
    return ends.diff(dim=1, prepend=torch.zeros_like(total)), (total > max_frames).squeeze(1)
