"""The experiments of bins/benchmark.py: training by the trainer's own steps, inference, stage 1."""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.compiler import set_stance

from bins.benchmarking.baseline import baseline
from bins.benchmarking.corpus import FRAMES_PER_PHONE, corpus_lengths, write_features, write_recordings
from bins.benchmarking.measure import Sections, counting_operations, matmul_rate, peak_memory, synchronize
from bins.benchmarking.untrained import untrained_acoustic_model, untrained_vocoder
from config.registry import find_model, resolve
from config.schema import ExpConfig, PreprocessConfig
from models.training.trainer import Trainer
from models.tts.fastspeech2.config import FastSpeech2Config
from models.vocoder.hifigan.config import HiFiGANConfig
from utils.cores import available_cores
from utils.errors import UserError

Record = dict[str, Any]
UTTERANCES = 1024  # of a random corpus to train on, at least


class _Run(NamedTuple):
    """Steps of one kind, as they were measured."""

    steps: int
    seconds: float
    real: float  # what the trainer counts: mel frames, seconds of audio
    padded: float
    sections: dict[str, float]


def training(config: ExpConfig, arguments: argparse.Namespace) -> Iterator[Record]:
    """Steps of the trainer that stage 2 runs, with its data, loss, clipping and optimizer, but no log or validation.

    Yields:
        A record; with `--baseline` first the baseline's, and then that of the same weights' proper steps, measured in
        turns with it.

    Raises:
        UserError: the features are missing (`--real`), or the model has no baseline.
    """
    if arguments.baseline and not isinstance(config.model, FastSpeech2Config):
        raise UserError(f"--baseline: {config.model_type} has none", 2)
    if arguments.baseline and config.train.compile:
        raise UserError("--baseline: only with train.compile = false, which is how the baseline runs", 2)
    with _features(config, arguments.real) as (config, source), tempfile.TemporaryDirectory() as exp_dir:
        trainer = resolve(find_model(config.model_type).trainer)(config, Path(exp_dir))
        device = trainer.accelerator.device
        steps = arguments.steps or (50 if device.type == "cuda" else 5)
        stepper = _Stepper(trainer)
        operations = stepper.operations()
        kinds: list[Callable[[], AbstractContextManager[None]]] = [baseline] if arguments.baseline else []
        runs = stepper.run([*kinds, nullcontext], steps)
        if not trainer.accelerator.is_main_process:
            return
        dtype = torch.bfloat16 if trainer.accelerator.mixed_precision == "bf16" else torch.float32
        rate = matmul_rate(device, dtype)
        speeds = []
        for run, name in zip(runs, [*(["baseline"] if arguments.baseline else []), "trainer"], strict=True):
            processes = trainer.accelerator.num_processes
            speeds.append(run.real * processes / run.seconds)
            per_second = operations * run.padded / run.seconds
            yield {
                "model": config.model_type,
                "step": name,
                "data": source,
                **_machine(device, dtype),
                "processes": processes,
                "batch_size": config.train.batch_size,
                "gradient_accumulation_step": config.train.gradient_accumulation_step,
                "compile": config.train.compile,
                "steps": run.steps,
                f"{trainer.unit.replace(' ', '_')}_per_second": _rounded(speeds[-1]),
                "ms_per_step": _rounded(1000 * run.seconds / run.steps),
                "padding": round(1 - run.real / run.padded, 4),
                "peak_memory_gib": _rounded(peak_memory(device, trainer.graphs is not None)),
                "time_shares": {key: round(value / run.seconds, 3) for key, value in run.sections.items()},
                "model_teraflops": _rounded(per_second / 1e12),
                "matmul_teraflops": _rounded(rate / 1e12),
                "share_of_matmul": round(per_second / rate, 3),
                **({"times_baseline": _rounded(speeds[-1] / speeds[0])} if len(speeds) > 1 else {}),
            }


