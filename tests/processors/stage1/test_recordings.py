"""Stage 1 of a vocoder, with its workers' part done in this process."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from config.schema import PreprocessConfig, VocoderPreprocessConfig
from preprocessors import read_corpus
from processors.stage1 import pipeline
from processors.stage1.pipeline import preprocess
from processors.stage1.pool import Workers
from processors.stage1.recordings import preprocess_recordings
from processors.stage1.splits import split
from utils.errors import UserError
from utils.jsonl import read_json, read_jsonl
from utils.shards import read_features, shard_path

RATE, HOP, N_FFT = 22050, 256, 1024


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 40 tones of 0.2 s in two folders, half a second of silence before and after each."""
    root = tmp_path_factory.mktemp("recordings")
    silence = np.zeros(RATE // 2)
    for number in range(40):
        tone = 0.3 * np.sin(2 * np.pi * (200 + 10 * number) * np.arange(RATE // 5) / RATE)
        path = root / ("ann" if number % 2 else "bob") / f"{number:02}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, np.concatenate([silence, tone, silence]), RATE, subtype="PCM_16")
    return root


@pytest.fixture
def root(recordings: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(recordings, tmp_path / "mine"))


@pytest.fixture
def config(tmp_path: Path) -> VocoderPreprocessConfig:
    return VocoderPreprocessConfig(processed_dir=str(tmp_path / "data"), valid_fraction=0.1, test_fraction=0.1)


def run(config: VocoderPreprocessConfig, root: Path) -> pipeline.Summary:
    return preprocess_recordings(config, "mine", read_corpus("mine", root, needs_text=False), Workers(1))


def rows_of(out: Path) -> dict[str, dict]:
    return {row["utt_id"]: row for name in ("train", "valid", "test") for row in read_jsonl(out / f"{name}.jsonl")}


def clip_of(out: Path, row: dict) -> np.ndarray:
    return read_features(shard_path(out / "shards", row["shard"]), [row["utt_id"]], ["wav"])[f"{row['utt_id']}.wav"]


def test_what_stage_2_finds(root: Path, config: VocoderPreprocessConfig, made: list[str]) -> None:
    out = run(config, root).out_dir
    rows = rows_of(out)
    assert made == ["shard-00000", "shard-00001"] and len(rows) == 40
    for row in rows.values():
        assert list(row) == ["utt_id", "speaker", "num_samples", "shard"]
        assert row["speaker"] == row["utt_id"][:3]
        clip = clip_of(out, row)
        assert clip.dtype == np.int16 and clip.shape == (row["num_samples"],)
        assert row["num_samples"] % HOP == 0 and RATE / 5 <= row["num_samples"] <= RATE / 5 + 6 * HOP
    corpus = read_corpus("mine", root, needs_text=False).utterances
    sets = {name: [row["utt_id"] for row in read_jsonl(out / f"{name}.jsonl")] for name in ("train", "valid", "test")}
    assert sets == {name: ids for name, ids in split(corpus, 0.1, 0.1, 1234)._asdict().items() if name != "golden_test"}
    report = read_json(out / "report.json")
    assert report["speakers"] == {"ann": 20, "bob": 20} and report["splits"]["golden_test"] > 0
    assert report["hours"] == pytest.approx(sum(row["num_samples"] for row in rows.values()) / RATE / 3600, abs=1e-4)
    files = ["golden_test.jsonl", "preprocess.lock.json", "report.json", "report.md"]
    assert sorted(p.name for p in out.iterdir()) == [*files, "shards", "test.jsonl", "train.jsonl", "valid.jsonl"]
    assert read_json(out / "preprocess.lock.json")["preprocess"]["trim_db"] == 60.0


def test_samples_are_those_of_the_recording(root: Path, config: VocoderPreprocessConfig, made: list[str]) -> None:
    samples = np.random.default_rng(0).integers(-32768, 32768, 40 * HOP + 100, dtype=np.int16)
    samples[[0, 1]] = -32768, 32767  # full scale neither wraps around nor changes
    soundfile.write(root / "noise.wav", samples, RATE, subtype="PCM_16")
    out = run(config, root).out_dir
    row = rows_of(out)["noise"]
    assert np.array_equal(clip_of(out, row), samples[: 40 * HOP])


def test_clipping_while_resampling_does_not_wrap_around(
    root: Path, config: VocoderPreprocessConfig, made: list[str]
) -> None:
    square = np.where(np.arange(48000) // 50 % 2, 32767, -32768).astype(np.int16)  # overshoots in any resampler
    soundfile.write(root / "square.wav", square, 48000, subtype="PCM_16")
    out = run(config, root).out_dir
    clip = clip_of(out, rows_of(out)["square"]).astype(int)
    assert clip.max() == 32767 and clip.min() == -32768
    assert np.abs(np.diff(clip)).max() < 65535  # from one end of the scale to the other in one sample


def test_what_is_too_short_after_trimming_is_skipped(
    root: Path, config: VocoderPreprocessConfig, made: list[str]
) -> None:
    tone = 0.3 * np.sin(np.arange(3 * HOP))
    alone = np.concatenate([np.zeros(RATE), np.full(30, 0.3), np.zeros(RATE)])  # with its margin it would do
    soundfile.write(root / "short.wav", tone, RATE)
    soundfile.write(root / "click.wav", alone, RATE)
    soundfile.write(root / "long.wav", np.tile(tone, 700), RATE)
    (root / "broken.wav").write_bytes(b"this is no audio file")
    soundfile.write(root / "ann" / "flac.flac", tone.repeat(4), RATE)
    summary = run(config, root)
    assert {reason: [entry[0] for entry in entries] for reason, entries in summary.report["skipped"].items()} == {
        "audio cannot be decoded": ["broken"],
        "audio is too short": ["short"],
        "longer than max_seconds": ["long"],
    }
    assert "768 samples" in (summary.out_dir / "report.md").read_text()
    rows = rows_of(summary.out_dir)
    assert rows["click"]["num_samples"] >= N_FFT and "ann_flac" in rows
    assert "audio is too short" in "\n".join(summary.lines())


def test_a_second_run_touches_nothing_and_texts_do_not_matter(
    tiny_corpus: Callable[..., Path], config: VocoderPreprocessConfig, made: list[str]
) -> None:
    root = tiny_corpus(6, words=1)
    metadata = root / "metadata.csv"
    lines = metadata.read_text().splitlines()
    lines[2] = lines[2].partition("|")[0] + "|"  # no text
    metadata.write_text("\n".join(lines) + "\n")
    out = run(config, root).out_dir
    assert len(rows_of(out)) == 6
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    made.clear()
    metadata.write_text(metadata.read_text().lower().replace("|", "|other "))
    summary = run(config, root)
    assert made == [] and "nothing to do" in "\n".join(summary.lines())
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_what_a_clip_depends_on_makes_it_anew(root: Path, config: VocoderPreprocessConfig, made: list[str]) -> None:
    run(config, root)
    for other in (replace(config, trim_db=40.0), replace(config, sample_rate=16000), replace(config, hop_size=128)):
        made.clear()
        run(other, root)
        assert len(made) == 2
    made.clear()
    out = run(replace(config, hop_size=128, n_mel=40, fmax=7000.0, f0_max=500.0, split_seed=1), root).out_dir
    assert made == [] and read_json(out / "preprocess.lock.json")["preprocess"]["n_mel"] == 40
    soundfile.write(root / "bob" / "00.wav", 0.1 * np.sin(np.arange(RATE)), RATE)
    run(replace(config, hop_size=128), root)
    assert len(made) == 1


def test_an_acoustic_models_features_are_not_overwritten(
    tiny_corpus: Callable[..., Path], config: VocoderPreprocessConfig, made: list[str]
) -> None:
    root = tiny_corpus(3, name="mine", words=1)
    acoustic = PreprocessConfig(processed_dir=config.processed_dir)
    features = preprocess(acoustic, "mine", root, read_corpus("mine", root), Workers(1)).out_dir
    before = {path: path.read_bytes() for path in features.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=r"data/mine holds the features of an acoustic model.*processed_dir") as caught:
        run(config, root)
    assert caught.value.exit_code == 2
    assert {path: path.read_bytes() for path in features.rglob("*") if path.is_file()} == before


def test_nor_does_an_acoustic_model_overwrite_clips(
    tiny_corpus: Callable[..., Path], config: VocoderPreprocessConfig, made: list[str], tmp_path: Path
) -> None:
    root = tiny_corpus(3, name="mine", words=1)
    run(config, root)
    acoustic = PreprocessConfig(processed_dir=config.processed_dir)
    with pytest.raises(UserError, match=r"data/mine holds the clips of a vocoder.*processed_dir"):
        preprocess(acoustic, "mine", root, read_corpus("mine", root), Workers(1))
