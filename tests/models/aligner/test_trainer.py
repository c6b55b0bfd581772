"""The aligner on speech that is made of one spectrum a phone: what it must find is known to the frame."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from config.schema import PreprocessConfig
from models.aligner import stage, trainer
from models.aligner.dataset import AlignerDataset
from models.aligner.flat_start import FlatStart
from models.aligner.trainer import LONGEST, AlignerTrainer, validation_rows
from models.training.batching import collate
from utils.textgrid import read_phones

N_MEL = 20
SECONDS_PER_FRAME = 0.01
PREPROCESS = PreprocessConfig(n_mel=N_MEL, sample_rate=1000, hop_size=10)


def distances(found: list[np.ndarray], truth: list[list[int]]) -> np.ndarray:
    return np.concatenate([np.abs(np.cumsum(f)[:-1] - np.cumsum(t)[:-1]) for f, t in zip(found, truth, strict=True)])


def test_the_flat_start_finds_most_boundaries(corpus: tuple[Path, list, list]) -> None:
    folder, records, truth = corpus
    dataset = AlignerDataset(folder, records)
    guess = FlatStart(len(dataset.symbols), dataset.symbols.ids(["sp"])[0], N_MEL, torch.device("cpu"))
    batch = collate([dataset[i] for i in range(len(dataset))])
    before = distances(list(guess.durations(batch).numpy()), truth)
    guess.fit([batch])
    after = distances(list(guess.durations(batch).numpy()), truth)
    assert np.mean(after) < 0.5 < 2 < np.mean(before)  # frames


class Run(NamedTuple):
    learned: stage.Learned
    textgrid_dir: Path
    pictures_dir: Path


@pytest.fixture(scope="module")
def swapped(corpus: tuple[Path, list, list], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The corpus, aligned with the texts of two utterances exchanged."""
    folder, records, _ = corpus
    wrong = [dict(record) for record in records]
    wrong[5]["phones"], wrong[6]["phones"] = records[6]["phones"], records[5]["phones"]
    out = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:  # such clear speech is learned in no time
        for name, value in (("_GUESS_ENDS", 50), ("_BINARIZATION_ENDS", 70), ("_FIRST_LOOK", 100)):
            patch.setattr(trainer, name, value)
        learned = stage.learn(PREPROCESS, folder, wrong, "inputs", out / "work", out / "TextGrid", out / "pictures")
    return Run(learned, out / "TextGrid", out / "pictures")


def test_learned_boundaries_are_the_true_ones(corpus: tuple[Path, list, list], swapped: Run) -> None:
    found, expected = [], []
    for record, durations in zip(*corpus[1:], strict=True):
        if record["utt_id"] in ("utt-05", "utt-06"):
            continue
        intervals = read_phones(swapped.textgrid_dir / f"{record['utt_id']}.TextGrid")
        assert [i.label for i in intervals] == ["", *record["phones"][:-1], ""]
        assert intervals[-1].end == pytest.approx(record["seconds"])
        found.append(np.diff([0, *(round(i.end / SECONDS_PER_FRAME) for i in intervals)]))
        expected.append(durations)
    far = distances(found, expected)
    assert np.mean(far) < 0.2 and np.mean(far > 3) < 0.02


def test_a_text_of_another_recording_fits_worst(corpus: tuple[Path, list, list], swapped: Run) -> None:
    scores = swapped.learned.scores
    assert not np.isnan([list(score) for score in scores.values()]).any()
    assert set(sorted(scores, key=lambda utt_id: -scores[utt_id].misfit)[:2]) == {"utt-05", "utt-06"}
    assert len(list(swapped.textgrid_dir.glob("*.TextGrid"))) == len(corpus[1])
    drawn = {path.stem for path in swapped.pictures_dir.glob("*.png")}
    assert len(drawn) == 20 and {"utt-05", "utt-06"} < drawn


def test_what_has_more_phones_than_frames_is_set_aside(corpus: tuple[Path, list, list]) -> None:
    folder, records, _ = corpus
    crowded = {**records[0], "utt_id": "crowded", "num_frames": 9}  # 8 phones and a pause at either end
    dataset = AlignerDataset(folder, [*records, crowded])
    assert len(dataset) == len(records)
    assert dataset.crowded == [("crowded", "10 phones and pauses in 9 frames")]


