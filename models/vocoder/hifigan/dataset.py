"""Batches of crops of the clips from stage 1, for HiFi-GAN."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from config.schema import MelSettings
from models.training.crops import Crop
from models.training.ragged import Ragged
from modules.mel import LOG_FLOOR
from utils.data_folder import ClipRow, read_split
from utils.shards import ShardReader


class HiFiGANBatch(NamedTuple):
    """Shapes: B crops of `segment` samples, which are F mel frames; margin = (n_fft - hop_size) / 2 samples."""

    rows: Tensor  # [B] int64, rows of the data set's manifest
    audio: Tensor  # [B, margin + segment + margin] float32, full scale is 1: the segment and its neighborhood
    mel: Tensor  # [B, F, n_mel] float32, log amplitude: the acoustic model's, when fine-tuning; else [B, 0, n_mel]


class HiFiGANDataset(torch.utils.data.Dataset):
    """One split of one or several corpora, from which crops are read (memory-mapped).

    A crop starts at a mel frame. Its neighborhood comes from the clip, reflected at the clip's ends exactly as
    MelSpectrogram pads a whole clip. So the crop's mel, computed without padding, equals these frames of the whole
    clip's mel. A clip shorter than the segment is extended with silence, as if the silence had been recorded.
    """

    def __init__(self, data_dirs: Sequence[Path], split: str, mel: MelSettings, segment_size: int) -> None:
        """Reads the manifests.

        Args:
            data_dirs: output of stage 1, or, for fine-tuning, folders that also have an acoustic model's mels.
            split: "train", "valid", "test" or "golden_test".
            mel: of the vocoder.
            segment_size: samples of a crop, a multiple of hop_size.

        Raises:
            UserError: the split or its first shard is missing or damaged.
        """
        self.data_dirs = data_dirs
        self.rows: list[ClipRow] = cast(list[ClipRow], read_split(data_dirs, split))
        self.lengths: list[int] = [row["num_samples"] for row in self.rows]
        self.mel, self.segment_size = mel, segment_size
        self.margin = (mel.n_fft - mel.hop_size) // 2
        self._shards = ShardReader(*data_dirs)
        first = self.rows[0] if self.rows else None
        self.has_mels = first is not None and self._shards.has(first["shard"], first["utt_id"], "mel")

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, crop: Crop) -> HiFiGANBatch:
        """Reads one crop: the fields of a batch without their first dimension.

        Raises:
            UserError: the clip's shard is missing or damaged.
        """
        row, first_frame = self.rows[crop.row], self.first_frame(crop)
        return HiFiGANBatch(
            rows=torch.tensor(crop.row),
            audio=self._audio(row, first_frame * self.mel.hop_size),
            mel=self._mel(row, first_frame, first_frame + self.segment_size // self.mel.hop_size),
        )

    def first_frame(self, crop: Crop) -> int:
        """Returns the mel frame of the clip at which a crop starts."""
        num_frames = self.segment_size // self.mel.hop_size
        num_starts = max(1, self._num_frames(self.rows[crop.row]) - num_frames + 1)
        return min(int(crop.fraction * num_starts), num_starts - 1)

    def clip(self, row: int) -> tuple[Tensor, Tensor]:
        """Reads a whole clip.

        Returns:
            Audio, float32 [N], and the acoustic model's mel, float32 [N / hop_size, n_mel], or [0, n_mel] if none.

        Raises:
            UserError: the clip's shard is missing or damaged.
        """
        entry = self.rows[row]
        return self._read_audio(entry, 0, entry["num_samples"]), self._mel(entry, 0, self._num_frames(entry))

    @property
    def resident_bytes(self) -> int:
        """Bytes that `on_device` allocates."""
        mels = sum(map(self._num_frames, self.rows)) * self.mel.n_mel * 4 if self.has_mels else 0
        return sum(self.lengths) * 2 + mels

    def on_device(self, device: torch.device) -> "ResidentClips":
        """Copies all clips into the memory of a device."""
        return ResidentClips(self, device)

    def _audio(self, row: ClipRow, start: int) -> Tensor:
        """Reads the segment that starts at sample `start`, with a margin on either side."""
        length = max(row["num_samples"], self.segment_size)  # a short clip ends with silence
        samples = torch.arange(start - self.margin, start + self.segment_size + self.margin).abs()
        samples = torch.where(samples < length, samples, 2 * (length - 1) - samples)
        first, last = int(samples.min()), int(samples.max())
        audio = self._read_audio(row, first, min(last + 1, row["num_samples"]))
        return F.pad(audio, (0, last + 1 - first - len(audio)))[samples - first]

    def _read_audio(self, row: ClipRow, start: int, stop: int) -> Tensor:
        return self._shards.read(row["shard"], row["utt_id"], "wav", start, stop).float() / 32768

    def _mel(self, row: ClipRow, start: int, stop: int) -> Tensor:
        """Reads the acoustic model's frames from `start` to `stop`; those after the clip's end are silence."""
        if not self.has_mels:
            return torch.zeros(0, self.mel.n_mel)
        last = min(stop, self._num_frames(row))
        mel = self._shards.read(row["shard"], row["utt_id"], "mel", start, last).float()
        return F.pad(mel, (0, 0, 0, stop - last), value=math.log(LOG_FLOOR))

    def _num_frames(self, row: ClipRow) -> int:
        return row["num_samples"] // self.mel.hop_size


class ResidentClips:
    """A data set in the memory of a device: 3.8 GB for the audio of LJSpeech."""

    def __init__(self, dataset: HiFiGANDataset, device: torch.device) -> None:
        """Copies all clips to the device.

        Args:
            dataset: with at least one clip.
            device: where the clips are kept.
        """
        self.dataset, self.device = dataset, device
        self.audio = Ragged(dataset.lengths, device, torch.int16)
        frames = (
            [length // dataset.mel.hop_size for length in dataset.lengths] if dataset.has_mels else [0] * len(dataset)
        )
        self.mels = Ragged(frames, device, torch.float32, (dataset.mel.n_mel,), math.log(LOG_FLOOR))
        for row in range(len(dataset)):
            audio, mel = dataset.clip(row)
            self.audio.put(row, audio * 32768)
            if dataset.has_mels:
                self.mels.put(row, mel)
        self.lengths = torch.tensor(dataset.lengths, device=device)
        segment, margin = dataset.segment_size, dataset.margin
        self.samples = torch.arange(-margin, segment + margin, device=device)
        self.frames = torch.arange(segment // dataset.mel.hop_size if dataset.has_mels else 0, device=device)

    def batch(self, chosen: list[Crop]) -> HiFiGANBatch:
        """Returns the same batch as `collate` does for these crops; see `ResidentData.batch`."""
        dataset = self.dataset
        index = torch.tensor([crop.row for crop in chosen])
        positions = torch.stack([index, torch.tensor([dataset.first_frame(crop) for crop in chosen])])
        rows, first_frames = positions.to(self.device, non_blocking=True)
        samples = (first_frames.unsqueeze(1) * dataset.mel.hop_size + self.samples).abs()
        # Clips shorter than the segment are extended with silence, and reflected after it.
        lengths = self.lengths[rows].clamp(min=dataset.segment_size).unsqueeze(1)
        samples = torch.where(samples < lengths, samples, 2 * (lengths - 1) - samples)
        return HiFiGANBatch(
            rows=index,
            audio=self.audio.take(rows, samples).float() / 32768,
            mel=self.mels.take(rows, first_frames.unsqueeze(1) + self.frames),
        )
