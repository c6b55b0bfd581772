"""FastSpeech 2 with the recording's durations, pitch and energy: its mel then lies on the recording frame by frame."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from models.tts.fastspeech2.dataset import FastSpeech2Batch, FastSpeech2Dataset
from models.tts.fastspeech2.model import FastSpeech2, FastSpeech2Output

MAX_FRAMES = {"cuda": 24_000, "cpu": 3_000}  # padded mel frames a batch


class Place(NamedTuple):
    """An utterance of a data set."""

    split: str
    index: int  # row of the split's manifest


class TeacherForced:
    """A trained model, and the features that stage 1 made of its corpus."""

    def __init__(
        self, model: FastSpeech2, data_dir: Path, splits: Sequence[str], device: torch.device | str = "cpu"
    ) -> None:
        """Args:
        model: trained on these features.
        data_dir: what stage 1 wrote.
        splits: those to speak.
        device: where the model is to run.

        Raises:
            UserError: a split is missing or damaged.
        """
        self.model = model.to(device).eval().requires_grad_(False)
        self.device = torch.device(device)
        self._sets = {split: FastSpeech2Dataset(data_dir, split) for split in splits}

    def places(self) -> dict[str, list[Place]]:
        """The utterances of all splits by the shard that holds them; shards in order of their names."""
        by_shard: dict[str, list[Place]] = {}
        for split, dataset in self._sets.items():
            for index, row in enumerate(dataset.rows):
                by_shard.setdefault(row["shard"], []).append(Place(split, index))
        return dict(sorted(by_shard.items()))

    def row(self, place: Place) -> dict[str, Any]:
        """The utterance's line of the manifest."""
        return self._sets[place.split].rows[place.index]

    @torch.inference_mode()
    def mels(self, places: Sequence[Place]) -> Iterator[tuple[Place, np.ndarray]]:
        """The model's mel of utterances, in batches of similar length; they come in no particular order.

        Yields:
            The utterance, and float32 [num_frames, n_mel] log amplitude, the PostNet's.

        Raises:
            UserError: a shard is missing or damaged.
        """
        most = MAX_FRAMES.get(self.device.type, MAX_FRAMES["cpu"])
        batch: list[Place] = []
        for place in sorted(places, key=lambda place: self.row(place)["num_frames"]):
            if batch and self.row(place)["num_frames"] * (len(batch) + 1) > most:
                yield from self._speak(batch)
                batch = []
            batch.append(place)
        if batch:
            yield from self._speak(batch)

    def _speak(self, places: list[Place]) -> Iterator[tuple[Place, np.ndarray]]:
        items = [self._sets[place.split][place.index] for place in places]
        batch = FastSpeech2Batch(*(field.to(self.device) for field in FastSpeech2Dataset.collate(items)))
        mels = forced(self.model, batch).mel_postnet.float().cpu().numpy()
        for place, mel in zip(places, mels, strict=True):
            yield place, mel[: self.row(place)["num_frames"]]


def forced(model: torch.nn.Module, batch: FastSpeech2Batch) -> FastSpeech2Output:
    """The model's output with the recording's durations, pitch and energy."""
    return model(
        batch.phone_ids,
        batch.phone_lengths,
        durations=batch.durations,
        pitch=batch.pitch,
        energy=batch.energy,
        speaker_id=batch.speaker_id,
        num_frames=batch.mel.shape[1],
    )