def test_large_corpora_are_validated_on_what_is_not_trained_on(corpus: tuple[Path, list, list], tmp_path: Path) -> None:
    folder, records, _ = corpus
    for copies, count in ((5, 12), (1, 24)):  # 120 utterances spare one in ten, 24 spare none
        many = [record for _ in range(copies) for record in records]
        training = AlignerTrainer(stage.aligner_config(PREPROCESS), tmp_path, AlignerDataset(folder, many))
        training.setup()
        seen = sorted(row for batch in training.train_loader for row in batch.rows.tolist())
        spared = set(training.validated) if copies > 1 else set()
        assert len(training.validated) == count
        assert seen == [row for row in range(len(many)) if row not in spared]


def test_validation_utterances_are_few_and_spread() -> None:
    assert validation_rows(3) == [0, 1, 2]
    assert len(validation_rows(99)) == 64 and validation_rows(100) == list(range(0, 100, 10))
    rows = validation_rows(13_100)
    assert len(set(rows)) == 64 and rows[0] < 300 and rows[-1] > 12_800


@pytest.fixture
def validating(
    corpus: tuple[Path, list, list], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[int], float]], AlignerTrainer]:
    """A trainer that was led through all validations of a training with this validation loss at each step."""

    def run(loss: Callable[[int], float]) -> AlignerTrainer:
        training = AlignerTrainer(stage.aligner_config(PREPROCESS), tmp_path, AlignerDataset(*corpus[:2]))
        training.setup()
        half = {"forward_sum": torch.tensor(0.0), "binarization": torch.tensor(0.0)}
        monkeypatch.setattr(
            training, "_losses", lambda *_: {name: torch.tensor(loss(training.step) / 2) for name in half}
        )
        while training.step < training.last_step:
            training.step = min(training.step + trainer.BLOCK, training.last_step)
            training._validate()
        return training

    return run


def test_training_goes_on_until_the_validation_loss_has_flattened(
    validating: Callable[[Callable[[int], float]], AlignerTrainer],
) -> None:
    flat_at_once = validating(lambda step: 1.0)
    assert (flat_at_once.steady_until, flat_at_once.step) == (300, 420)
    # A block that improves on the best by 0.9 % is not enough, and what comes after the decision changes nothing.
    assert validating(lambda step: 2.0 * 0.991 ** (step / 50)).step == 420
    falling = validating(lambda step: 2.0 * 0.98 ** (min(step, 600) / 50))
    assert (falling.steady_until, falling.step) == (650, 910)
    rates = [falling.learning_rate(step) / falling.learning_rate(650) for step in (25, 50, 300, 780, 910)]
    assert rates == pytest.approx([0.5, 1.0, 1.0, 0.51, 0.02])
    # A loss that goes up is no improvement on the best, and one that never ceases to fall comes to an end.
    assert validating(lambda step: 1.0 if step != 250 else 0.5).step == 420
    endless = validating(lambda step: 0.9 ** (step / 50))
    assert LONGEST - 1.4 * trainer.BLOCK < endless.step <= LONGEST


def test_a_run_that_was_killed_ends_with_the_same_weights(
    corpus: tuple[Path, list, list], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("_WARMUP", 2), ("_GUESS_ENDS", 6), ("_BINARIZATION_ENDS", 9), ("_FIRST_LOOK", 10)):
        monkeypatch.setattr(trainer, name, value)
    monkeypatch.setattr(trainer, "BLOCK", 5)
    config = stage.aligner_config(PREPROCESS)
    config = replace(config, train=replace(config.train, max_steps=60, valid_every=5, save_every=4, log_every=100))
    dataset = AlignerDataset(*corpus[:2])
    whole = stage.train_aligner(config, dataset, tmp_path / "whole", "inputs").state_dict()
    ends = []
    for number, killed_at in enumerate((8, 13, 18, 10_000)):  # in the first part, right after a look, later
        run = AlignerTrainer.losses

        def losses(self: AlignerTrainer, *arguments: Any, killed_at: int = killed_at, run: Any = run) -> Any:
            if self.step == killed_at:
                raise KeyboardInterrupt
            ends.append(self.steady_until)
            return run(self, *arguments)

        monkeypatch.setattr(AlignerTrainer, "losses", losses)
        if number < 3:
            with pytest.raises(KeyboardInterrupt):
                stage.train_aligner(config, dataset, tmp_path / "killed", "inputs")
        else:
            again = stage.train_aligner(config, dataset, tmp_path / "killed", "inputs").state_dict()
        monkeypatch.setattr(AlignerTrainer, "losses", run)
    assert min(ends) == 10 < max(ends)  # it went on after the first look, or this test shows nothing
    assert all(torch.equal(again[name], whole[name]) for name in whole)
