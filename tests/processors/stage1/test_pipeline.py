"""Stage 1 as a whole, with its workers' part done in this process: what is made, and what is made again."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from config.schema import PreprocessConfig
from preprocessors import read_corpus
from processors.acoustic import FeatureExtractor
from processors.stage1 import pipeline
from processors.stage1.pool import Workers
from processors.stage1.stats import phone_statistics
from text.symbols import SYMBOLS, SymbolTable
from utils.errors import UserError
from utils.jsonl import read_json, read_jsonl
from utils.shards import FEATURES, feature_key, read_features, shard_path

SETS = ("train", "valid", "test")


@pytest.fixture(scope="module")
def big_corpus(tiny_corpus: Callable[..., Path]) -> Path:
    return tiny_corpus(40, words=2)


@pytest.fixture
def corpus(big_corpus: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(big_corpus, tmp_path / "LJSpeech"))


@pytest.fixture
def config(tmp_path: Path) -> PreprocessConfig:
    return PreprocessConfig(processed_dir=str(tmp_path / "data"), valid_fraction=0.1, test_fraction=0.1)


def run(config: PreprocessConfig, root: Path) -> pipeline.Summary:
    return pipeline.preprocess(config, "LJSpeech", root, read_corpus("LJSpeech", root), Workers(1))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def sets_of(folder: Path) -> dict[str, set[str]]:
    return {name: {row["utt_id"] for row in read_jsonl(folder / f"{name}.jsonl")} for name in SETS}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_what_stage_2_finds(corpus: Path, config: PreprocessConfig, made: list[str]) -> None:
    summary = run(config, corpus)
    out = summary.out_dir
    assert made == ["shard-00000", "shard-00001"]
    assert summary.report["kept"] == summary.num_computed == 40
    assert read_json(out / "symbols.json") == list(SYMBOLS)
    assert read_json(out / "speakers.json") == {"LJSpeech": 0}
    rows = [row for name in SETS for row in read_jsonl(out / f"{name}.jsonl")]
    assert len(rows) == len({row["utt_id"] for row in rows}) == 40
    golden = {row["utt_id"] for row in read_jsonl(out / "golden_test.jsonl")}
    assert golden and golden <= sets_of(out)["test"]
    for row in rows:
        assert list(row) == ["utt_id", "speaker", "text", "phones", "num_frames", "first_frame", "shard"]
        assert row["phones"][-1] == "." and row["phones"][0].isupper()
        SymbolTable().ids(row["phones"])
        arrays = read_features(shard_path(out / "shards", row["shard"]), [row["utt_id"]])
        mel, durations, phone_pitch, phone_energy = (arrays[feature_key(row["utt_id"], name)] for name in FEATURES)
        frames, tokens = row["num_frames"], len(row["phones"])
        assert mel.shape == (frames, 80)
        assert durations.shape == phone_pitch.shape == phone_energy.shape == (tokens,)
        assert durations.sum() == frames and durations[-1] == 0 and durations.dtype == np.int32
        assert all(a.dtype == np.float32 for a in (mel, phone_pitch, phone_energy))
        assert 110 < np.median(phone_pitch[durations > 0]) < 270  # the pitch of the corpus' tones
        assert ((phone_pitch > 100) == (durations > 0)).all() and ((phone_energy > 0) == (durations > 0)).all()


def test_statistics_are_those_of_the_training_set(corpus: Path, config: PreprocessConfig, made: list[str]) -> None:
    out = run(config, corpus).out_dir
    values = []
    for row in read_jsonl(out / "train.jsonl"):
        found = read_features(shard_path(out / "shards", row["shard"]), [row["utt_id"]], ["phone_pitch", "durations"])
        values.append(found[f"{row['utt_id']}.phone_pitch"][found[f"{row['utt_id']}.durations"] > 0])
    assert read_json(out / "stats.json")["pitch"] == phone_statistics(np.concatenate(values))


def test_a_second_run_touches_nothing(corpus: Path, config: PreprocessConfig, made: list[str]) -> None:
    out = run(config, corpus).out_dir
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    made.clear()
    summary = run(config, corpus)
    assert made == [] and summary.num_computed == 0
    assert "nothing to do" in "\n".join(summary.lines())
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_no_path_or_worker_of_this_machine_is_in_any_file(
    corpus: Path, config: PreprocessConfig, made: list[str], tmp_path: Path
) -> None:
    for data in contents(run(config, corpus).out_dir).values():
        assert str(tmp_path).encode() not in data


def test_a_new_clip_changes_one_shard_and_moves_no_other(
    corpus: Path, config: PreprocessConfig, made: list[str], write_utterance: Callable[..., None]
) -> None:
    out = run(config, corpus).out_dir
    old_sets, old_files = sets_of(out), contents(out / "shards")
    made.clear()
    write_utterance(corpus, "extra", "A new bird", seed=99)
    with (corpus / "metadata.csv").open("a") as file:
        file.write("extra|A new bird\n")
    run(config, corpus)
    assert len(made) == 1
    new_files = contents(out / "shards")
    assert [name for name in new_files if new_files[name] != old_files[name]] == [f"{made[0]}.safetensors"]
    assert {name: ids - {"extra"} for name, ids in sets_of(out).items()} == old_sets
    assert "extra" in set.union(*sets_of(out).values())


def test_a_changed_text_recording_or_textgrid_is_noticed(
    corpus: Path, config: PreprocessConfig, made: list[str]
) -> None:
    out = run(config, corpus).out_dir
    edits: list[Callable[[], object]] = [
        lambda: edit(corpus / "metadata.csv", "|Under river.", "|Under trees?"),
        lambda: shutil.copy(corpus / "wavs" / "tiny-0004.wav", corpus / "wavs" / "tiny-0005.wav"),
        lambda: edit(corpus / "TextGrid" / "tiny-0006.TextGrid", '"SH"', '"ZH"'),
        lambda: os.unlink(corpus / "TextGrid" / "tiny-0007.TextGrid"),
    ]
    for change in edits:
        made.clear()
        change()
        run(config, corpus)
        assert len(made) == 1
    rows = {row["utt_id"]: row for name in SETS for row in read_jsonl(out / f"{name}.jsonl")}
    assert rows["tiny-0003"]["phones"][-1] == "?"
    assert "ZH" in rows["tiny-0006"]["phones"]
    report = read_json(out / "report.json")
    assert report["skipped"]["TextGrid is missing"] == [["tiny-0007", ""]]


def test_settings_make_everything_anew_but_splits_do_not(
    corpus: Path, config: PreprocessConfig, made: list[str]
) -> None:
    out = run(config, corpus).out_dir
    old_sets = sets_of(out)
    made.clear()
    run(replace(config, split_seed=1), corpus)
    assert made == [] and sets_of(out) != old_sets
    run(replace(config, n_mel=40), corpus)
    assert len(made) == 2


def test_a_lexicon_counts_by_its_content(
    corpus: Path, config: PreprocessConfig, made: list[str], tmp_path: Path
) -> None:
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("lyre L AY1 ER0\n")
    config = replace(config, lexicon_path=str(lexicon))
    run(config, corpus)
    made.clear()
    os.utime(lexicon, (1, 1))
    run(config, corpus)
    assert made == []
    lexicon.write_text("lyre L AY1 R\n")
    run(config, corpus)
    assert len(made) == 2
    lexicon.write_text("lyre L XX9\n")
    with pytest.raises(UserError, match=r"preprocess.lexicon_path: .*XX9"):
        run(config, corpus)


@pytest.mark.parametrize("damaged", ["shards/shard-00001.safetensors", "stats.json", "train.jsonl", "report.md"])
def test_damage_is_mended(corpus: Path, config: PreprocessConfig, made: list[str], damaged: str) -> None:
    out = run(config, corpus).out_dir
    before = contents(out)
    (out / damaged).write_bytes(before[str(Path(damaged))][:-5])
    run(config, corpus)
    assert contents(out) == before


def test_a_smaller_corpus_leaves_no_shard_behind(corpus: Path, config: PreprocessConfig, made: list[str]) -> None:
    out = run(config, corpus).out_dir
    (out / "shards" / "shard-00000.safetensors.123.tmp").write_bytes(b"left by a killed run")
    lines = (corpus / "metadata.csv").read_text().splitlines(keepends=True)
    (corpus / "metadata.csv").write_text("".join(lines[:20]))
    run(config, corpus)
    assert [path.name for path in (out / "shards").iterdir()] == ["shard-00000.safetensors"]
    assert len(set.union(*sets_of(out).values())) == 20


def test_there_is_no_lock_while_anything_is_out_of_date(
    corpus: Path, config: PreprocessConfig, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = run(config, corpus).out_dir
    assert json.loads((out / "preprocess.lock.json").read_text())["preprocess"]["hop_size"] == 256
    finished = Workers.make

    def killed_after_one(*arguments: object) -> Iterator[tuple]:
        yield next(finished(*arguments))
        raise KeyboardInterrupt

    monkeypatch.setattr(Workers, "make", killed_after_one)
    with pytest.raises(KeyboardInterrupt):
        run(replace(config, hop_size=128), corpus)
    assert not (out / "preprocess.lock.json").exists()
    monkeypatch.setattr(Workers, "make", finished)
    made.clear()
    run(replace(config, hop_size=128), corpus)
    assert len(made) == 1 and (out / "preprocess.lock.json").exists()


def test_an_unexpected_error_costs_one_utterance_and_is_tried_again(
    corpus: Path, config: PreprocessConfig, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    extract = FeatureExtractor.extract

    def fail_on_one(self: FeatureExtractor, utterance, textgrid_path):  # noqa: ANN001, ANN202
        if utterance.utt_id == "tiny-0003":
            raise MemoryError("no room")
        return extract(self, utterance, textgrid_path)

    monkeypatch.setattr(FeatureExtractor, "extract", fail_on_one)
    report = run(config, corpus).report
    assert report["skipped"] == {"unexpected error (please report it)": [["tiny-0003", "MemoryError: no room"]]}
    monkeypatch.setattr(FeatureExtractor, "extract", extract)
    assert run(config, corpus).report["kept"] == 40


def test_textgrids_elsewhere_and_by_speaker(
    corpus: Path, config: PreprocessConfig, made: list[str], tmp_path: Path
) -> None:
    (tmp_path / "aligned").mkdir()
    (corpus / "TextGrid").rename(tmp_path / "aligned" / "LJSpeech")
    with pytest.raises(UserError, match=r"no TextGrids: .*tiny-0000.TextGrid.*phones.*textgrid_dir"):
        run(config, corpus)
    assert run(replace(config, textgrid_dir=str(tmp_path / "aligned")), corpus).report["kept"] == 40


def test_nothing_usable_is_an_error_with_the_reasons(corpus: Path, config: PreprocessConfig, made: list[str]) -> None:
    for path in (corpus / "wavs").iterdir():
        path.unlink()
    with pytest.raises(
        UserError, match=r"no utterance of LJSpeech can be used(?s:.*)audio is missing +40 +e.g. tiny-0000"
    ):
        run(config, corpus)
    out = Path(config.processed_dir) / "LJSpeech"
    assert "audio is missing: 40" in (out / "report.md").read_text()
    assert not (out / "preprocess.lock.json").exists()


def test_the_report_counts_phones(corpus: Path, config: PreprocessConfig, made: list[str]) -> None:
    report = run(config, corpus).report
    assert report["phones"]["."] == 40
    assert "ZH" in report["phones_never_seen"]  # no word of the corpus has it
    assert not set(report["phones_never_seen"]) & {*report["phones"], "AH"}  # "AH": vowels have stress here
