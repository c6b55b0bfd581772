"""Stage 1: a corpus to features on disk, in parallel, and again only where something changed."""

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
    """Summary of a run."""

    out_dir: Path
    report: dict[str, Any]  # as in report.json
    num_computed: int  # utterances whose features were made in this run
    seconds: float

    def lines(self) -> list[str]:
        """A closing table for the terminal."""
        report = self.report
        if self.num_computed:
            rate = self.num_computed / max(self.seconds, 1e-9)
            work = f"{self.num_computed:,} utterances made, {rate:.1f} a second"
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
    """TextGrids that an aligner made, for the utterances that have none of their own."""

    folder: Path  # <utt_id>.TextGrid
    report: dict[str, Any]  # what is worth telling about them


def preprocess(
    config: PreprocessConfig,
    dataset: str,
    root: Path,
    corpus: Corpus,
    workers: Workers,
    learned: LearnedAlignment | None = None,
) -> Summary:
    """Makes the features of a corpus that are missing or out of date.

    A run that is killed at any point and started again produces the same bytes as one that was not. While anything is
    missing or out of date there is no lock file, so stage 2 cannot start on half a corpus.

    Args:
        config: the preprocess section.
        dataset: name of the corpus; features go to `<processed_dir>/<dataset>`.
        root: folder of the corpus.
        corpus: from its reader.
        workers: make the shards.
        learned: an alignment of the corpus; its TextGrids stand in for missing ones, or, where `config.alignment` is
            "learned", for all.

    Raises:
        UserError: there are no TextGrids, no utterance is usable, the lexicon or a package is missing, a worker died.
        OSError: the features cannot be written.
    """
    check_extractor(config.pitch_extractor)
    check_lexicon(config.lexicon_path)
    out_dir = Path(config.processed_dir) / dataset
    check_kind(out_dir, config)
    textgrid_dir = own_textgrid_dir(config, root)
    textgrids = {} if config.alignment == "learned" else find_textgrids(textgrid_dir, corpus.utterances)
    num_own = len(textgrids)
    if learned is not None:
        textgrids = {**find_textgrids(learned.folder, corpus.utterances), **textgrids}
    if corpus.utterances and not textgrids:
        raise UserError(_missing_textgrids(dataset, textgrid_dir, corpus.utterances[0].utt_id))

    learned_dir = learned.folder if learned else None
    plans = plan_shards(corpus.utterances, textgrids, config, out_dir / SHARDS, learned_dir)
    besides = f", learned ones for {len(textgrids) - num_own:,}" if learned else ""
    print(f"{dataset}: {len(corpus.utterances):,} utterances, TextGrids for {num_own:,}{besides}", flush=True)
    return update(config, dataset, corpus, plans, workers, learned.report if learned else None)


def update(
    config: AudioConfig,
    dataset: str,
    corpus: Corpus,
    plans: list[ShardPlan],
    workers: Workers,
    alignment: dict[str, Any] | None = None,
) -> Summary:
    """Makes the shards that are missing or out of date, and then everything beside them.

    Args:
        config: the preprocess section; its type decides what the shards hold.
        dataset: name of the corpus.
        corpus: from its reader.
        plans: all its shards.
        workers: make the shards.
        alignment: what is worth telling about a learned alignment.

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
    """The folder of the corpus's own TextGrids."""
    return Path(config.textgrid_dir) if config.textgrid_dir else root / "TextGrid"


def check_lexicon(path: str | None) -> None:
    """Reads the lexicon once before every worker does, so that a mistake in it is reported once, and first.

    Raises:
        UserError: it cannot be read.
    """
    if path is not None:
        try:
            read_lexicon(path)
        except LexiconError as error:
            raise UserError(f"preprocess.lexicon_path: {error}", 2) from None


def _missing_textgrids(dataset: str, folder: Path, example: str) -> str:
    return (
        f"{dataset} has no TextGrids: {folder} holds none of its utterances. Stage 1 takes the durations of phones "
        f"from them: provide {folder / f'{example}.TextGrid'} and so on, one an utterance (or in a folder for each "
        'speaker), in Praat\'s text format, with an interval tier "phones" of ARPAbet labels. The Montreal Forced '
        "Aligner makes them (`mfa align CORPUS english_us_arpa english_us_arpa FOLDER`). Another folder: "
        'preprocess.textgrid_dir. Without any: preprocess.alignment "learned" finds the durations by itself'
    )
