"""What a vocoder is fine-tuned on: recordings, and a trained FastSpeech2's mels that lie on them frame by frame."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this repository's packages win over any of their names

import argparse
import hashlib
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from bins.preprocess import corpus_folder
from bins.recipe.flags import TEACHER_FORCED
from config.load import load_config
from config.schema import ExpConfig, PitchedVocoderPreprocessConfig, PreprocessConfig, VocoderPreprocessConfig
from processors.stage1.lock import check_features, settings
from utils.cores import available_cores
from utils.data_folder import ACOUSTIC, FEATURES_VERSION, LOCK, acoustic_dataset
from utils.errors import UserError
from utils.jsonl import read_json, read_jsonl, write_json, write_jsonl
from utils.lock import exclusive
from utils.logging import logger, setup_logging
from utils.program import run
from utils.shards import ShardError, ShardReader, feature_key, read_header, shard_path, write_shard

if TYPE_CHECKING:
    from models.tts.experiment import Experiment
    from models.tts.fastspeech2.teacher_forced import Place, TeacherForced
    from processors.aligned_audio import AlignedAudio

SPLITS = ("train", "valid", "test")
FORMAT = 2  # raise it with every change to what the shards hold


class Work(NamedTuple):
    """What is to be made of what."""

    teacher: "TeacherForced"
    features: ShardReader  # that it was trained on
    audio: "AlignedAudio"
    pitch: PitchedVocoderPreprocessConfig | None  # how the vocoder's pitch is read; None: it learns from none
    wav_paths: Mapping[str, Path]  # utt_id -> recording
    fingerprint: str  # of all that a shard depends on
    shards_dir: Path


def main(argv: Sequence[str] | None = None) -> None:
    """Checks the flags and makes the data.

    Args:
        argv: the command line; None: the program's own.
    """
    setup_logging()
    run(
        lambda: make(TEACHER_FORCED.parse(__doc__, argv)),
        "Interrupted. What is finished is kept: the same command goes on from there.",
    )


def make(args: argparse.Namespace) -> None:
    """Makes `<processed_dir>/<dataset>-<experiment>`, or what is missing of it.

    Raises:
        UserError: the experiment, its features or the corpus cannot be used or do not fit together.
        ConfigError: --config or --set is wrong.
    """
    started = time.monotonic()
    config = load_config(args.config, args.set)
    dataset, corpus_dir = corpus_folder(config, args.config)

    from models.tts.experiment import read_experiment

    experiment = read_experiment(args.acoustic_dir, "--acoustic_dir")
    check_fit(config, experiment)
    data_dir = args.acoustic_data_dir or Path(PreprocessConfig().processed_dir) / dataset
    check_data(experiment, data_dir)

    name = acoustic_dataset(dataset, args.acoustic_dir)
    out_dir = Path(config.preprocess.processed_dir) / name
    with exclusive(out_dir):
        _make(config, experiment, data_dir, dataset, corpus_dir, out_dir)
    logger.info("took %.0f s", time.monotonic() - started)


def check_fit(config: ExpConfig, experiment: "Experiment") -> None:
    """Compares the acoustic model with the vocoder that shall learn from it.

    Raises:
        UserError: the configuration is no vocoder's, the model is a published one, or their mels differ.
    """
    if not isinstance(config.preprocess, VocoderPreprocessConfig):
        raise UserError(
            f"--config describes a {config.model_type}, not a vocoder: give that of a recipe in egs/vocoder", 2
        )
    if experiment.published:
        raise UserError(
            f"--acoustic_dir {experiment.root}: a published model; the features that it was trained on are not here", 2
        )
    if experiment.model_type != "FastSpeech2":
        raise UserError(
            f"--acoustic_dir {experiment.root}: holds a {experiment.model_type}; only a FastSpeech2 can speak with the "
            "durations of the recordings",
            2,
        )
    ours, theirs = asdict(config.preprocess.mel), asdict(experiment.preprocess.mel)
    differing = [
        f"{key}: {theirs[key]:g} (acoustic model), {ours[key]:g} (vocoder)" for key in ours if ours[key] != theirs[key]
    ]
    if differing:
        raise UserError(f"--acoustic_dir {experiment.root} makes another mel than --config; " + "; ".join(differing), 2)
    split_keys = ("valid_fraction", "test_fraction", "split_seed")
    moved = [key for key in split_keys if getattr(config.preprocess, key) != getattr(experiment.preprocess, key)]
    if moved:
        logger.warning(
            "%s: the acoustic model's differ from --config's, and its sets are taken. Utterances that the vocoder was "
            "trained on may be among those that validate the fine-tuning",
            ", ".join(f"preprocess.{key}" for key in moved),
        )


def check_data(experiment: "Experiment", data_dir: Path) -> None:
    """Checks that these features are those that the model was trained on.

    Raises:
        UserError: they are missing, made by another version of the toolkit, or of something else.
    """
    if not data_dir.is_dir():
        raise UserError(
            f"{data_dir} is not there: give the features of {experiment.root.name} as --acoustic_data_dir, or make "
            "them: sh egs/tts/FastSpeech2/run.sh --stage 1"
        )
    own = load_config(experiment.root / "args.json")
    preprocess = replace(own.preprocess, processed_dir=str(data_dir.parent))
    check_features(replace(own, dataset=(data_dir.name,), preprocess=preprocess))
    for name in ("symbols.json", "stats.json", "speakers.json"):
        if read_json(data_dir / name) != read_json(experiment.root / name):
            raise UserError(
                f"{data_dir / name} is not what {experiment.root} was trained on: give its own features as "
                "--acoustic_data_dir",
                2,
            )


def _make(
    config: ExpConfig, experiment: "Experiment", data_dir: Path, dataset: str, corpus_dir: Path, out_dir: Path
) -> None:
    from models.tts.load import own_weights
    from preprocessors import read_corpus

    weights = own_weights(experiment)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    inputs = [FORMAT, digest, read_json(data_dir / LOCK)["inputs"]]
    pitched = config.preprocess if isinstance(config.preprocess, PitchedVocoderPreprocessConfig) else None
    if pitched is not None:
        inputs.append([pitched.pitch_extractor, pitched.f0_min, pitched.f0_max])
    fingerprint = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()
    lock = {
        "kind": "teacher-forced",
        "preprocess": settings(config.preprocess),
        "dataset": dataset,
        "features_version": FEATURES_VERSION,
        "acoustic": {"experiment": experiment.root.name, "checkpoint": weights.parent.name, "weights": digest},
        "inputs": fingerprint,
    }
    shards_dir = out_dir / "shards"
    is_locked = (out_dir / LOCK).is_file() and read_json(out_dir / LOCK) == lock
    if is_locked and _is_whole(data_dir, shards_dir, fingerprint):
        logger.info("%s: nothing to do, everything is up to date", out_dir)
        return

    import torch

    from models.tts.fastspeech2.load import load_own_model
    from models.tts.fastspeech2.teacher_forced import TeacherForced
    from processors.aligned_audio import AlignedAudio

    device = "cuda" if torch.cuda.is_available() else "cpu"
    teacher = TeacherForced(load_own_model(experiment), data_dir, SPLITS, device)
    wav_paths = {utterance.utt_id: utterance.wav_path for utterance in read_corpus(dataset, corpus_dir).utterances}
    audio = AlignedAudio(experiment.preprocess)
    work = Work(teacher, ShardReader(data_dir), audio, pitched, wav_paths, fingerprint, shards_dir)
    shards_dir.mkdir(parents=True, exist_ok=True)
    (out_dir / LOCK).unlink(missing_ok=True)
    headers = _make_shards(work)
    _finish(headers, teacher, data_dir, out_dir, lock)


def _make_shards(work: Work) -> list[dict[str, Any]]:
    """The headers of all shards, those that are up to date and those that were made."""
    from utils.progress import Progress

    places = work.teacher.places()
    for path in work.shards_dir.iterdir():  # of features that were laid out otherwise, and what killed runs left
        if path.stem not in places or path.suffix != ".safetensors":
            path.unlink()
    headers = {name: _fresh_header(work.shards_dir, name, work.fingerprint) for name in places}
    done = sum(len(places[name]) for name, header in headers.items() if header is not None)
    total = sum(map(len, places.values()))
    with (
        Progress(total, "utterances", "aligned mels", initial=done) as progress,
        ThreadPoolExecutor(available_cores()) as readers,
    ):
        for name, inside in places.items():
            if headers[name] is None:
                headers[name] = _make_shard(work, name, inside, readers)
                progress.advance(len(inside))
    return [header for header in headers.values() if header is not None]


def _is_whole(data_dir: Path, shards_dir: Path, fingerprint: str) -> bool:
    """Whether there is nothing to make, nor to try again."""
    names = {row["shard"] for split in SPLITS for row in read_jsonl(data_dir / f"{split}.jsonl")}
    return all(_fresh_header(shards_dir, name, fingerprint) is not None for name in names)


def _fresh_header(shards_dir: Path, name: str, fingerprint: str) -> dict[str, Any] | None:
    """The header of a shard that is there, whole, up to date and without a failure that may have passed."""
    try:
        header = read_header(shard_path(shards_dir, name))
    except ShardError:
        return None
    return header if header.get("fingerprint") == fingerprint and not header.get("retry") else None


def _make_shard(work: Work, name: str, places: "list[Place]", readers: ThreadPoolExecutor) -> dict[str, Any]:
    """Computes and writes the shard that holds what the acoustic model's shard of this name does."""
    import numpy as np

    from processors.clips import clip_pitch
    from processors.skip import SkipUtterance

    def read(row: Mapping[str, Any]) -> "dict[str, np.ndarray] | SkipUtterance":
        path = work.wav_paths.get(row["utt_id"])
        if path is None:
            return SkipUtterance("not in the corpus any more")
        try:
            wav = work.audio.read(path, row["first_frame"], work.features.read(row["shard"], row["utt_id"], "mel"))
        except SkipUtterance as skip:
            return skip
        return {"wav": wav} if work.pitch is None else {"wav": wav, "pitch": clip_pitch(work.pitch, wav)}

    rows = {place: work.teacher.row(place) for place in places}
    audio = dict(zip(rows, readers.map(read, rows.values()), strict=True))
    arrays: dict[str, np.ndarray] = {}
    records, skipped, retry = [], [], False
    for place, mel in work.teacher.mels([place for place in places if isinstance(audio[place], dict)]):
        row, features = rows[place], audio[place]
        if not np.isfinite(mel).all():
            raise UserError(f"{row['utt_id']}: the acoustic model made a mel of no numbers: its training went wrong")
        features["mel"] = np.ascontiguousarray(mel, np.float16)
        arrays |= {feature_key(row["utt_id"], feature): array for feature, array in features.items()}
        num_samples = len(features["wav"])
        records.append({"utt_id": row["utt_id"], "speaker": row["speaker"], "num_samples": num_samples, "shard": name})
    for place, found in audio.items():
        if isinstance(found, SkipUtterance):
            skipped.append([rows[place]["utt_id"], found.reason, found.detail])
            retry |= found.transient
    header = {"fingerprint": work.fingerprint, "retry": retry, "records": records, "skipped": skipped}
    write_shard(shard_path(work.shards_dir, name), arrays, header)
    return header


