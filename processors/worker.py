"""What a worker process does: all features of one shard, and the shard's file.

No array travels between processes. Nothing heavy is imported at the top, because the parent imports this module too,
and answers within seconds where nothing is to be done.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

from config.schema import PreprocessConfig
from processors.plan import ShardPlan
from processors.skip import SkipUtterance
from utils.errors import UserError
from utils.shards import feature_key, write_shard
from utils.utterance import Mended, Skipped

if TYPE_CHECKING:
    from processors.features import FeatureExtractor

# One thread a worker: more would only get in each other's way (a busy core then costs 1x, not 6x).
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM")}

_extractor: FeatureExtractor | None = None


def start(config: PreprocessConfig) -> None:
    """Prepares a worker process; the parent has put `ONE_THREAD` into its environment."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the parent alone answers it
    threading.Thread(target=_die_with_parent, daemon=True).start()
    import torch

    torch.set_num_threads(1)
    from processors.features import FeatureExtractor

    global _extractor
    _extractor = FeatureExtractor(config)


def _die_with_parent() -> None:
    """A killed parent cannot stop its workers, which would wait for their next shard for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def make_shard(plan: ShardPlan) -> dict[str, Any]:
    """Computes and writes one shard.

    Returns:
        Its header: fingerprint, whether it must be tried again, a record for each kept utterance, what was skipped
        and mended.

    Raises:
        OSError: the shard cannot be written.
    """
    assert _extractor is not None, "start() runs first in every worker"
    arrays = {}
    records: list[dict[str, Any]] = []
    skipped: list[Skipped] = []
    mended: list[Mended] = []
    retry = False
    for utterance, textgrid_path in zip(plan.utterances, plan.textgrid_paths, strict=True):
        try:
            features = _extractor.extract(utterance, textgrid_path)
        except SkipUtterance as skip:
            skipped.append(Skipped(utterance.utt_id, skip.reason, skip.detail))
            retry |= skip.passing
            continue
        except UserError:
            raise
        except Exception as error:
            # One odd clip must not cost the run. It is named in the report, and tried again by the next run.
            detail = f"{type(error).__name__}: {error}"
            skipped.append(Skipped(utterance.utt_id, "unexpected error (please report it)", detail))
            retry = True
            continue
        mended += [Mended(utterance.utt_id, *found) for found in features.mended]
        for name, array in features.arrays.items():
            arrays[feature_key(utterance.utt_id, name)] = array
        records.append(
            {
                "utt_id": utterance.utt_id,
                "speaker": utterance.speaker,
                "text": utterance.text,
                "phones": features.phones,
                "num_frames": len(features.arrays["mel"]),
                "shard": plan.name,
            }
        )
    header = {
        "fingerprint": plan.fingerprint,
        "retry": retry,
        "records": records,
        "skipped": [list(entry) for entry in skipped],
        "mended": [list(entry) for entry in mended],
    }
    write_shard(plan.path, arrays, header)
    return header
