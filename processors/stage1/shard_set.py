"""Keeps the shards of a folder up to date: finds stale shards, makes them, and deletes stray files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypedDict, cast

from processors.extracted import Extracted
from processors.skip import SkipUtterance
from processors.stage1.plan import ShardPlan
from utils.atomic import TEMPORARY_SUFFIX
from utils.errors import UserError
from utils.progress import Progress
from utils.shards import ShardError, feature_key, read_header, write_shard
from utils.utterance import Mended, Skipped, Utterance


class ShardHeader(TypedDict):
    """The header of a shard, stored in its file."""

    fingerprint: str  # of everything that the shard depends on
    retry: bool  # a failure may be transient, so the next run must try again
    records: list[dict[str, Any]]  # a manifest row for each utterance that was kept
    skipped: list[list[str]]  # fields of utils.utterance.Skipped
    mended: list[list[str]]  # fields of utils.utterance.Mended


# Makes shards and yields each with its header as soon as it is written, in any order.
MakeShards = Callable[[Sequence[ShardPlan]], Iterable[tuple[ShardPlan, ShardHeader]]]


class ShardSet:
    """The shards that a folder must contain, compared with those on disk."""

    def __init__(self, folder: Path, plans: Sequence[ShardPlan]) -> None:
        """Reads the headers of the shards on disk.

        Args:
            folder: of the shards; need not exist.
            plans: all shards that the folder must contain.
        """
        self._folder = folder
        self._headers: dict[str, ShardHeader] = {}
        self.stale: list[ShardPlan] = []
        for plan in plans:
            header = header_of(plan)
            if header is None or header["fingerprint"] != plan.fingerprint or header["retry"]:
                self.stale.append(plan)
            else:
                self._headers[plan.name] = header
        self.num_utterances = sum(len(plan.utterances) for plan in plans)
        self.num_stale = sum(len(plan.utterances) for plan in self.stale)
        # Shards of removed utterances or of another layout, and temporary files of killed runs.
        expected = {plan.path for plan in plans}
        files = [*folder.glob("shard-*.safetensors"), *folder.glob(f"*{TEMPORARY_SUFFIX}")]
        self._strays = [path for path in files if path not in expected]

    @property
    def is_complete(self) -> bool:
        """Whether every shard is present and up to date, and nothing else is in the folder."""
        return not self.stale and not self._strays

    def update(self, make: MakeShards, label: str) -> list[ShardHeader]:
        """Makes the stale shards and deletes stray files.

        Args:
            make: makes the shards that it is given.
            label: name of the work in the progress bar.

        Returns:
            The headers of all shards.

        Raises:
            UserError: a worker died, or a setting is wrong.
            OSError: a file cannot be written or deleted.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in self._strays:
            path.unlink(missing_ok=True)
        if self.stale:
            initial = self.num_utterances - self.num_stale
            with Progress(self.num_utterances, "utterances", label, initial=initial) as progress:
                for plan, header in make(self.stale):
                    self._headers[plan.name] = header
                    progress.advance(len(plan.utterances))
        return list(self._headers.values())


def make_shard(plan: ShardPlan, extract: Callable[[Utterance, Path | None], Extracted]) -> ShardHeader:
    """Computes and writes one shard.

    Args:
        plan: the shard.
        extract: computes the features of an utterance, given its TextGrid.

    Returns:
        The header of the shard.

    Raises:
        UserError: a setting is wrong.
        OSError: the shard cannot be written.
    """
    arrays = {}
    records: list[dict[str, Any]] = []
    skipped: list[Skipped] = []
    mended: list[Mended] = []
    retry = False
    for utterance, textgrid_path in zip(plan.utterances, plan.textgrid_paths, strict=True):
        try:
            extracted = extract(utterance, textgrid_path)
        except SkipUtterance as skip:
            skipped.append(Skipped(utterance.utt_id, skip.reason, skip.detail))
            retry |= skip.transient
            continue
        except UserError:
            raise
        except Exception as error:
            # One bad recording must not end the run. The report names it, and the next run tries again.
            detail = f"{type(error).__name__}: {error}"
            skipped.append(Skipped(utterance.utt_id, "unexpected error (please report it)", detail))
            retry = True
            continue
        mended += [Mended(utterance.utt_id, *note) for note in extracted.mended]
        for name, array in extracted.arrays.items():
            arrays[feature_key(utterance.utt_id, name)] = array
        identity = {"utt_id": utterance.utt_id, "speaker": utterance.speaker}
        records.append({**identity, **extracted.facts, "shard": plan.name})
    header: ShardHeader = {
        "fingerprint": plan.fingerprint,
        "retry": retry,
        "records": records,
        "skipped": [list(entry) for entry in skipped],
        "mended": [list(entry) for entry in mended],
    }
    write_shard(plan.path, arrays, header)
    return header


def header_of(plan: ShardPlan) -> ShardHeader | None:
    """Reads the header of the shard on disk; None if it is missing, damaged, or written by another version."""
    try:
        header = read_header(plan.path)
    except ShardError:
        return None
    return cast(ShardHeader, header) if ShardHeader.__required_keys__ <= header.keys() else None
