"""The most likely monotonic path through an aligner's log probabilities."""

from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

_NONE = -1e30  # score of an unreachable state; finite, so that sums with it are not NaN


def best_durations(log_probs: Tensor, phone_lengths: Tensor, mel_lengths: Tensor, optional: Tensor) -> Tensor:
    """Computes the frames of each phone on the most likely path (arXiv:2108.10447, sec. 2.4; Viterbi).

    A path visits the phones in order, each for at least one frame; optional ones may be skipped. Each frame depends on
    the one before it. Compiled code on the CPU takes 2 ms for 16 utterances of 6 s, also for input on a GPU, which
    would have to launch a dozen kernels per frame.

    Args:
        log_probs: float32 [B, T, S], from the aligner, prior included.
        phone_lengths: [B] int64, at least 1.
        mel_lengths: [B] int64.
        optional: [B, S] bool, phones that may last 0 frames.

    Returns:
        int64 [B, S]; each row sums to its mel_lengths, phones that are not optional have at least 1, padding has 0.

    Raises:
        ValueError: a row has fewer frames than phones that need one, or no phone at all. Without this check the
            durations would still have the right sum, but contain unexpected zeros.
    """
    arrays = [x.detach().cpu().contiguous().numpy() for x in (log_probs, phone_lengths, mel_lengths, optional)]
    _, phones, frames, may_skip = arrays
    needed = (~may_skip & (np.arange(may_skip.shape[1]) < phones[:, None])).sum(1)
    wrong = np.flatnonzero((frames < needed) | (phones < 1) | (frames < 1))
    if len(wrong):
        row = wrong[0]
        raise ValueError(f"row {row}: {needed[row]} phones do not fit into {frames[row]} frames")
    return torch.from_numpy(_search(*arrays)).to(log_probs.device)


@numba.njit(cache=True)
def _search(log_probs: Any, phone_lengths: Any, mel_lengths: Any, optional: Any) -> Any:
    """The search, compiled; it takes the rows one by one."""
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
            best_before, source = _NONE, 0  # the best score of moving on to phone s, and the phone that it comes from
            for s in range(phones):
                stay = score[s]
                if stay >= best_before:
                    score[s], from_phone[t, s] = stay + log_probs[b, t, s], s
                else:
                    score[s], from_phone[t, s] = best_before + log_probs[b, t, s], source
                if not optional[b, s] or stay > best_before:
                    best_before, source = stay, s
        phone = phones - 1
        best = phone
        while phone >= 0:  # all last phones may be optional
            if score[phone] > score[best]:
                best = phone
            if not optional[b, phone]:
                break
            phone -= 1
        phone = best
        for t in range(frames - 1, -1, -1):
            durations[b, phone] += 1
            phone = from_phone[t, phone]
    return durations
