"""A first guess at the alignment: one Gaussian per symbol, from a flat start as in speech recognition.

The aligner's scores are normalized over the phones of an utterance. So nothing rules out a solution in which pauses
take all frames and each phone only the one that it must have; with a few minutes of real speech, training always ends
there. A generative model cannot collapse like this: each frame must be likely under its phone. Procedure: Young et al.,
The HTK Book (2006), sec. 8.3.
"""

import math
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from models.aligner.dataset import AlignerBatch
from models.aligner.path import best_durations
from models.aligner.prior import beta_binomial_log_prior
from modules.masks import padding_mask

_CEPSTRA = 16  # coefficients of the mel's cosine transform; their slopes double the number of features
_ITERATIONS = 12
_QUIET = 0.2  # share of an utterance's loudness range below which a frame first counts as a pause
_HINT = 4.0  # nats for or against a pause in the first alignment
_VARIANCE_FLOOR = 0.05  # of the variance of all frames


class FlatStart:
    """A Gaussian for each symbol, and the alignments under these Gaussians."""

    def __init__(self, num_symbols: int, pause_id: int, n_mel: int, device: torch.device) -> None:
        """Starts without Gaussians: `fit` or `estimate` sets them.

        Args:
            num_symbols: size of the symbol table.
            pause_id: id of the pause.
            n_mel: number of mel bands.
            device: device of the batches.
        """
        self.num_symbols, self.pause_id = num_symbols, pause_id
        band = torch.arange(n_mel, device=device) + 0.5
        order = torch.arange(_CEPSTRA, device=device).unsqueeze(1)
        self.cosines = (torch.cos(math.pi / n_mel * order * band) * math.sqrt(2 / n_mel)).T  # [n_mel, _CEPSTRA]
        self.mean: Tensor | None = None  # [num_symbols, 2 * _CEPSTRA]
        self.variance: Tensor | None = None

    def fit(self, batches: Sequence[AlignerBatch]) -> None:
        """Alternates between alignment and estimation (Viterbi training).

        Args:
            batches: batches on the device.
        """
        for _ in range(_ITERATIONS):
            self.estimate((batch, self.durations(batch)) for batch in batches)

    def estimate(self, aligned: Iterable[tuple[AlignerBatch, Tensor]]) -> None:
        """Estimates the Gaussians from alignments.

        Args:
            aligned: batches on the device with their durations, int64 [B, S] frames.
        """
        count = torch.zeros(self.num_symbols, 1, device=self.cosines.device, dtype=torch.float64)
        first = torch.zeros(self.num_symbols, 2 * _CEPSTRA, device=self.cosines.device, dtype=torch.float64)
        second = torch.zeros_like(first)
        for batch, durations in aligned:
            features = self._features(batch)
            for row, frames in enumerate(batch.mel_lengths.tolist()):
                symbols = torch.repeat_interleave(batch.phone_ids[row], durations[row])
                hits = F.one_hot(symbols, self.num_symbols).double().T  # a matrix product sums in a fixed order
                frame_features = features[row, :frames].double()
                count += hits.sum(1, keepdim=True)
                first += hits @ frame_features
                second += hits @ frame_features.square()
        total = count.sum()
        all_mean = first.sum(0) / total
        all_variance = second.sum(0) / total - all_mean.square()
        # A symbol with few frames is pulled towards the mean of all frames.
        weight = count / (count + 5)
        mean = first / count.clamp(min=1)
        variance = second / count.clamp(min=1) - mean.square()
        self.mean = (weight * mean + (1 - weight) * all_mean).float()
        variance = weight * variance + (1 - weight) * all_variance
        self.variance = torch.maximum(variance, _VARIANCE_FLOOR * all_variance).float()

    def durations(self, batch: AlignerBatch) -> Tensor:
        """Returns the durations on the most likely paths, int64 [B, S], frames."""
        if self.mean is None or self.variance is None:
            scores = self._first_scores(batch)
        else:
            precision = 1 / self.variance
            features = self._features(batch)
            # Sum over features of (x - m)^2 / v + log v, for all symbols; gather() then picks those of each row.
            distance = (
                features.square() @ precision.T
                - 2 * features @ (self.mean * precision).T
                + (self.mean.square() * precision + self.variance.log()).sum(1)
            )
            scores = -0.5 * distance.gather(2, batch.phone_ids.unsqueeze(1).expand(-1, batch.mel.shape[1], -1))
        size = batch.phone_ids.shape[1], batch.mel.shape[1]
        prior = beta_binomial_log_prior(batch.phone_lengths, batch.mel_lengths, *size)
        return best_durations(scores + prior, batch.phone_lengths, batch.mel_lengths, batch.optional)

    def _first_scores(self, batch: AlignerBatch) -> Tensor:
        """Returns scores [B, T, S] that favor pauses in quiet frames and phones in all others."""
        loudness = batch.mel.mean(2)
        padding = padding_mask(batch.mel_lengths, batch.mel.shape[1])
        low = loudness.masked_fill(padding, float("inf")).amin(1, keepdim=True)
        high = loudness.masked_fill(padding, -float("inf")).amax(1, keepdim=True)
        quiet = (loudness < low + _QUIET * (high - low)).unsqueeze(2)
        pause = (batch.phone_ids == self.pause_id).unsqueeze(1)
        return torch.where(quiet == pause, _HINT, -_HINT)

    def _features(self, batch: AlignerBatch) -> Tensor:
        """Returns cepstra minus their mean over the utterance, and their slopes: [B, T, 2 * _CEPSTRA]."""
        padding = padding_mask(batch.mel_lengths, batch.mel.shape[1]).unsqueeze(2)
        cepstra = (batch.mel @ self.cosines).masked_fill(padding, 0)
        cepstra = cepstra - cepstra.sum(1, keepdim=True) / batch.mel_lengths.view(-1, 1, 1)
        ahead = torch.cat([cepstra[:, 1:], cepstra[:, -1:]], 1)
        behind = torch.cat([cepstra[:, :1], cepstra[:, :-1]], 1)
        return torch.cat([cepstra, (ahead - behind) / 2], 2)
