"""Runs FastSpeech 2 with the recording's durations, pitch and energy, so the mel matches the recording per frame."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from models.training.batching import collate
from models.tts.fastspeech2.dataset import FastSpeech2Batch, FastSpeech2Dataset
from models.tts.fastspeech2.model import FastSpeech2, FastSpeech2Output

MAX_FRAMES = {"cuda": 24_000, "cpu": 3_000}  # padded mel frames per batch


class _Item(NamedTuple):
    dataset: FastSpeech2Dataset
    row: int
    num_frames: int


class TeacherForced:
    """A trained model and the features of its corpus."""

    def __init__(
        self, model: FastSpeech2, data_dir: Path, splits: Sequence[str], device: torch.device | str = "cpu"
    ) -> None:
        """Opens the features.

        Args:
            model: a model trained on these features.
            data_dir: data folder of stage 1.
            splits: splits to speak.
            device: where the model runs.

        Raises:
            UserError: a split is missing or damaged.
        """
        self.model = model.to(device).eval().requires_grad_(False)
        self.device = torch.device(device)
        datasets = [FastSpeech2Dataset([data_dir], split) for split in splits]
        self._items = {
            row["utt_id"]: _Item(dataset, index, row["num_frames"])
            for dataset in datasets
            for index, row in enumerate(dataset.rows)
        }

    @torch.inference_mode()
    def mels(self, utt_ids: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
        """Speaks utterances in batches of similar length, in no particular order.

        Yields:
            The id of an utterance and its mel after the PostNet: float32 [num_frames, n_mel], log amplitude.

        Raises:
            UserError: a shard is missing or damaged.
        """
        max_frames = MAX_FRAMES.get(self.device.type, MAX_FRAMES["cpu"])
        batch: list[str] = []
        for utt_id in sorted(utt_ids, key=lambda utt_id: self._items[utt_id].num_frames):
            if batch and self._items[utt_id].num_frames * (len(batch) + 1) > max_frames:
                yield from self._speak(batch)
                batch = []
            batch.append(utt_id)
        if batch:
            yield from self._speak(batch)

    def _speak(self, utt_ids: list[str]) -> Iterator[tuple[str, np.ndarray]]:
        items = [self._items[utt_id] for utt_id in utt_ids]
        examples = [item.dataset[item.row] for item in items]
        batch = FastSpeech2Batch(*(field.to(self.device) for field in collate(examples)))
        mels = forced(self.model, batch).mel_postnet.float().cpu().numpy()
        for utt_id, item, mel in zip(utt_ids, items, mels, strict=True):
            yield utt_id, mel[: item.num_frames]


def forced(model: torch.nn.Module, batch: FastSpeech2Batch) -> FastSpeech2Output:
    """Runs the model with the recording's durations, pitch and energy."""
    return model(
        batch.phone_ids,
        batch.phone_lengths,
        durations=batch.durations,
        pitch=batch.pitch,
        energy=batch.energy,
        speaker_id=batch.speaker_id,
        num_frames=batch.mel.shape[1],
    )
