"""Runs many experiments, the most important first, until the time is up, and writes a table.

Experiments run in a process of their own, one after the other: imports and random features are then paid for once. If
one dies or exceeds its time, a new process continues with the next, and the table says so.
"""

from __future__ import annotations

import datetime
import gc
import multiprocessing
import platform
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from bins.benchmarking.measure import Options, Record, processor
from config.load import load_config
from utils.atomic import write_text
from utils.jsonl import write_json
from utils.logging import logger

ROOT = Path(__file__).resolve().parents[2]
FASTSPEECH2 = "egs/tts/FastSpeech2/exp_config.json"
HIFIGAN = "egs/vocoder/hifigan/exp_config.json"
SOURCEFILTER = "egs/vocoder/sourcefilter/exp_config.json"


class Entry(NamedTuple):
    """An experiment of the suite."""

    what: str  # as --what
    config: str
    overrides: tuple[str, ...] = ()
    steps: int | None = None
    most: float = 60  # seconds that it may take
    kernels: bool = False  # also write the table of its kernels

    @property
    def name(self) -> str:
        """Name of the experiment, unique in a suite."""
        recipe = Path(self.config).parent.name
        values = (setting.partition("=")[2].strip('"') for setting in self.overrides)
        return "-".join([self.what, recipe, *values])

    @property
    def settings(self) -> str:
        """Returns the overrides that have no column in the table."""
        own_columns = ("train.batch_size=", "train.compile=")
        return " ".join(setting for setting in self.overrides if not setting.startswith(own_columns))


def entries(on_gpu: bool) -> list[Entry]:
    """Returns the experiments, the most important first."""

    def train(config: str, batch_size: int, compiled: str, steps: int, kernels: bool = False) -> Entry:
        overrides = (f"train.batch_size={batch_size}", f"train.compile={compiled}")
        return Entry("train", config, overrides, steps, 90 if compiled != "false" else 60, kernels)

    if not on_gpu:
        return [
            train(FASTSPEECH2, 16, "false", 5)._replace(most=240),
            Entry("inference", FASTSPEECH2),
            Entry("inference", HIFIGAN, most=120),
            Entry("inference", SOURCEFILTER),
            Entry("speech", FASTSPEECH2),
            train(SOURCEFILTER, 16, "false", 5),
            Entry("preprocess", FASTSPEECH2, most=120),
            Entry("align", FASTSPEECH2, steps=10, most=120),
            Entry("train", HIFIGAN, ("train.batch_size=2", "train.compile=false"), 1, 240),
        ]
    graphs, both = '"graphs"', "true"
    return [
        train(FASTSPEECH2, 16, "false", 30),
        train(FASTSPEECH2, 16, graphs, 50),
        train(HIFIGAN, 16, "false", 20, kernels=True),
        train(HIFIGAN, 16, graphs, 20),
        train(FASTSPEECH2, 64, "false", 20, kernels=True),
        train(FASTSPEECH2, 64, graphs, 40),
        Entry("speech", FASTSPEECH2),
        train(HIFIGAN, 128, "false", 10, kernels=True),
        train(HIFIGAN, 128, graphs, 10),
        train(FASTSPEECH2, 64, both, 40),
        train(FASTSPEECH2, 128, both, 30),
        Entry("inference", HIFIGAN, steps=20),
        Entry("inference", FASTSPEECH2, steps=20),
        train(SOURCEFILTER, 16, graphs, 50),
        Entry("train", SOURCEFILTER, ("train.batch_size=16", f"train.compile={graphs}", "train.adversary_start=0"), 50),
        Entry("inference", SOURCEFILTER, steps=20),
        train(HIFIGAN, 16, both, 20),
        train(FASTSPEECH2, 16, both, 50),
        train(HIFIGAN, 128, both, 10),
        Entry("align", FASTSPEECH2, steps=50),
        train(FASTSPEECH2, 128, graphs, 30),
        train(HIFIGAN, 64, graphs, 10),
        train(FASTSPEECH2, 128, "false", 20),
        train(HIFIGAN, 64, "false", 10),
        train(HIFIGAN, 64, both, 10),
        train(FASTSPEECH2, 64, '"kernels"', 30),
        train(HIFIGAN, 16, '"kernels"', 20),
        Entry("preprocess", FASTSPEECH2, steps=256),
    ]


class Outcome(NamedTuple):
    """The result of an experiment, or the reason why there is none."""

    name: str
    records: list[Record]
    error: str | None
    seconds: float


def run_suite(folder: Path, on_gpu: bool, budget: float, chosen: Sequence[Entry]) -> Path:
    """Runs experiments until the time is up, and writes `<date>-<device>.json` and `.md` after each.

    Args:
        folder: made if it is missing; kernel tables go to its subfolder `kernels`.
        on_gpu: measure on the GPU.
        budget: seconds in all.
        chosen: of `entries`.

    Returns:
        The path of the Markdown table.

    Raises:
        OSError: a file cannot be written.
    """
    about = _about(on_gpu)
    stem = f"{about['date']}-{_slug(about['device'])}"
    folder.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    for outcome in _outcomes(folder, chosen, time.monotonic() + budget):
        outcomes.append(outcome)
        logger.info("%s: %s (%.0f s)", outcome.name, outcome.error or "done", outcome.seconds)
        results = [record for done in outcomes for record in done.records]
        failures = {done.name: done.error for done in outcomes if done.error}
        write_json(folder / f"{stem}.json", {**about, "results": results, "failures": failures})
        write_text(folder / f"{stem}.md", table(about, results, failures))
    return folder / f"{stem}.md"


