"""A corpus for the aligner that is made of one spectrum a phone: what must be found is known to the frame."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from utils.shards import feature_key, write_shard

PHONES = ("AA", "B", "CH", "D", "EH", "F")
N_MEL = 20
SECONDS_PER_FRAME = 0.01


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]], list[list[int]]]:
    """A shard, its records, and the true durations of pause, phones, pause."""
    draw = np.random.default_rng(0)
    spectra = draw.normal(0, 2, (len(PHONES), N_MEL))
    folder = tmp_path_factory.mktemp("mels")
    arrays, records, truth = {}, [], []
    for index in range(24):
        # Steps of 1 to 5 around the circle of six: the boundary between two equal phones could not be found.
        chosen = np.cumsum(draw.integers(1, len(PHONES), 8)) % len(PHONES)
        durations = [int(draw.integers(2, 8)), *(int(d) for d in draw.integers(3, 15, 8)), int(draw.integers(2, 8))]
        rows = [np.full(N_MEL, -9.0), *spectra[chosen], np.full(N_MEL, -9.0)]
        mel = np.repeat(np.stack(rows), durations, axis=0) + draw.normal(0, 0.5, (sum(durations), N_MEL))
        utt_id = f"utt-{index:02d}"
        arrays[feature_key(utt_id, "mel")] = mel.astype(np.float32)
        phones = [PHONES[i] for i in chosen]
        seconds = (sum(durations) + 0.4) * SECONDS_PER_FRAME
        words = [["all", len(phones)]]
        facts = {
            "phones": [*phones, "."],
            "words": words,
            "num_frames": sum(durations),
            "silences": [],
            "seconds": seconds,
        }
        records.append({"utt_id": utt_id, "speaker": "x", **facts, "shard": "shard-00000"})
        truth.append(durations)
    write_shard(folder / "shard-00000.safetensors", arrays, {})
    return folder, records, truth
