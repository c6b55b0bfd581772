"""The likeliest monotonic path through an aligner's log probabilities."""

from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

_NONE = -1e30  # the score of what cannot be reached; finite, so that a sum with it is no NaN


def best_durations(log_probs: Tensor, phone_lengths: Tensor, mel_lengths: Tensor, optional: Tensor) -> Tensor:
    """Frames of each phone on the likeliest path (arXiv:2108.10447, sec. 2.4; Viterbi).

    A path visits the phones in order, and each at least for a frame; optional ones may be passed over. Each frame needs
    the one before it: compiled code on the CPU takes 2 ms for 16 utterances of 6 s, also for numbers that come from a
    GPU, which would have to launch a dozen kernels a frame.

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
    arrays = [x.detach().cpu().contiguous().numpy() for x in (log_probs, phone_lengths, mel_lengths, optional)]
    _, phones, frames, may_go = arrays
    needed = (~may_go & (np.arange(may_go.shape[1]) < phones[:, None])).sum(1)
    wrong = np.flatnonzero((frames < needed) | (phones < 1) | (frames < 1))
    if len(wrong):
        row = wrong[0]
        raise ValueError(f"row {row}: {needed[row]} phones do not fit into {frames[row]} frames")
    return torch.from_numpy(_search(*arrays)).to(log_probs.device)


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
