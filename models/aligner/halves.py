"""Agreement of two halves of a corpus on the alignment: a model of one half aligns the other half.

The aligner's scores measure how well an alignment follows what the aligner has learned, right or wrong. A second model,
of another kind and from other utterances, puts the phones in the same places only if those places are right: two halves
of a corpus are not wrong in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from models.aligner.dataset import AlignerBatch, AlignerDataset
from models.aligner.flat_start import FlatStart
from models.aligner.tokens import PAUSE, Tokens
from models.training.batching import collate

SMALLEST_CORPUS = 24  # utterances; half as many already contain most phones
_ESTIMATED_FROM = 300  # utterances of a half; more do not improve the Gaussians
_AT_ONCE = 16
_CLOSE = 0.075  # s


@torch.inference_mode()
def agreements(
    dataset: AlignerDataset,
    tokens: Sequence[Tokens],
    durations: Sequence[np.ndarray],
    seconds_per_frame: float,
    device: torch.device,
) -> list[float]:
    """Computes the share of each utterance's phones that begin where the model of the other half puts them.

    Args:
        dataset: N utterances, at least 2.
        tokens: N, one per utterance.
        durations: N arrays int64 [S], frames: the alignments to judge.
        seconds_per_frame: hop size / sample rate.
        device: device to compute on.

    Returns:
        N shares, 0 to 1.
    """

    def batches(rows: Sequence[int]) -> Iterator[tuple[list[int], AlignerBatch, torch.Tensor]]:
        for batch_rows in dataset.batches_by_length(_AT_ONCE, rows):
            batch = collate([dataset.item(row, tokens[row]) for row in batch_rows])
            tensors = [torch.from_numpy(durations[row]) for row in batch_rows]
            padded = torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True)
            yield batch_rows, AlignerBatch(*(tensor.to(device) for tensor in batch)), padded.to(device)

    shares = [0.0] * len(dataset)
    halves = [range(start, len(dataset), 2) for start in (0, 1)]
    for learned, judged in (halves, halves[::-1]):
        chosen = learned[:: max(1, len(learned) // _ESTIMATED_FROM)]
        n_mel = dataset[0].mel.shape[1]
        gaussians = FlatStart(len(dataset.symbols), dataset.symbols.ids([PAUSE])[0], n_mel, device)
        gaussians.estimate((batch, padded) for _, batch, padded in batches(chosen))
        for batch_rows, batch, padded in batches(judged):
            distances = (_starts(gaussians.durations(batch)) - _starts(padded)).abs() * seconds_per_frame
            for index, row in enumerate(batch_rows):
                spoken = [token for token, word in enumerate(tokens[row].word_of) if word >= 0]
                shares[row] = float((distances[index, spoken] <= _CLOSE).double().mean())
    return shares


def _starts(durations: torch.Tensor) -> torch.Tensor:
    """Returns the frame at which each token begins, [B, S]."""
    return durations.cumsum(1) - durations
