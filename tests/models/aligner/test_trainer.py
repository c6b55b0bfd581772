"""The aligner on speech that is made of one spectrum a phone: what it must find is known to the frame."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from config.schema import PreprocessConfig
from models.aligner import stage
from models.aligner.dataset import AlignerDataset
from models.aligner.flat_start import FlatStart
from utils.shards import feature_key, write_shard
from utils.textgrid import read_phones

PHONES = ("AA", "B", "CH", "D", "EH", "F")
N_MEL = 20
SECONDS_PER_FRAME = 0.01


@pytest.fixture(scope="module")
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
        facts = {"phones": [*phones, "."], "words": words, "num_frames": sum(durations), "seconds": seconds}
        records.append({"utt_id": utt_id, "speaker": "x", **facts, "shard": "shard-00000"})
        truth.append(durations)
    write_shard(folder / "shard-00000.safetensors", arrays, {})
    return folder, records, truth


PREPROCESS = PreprocessConfig(n_mel=N_MEL, sample_rate=1000, hop_size=10)


def distances(found: list[np.ndarray], truth: list[list[int]]) -> np.ndarray:
    return np.concatenate([np.abs(np.cumsum(f)[:-1] - np.cumsum(t)[:-1]) for f, t in zip(found, truth, strict=True)])


def test_the_flat_start_finds_most_boundaries(corpus: tuple[Path, list, list]) -> None:
    folder, records, truth = corpus
    dataset = AlignerDataset(folder, records)
    guess = FlatStart(len(dataset.symbols), dataset.symbols.ids(["sp"])[0], N_MEL, torch.device("cpu"))
    batch = AlignerDataset.collate([dataset[i] for i in range(len(dataset))])
    before = distances(list(guess.durations(batch).numpy()), truth)
    guess.fit([batch])
    after = distances(list(guess.durations(batch).numpy()), truth)
    assert np.mean(after) < 0.5 < 2 < np.mean(before)  # frames


def test_learned_boundaries_are_the_true_ones(corpus: tuple[Path, list, list], tmp_path: Path) -> None:
    folder, records, truth = corpus
    config = stage.aligner_config(PREPROCESS, len(records))
    config = replace(config, train=replace(config.train, max_steps=120))
    dataset = AlignerDataset(folder, records)
    model = stage.train_aligner(config, dataset, tmp_path / "work", "inputs")
    found = sorted(stage.align(model, dataset, SECONDS_PER_FRAME))
    far = distances([aligned.durations for aligned in found], truth)
    assert np.mean(far) < 0.2 and np.mean(far > 3) < 0.02
    assert not np.isnan([aligned.score.fit for aligned in found]).any()

    path = stage.write_alignment(dataset, found[3], tmp_path, SECONDS_PER_FRAME)
    intervals = read_phones(path)
    assert [i.label for i in intervals] == ["", *records[3]["phones"][:-1], ""]
    assert intervals[-1].end == pytest.approx(records[3]["seconds"])
    assert [round(i.end / SECONDS_PER_FRAME) for i in intervals][:-1] == np.cumsum(found[3].durations).tolist()[:-1]


def test_a_text_of_another_recording_fits_worst(corpus: tuple[Path, list, list], tmp_path: Path) -> None:
    folder, records, _ = corpus
    swapped = [dict(record) for record in records]
    swapped[5]["phones"], swapped[6]["phones"] = records[6]["phones"], records[5]["phones"]
    mels, textgrids, pictures = folder, tmp_path / "TextGrid", tmp_path / "pictures"
    learned = stage.learn(PREPROCESS, mels, swapped, "inputs", tmp_path / "work", textgrids, pictures)
    order = sorted(learned.scores, key=lambda utt_id: -learned.scores[utt_id][0])
    assert set(order[:2]) == {"utt-05", "utt-06"}
    assert len(list(textgrids.glob("*.TextGrid"))) == len(records)
    assert len(list(pictures.glob("*.png"))) == 20


def test_what_has_more_phones_than_frames_is_set_aside(corpus: tuple[Path, list, list]) -> None:
    folder, records, _ = corpus
    crowded = {**records[0], "utt_id": "crowded", "num_frames": 9}  # 8 phones and a pause at either end
    dataset = AlignerDataset(folder, [*records, crowded])
    assert len(dataset) == len(records)
    assert dataset.crowded == [("crowded", "10 phones and pauses in 9 frames")]