class _Stepper:
    """Runs a trainer's own steps, one at a time, and measures them."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.device = trainer.accelerator.device
        self.sections = sections = Sections(self.device)
        trainer.model.train()
        trainer.to_device = sections.around("data", trainer.to_device)  # type: ignore[method-assign]
        if trainer.graphs is not None:  # nothing inside a graph can be timed
            trainer.graphs = sections.around("graph", trainer.graphs)
            return
        accelerator = trainer.accelerator
        accelerator.backward = sections.around("backward", accelerator.backward)
        accelerator.clip_grad_norm_ = sections.around("optimizer", accelerator.clip_grad_norm_)
        for optimizer in trainer.optimizers:
            optimizer.step = sections.around("optimizer", optimizer.step)  # type: ignore[method-assign]
            optimizer.zero_grad = sections.around("optimizer", optimizer.zero_grad)  # type: ignore[method-assign]

    def operations(self) -> float:
        """Operations of a step for each padded unit, counted in one step, as it is written."""
        graphs, self.trainer.graphs = self.trainer.graphs, None
        with set_stance("force_eager"), counting_operations() as counter:
            padded = self._step(self._steps())[1]
        self.trainer.graphs = graphs
        return counter.get_total_flops() / padded

    def run(self, kinds: list[Callable[[], AbstractContextManager[None]]], steps: int) -> list[_Run]:
        """Runs so many steps inside each kind of context, in turns, after some that are not measured."""
        streams = [self._steps() for _ in kinds]
        warm_up = 3 if self.device.type == "cuda" else 1
        if self.trainer.graphs is not None:
            warm_up = 4 * self.trainer.sampler.num_steps  # nearly all shapes that occur are recorded by then
        totals = [_Run(0, 0.0, 0.0, 0.0, {}) for _ in kinds]
        # Turns of several steps on a GPU: it is asked for the time only between them.
        turn = min(steps, 10) if self.device.type == "cuda" else 1
        done = -warm_up
        while done < steps:
            count = warm_up if done < 0 else min(turn, steps - done)
            for number, (kind, stream) in enumerate(zip(kinds, streams, strict=True)):
                with kind():
                    found = self._timed(stream, count)
                if done >= 0:
                    totals[number] = _add(totals[number], found)
            done += count
            if done == 0 and self.device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(self.device)
        return totals

    def _timed(self, stream: Iterator[None], count: int) -> _Run:
        self.sections.reset()
        synchronize(self.device)
        began = time.perf_counter()
        sizes = [self._step(stream) for _ in range(count)]
        synchronize(self.device)
        seconds = time.perf_counter() - began
        found = self.sections.totals()
        rest = seconds - sum(found.values())  # the forward pass, and all that is none of the others
        order = {"data": 0.0, "forward": rest, "backward": 0.0, "optimizer": 0.0}
        if self.trainer.graphs is not None:
            order = {"data": 0.0, "graph": 0.0, "rest": rest}
        return _Run(count, seconds, sum(s[0] for s in sizes), sum(s[1] for s in sizes), {**order, **found})

    def _step(self, stream: Iterator[None]) -> tuple[float, float]:
        """One step; returns what it held, really and with padding."""
        window = self.trainer.window
        real, padded = window.real, window.padded
        next(stream)
        return window.real - real, window.padded - padded

    def _steps(self) -> Iterator[None]:
        trainer, epoch = self.trainer, 0
        while True:
            trainer.epoch, trainer.step_in_epoch = epoch, 0
            batches = trainer._rest_of_epoch()
            while True:
                with self.sections.section("data"):
                    found = next(batches, None)
                if found is None:
                    break
                trainer._run_step(found)
                trainer.step += 1
                yield
            epoch += 1


def inference(config: ExpConfig, arguments: argparse.Namespace) -> Iterator[Record]:
    """The network alone, with random weights: mels from phones of known durations, or sound from mels.

    Yields:
        A record for one utterance at a time, and one for batches of train.batch_size.

    Raises:
        UserError: `--real`, which has no meaning here.
    """
    if arguments.real:
        raise UserError("--real: inference is measured on random data alone", 2)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    steps = arguments.steps or (50 if device.type == "cuda" else 5)
    make = _speak if isinstance(config.model, FastSpeech2Config) else _sound
    sizes = sorted({1, config.train.batch_size})
    lengths = corpus_lengths(config, steps * max(sizes))
    hop_seconds = config.preprocess.hop_size / config.preprocess.sample_rate
    speak, dtype = make(config, device)
    rate = matmul_rate(device, dtype)
    for size in sizes:
        frames = (lengths.seconds[: steps * size] / hop_seconds).round().astype(int).reshape(steps, size)
        batches = [torch.from_numpy(row).to(device) for row in frames]
        with counting_operations() as counter:
            speak(batches[0])
        if device.type == "cuda":
            speak(batches[0])
            torch.cuda.reset_peak_memory_stats(device)
        synchronize(device)
        began = time.perf_counter()
        for batch in batches:
            speak(batch)
        synchronize(device)
        seconds = time.perf_counter() - began
        padded = frames.max(axis=1) * size
        per_second = counter.get_total_flops() / padded[0] * padded.sum() / seconds
        yield {
            "model": config.model_type,
            "data": lengths.source,
            **_machine(device, dtype),
            "batch_size": size,
            "steps": steps,
            "audio_seconds_per_second": _rounded(frames.sum() * hop_seconds / seconds),
            "ms_per_step": _rounded(1000 * seconds / steps),
            "padding": round(1 - frames.sum() / padded.sum(), 4),
            "peak_memory_gib": _rounded(peak_memory(device)),
            "model_teraflops": _rounded(per_second / 1e12),
            "matmul_teraflops": _rounded(rate / 1e12),
            "share_of_matmul": round(per_second / rate, 3),
        }


def _speak(config: ExpConfig, device: torch.device) -> tuple[Callable[[Tensor], object], torch.dtype]:
    """FastSpeech 2's way from phones to a mel, given numbers of frames [B]."""
    assert isinstance(config.model, FastSpeech2Config)
    model = untrained_acoustic_model(config.model, config.preprocess.n_mel, device)

    @torch.inference_mode()
    def speak(frames: Tensor) -> object:
        phones = (frames / FRAMES_PER_PHONE).round().long().clamp(min=1)
        number = torch.arange(int(phones.max()), device=device)
        ends = ((number + 1) * frames[:, None] // phones[:, None]).clamp(max=frames[:, None])
        durations = ends.diff(dim=1, prepend=torch.zeros_like(ends[:, :1]))
        return model(durations.clamp(max=1) * 7, phones, durations=durations)

    return speak, torch.float32


def _sound(config: ExpConfig, device: torch.device) -> tuple[Callable[[Tensor], object], torch.dtype]:
    """HiFi-GAN's way from mels to sound, given numbers of frames [B]."""
    assert isinstance(config.model, HiFiGANConfig)
    n_mel = config.preprocess.n_mel
    vocoder = untrained_vocoder(config.model, n_mel, device)

    def sound(frames: Tensor) -> object:
        mels = torch.randn(len(frames), int(frames.max()), n_mel, device=device) - 5
        return vocoder(mels, frames)

    return sound, next(vocoder.generator.parameters()).dtype


def preprocessing(config: ExpConfig, arguments: argparse.Namespace) -> Iterator[Record]:
    """Stage 1 from recordings to finished features, in a folder that is thrown away.

    Raises:
        UserError: the corpus (`--real`) is missing.
    """
    from bins.preprocess import corpus_folder, make_features
    from utils.jsonl import read_json

    workers = arguments.num_workers or available_cores()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.real:
            name, root = corpus_folder(config, arguments.config)
            source = str(root)
        else:
            name, root = "random", Path(folder) / "random"
            lengths = corpus_lengths(config, arguments.steps or 64)
            write_recordings(lengths.seconds, config.preprocess.sample_rate, root)
            source = lengths.source
        config = replace(config, preprocess=replace(config.preprocess, processed_dir=str(Path(folder) / "data")))
        began = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            make_features(config, name, root, workers)
        seconds = time.perf_counter() - began
        report = read_json(Path(folder) / "data" / name / "report.json")
    audio = config.preprocess
    yield {
        "data": source,
        "processes": workers,
        **({"pitch_extractor": audio.pitch_extractor} if isinstance(audio, PreprocessConfig) else {}),
        "utterances": report["kept"],
        "seconds": _rounded(seconds),
        "utterances_per_second": _rounded(report["kept"] / seconds),
        "audio_seconds_per_second": _rounded(report["hours"] * 3600 / seconds),
    }


@contextmanager
def _features(config: ExpConfig, real: bool) -> Iterator[tuple[ExpConfig, str]]:
    """The configuration to train with, and where its data come from; random features are thrown away afterwards."""
    if real:
        from bins.train import check_features

        yield config, str(check_features(config))
        return
    train = config.train
    count = max(UTTERANCES, 8 * train.batch_size * train.gradient_accumulation_step)
    lengths = corpus_lengths(config, count)
    with tempfile.TemporaryDirectory() as folder:
        write_features(config, lengths.seconds, Path(folder) / "random")
        preprocess = replace(config.preprocess, processed_dir=folder)
        yield replace(config, dataset=("random",), preprocess=preprocess), lengths.source


def _add(a: _Run, b: _Run) -> _Run:
    sections = {name: a.sections.get(name, 0.0) + value for name, value in b.sections.items()}
    return _Run(a.steps + b.steps, a.seconds + b.seconds, a.real + b.real, a.padded + b.padded, sections)


def _machine(device: torch.device, dtype: torch.dtype) -> Record:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {"device": name, "threads": torch.get_num_threads(), "dtype": str(dtype).removeprefix("torch.")}


def _rounded(value: float) -> float:
    """Three digits or more: what a measurement of speed can tell."""
    return round(value) if value >= 1000 else float(f"{value:.4g}")
