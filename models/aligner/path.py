"""The likeliest monotonic path through an aligner's log probabilities."""

from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

_NONE = -1e30  # the score of what cannot be reached; finite, so that a sum with it is no NaN


def best_durations(log_probs: Tensor, phone_lengths: Tensor, mel_lengths: Tensor, optional: Tensor) -> Tensor:
    """Frames of each phone on the likeliest path (arXiv:2108.10447, sec. 2.4; Viterbi).

    A path visits the phones in order, and each at least for a frame; optional ones may be passed over.

    Args:
        log_probs: float32 [B, T, S], from the aligner, prior included.
        phone_lengths: [B] int64, at least 1.
        mel_lengths: [B] int64.
        optional: [B, S] bool, may last no frame.

    Returns:
        int64 [B, S]; each row sums to its mel_lengths, phones that are not optional have at least 1, padding has 0.

    Raises:
        ValueError: a row has fewer frames than phones that need one, or no phone at all. Without this check the
            durations would still sum up, with zeros where nobody expects them.
    """
    needed = (~optional & (torch.arange(optional.shape[1], device=optional.device) < phone_lengths.unsqueeze(1))).sum(1)
    wrong = ((mel_lengths < needed) | (phone_lengths < 1) | (mel_lengths < 1)).nonzero().flatten().tolist()
    if wrong:
        row = wrong[0]
        raise ValueError(f"row {row}: {int(needed[row])} phones do not fit into {int(mel_lengths[row])} frames")
    if log_probs.device.type == "cpu":
        arrays = (x.detach().contiguous().numpy() for x in (log_probs, phone_lengths, mel_lengths, optional))
        return torch.from_numpy(_search(*arrays))
    return _search_batched(log_probs.detach(), phone_lengths, mel_lengths, optional)


@numba.njit(cache=True)
def _search(log_probs: Any, phone_lengths: Any, mel_lengths: Any, optional: Any) -> Any:
    """The search, compiled: one row after the other."""
    durations = np.zeros(optional.shape, dtype=np.int64)
    for b in range(len(log_probs)):
        frames, phones = mel_lengths[b], phone_lengths[b]
        # from_phone[t, s]: the phone of frame t - 1 on the best path that is at phone s at frame t
        from_phone = np.zeros((frames, phones), dtype=np.int32)
        score = np.full(phones, _NONE)
        for s in range(phones):
            score[s] = log_probs[b, 0, s]
            if not optional[b, s]:
                break
        for t in range(1, frames):
            before, left = _NONE, 0  # the best way to leave everything before phone s, and where it comes from
            for s in range(phones):
                stay = score[s]
                if stay >= before:
                    score[s], from_phone[t, s] = stay + log_probs[b, t, s], s
                else:
                    score[s], from_phone[t, s] = before + log_probs[b, t, s], left
                if not optional[b, s] or stay > before:
                    before, left = stay, s
        at = phones - 1
        best = at
        while at >= 0:  # the last phones may all be optional
            if score[at] > score[best]:
                best = at
            if not optional[b, at]:
                break
            at -= 1
        at = best
        for t in range(frames - 1, -1, -1):
            durations[b, at] += 1
            at = from_phone[t, at]
    return durations


def _search_batched(log_probs: Tensor, phone_lengths: Tensor, mel_lengths: Tensor, optional: Tensor) -> Tensor:
    """The search, vectorized over batch and phones: a frame is a handful of operations on the whole batch."""
    rows, frames, phones = log_probs.shape
    device = log_probs.device
    column = torch.arange(phones, device=device).expand(rows, -1)
    valid = column < phone_lengths.unsqueeze(1)
    # reach[b, s]: how many phones in a row right before s may be passed over
    required = torch.where(optional, -1, column).cummax(1).values  # the last required phone up to s
    reach = column - 1 - torch.nn.functional.pad(required[:, :-1], (1, 0), value=-1)
    steps = int(reach.max()) + 1
    initial = (reach == column) & valid
    score = torch.where(initial, log_probs[:, 0], _NONE)
    from_phone = torch.empty(frames, rows, phones, dtype=torch.int64, device=device)
    for t in range(1, frames):
        best, source = score, column
        for step in range(1, steps + 1):
            earlier = torch.nn.functional.pad(score[:, :-step], (step, 0), value=_NONE)
            better = (earlier > best) & (reach >= step - 1)
            best, source = torch.where(better, earlier, best), torch.where(better, column - step, source)
        inside = (t < mel_lengths).unsqueeze(1)
        score = torch.where(inside, best + log_probs[:, t], score)
        from_phone[t] = torch.where(inside, source, column)
    last_required = required.gather(1, (phone_lengths - 1).unsqueeze(1))
    at = torch.where(valid & (column >= last_required), score, _NONE).argmax(1)
    durations = torch.zeros(rows, phones, dtype=torch.int64, device=device)
    for t in range(frames - 1, -1, -1):
        durations.scatter_add_(1, at.unsqueeze(1), (t < mel_lengths).long().unsqueeze(1))
        if t:
            at = from_phone[t].gather(1, at.unsqueeze(1)).squeeze(1)
    return durations
