"""What the aligner learns from: tokens and whole mels of a corpus, in shards of their own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from config.schema import PreprocessConfig
from processors.stage1 import worker
from processors.stage1.plan import ShardPlan, header_of, is_fresh, plan_shards
from processors.stage1.pool import make_shards
from utils.progress import Progress
from utils.utterance import Skipped, Utterance


class AlignerCorpus(NamedTuple):
    """What there is to learn from."""

    folder: Path  # of the shards; the features of an utterance are its mel alone
    # In order of the ids: utt_id, speaker, phones, words, num_frames and silences of the mel, seconds, shard.
    records: list[dict[str, Any]]
    skipped: list[Skipped]
    retry: bool  # whether a failure may have passed by the next run


def plan_inputs(utterances: Sequence[Utterance], config: PreprocessConfig, folder: Path) -> tuple[list[ShardPlan], str]:
    """The shards as they have to be, and a hash of all that they depend on: texts, recordings and settings.

    Raises:
        OSError: the lexicon cannot be read.
    """
    plans = plan_shards(utterances, {}, config, folder)
    parts = [[plan.name, plan.fingerprint] for plan in plans]
    return plans, hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def make_inputs(plans: Sequence[ShardPlan], config: PreprocessConfig, num_workers: int) -> AlignerCorpus:
    """Makes the shards, or what is missing of them.

    Args:
        plans: from `plan_inputs`, at least one.
        config: the preprocess section.
        num_workers: processes, at least 1.

    Raises:
        UserError: a worker died.
        OSError: a shard cannot be written.
    """
    folder = plans[0].path.parent
    folder.mkdir(parents=True, exist_ok=True)
    headers = {plan.name: header_of(plan) for plan in plans}
    stale = [plan for plan in plans if not is_fresh(plan, headers[plan.name])]
    total = sum(len(plan.utterances) for plan in plans)
    with Progress(
        total, "utterances", "mels to align", initial=total - sum(len(plan.utterances) for plan in stale)
    ) as progress:
        if stale:
            for plan, header in make_shards(stale, config, num_workers, worker.make_inputs_shard):
                headers[plan.name] = header
                progress.advance(len(plan.utterances))
    whole = [header for header in headers.values() if header is not None]
    return AlignerCorpus(
        folder,
        sorted((record for header in whole for record in header["records"]), key=lambda record: record["utt_id"]),
        [Skipped(*entry) for header in whole for entry in header["skipped"]],
        any(header["retry"] for header in whole),
    )
