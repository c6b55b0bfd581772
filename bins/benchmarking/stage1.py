"""Measures the speed of stage 1: features from recordings, and the aligner."""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bins.benchmarking.corpus import corpus_lengths, write_features, write_recordings
from bins.benchmarking.measure import Options, Record, rounded, synchronize
from bins.benchmarking.training import measure_training
from config.schema import ExpConfig, PreprocessConfig
from models.aligner.dataset import AlignerDataset
from models.aligner.stage import align, aligner_config
from models.aligner.trainer import AlignerTrainer
from processors.stage1.pool import Workers
from text.symbols import is_mark, is_pause
from utils.cores import available_cores
from utils.errors import UserError
from utils.jsonl import read_json, read_jsonl


def preprocessing(config: ExpConfig, options: Options) -> Iterator[Record]:
    """Measures stage 1 from recordings to finished features, in a folder that is deleted afterwards.

    Raises:
        UserError: the corpus is missing (`options.real`).
    """
    from bins.preprocess import corpus_folders, make_features

    workers = options.num_workers or available_cores()
    with tempfile.TemporaryDirectory() as folder:
        if options.real:
            name, root = next(iter(corpus_folders(config, Path("--config")).items()))
            source = str(root)
        else:
            name, root = "random", Path(folder) / "random"
            lengths = corpus_lengths(config, options.steps or 64)
            write_recordings(lengths.seconds, config.preprocess.sample_rate, root)
            source = lengths.source
        config = replace(config, preprocess=replace(config.preprocess, processed_dir=str(Path(folder) / "data")))
        began = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            make_features(config, name, root, Workers(workers))
        seconds = time.perf_counter() - began
        report = read_json(Path(folder) / "data" / name / "report.json")
    audio = config.preprocess
    yield {
        "data": source,
        "processes": workers,
        **({"pitch_extractor": audio.pitch_extractor} if isinstance(audio, PreprocessConfig) else {}),
        "utterances": report["kept"],
        "seconds": rounded(seconds),
        "utterances_per_second": rounded(report["kept"] / seconds),
        "audio_seconds_per_second": rounded(report["hours"] * 3600 / seconds),
    }


def alignment(config: ExpConfig, options: Options) -> Iterator[Record]:
    """Measures the aligner on random mels: training steps, then one pass that aligns the corpus.

    Yields:
        A record of the training, and one of the pass.

    Raises:
        UserError: `options.real`, or `config` is not of an acoustic model.
    """
    if options.real or not isinstance(config.preprocess, PreprocessConfig):
        raise UserError("--what align: needs the configuration of an acoustic model, and measures random data", 2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lengths = corpus_lengths(config, 256)
        write_features(config, lengths.seconds, folder / "random")
        dataset = AlignerDataset(folder / "random/shards", _records(folder / "random/train.jsonl", config))
        trainer = AlignerTrainer(aligner_config(config.preprocess), folder, dataset)
        trainer.setup()
        yield from measure_training(trainer, options, {"model": "Aligner"}, {"data": lengths.source})
        device, seconds_per_frame = (
            trainer.accelerator.device,
            config.preprocess.hop_size / config.preprocess.sample_rate,
        )
        for _ in align(trainer.trained, dataset, seconds_per_frame):
            break  # the path search is compiled
        synchronize(device)
        began = time.perf_counter()
        count = sum(1 for _ in align(trainer.trained, dataset, seconds_per_frame))
        seconds = time.perf_counter() - began
        yield {
            "model": "Aligner, one pass",
            "data": lengths.source,
            "device": str(device),
            "utterances": count,
            "seconds": rounded(seconds),
            "utterances_per_second": rounded(count / seconds),
            "audio_seconds_per_second": rounded(sum(dataset.lengths) * seconds_per_frame / seconds),
        }


def _records(manifest: Path, config: ExpConfig) -> list[dict]:
    """Returns the aligner's records of a random corpus with words of five phones."""
    records = []
    for row in read_jsonl(manifest):
        count = sum(not (is_mark(phone) or is_pause(phone)) for phone in row["phones"])
        words = [["word", 5]] * (count // 5) + ([["word", count % 5]] if count % 5 else [])
        seconds = row["num_frames"] * config.preprocess.hop_size / config.preprocess.sample_rate
        records.append({**row, "words": words, "silences": [], "seconds": seconds})
    return records
