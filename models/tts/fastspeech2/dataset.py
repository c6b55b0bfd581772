"""Loads the features of stage 1 as batches for FastSpeech 2."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import torch
from torch import Tensor

from models.training.ragged import Ragged
from models.tts.fastspeech2.tables import feature_stats, find_speaker, read_tables
from text.symbols import SymbolTable, UnknownSymbolError
from utils.data_folder import SPEAKERS, STATS, SYMBOLS_TABLE, AcousticRow, read_split
from utils.errors import UserError
from utils.shards import ShardReader


class FastSpeech2Batch(NamedTuple):
    """A batch of B utterances of up to S phones and T mel frames; padding is 0."""

    rows: Tensor  # [B] int64, rows of the split's manifest
    phone_ids: Tensor  # [B, S] int64
    phone_lengths: Tensor  # [B] int64
    durations: Tensor  # [B, S] int64, frames
    pitch: Tensor  # [B, S] float32, z-scored
    energy: Tensor  # [B, S] float32, z-scored
    mel: Tensor  # [B, T, n_mel] float32, log amplitude
    mel_lengths: Tensor  # [B] int64
    speaker_id: Tensor  # [B] int64

    def widened(self, num_phones: int, num_frames: int) -> "FastSpeech2Batch":
        """Returns the same utterances padded to S = `num_phones` and T = `num_frames`."""
        names = ("phone_ids", "durations", "pitch", "energy")
        by_phone = {name: _widened(getattr(self, name), num_phones) for name in names}
        return self._replace(mel=_widened(self.mel, num_frames), **by_phone)


def _widened(x: Tensor, length: int) -> Tensor:
    """[B, L, ...] -> [B, length, ...], padded with 0; pinned if `x` is pinned."""
    wide = torch.zeros(len(x), length, *x.shape[2:], dtype=x.dtype, device=x.device, pin_memory=x.is_pinned())
    wide[:, : x.shape[1]] = x
    return wide


class FastSpeech2Dataset(torch.utils.data.Dataset):
    """One split of one or several corpora. Each item reads an utterance's features from its memory-mapped shard."""

    def __init__(self, data_dirs: Sequence[Path], split: str) -> None:
        """Reads the manifests, the symbols, the speakers and the statistics.

        Args:
            data_dirs: data folders of stage 1.
            split: "train", "valid", "test" or "golden_test".

        Raises:
            UserError: the split is missing, or an utterance has a symbol that symbols.json lacks.
        """
        self.data_dirs = data_dirs
        self.rows: list[AcousticRow] = cast(list[AcousticRow], read_split(data_dirs, split))
        tables = read_tables(data_dirs)
        self.symbols = SymbolTable(tables[SYMBOLS_TABLE])
        self.speakers: dict[str, int] = tables[SPEAKERS]
        self.stats = feature_stats(tables[STATS], self.speakers)
        self.speaker_ids = [find_speaker(self.speakers, row["speaker"], row["dataset"]) for row in self.rows]
        self.lengths: list[int] = [row["num_frames"] for row in self.rows]
        try:
            self.phone_ids = [self.symbols.ids(row["phones"]) for row in self.rows]
        except UnknownSymbolError as error:
            raise UserError(f"{self.data_dirs[0].parent}: {error}; run stage 1 again") from None
        self._shards = ShardReader(*data_dirs)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> FastSpeech2Batch:
        """Returns one utterance as a batch without its first dimension."""
        row = self.rows[index]
        speaker_id = self.speaker_ids[index]
        stats = self.stats.speakers[speaker_id] if self.stats.speakers else self.stats
        durations = self._read(row, "durations").long()
        spoken = durations > 0  # a symbol of no duration has neither pitch nor energy: it gets the mean
        pitch = (self._read(row, "phone_pitch") - stats.pitch_mean) / stats.pitch_std
        energy = (self._read(row, "phone_energy") - stats.energy_mean) / stats.energy_std
        return FastSpeech2Batch(
            rows=torch.tensor(index),
            phone_ids=torch.tensor(self.phone_ids[index]),
            phone_lengths=torch.tensor(len(row["phones"])),
            durations=durations,
            pitch=pitch * spoken,
            energy=energy * spoken,
            mel=self._read(row, "mel"),
            mel_lengths=torch.tensor(row["num_frames"]),
            speaker_id=torch.tensor(speaker_id),
        )

    @property
    def resident_bytes(self) -> int:
        """Device memory, in bytes, that `on_device` takes."""
        mels = sum(row["num_frames"] for row in self.rows) * self[0].mel.shape[1] * 4
        return mels + sum(len(row["phones"]) for row in self.rows) * (8 + 8 + 4 + 4)

    def on_device(self, device: torch.device) -> "ResidentFeatures":
        """Copies all features into the memory of a device."""
        return ResidentFeatures(self, device)

    def _read(self, row: AcousticRow, feature: str) -> Tensor:
        return self._shards.read(row["shard"], row["utt_id"], feature)


class ResidentFeatures:
    """All features of a split in the memory of a device: 2.4 GB for LJSpeech's mels."""

    def __init__(self, dataset: FastSpeech2Dataset, device: torch.device) -> None:
        """Copies the features of every utterance to the device.

        Args:
            dataset: a split with at least one utterance.
            device: where the features are kept.
        """
        self.device = device
        phones, frames = [len(row["phones"]) for row in dataset.rows], dataset.lengths
        n_mel = dataset[0].mel.shape[1]
        self.tables = {
            "phone_ids": Ragged(phones, device, torch.int64),
            "durations": Ragged(phones, device, torch.int64),
            "pitch": Ragged(phones, device, torch.float32),
            "energy": Ragged(phones, device, torch.float32),
            "mel": Ragged(frames, device, torch.float32, (n_mel,)),
        }
        speakers = []
        for row in range(len(dataset)):
            item = dataset[row]
            for name, table in self.tables.items():
                table.put(row, getattr(item, name))
            speakers.append(item.speaker_id)
        self.phone_lengths, self.mel_lengths = torch.tensor(phones), torch.tensor(frames)
        self.speaker_id = torch.stack(speakers)

    def batch(self, chosen: list[int]) -> FastSpeech2Batch:
        """Returns the utterances of these rows, padded as by `collate`; see `ResidentData.batch`."""
        index = torch.tensor(chosen)
        phone_lengths, mel_lengths = self.phone_lengths[index], self.mel_lengths[index]
        rows = index.to(self.device, non_blocking=True)
        widths = {name: int(phone_lengths.max()) for name in self.tables} | {"mel": int(mel_lengths.max())}
        return FastSpeech2Batch(
            rows=index,
            phone_lengths=phone_lengths,
            mel_lengths=mel_lengths,
            speaker_id=self.speaker_id[index],
            **{name: table.padded(rows, widths[name]) for name, table in self.tables.items()},
        )
