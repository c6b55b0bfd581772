"""bins/benchmark.py: what it prints is complete, and its baseline is slower by its form alone, not by its results."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState, GradientState

from bins import benchmark
from bins.benchmarking import suite, training
from bins.benchmarking.baseline import baseline
from bins.benchmarking.corpus import corpus_lengths, write_features
from bins.benchmarking.measure import Sections, counting_operations
from config.load import load_config
from models.training.batching import LengthBucketSampler
from models.training.crops import Crop
from models.tts.fastspeech2.dataset import FastSpeech2Dataset
from models.vocoder.hifigan.dataset import HiFiGANDataset
from modules.conv import Conv1d
from modules.length_regulator import LengthRegulator
from utils.errors import UserError

SMALL_FASTSPEECH2 = {
    "model_type": "FastSpeech2",
    "preprocess": {"n_mel": 16},
    "model": {
        "transformer": {
            "encoder_layer": 1,
            "decoder_layer": 1,
            "encoder_hidden": 16,
            "decoder_hidden": 16,
            "conv_filter_size": 24,
        },
        "variance_predictor": {"filter_size": 16},
        "postnet": {"hidden": 16, "layers": 2},
    },
    "train": {"batch_size": 8},
}
SMALL_HIFIGAN = {
    "model_type": "HiFiGAN",
    "preprocess": {"n_mel": 16},
    "model": {"upsample_initial_channel": 16, "resblock": "2"},
    "train": {"batch_size": 2},
}


def write_config(folder: Path, values: dict) -> Path:
    path = folder / "exp_config.json"
    path.write_text(json.dumps(values))
    return path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., list[dict]]]:
    """Runs the program in this process, on whatever device there is; returns its lines."""

    def main(config: Path, *arguments: str) -> list[dict]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["benchmark.py", "--config", str(config), *arguments])
        benchmark.main()
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    yield main
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


def test_training_beside_its_baseline(run: Callable[..., list[dict]], tmp_path: Path) -> None:
    plain, own = run(write_config(tmp_path, SMALL_FASTSPEECH2), "--what", "train", "--steps", "2", "--baseline")
    assert (plain["step"], own["step"]) == ("baseline", "trainer")
    for record in (plain, own):
        assert record["what"] == "train" and record["data"] == "LJSpeech's lengths" and record["steps"] == 2
        assert record["mel_frames_per_second"] > 0 and record["peak_memory_gib"] > 0
        assert list(record["time_shares"]) == ["data", "forward", "backward", "optimizer"]
        assert sum(record["time_shares"].values()) == pytest.approx(1, abs=0.01)
        assert min(record["time_shares"].values()) > 0
        assert 0 < record["model_teraflops"] < record["matmul_teraflops"]
    assert own["padding"] < 0.05 < plain["padding"]
    assert own["times_baseline"] == pytest.approx(
        own["mel_frames_per_second"] / plain["mel_frames_per_second"], rel=0.01
    )


def test_recorded_steps_are_timed_whole(
    run: Callable[..., list[dict]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded_steps
) -> None:
    monkeypatch.setattr(training, "UTTERANCES", 64)
    config = write_config(tmp_path, SMALL_FASTSPEECH2)
    (record,) = run(config, "--what", "train", "--steps", "2", "--set", "train.compile=graphs")
    assert record["compile"] == "graphs" and recorded_steps.recorded > 1
    assert list(record["time_shares"]) == ["data", "graph", "rest"]
    assert record["time_shares"]["graph"] > 0.5
    assert 0 < record["padding"] < 0.2 and record["model_teraflops"] > 0


def test_the_baseline_is_not_compiled(run: Callable[..., list[dict]], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--baseline: only with train.compile = false"):
        run(write_config(tmp_path, SMALL_FASTSPEECH2), "--what", "train", "--baseline", "--set", "train.compile=true")


def test_inference_of_one_and_of_a_batch(run: Callable[..., list[dict]], tmp_path: Path) -> None:
    for values in (SMALL_FASTSPEECH2, SMALL_HIFIGAN):
        one, batch = run(write_config(tmp_path, values), "--what", "inference", "--steps", "2")
        assert (one["batch_size"], batch["batch_size"]) == (1, values["train"]["batch_size"])
        assert one["padding"] == 0 <= batch["padding"] and one["audio_seconds_per_second"] > 0


def test_stage_1(run: Callable[..., list[dict]], tmp_path: Path) -> None:
    (record,) = run(
        write_config(tmp_path, SMALL_FASTSPEECH2), "--what", "preprocess", "--steps", "6", "--num_workers", "1"
    )
    assert record["utterances"] == 6 and record["processes"] == 1 and record["pitch_extractor"] == "dio"
    assert record["audio_seconds_per_second"] > record["utterances_per_second"] > 0
    assert [path.name for path in tmp_path.iterdir()] == ["exp_config.json"]  # nothing stays behind


def test_a_sentence_from_its_text(run: Callable[..., list[dict]], tmp_path: Path) -> None:
    (record,) = run(write_config(tmp_path, SMALL_FASTSPEECH2 | {"preprocess": {}}), "--what", "speech", "--steps", "1")
    assert 5 < record["seconds_of_speech"] < 12 and record["ms_per_step"] > 0


def test_the_aligner(run: Callable[..., list[dict]], tmp_path: Path) -> None:
    training_steps, one_pass = run(write_config(tmp_path, SMALL_FASTSPEECH2), "--what", "align", "--steps", "2")
    assert training_steps["model"] == "Aligner" and training_steps["mel_frames_per_second"] > 0
    assert one_pass["utterances"] == 255 and one_pass["utterances_per_second"] > 0


def entry(tmp_path: Path, name: str, values: dict, *overrides: str, **fields: object) -> suite.Entry:
    (tmp_path / name).mkdir()
    config = write_config(tmp_path / name, values)
    return suite.Entry("train", str(config), overrides, 1, **fields)


def test_a_suite_survives_an_experiment_that_fails_and_one_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = SMALL_HIFIGAN | {"train": {"batch_size": 1, "segment_size": 1024}}
    chosen = [
        entry(tmp_path, "wrong", small, "train.compile=graphs"),
        entry(tmp_path, "slow", small, most=-29.9),
        entry(tmp_path, "small", small, most=200),
    ]
    table = suite.run_suite(tmp_path / "results", False, 300, chosen).read_text()
    (path,) = (tmp_path / "results").glob("*.json")
    written = json.loads(path.read_text())
    (record,) = written["results"]
    assert record["config"] == chosen[2].config and record["audio_seconds_per_second"] > 0
    assert list(written["failures"]) == ["train-wrong-graphs", "train-slow"]
    assert "needs one process on a GPU" in written["failures"]["train-wrong-graphs"]
    assert written["failures"]["train-slow"] == "died, or took too long"
    assert written["torch"] == torch.__version__ and written["date"] in path.name
    assert f"| {record['audio_seconds_per_second']:,} audio seconds/s |" in table
    assert "Not measured: train-slow" in table


def test_a_suite_ends_when_its_time_is_up(tmp_path: Path) -> None:
    chosen = [entry(tmp_path, "small", SMALL_HIFIGAN, most=200), entry(tmp_path, "next", SMALL_HIFIGAN)]
    suite.run_suite(tmp_path / "results", False, 0.2, chosen)
    (path,) = (tmp_path / "results").glob("*.json")
    assert json.loads(path.read_text())["failures"] == {"train-small": "no time left"}


@pytest.mark.parametrize("on_gpu", [False, True])
def test_the_suites_experiments_are_told_apart(on_gpu: bool) -> None:
    names = [entry.name for entry in suite.entries(on_gpu)]
    assert len(set(names)) == len(names) >= 7
    for chosen in suite.entries(on_gpu):
        load_config(chosen.config, chosen.overrides)


def test_the_lengths_are_ljspeechs_or_the_corpus_own(tmp_path: Path) -> None:
    config = load_config(write_config(tmp_path, SMALL_FASTSPEECH2))
    found = corpus_lengths(config, 13100)
    assert found.seconds.mean() == pytest.approx(6.57, abs=0.1)  # 23.9 hours of 13,100 clips
    assert found.seconds.min() >= 1.11 and found.seconds.max() <= 10.1

    write_features(config, np.array([2.0, 3.0, 4.0]), tmp_path / "data" / "own")
    own = ["dataset=['own']", f"preprocess.processed_dir={tmp_path / 'data'}"]
    found = corpus_lengths(load_config(write_config(tmp_path, SMALL_FASTSPEECH2), own), 100)
    assert found.source.endswith("train.jsonl") and set(found.seconds.round(1)) == {2.0, 3.0}


def test_random_features_are_as_stage_1_would_leave_them(tmp_path: Path) -> None:
    config = load_config(write_config(tmp_path, SMALL_FASTSPEECH2))
    write_features(config, np.array([0.01, 2.0, 3.0]), tmp_path / "acoustic")
    dataset = FastSpeech2Dataset([tmp_path / "acoustic"], "train")
    for item in (dataset[0], dataset[1]):
        assert item.durations.sum() == item.mel_lengths == len(item.mel) and item.durations.min() >= 1
    assert dataset.lengths[1] == round(2 * 22050 / 256)

    config = load_config(write_config(tmp_path, SMALL_HIFIGAN))
    write_features(config, np.array([0.01, 2.0]), tmp_path / "clips")
    clips = HiFiGANDataset([tmp_path / "clips"], "train", config.preprocess.mel, 8192)
    assert len(clips[Crop(0, 0.5)].audio) == 8192 + 2 * clips.margin


def test_the_baseline_computes_the_same() -> None:
    regulator, conv, pointwise = LengthRegulator(), Conv1d(4, 6, 9), Conv1d(4, 6, 1)
    x = torch.randn(2, 5, 4)
    durations = torch.tensor([[2, 0, 1, 3, 2], [1, 1, 0, 0, 0]])
    sampler = LengthBucketSampler(list(range(10, 50)), 4, 0)

    def outputs() -> list[torch.Tensor]:
        return [*regulator(x, durations), *regulator(x, durations, 12), conv(x), pointwise(x)]

    own, bucketed = outputs(), [max(batch) - min(batch) for batch in sampler]
    with baseline():
        plain, shuffled = outputs(), list(sampler)
    for a, b in zip(own, plain, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    assert sorted(row for batch in shuffled for row in batch) == list(range(40))
    assert np.mean([max(batch) - min(batch) for batch in shuffled]) > 3 * np.mean(bucketed)


def test_operations_are_those_of_the_model_whatever_the_algorithm() -> None:
    conv = Conv1d(4, 6, 9).train()  # Winograd's, with half the products
    with counting_operations() as counter:
        conv(torch.randn(2, 50, 4))
    assert counter.get_total_flops() == 2 * 2 * 50 * 4 * 6 * 9


@pytest.mark.gpu
def test_sections_on_a_gpu_are_the_devices_time() -> None:
    sections = Sections(torch.device("cuda"))
    a = torch.randn(4096, 4096, device="cuda")
    for _ in range(2):
        sections.reset()
        with sections.section("long"):
            for _ in range(20):
                a @ a
        with sections.section("short"):
            a @ a
    found = sections.totals()
    assert found["long"] > 5 * found["short"] > 0
