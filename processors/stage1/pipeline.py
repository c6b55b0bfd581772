"""Stage 1: computes the features of a corpus in parallel, and only those that are missing or out of date."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

from config.schema import AudioConfig, PitchedVocoderPreprocessConfig, PreprocessConfig
from processors.pitch import check_extractor
from processors.stage1.finalize import finalize
from processors.stage1.lock import check_kind, inputs_digest, is_final
from processors.stage1.plan import ShardPlan, find_textgrids, plan_shards
from processors.stage1.pool import Workers
from processors.stage1.report import num_skipped, reasons_table
from processors.stage1.shard_set import ShardSet
from text.pronunciation.lexicon import LexiconError, read_lexicon
from utils.data_folder import LOCK, SHARDS
from utils.errors import UserError
from utils.jsonl import read_json
from utils.progress import format_seconds
from utils.utterance import Corpus


class Summary(NamedTuple):
    """The outcome of a run."""

    out_dir: Path
    report: dict[str, Any]  # as in report.json
    num_computed: int  # utterances whose features were made in this run
    seconds: float

    def lines(self) -> list[str]:
        """Returns the lines of the table that is printed at the end of a run."""
        report = self.report
        if self.num_computed:
            rate = self.num_computed / max(self.seconds, 1e-9)
            work = f"{self.num_computed:,} utterances computed, {rate:.1f} per second"
        else:
            work = "nothing to do, everything is up to date"
        sizes = ", ".join(f"{name} {size:,}" for name, size in report["splits"].items())
        return [
            f"{report['dataset']}: {report['kept']:,} utterances kept, {report['hours']:.2f} hours; "
            f"{num_skipped(report):,} skipped",
            *reasons_table(report),
            f"  sets      {sizes}",
            f"  time      {format_seconds(self.seconds)}: {work}",
            f"  features  {self.out_dir}",
            f"  report    {self.out_dir / 'report.md'}",
        ]


class LearnedAlignment(NamedTuple):
    """TextGrids from the aligner, for utterances without one in the corpus."""

    folder: Path  # <utt_id>.TextGrid
    report: dict[str, Any]  # figures about them, for report.json


def preprocess(
    config: PreprocessConfig,
    dataset: str,
    root: Path,
    corpus: Corpus,
    workers: Workers,
    learned: LearnedAlignment | None = None,
) -> Summary:
    """Computes the features of a corpus that are missing or out of date.

    A run that is killed at any point and started again produces the same bytes as one without interruption. While any
    features are missing or out of date there is no lock, so stage 2 cannot start on an incomplete corpus.

    Args:
        config: the preprocess section.
        dataset: name of the corpus; features go to `<processed_dir>/<dataset>`.
        root: folder of the corpus.
        corpus: from its reader.
        workers: the processes that make the shards.
        learned: an alignment of the corpus; its TextGrids replace missing ones, or all if `config.alignment` is
            "learned".

    Raises:
        UserError: there are no TextGrids, no utterance is usable, the lexicon cannot be read, a package is missing, or
            a worker died.
        OSError: the features cannot be written.
    """
    check_extractor(config.pitch_extractor)
    check_lexicon(config.lexicon_path)
    out_dir = Path(config.processed_dir) / dataset
    check_kind(out_dir, config)
    textgrid_dir = own_textgrid_dir(config, root)
    textgrids = {} if config.alignment == "learned" else find_textgrids(textgrid_dir, corpus.utterances)
    num_textgrids = len(textgrids)
    if learned is not None:
        textgrids = {**find_textgrids(learned.folder, corpus.utterances), **textgrids}
    if corpus.utterances and not textgrids:
        raise UserError(_missing_textgrids(dataset, textgrid_dir, corpus.utterances[0].utt_id))

    learned_dir = learned.folder if learned else None
    plans = plan_shards(corpus.utterances, textgrids, config, out_dir / SHARDS, learned_dir)
    learned_count = f", learned ones for {len(textgrids) - num_textgrids:,}" if learned else ""
    print(
        f"{dataset}: {len(corpus.utterances):,} utterances, TextGrids for {num_textgrids:,}{learned_count}", flush=True
    )
    return update(config, dataset, corpus, plans, workers, learned.report if learned else None)


def update(
    config: AudioConfig,
    dataset: str,
    corpus: Corpus,
    plans: list[ShardPlan],
    workers: Workers,
    alignment: dict[str, Any] | None = None,
) -> Summary:
    """Makes the shards that are missing or out of date, and then the files beside them.

    Args:
        config: the preprocess section; its type determines the contents of the shards.
        dataset: name of the corpus.
        corpus: from its reader.
        plans: all shards of the corpus.
        workers: the processes that make the shards.
        alignment: the report on a learned alignment, if there is one.

    Raises:
        UserError: no utterance is usable, or a worker died.
        OSError: the features cannot be written.
    """
    started = time.monotonic()
    out_dir = Path(config.processed_dir) / dataset
    shards = ShardSet(out_dir / SHARDS, plans)
    digest = inputs_digest(plans, corpus, config, alignment)
    if shards.is_complete and is_final(out_dir, digest):
        return Summary(out_dir, read_json(out_dir / "report.json"), 0, time.monotonic() - started)

    (out_dir / LOCK).unlink(missing_ok=True)
    if shards.stale:
        pitch = ""
        if isinstance(config, PreprocessConfig | PitchedVocoderPreprocessConfig):
            pitch = f" ({config.pitch_extractor} pitch)"
        print(
            f"{shards.num_utterances - shards.num_stale:,} are up to date; making features of {shards.num_stale:,}"
            f"{pitch} in {min(workers.num_processes, len(shards.stale))} processes",
            flush=True,
        )
    headers = shards.update(lambda stale: workers.make(stale, config), "features")
    report = finalize(out_dir, dataset, headers, corpus, config, digest, alignment)
    return Summary(out_dir, report, shards.num_stale, time.monotonic() - started)


def own_textgrid_dir(config: PreprocessConfig, root: Path) -> Path:
    """Returns the folder of the TextGrids that come with the corpus."""
    return Path(config.textgrid_dir) if config.textgrid_dir else root / "TextGrid"


def check_lexicon(path: str | None) -> None:
    """Reads the lexicon before the workers do, so that an error in it is reported early and only once.

    Raises:
        UserError: the lexicon cannot be read.
    """
    if path is not None:
        try:
            read_lexicon(path)
        except LexiconError as error:
            raise UserError(f"preprocess.lexicon_path: {error}", 2) from None


def _missing_textgrids(dataset: str, folder: Path, example: str) -> str:
    return (
        f"{dataset} has no TextGrids: {folder} holds none for its utterances. Stage 1 takes the durations of phones "
        f"from them. Provide {folder / f'{example}.TextGrid'} and so on, one per utterance (or in a folder for each "
        'speaker), in Praat\'s text format, with an interval tier "phones" of ARPAbet labels. The Montreal Forced '
        "Aligner makes them (`mfa align CORPUS english_us_arpa english_us_arpa FOLDER`). If they are in another "
        'folder, set preprocess.textgrid_dir. To do without them, set preprocess.alignment = "learned": stage 1 then '
        "learns the durations from the recordings"
    )
