"""Makes data for fine-tuning a vocoder: recordings, and an acoustic model's mels that match them frame by frame."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, cast

from config.schema import PitchedVocoderPreprocessConfig, VocoderPreprocessConfig
from models.tts.load import own_weights
from processors.extracted import Extracted
from processors.skip import SkipUtterance
from processors.stage1.plan import ShardPlan, settings
from processors.stage1.shard_set import ShardHeader, ShardSet, make_shard
from utils.cores import available_cores
from utils.data_folder import ACOUSTIC, FEATURES_VERSION, LOCK, SHARDS, SPLITS, AcousticRow, Lock, Teacher, read_lock
from utils.errors import UserError
from utils.jsonl import read_json, read_jsonl, write_json, write_jsonl
from utils.logging import logger
from utils.shards import ShardReader, shard_path
from utils.utterance import Corpus, Utterance

if TYPE_CHECKING:
    from models.tts.experiment import Experiment

FORMAT = 3  # increase it whenever the contents of the shards change
_SPOKEN = SPLITS[:3]  # the golden test set is a part of the test set
_SHARDS_AHEAD = 2  # shards whose recordings are read while the model runs


def make_teacher_forced_data(
    config: VocoderPreprocessConfig, experiment: Experiment, data_dir: Path, dataset: str, corpus: Corpus, out_dir: Path
) -> None:
    """Makes the shards that are missing or out of date, the manifests and the lock.

    Args:
        config: the vocoder's preprocess section.
        experiment: of a trained FastSpeech2.
        data_dir: the data folder that it was trained on.
        dataset: name of the corpus.
        corpus: the recordings of that data folder.
        out_dir: the data folder to write.

    Raises:
        UserError: the features are damaged, the model's mels are not finite, or no training utterance can be used.
        OSError: a file cannot be read or written.
    """
    lock = _lock(config, experiment, data_dir, dataset)
    rows = {row["utt_id"]: row for split in _SPOKEN for row in _rows(data_dir, split)}
    shards = ShardSet(out_dir / SHARDS, _plan(rows, corpus, lock["inputs"], out_dir / SHARDS))
    if shards.is_complete and read_lock(out_dir) == lock:
        logger.info("%s: nothing to do, everything is up to date", out_dir)
        return

    def make(plans: Sequence[ShardPlan]) -> Iterator[tuple[ShardPlan, ShardHeader]]:
        return _Maker(config, experiment, data_dir, rows, corpus).make(plans)

    (out_dir / LOCK).unlink(missing_ok=True)
    headers = shards.update(make, "aligned mels")
    _finalize(headers, config, data_dir, out_dir, lock)


def _lock(config: VocoderPreprocessConfig, experiment: Experiment, data_dir: Path, dataset: str) -> Lock:
    weights = own_weights(experiment)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    inputs = [FORMAT, digest, read_json(data_dir / LOCK)["inputs"]]
    if isinstance(config, PitchedVocoderPreprocessConfig):
        inputs.append([config.pitch_extractor, config.f0_min, config.f0_max])
    teacher: Teacher = {"experiment": experiment.root.name, "checkpoint": weights.parent.name, "weights": digest}
    return {
        "kind": "teacher-forced",
        "preprocess": settings(config),
        "dataset": dataset,
        "features_version": FEATURES_VERSION,
        "acoustic": teacher,
        "inputs": hashlib.sha256(json.dumps(inputs).encode()).hexdigest(),
    }


def _rows(data_dir: Path, split: str) -> list[AcousticRow]:
    return cast(list[AcousticRow], list(read_jsonl(data_dir / f"{split}.jsonl")))


def _plan(rows: Mapping[str, AcousticRow], corpus: Corpus, inputs: str, folder: Path) -> list[ShardPlan]:
    """Plans shards with the same names and utterances as those of the acoustic model."""
    utterances = {utterance.utt_id: utterance for utterance in corpus.utterances}
    members: dict[str, list[Utterance]] = {}
    for utt_id, row in rows.items():
        missing = Utterance(utt_id, row["speaker"], row["text"], Path())
        members.setdefault(row["shard"], []).append(utterances.get(utt_id, missing))
    return [
        ShardPlan(name, shard_path(folder, name), inputs, group, [None] * len(group))
        for name, group in sorted(members.items())
    ]


class _Maker:
    """Makes shards: threads read the recordings while the model computes mels."""

    def __init__(
        self,
        config: VocoderPreprocessConfig,
        experiment: Experiment,
        data_dir: Path,
        rows: Mapping[str, AcousticRow],
        corpus: Corpus,
    ) -> None:
        # Not imported at the top: a run with nothing to do needs no torch.
        import torch

        from models.tts.fastspeech2.load import load_own_model
        from models.tts.fastspeech2.teacher_forced import TeacherForced
        from processors.aligned_audio import AlignedAudio

        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._teacher = TeacherForced(load_own_model(experiment), data_dir, _SPOKEN, device)
        self._audio = AlignedAudio(experiment.preprocess)
        self._features = ShardReader(data_dir)
        self._config, self._rows = config, rows
        self._corpus_ids = {utterance.utt_id for utterance in corpus.utterances}

    def make(self, plans: Sequence[ShardPlan]) -> Iterator[tuple[ShardPlan, ShardHeader]]:
        with ThreadPoolExecutor(available_cores()) as readers:
            ahead: deque[tuple[ShardPlan, dict[str, Future[Extracted]]]] = deque()
            for plan in plans:
                ahead.append((plan, {u.utt_id: readers.submit(self._read, u) for u in plan.utterances}))
                if len(ahead) > _SHARDS_AHEAD:
                    yield self._finish(*ahead.popleft())
            while ahead:
                yield self._finish(*ahead.popleft())

    def _read(self, utterance: Utterance) -> Extracted:
        """Reads the recording of an utterance, and computes its pitch if the vocoder needs it."""
        from processors.clips import clip_pitch

        if utterance.utt_id not in self._corpus_ids:
            raise SkipUtterance("not in the corpus any more")
        row = self._rows[utterance.utt_id]
        mel = self._features.read(row["shard"], utterance.utt_id, "mel")
        arrays = {"wav": self._audio.read(utterance.wav_path, row["first_frame"], mel)}
        if isinstance(self._config, PitchedVocoderPreprocessConfig):
            arrays["pitch"] = clip_pitch(self._config, arrays["wav"])
        return Extracted({"num_samples": len(arrays["wav"])}, arrays, [])

    def _finish(self, plan: ShardPlan, clips: Mapping[str, Future[Extracted]]) -> tuple[ShardPlan, ShardHeader]:
        """Adds the model's mels to the readable recordings, and writes the shard."""
        import numpy as np

        readable = [utt_id for utt_id, clip in clips.items() if clip.exception() is None]
        for utt_id, mel in self._teacher.mels(readable):
            if not np.isfinite(mel).all():
                raise UserError(
                    f"{utt_id}: the acoustic model's mel has values that are not finite: its training has diverged"
                )
            clips[utt_id].result().arrays["mel"] = np.ascontiguousarray(mel, np.float16)
        return plan, make_shard(plan, lambda utterance, _: clips[utterance.utt_id].result())


