"""A corpus's mels and tokens as batches for the aligner."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from models.aligner.tokens import Tokens, record_tokens
from text.symbols import SYMBOLS, SymbolTable
from utils.shards import feature_key, read_features, shard_path

SOFT = 4  # frames at an edge of a silence, next to speech, that may hold a soft sound


class AlignerBatch(NamedTuple):
    """Shapes: B utterances, S phones, T mel frames; padding is 0."""

    rows: Tensor  # [B] int64, rows of the dataset
    phone_ids: Tensor  # [B, S] int64
    phone_lengths: Tensor  # [B] int64
    optional: Tensor  # [B, S] bool, tokens that may last 0 frames
    mel: Tensor  # [B, T, n_mel] float32, log amplitude
    mel_lengths: Tensor  # [B] int64
    silent: Tensor  # [B, T] bool, frames of silences


class AlignerDataset(torch.utils.data.Dataset):
    """The utterances that can be aligned. A mel is read from its shard on access.

    Silences between words are cut out for training: without a mark in the text no token covers them, and the next phone
    would learn to sound like silence. Pauses are learned from the silences at both ends of an utterance.
    """

    def __init__(self, folder: Path, records: Sequence[dict[str, Any]]) -> None:
        """Selects the utterances that have enough frames.

        Args:
            folder: folder of the shards.
            records: records of `processors.stage1.aligner_inputs`. An utterance with more tokens than frames is left
                out and listed in `crowded`.
        """
        self.folder = folder
        self.symbols = SymbolTable(SYMBOLS)
        self.rows: list[dict[str, Any]] = []
        self.tokens: list[Tokens] = []
        self.crowded: list[tuple[str, str]] = []  # (utterance id, reason)
        for record in records:
            tokens = record_tokens(record)
            num_frames = record["num_frames"] - sum(end - start for start, end in _inner_silences(record))
            if num_frames < len(tokens.symbols):
                detail = f"{len(tokens.symbols)} phones and pauses in {num_frames} frames"
                self.crowded.append((record["utt_id"], detail))
                continue
            self.rows.append(record)
            self.tokens.append(tokens)
        self.lengths: list[int] = [row["num_frames"] for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> AlignerBatch:
        """Returns one utterance to train on: the fields of a batch without the batch dimension."""
        item = self.item(index, self.tokens[index])
        kept = torch.ones(len(item.mel), dtype=torch.bool)
        for start, end in _inner_silences(self.rows[index]):
            kept[start:end] = False
        return item._replace(mel=item.mel[kept], mel_lengths=kept.sum(), silent=item.silent[kept])

    def item(self, index: int, tokens: Tokens) -> AlignerBatch:
        """Returns one utterance to align, with the given tokens."""
        row = self.rows[index]
        key = feature_key(row["utt_id"], "mel")
        mel = read_features(shard_path(self.folder, row["shard"]), [row["utt_id"]], ["mel"])[key]
        silent = torch.zeros(len(mel), dtype=torch.bool)
        for start, end, *_ in row["silences"]:
            silent[start + SOFT * (start > 0) : end - SOFT * (end < len(mel))] = True
        return AlignerBatch(
            rows=torch.tensor(index),
            phone_ids=torch.tensor(self.symbols.ids(tokens.symbols)),
            phone_lengths=torch.tensor(len(tokens.symbols)),
            optional=torch.tensor(tokens.optional),
            mel=torch.from_numpy(mel),
            mel_lengths=torch.tensor(row["num_frames"]),
            silent=silent,
        )

    def batches_by_length(self, size: int, rows: Iterable[int] | None = None) -> list[list[int]]:
        """Returns rows (default: all) in batches of similar length, for a single pass."""
        order = sorted(range(len(self)) if rows is None else rows, key=self.lengths.__getitem__)
        return [order[i : i + size] for i in range(0, len(order), size)]


def _inner_silences(record: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Returns start and end of each silence between words, in frames."""
    return [(start, end) for start, end, *_ in record["silences"] if start > 0 and end < record["num_frames"]]


class AlignerSubset(torch.utils.data.Dataset):
    """Some rows of a dataset; `rows` of a batch still refers to the whole dataset."""

    def __init__(self, whole: AlignerDataset, rows: Sequence[int]) -> None:
        """Selects rows of a dataset.

        Args:
            whole: the dataset.
            rows: rows of `whole`, in the order of the subset.
        """
        self.whole, self.rows = whole, rows
        self.lengths = [whole.lengths[row] for row in rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> AlignerBatch:
        return self.whole[self.rows[index]]
