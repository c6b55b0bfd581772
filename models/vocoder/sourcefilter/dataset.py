"""Batches of crops of the clips from stage 1, with their pitch."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from config.schema import MelSettings
from models.training.crops import Crop
from models.training.ragged import Ragged
from models.vocoder.hifigan.dataset import HiFiGANDataset, ResidentClips
from utils.data_folder import ClipRow
from utils.errors import UserError


class SourceFilterBatch(NamedTuple):
    """Shapes: B crops of `segment` samples, which are F mel frames; margin = (n_fft - hop_size) / 2 samples."""

    rows: Tensor  # [B] int64, rows of the data set's manifest
    audio: Tensor  # [B, margin + segment + margin] float32, full scale is 1: the segment and its neighborhood
    mel: Tensor  # [B, F, n_mel] float32, log amplitude: the acoustic model's, when fine-tuning; else [B, 0, n_mel]
    pitch: Tensor  # [B, F] float32, Hz, 0 = unvoiced


class SourceFilterDataset(HiFiGANDataset):
    """One split of a corpus: HiFi-GAN's crops with the pitch of their frames."""

    def __init__(self, data_dirs: Sequence[Path], split: str, mel: MelSettings, segment_size: int) -> None:
        """Reads the manifests; the arguments are those of HiFiGANDataset.

        Raises:
            UserError: the split or its first shard is missing or damaged, or has no pitch.
        """
        super().__init__(data_dirs, split, mel, segment_size)
        first = self.rows[0] if self.rows else None
        if first is not None and not self._shards.has(first["shard"], first["utt_id"], "pitch"):
            raise UserError(
                f"{data_dirs[0]}: its clips have no pitch, which this vocoder needs for training: run stage 1 again"
            )

    def __getitem__(self, crop: Crop) -> SourceFilterBatch:  # type: ignore[override]
        """Reads one crop: the fields of a batch without their first dimension.

        Raises:
            UserError: the clip's shard is missing or damaged.
        """
        first = self.first_frame(crop)
        last = first + self.segment_size // self.mel.hop_size
        return SourceFilterBatch(*super().__getitem__(crop), self._pitch(self.rows[crop.row], first, last))

    def pitch(self, row: int) -> Tensor:
        """Reads the pitch of a whole clip, float32 [N / hop_size] Hz, 0 = unvoiced."""
        return self._pitch(self.rows[row], 0, self._num_frames(self.rows[row]))

    @property
    def resident_bytes(self) -> int:
        """Bytes that `on_device` allocates."""
        return super().resident_bytes + sum(map(self._num_frames, self.rows)) * 4

    def on_device(self, device: torch.device) -> "ResidentPitchedClips":
        """Copies all clips into the memory of a device."""
        return ResidentPitchedClips(self, device)

    def _pitch(self, row: ClipRow, start: int, stop: int) -> Tensor:
        """Reads the frames from `start` to `stop`; those after the clip's end are unvoiced."""
        last = min(stop, self._num_frames(row))
        pitch = self._shards.read(row["shard"], row["utt_id"], "pitch", start, last).float()
        return F.pad(pitch, (0, stop - last))


class ResidentPitchedClips(ResidentClips):
    """A data set with pitch in the memory of a device."""

    def __init__(self, dataset: SourceFilterDataset, device: torch.device) -> None:
        """Copies all clips to the device.

        Args:
            dataset: with at least one clip.
            device: where the clips are kept.
        """
        super().__init__(dataset, device)
        hop_size = dataset.mel.hop_size
        self.pitch = Ragged([length // hop_size for length in dataset.lengths], device, torch.float32)
        for row in range(len(dataset)):
            self.pitch.put(row, dataset.pitch(row))
        self.pitch_frames = torch.arange(dataset.segment_size // hop_size, device=device)

    def batch(self, chosen: list[Crop]) -> SourceFilterBatch:  # type: ignore[override]
        """Returns the same batch as `collate` does for these crops; see `ResidentData.batch`."""
        crops = super().batch(chosen)
        positions = torch.stack([crops.rows, torch.tensor([self.dataset.first_frame(crop) for crop in chosen])])
        rows, first_frames = positions.to(self.device, non_blocking=True)
        pitch = self.pitch.take(rows, first_frames.unsqueeze(1) + self.pitch_frames)
        return SourceFilterBatch(*crops, pitch)
