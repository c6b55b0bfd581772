"""What a worker process does: all features of one shard, and the shard's file.

No array travels between processes. Nothing heavy is imported at the top, because the parent imports this module too,
and answers within seconds where nothing is to be done.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config.schema import AudioConfig, PreprocessConfig, VocoderPreprocessConfig
from processors.extracted import Extracted
from processors.skip import SkipUtterance
from processors.stage1.plan import ShardPlan
from utils.errors import UserError
from utils.shards import feature_key, write_shard
from utils.utterance import Mended, Skipped, Utterance

if TYPE_CHECKING:
    from processors.acoustic import FeatureExtractor
    from processors.clips import ClipExtractor

# One thread a worker: more would only get in each other's way (a busy core then costs 1x, not 6x).
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM")}

_extractor: FeatureExtractor | ClipExtractor | None = None


def heavy_packages(config: AudioConfig) -> list[str]:
    """What every worker needs and takes long to import: it is imported once, for all."""
    audio = ["soundfile", "soxr"]
    return audio if isinstance(config, VocoderPreprocessConfig) else ["torch", *audio]


def start(config: AudioConfig) -> None:
    """Prepares a worker process; the parent has put `ONE_THREAD` into its environment."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the parent alone answers it
    threading.Thread(target=_die_with_parent, daemon=True).start()
    global _extractor
    _extractor = _make_extractor(config)


def _make_extractor(config: AudioConfig) -> FeatureExtractor | ClipExtractor:
    if isinstance(config, VocoderPreprocessConfig):
        from processors.clips import ClipExtractor

        return ClipExtractor(config)
    assert isinstance(config, PreprocessConfig), config
    import torch

    torch.set_num_threads(1)
    from processors.acoustic import FeatureExtractor

    return FeatureExtractor(config)


def _die_with_parent() -> None:
    """A killed parent cannot stop its workers, which would wait for their next shard for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def make_shard(plan: ShardPlan) -> dict[str, Any]:
    """Computes and writes one shard of features for stage 2.

    Returns:
        Its header: fingerprint, whether it must be tried again, a record for each kept utterance, what was skipped
        and mended.

    Raises:
        OSError: the shard cannot be written.
    """
    assert _extractor is not None, "start() runs first in every worker"
    return _make(plan, _extractor.extract)


def make_inputs_shard(plan: ShardPlan) -> dict[str, Any]:
    """Computes and writes one shard of what the aligner learns from; its TextGrids are not looked at.

    Returns:
        Its header, as that of `make_shard`; records are those of `processors.stage1.aligner_inputs`.

    Raises:
        OSError: the shard cannot be written.
    """

    from processors.acoustic import FeatureExtractor

    extractor = _extractor
    assert isinstance(extractor, FeatureExtractor), "start() runs first in every worker, with a model's that has texts"

    def inputs(utterance: Utterance, _: Path | None) -> Extracted:
        found = extractor.aligner_inputs(utterance)
        facts = {"phones": found.phones, "words": found.words, "num_frames": len(found.mel), "silences": found.silences}
        return Extracted({**facts, "seconds": found.seconds}, {"mel": found.mel}, [])

    return _make(plan, inputs)


def _make(plan: ShardPlan, extract: Callable[[Utterance, Path | None], Extracted]) -> dict[str, Any]:
    arrays = {}
    records: list[dict[str, Any]] = []
    skipped: list[Skipped] = []
    mended: list[Mended] = []
    retry = False
    for utterance, textgrid_path in zip(plan.utterances, plan.textgrid_paths, strict=True):
        try:
            found = extract(utterance, textgrid_path)
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
        mended += [Mended(utterance.utt_id, *note) for note in found.mended]
        for name, array in found.arrays.items():
            arrays[feature_key(utterance.utt_id, name)] = array
        identity = {"utt_id": utterance.utt_id, "speaker": utterance.speaker}
        records.append({**identity, **found.facts, "shard": plan.name})
    header = {
        "fingerprint": plan.fingerprint,
        "retry": retry,
        "records": records,
        "skipped": [list(entry) for entry in skipped],
        "mended": [list(entry) for entry in mended],
    }
    write_shard(plan.path, arrays, header)
    return header
