"""Measures the speed of stage 2, with the steps of the trainer."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch.compiler import set_stance

from bins.benchmarking.baseline import baseline
from bins.benchmarking.corpus import corpus_lengths, write_features
from bins.benchmarking.measure import (
    Options,
    Record,
    Sections,
    counting_operations,
    machine,
    matmul_rate,
    peak_memory,
    rounded,
    synchronize,
    write_kernels,
)
from config.registry import find_model, resolve
from config.schema import ExpConfig
from models.training.trainer import Trainer
from models.tts.fastspeech2.config import FastSpeech2Config
from utils.errors import UserError

UTTERANCES = 1024  # of a random corpus, at least


class Run(NamedTuple):
    """The measurements of steps of one kind."""

    steps: int
    seconds: float
    real: float  # the trainer's unit: mel frames, seconds of audio
    padded: float
    sections: dict[str, float]  # seconds by name


def training(config: ExpConfig, options: Options) -> Iterator[Record]:
    """Measures steps of stage 2's trainer, with data, loss, clipping and optimizer, without logs and validation.

    Yields:
        A record; with `options.baseline` first that of the baseline, then that of the trainer's own steps on the same
        weights, measured in turns.

    Raises:
        UserError: the features are missing (`options.real`), or the model has no baseline.
    """
    if options.baseline and not isinstance(config.model, FastSpeech2Config):
        raise UserError(f"--baseline: {config.model_type} has none", 2)
    if options.baseline and config.train.compile not in ("auto", False):
        raise UserError("--baseline: only with train.compile = false, which is how the baseline runs", 2)
    if options.baseline:
        config = replace(config, train=replace(config.train, compile=False))
    with _features(config, options) as (config, source), tempfile.TemporaryDirectory() as exp_dir:
        trainer = resolve(find_model(config.model_type).trainer)(config, Path(exp_dir))
        trainer.setup()
        yield from measure_training(trainer, options, {"model": config.model_type}, {"data": source})


def measure_training(trainer: Trainer, options: Options, *first: Record) -> Iterator[Record]:
    """Measures a new trainer.

    Args:
        trainer: its data are ready.
        options: of the experiment.
        first: the first fields of each record.
    """
    device, processes = trainer.accelerator.device, trainer.accelerator.num_processes
    steps = options.steps or (50 if device.type == "cuda" else 5)
    stepper = Stepper(trainer)
    operations = stepper.operations()
    kinds: list[Callable[[], AbstractContextManager[None]]] = [baseline] if options.baseline else []
    runs = stepper.run([*kinds, nullcontext], steps)
    if options.kernels is not None and device.type == "cuda":
        write_kernels(stepper.one, options.kernels)
    if trainer.writer:
        trainer.writer.close()
    if not trainer.accelerator.is_main_process:
        return
    train = trainer.config.train
    dtype = torch.bfloat16 if trainer.accelerator.mixed_precision == "bf16" else torch.float32
    rate = matmul_rate(device, dtype)
    speeds = []
    for run, name in zip(runs, [*(["baseline"] if options.baseline else []), "trainer"], strict=True):
        speeds.append(run.real * processes / run.seconds)
        per_second = operations * run.padded / run.seconds
        record: Record = {}
        for fields in first:
            record |= fields
        yield record | {
            "step": name,
            **machine(device, dtype),
            "processes": processes,
            "batch_size": train.batch_size,
            "gradient_accumulation_step": train.gradient_accumulation_step,
            "compile": train.compile,
            "steps": run.steps,
            f"{trainer.unit.replace(' ', '_')}_per_second": rounded(speeds[-1]),
            "ms_per_step": rounded(1000 * run.seconds / run.steps),
            "padding": round(1 - run.real / run.padded, 4),
            "peak_memory_gib": rounded(peak_memory(device, trainer.run_step.graphs is not None)),
            "time_shares": {key: round(value / run.seconds, 3) for key, value in run.sections.items()},
            "model_teraflops": rounded(per_second / 1e12),
            "matmul_teraflops": rounded(rate / 1e12),
            "share_of_matmul": round(per_second / rate, 3),
            **({"times_baseline": rounded(speeds[-1] / speeds[0])} if len(speeds) > 1 else {}),
        }


class Stepper:
    """Runs the steps of a trainer one at a time, and measures them."""

    def __init__(self, trainer: Trainer) -> None:
        """Wraps the parts of a step with timers.

        Args:
            trainer: changed in place.
        """
        self.trainer = trainer
        self.device = trainer.accelerator.device
        self.sections = sections = Sections(self.device)
        trainer.model.train()
        trainer.to_device = sections.around("data", trainer.to_device)  # type: ignore[method-assign]
        if trainer.run_step.graphs is not None:  # nothing inside a graph can be timed
            trainer.run_step.graphs = sections.around("graph", trainer.run_step.graphs)  # type: ignore[assignment]
            return
        accelerator = trainer.accelerator
        accelerator.backward = sections.around("backward", accelerator.backward)
        accelerator.clip_grad_norm_ = sections.around("optimizer", accelerator.clip_grad_norm_)
        for optimizer in trainer.optimizers:
            optimizer.step = sections.around("optimizer", optimizer.step)  # type: ignore[method-assign]
            optimizer.zero_grad = sections.around("optimizer", optimizer.zero_grad)  # type: ignore[method-assign]

    def one(self) -> None:
        """Runs a step without measuring it."""
        self._step(self._steps())

    def operations(self) -> float:
        """Returns the operations per padded unit, counted in one uncompiled step."""
        graphs, self.trainer.run_step.graphs = self.trainer.run_step.graphs, None
        with set_stance("force_eager"), counting_operations() as counter:
            padded = self._step(self._steps())[1]
        self.trainer.run_step.graphs = graphs
        return counter.get_total_flops() / padded

    def run(self, kinds: list[Callable[[], AbstractContextManager[None]]], steps: int) -> list[Run]:
        """Runs `steps` steps inside each kind of context, in turns, after some that are not measured."""
        streams = [self._steps() for _ in kinds]
        warm_up = 3 if self.device.type == "cuda" else 1
        if self.trainer.run_step.graphs is not None:
            warm_up = 4 * self.trainer.sampler.num_steps  # by then nearly every shape has its graph
        totals = [Run(0, 0.0, 0.0, 0.0, {}) for _ in kinds]
        # On a GPU, turns of several steps: the clock is read only between turns.
        turn = min(steps, 10) if self.device.type == "cuda" else 1
        done = -warm_up
        while done < steps:
            count = warm_up if done < 0 else min(turn, steps - done)
            for number, (kind, stream) in enumerate(zip(kinds, streams, strict=True)):
                with kind():
                    run = self._timed(stream, count)
                if done >= 0:
                    totals[number] = _add(totals[number], run)
            done += count
            if done == 0 and self.device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(self.device)
        return totals

    def _timed(self, stream: Iterator[None], count: int) -> Run:
        self.sections.reset()
        synchronize(self.device)
        began = time.perf_counter()
        sizes = [self._step(stream) for _ in range(count)]
        synchronize(self.device)
        seconds = time.perf_counter() - began
        totals = self.sections.totals()
        rest = seconds - sum(totals.values())  # the forward pass, and everything outside the other sections
        order = {"data": 0.0, "forward": rest, "backward": 0.0, "optimizer": 0.0}
        if self.trainer.run_step.graphs is not None:
            order = {"data": 0.0, "graph": 0.0, "rest": rest}
        return Run(count, seconds, sum(s[0] for s in sizes), sum(s[1] for s in sizes), {**order, **totals})

    def _step(self, stream: Iterator[None]) -> tuple[float, float]:
        """Runs a step; returns its size without and with padding."""
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
                    of_step = next(batches, None)
                if of_step is None:
                    break
                trainer._run_step(of_step)
                trainer.step += 1
                yield
            epoch += 1


@contextmanager
def _features(config: ExpConfig, options: Options) -> Iterator[tuple[ExpConfig, str]]:
    """Yields the configuration to train with and the source of its data; deletes random features afterwards."""
    if options.real:
        from processors.stage1.lock import check_features

        yield config, ", ".join(map(str, check_features(config)))
        return
    train = config.train
    lengths = corpus_lengths(config, max(UTTERANCES, 8 * train.batch_size * train.gradient_accumulation_step))
    with tempfile.TemporaryDirectory() if options.features is None else nullcontext(options.features) as folder:
        name = f"random-{config.model_type}-{len(lengths.seconds)}"
        if not (Path(folder) / name).exists():
            write_features(config, lengths.seconds, Path(folder) / name)
        preprocess = replace(config.preprocess, processed_dir=str(folder))
        yield replace(config, dataset=(name,), preprocess=preprocess), lengths.source


def _add(a: Run, b: Run) -> Run:
    sections = {name: a.sections.get(name, 0.0) + value for name, value in b.sections.items()}
    return Run(a.steps + b.steps, a.seconds + b.seconds, a.real + b.real, a.padded + b.padded, sections)