def _finalize(
    headers: Sequence[ShardHeader], config: VocoderPreprocessConfig, data_dir: Path, out_dir: Path, lock: Lock
) -> None:
    """Writes the manifests, with the splits of the acoustic model, and the lock. Logs the skipped utterances."""
    records = {record["utt_id"]: record for header in headers for record in header["records"]}
    skipped = sorted(entry for header in headers for entry in header["skipped"])
    for utt_id, reason, detail in skipped:
        logger.warning("skipped %s: %s%s", utt_id, reason, f": {detail}" if detail else "")
    sizes = {}
    for split in SPLITS:
        kept = [records[row["utt_id"]] for row in _rows(data_dir, split) if row["utt_id"] in records]
        write_jsonl(out_dir / f"{split}.jsonl", kept)
        sizes[split] = len(kept)
    if not sizes["train"]:
        reasons = "; ".join(f"{reason}: {count}" for reason, count in Counter(e[1] for e in skipped).most_common())
        raise UserError(f"no utterance of the training set could be used: {reasons or 'it is empty'}")
    write_json(out_dir / ACOUSTIC, lock["acoustic"])
    write_json(out_dir / LOCK, lock)
    logger.info(
        "%s: %s, %.2f hours; %d skipped",
        out_dir,
        ", ".join(f"{name} {size:,}" for name, size in sizes.items()),
        sum(record["num_samples"] for record in records.values()) / config.sample_rate / 3600,
        len(skipped),
    )
