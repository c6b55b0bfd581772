"""Agreement of two halves of a corpus, on alignments that are right and on some that are not."""

from pathlib import Path

import numpy as np
import torch

from models.aligner.dataset import AlignerDataset
from models.aligner.halves import agreements

SECONDS_PER_FRAME = 0.025  # so that three frames are the limit of what agrees
CPU = torch.device("cpu")


def test_true_alignments_agree(corpus: tuple[Path, list, list]) -> None:
    folder, records, truth = corpus
    dataset = AlignerDataset(folder, records)
    shares = agreements(dataset, dataset.tokens, [np.array(row) for row in truth], SECONDS_PER_FRAME, CPU)
    assert len(shares) == len(records) and min(shares) >= 0.85


def test_phones_of_one_frame_do_not(corpus: tuple[Path, list, list]) -> None:
    folder, records, truth = corpus
    dataset = AlignerDataset(folder, records)
    collapsed = [np.array([1] * (len(row) - 1) + [sum(row) - len(row) + 1]) for row in truth]
    assert np.median(agreements(dataset, dataset.tokens, collapsed, SECONDS_PER_FRAME, CPU)) < 0.5


def test_texts_of_other_recordings_do_not(corpus: tuple[Path, list, list]) -> None:
    folder, records, truth = corpus
    shuffled = [{**record, "phones": other["phones"]} for record, other in zip(records, records[1:], strict=False)]
    dataset = AlignerDataset(folder, shuffled)
    even = [np.diff(np.linspace(0, sum(row), len(row) + 1).round().astype(int)) for row in truth[:-1]]
    assert np.median(agreements(dataset, dataset.tokens, even, SECONDS_PER_FRAME, CPU)) < 0.6


def test_one_wrong_alignment_is_named(corpus: tuple[Path, list, list]) -> None:
    folder, records, truth = corpus
    dataset = AlignerDataset(folder, records)
    durations = [np.array(row) for row in truth]
    durations[7] = np.array([1] * (len(truth[7]) - 1) + [sum(truth[7]) - len(truth[7]) + 1])
    shares = agreements(dataset, dataset.tokens, durations, SECONDS_PER_FRAME, CPU)
    assert int(np.argmin(shares)) == 7 and sorted(shares)[1] > 0.8
