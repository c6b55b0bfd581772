"""Makes the training data of the aligner: tokens and whole mels of a corpus, in separate shards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from config.schema import PreprocessConfig
from processors.stage1 import worker
from processors.stage1.plan import ShardPlan, plan_shards
from processors.stage1.pool import Workers
from processors.stage1.shard_set import ShardSet
from utils.utterance import Skipped, Utterance


class AlignerCorpus(NamedTuple):
    """The training data of the aligner, and the utterances that have none."""

    folder: Path  # of the shards, which contain only mels
    # Sorted by id: utt_id, speaker, phones, words, num_frames and silences of the mel, seconds, shard.
    records: list[dict[str, Any]]
    skipped: list[Skipped]
    retry: bool  # a failure may be transient: the next run must try again


def plan_inputs(utterances: Sequence[Utterance], config: PreprocessConfig, folder: Path) -> tuple[list[ShardPlan], str]:
    """Plans the shards.

    Args:
        utterances: ids are unique.
        config: the preprocess section.
        folder: of the shards.

    Returns:
        The shards, and a hash of everything that they depend on: texts, recordings and settings.

    Raises:
        OSError: the lexicon cannot be read.
    """
    plans = plan_shards(utterances, {}, config, folder)
    parts = [[plan.name, plan.fingerprint] for plan in plans]
    return plans, hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def make_inputs(plans: Sequence[ShardPlan], config: PreprocessConfig, workers: Workers) -> AlignerCorpus:
    """Makes the shards that are missing or out of date.

    Args:
        plans: from `plan_inputs`, at least one.
        config: the preprocess section.
        workers: the processes that make the shards.

    Raises:
        UserError: a worker died.
        OSError: a shard cannot be written.
    """
    folder = plans[0].path.parent
    make = partial(workers.make, config=config, task=worker.make_inputs_shard)
    headers = ShardSet(folder, plans).update(make, "mels to align")
    return AlignerCorpus(
        folder,
        sorted((record for header in headers for record in header["records"]), key=lambda record: record["utt_id"]),
        [Skipped(*entry) for header in headers for entry in header["skipped"]],
        any(header["retry"] for header in headers),
    )