def _finish(
    headers: Sequence[Mapping[str, Any]], teacher: "TeacherForced", data_dir: Path, out_dir: Path, lock: dict[str, Any]
) -> None:
    """Writes the sets, which are the acoustic model's, and the lock; says what was skipped.

    Raises: UserError: nothing is left to train on.
    """
    records = {record["utt_id"]: record for header in headers for record in header["records"]}
    skipped = sorted(entry for header in headers for entry in header["skipped"])
    for utt_id, reason, detail in skipped:
        logger.warning("skipped %s: %s%s", utt_id, reason, f": {detail}" if detail else "")
    sizes = {}
    for split in (*SPLITS, "golden_test"):
        rows = [records[row["utt_id"]] for row in read_jsonl(data_dir / f"{split}.jsonl") if row["utt_id"] in records]
        write_jsonl(out_dir / f"{split}.jsonl", rows)
        sizes[split] = len(rows)
    if not sizes["train"]:
        reasons = "; ".join(f"{reason}: {count}" for reason, count in Counter(e[1] for e in skipped).most_common())
        raise UserError(f"no utterance of the training set could be used: {reasons or 'it is empty'}")
    write_json(out_dir / ACOUSTIC, lock["acoustic"])
    write_json(out_dir / LOCK, lock)
    seconds = sum(record["num_samples"] for record in records.values()) / lock["preprocess"]["sample_rate"]
    logger.info(
        "%s: %s, %.2f hours; %d skipped",
        out_dir,
        ", ".join(f"{name} {size:,}" for name, size in sizes.items()),
        seconds / 3600,
        len(skipped),
    )


if __name__ == "__main__":
    main()