def table(about: Record, results: Sequence[Record], failures: Mapping[str, str]) -> str:
    """Renders the results as Markdown."""
    lines = [f"# {about['device']}, {about['date']}", ""]
    lines += [f"- {name}: {value}" for name, value in about.items() if name not in ("device", "date")]
    lines += ["", "| experiment | batch | compile | precision | ms | speed | padding | GiB | of matmul |"]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    for record in results:
        unit, speed = next((key, value) for key, value in record.items() if key.endswith("_per_second"))
        milliseconds = record.get("ms_per_step")
        cells = [
            f"{record['what']} {record.get('model', '')} {record.get('settings', '')}".strip(),
            record.get("batch_size", ""),
            str(record.get("compile", "")).lower(),
            record.get("dtype", ""),
            "" if milliseconds is None else f"{milliseconds:g}",
            f"{speed:,} {unit.removesuffix('_per_second').replace('_', ' ')}/s",
            f"{record['padding']:.1%}" if "padding" in record else "",
            f"{record['peak_memory_gib']:g}" if "peak_memory_gib" in record else "",
            f"{record['share_of_matmul']:.1%}" if "share_of_matmul" in record else "",
        ]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    lines += ["", *(f"- Not measured: {name}: {error}" for name, error in failures.items())]
    return "\n".join(lines).rstrip() + "\n"


def _outcomes(folder: Path, chosen: Sequence[Entry], deadline: float) -> Iterator[Outcome]:
    """Yields the outcome of each experiment; those that would begin after the deadline are left out."""
    context = multiprocessing.get_context("spawn")
    left = list(chosen)
    while left and time.monotonic() < deadline:
        ours, theirs = context.Pipe(duplex=False)
        worker = context.Process(target=_work, args=(theirs, folder, left, deadline))
        worker.start()
        theirs.close()
        try:
            while left and time.monotonic() < deadline:
                entry, began = left[0], time.monotonic()
                # The first one's time includes the imports.
                outcome = _receive(ours, min(entry.most + 30, deadline - began))
                seconds = time.monotonic() - began
                left.pop(0)
                if outcome is None:
                    late = time.monotonic() >= deadline
                    yield Outcome(entry.name, [], "no time left" if late else "died, or took too long", seconds)
                    break
                yield outcome
        finally:
            worker.kill()
            worker.join()


def _receive(connection: Connection, seconds: float) -> Outcome | None:
    """Returns the next outcome; None if the process died or the time is up."""
    try:
        return connection.recv() if connection.poll(seconds) else None
    except EOFError:
        return None


def _work(connection: Connection, folder: Path, chosen: Sequence[Entry], deadline: float) -> None:
    """Runs the experiments in a separate process, and sends an Outcome for each."""
    import contextlib
    import os
    import tempfile
    import threading

    from utils.errors import UserError

    def end_with_parent() -> None:
        """Ends this process when the suite was killed."""
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()

    with tempfile.TemporaryDirectory() as features, open(os.devnull, "w") as nowhere:
        for entry in chosen:
            began, records, error = time.monotonic(), [], None
            kernels = folder / "kernels" / f"{entry.name}.txt" if entry.kernels else None
            try:
                with contextlib.redirect_stdout(nowhere):
                    for record in run_experiment(entry, Options(entry.steps, kernels=kernels, features=Path(features))):
                        settings = {"settings": entry.settings} if entry.settings else {}
                        records.append({"what": entry.what, "config": entry.config, **settings, **record})
            except (UserError, RuntimeError, AssertionError, ValueError, TypeError, AttributeError) as problem:
                error = f"{type(problem).__name__}: {str(problem).splitlines()[0] if str(problem) else ''}"[:500]
                _show(folder, entry, problem)
            connection.send(Outcome(entry.name, records, error, time.monotonic() - began))
            _clean_up()


def _show(folder: Path, entry: Entry, problem: Exception) -> None:
    """Writes the traceback to a file beside the table."""
    import traceback

    (folder / "failures").mkdir(exist_ok=True)
    text = "".join(traceback.format_exception(problem))
    write_text(folder / "failures" / f"{entry.name}.txt", text)


def run_experiment(entry: Entry, options: Options) -> Iterator[Record]:
    """Runs one experiment in this process.

    Raises:
        UserError: the configuration cannot be measured this way.
    """
    from bins.benchmarking import inference, stage1, training

    experiments = {
        "train": training.training,
        "inference": inference.inference,
        "speech": inference.speech,
        "preprocess": stage1.preprocessing,
        "align": stage1.alignment,
    }
    return experiments[entry.what](load_config(entry.config, entry.overrides), options)


def _clean_up() -> None:
    """Clears the state of the last experiment: accelerate, compiled code, memory."""
    import torch
    from accelerate.state import AcceleratorState, GradientState

    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    torch._dynamo.reset()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _about(on_gpu: bool) -> Record:
    """Returns the machine and the versions that the figures were measured with."""
    import torch

    about: Record = {"device": processor(), "date": datetime.date.today().isoformat()}
    if on_gpu:
        about["device"] = torch.cuda.get_device_name()
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        about["driver"] = _output(query).splitlines()[0] if _output(query) else "unknown"
        about["cuda"], about["cudnn"] = torch.version.cuda, torch.backends.cudnn.version()
    about |= {"threads": torch.get_num_threads(), "torch": torch.__version__, "python": platform.python_version()}
    return {**about, "commit": _output(["git", "describe", "--always", "--dirty"]) or "unknown"}


def _output(command: Sequence[str]) -> str:
    """Returns the output of a command; empty if it fails."""
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _slug(name: str) -> str:
    """Converts a name to a file name."""
    return "-".join("".join(c.lower() if c.isalnum() else " " for c in name).split())
