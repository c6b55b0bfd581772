"""A worker process of stage 1, which computes and writes one shard at a time.

No arrays are sent between processes. Heavy packages are not imported at the top: the parent process imports this module
too, and must be fast when everything is up to date.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from config.schema import AudioConfig, PreprocessConfig, VocoderPreprocessConfig
from processors.extracted import Extracted
from processors.stage1 import shard_set
from processors.stage1.plan import ShardPlan
from processors.stage1.shard_set import ShardHeader
from utils.utterance import Utterance

if TYPE_CHECKING:
    from processors.acoustic import FeatureExtractor
    from processors.clips import ClipExtractor

# One thread per worker: more would compete with the other workers (6 times the CPU time on a busy machine).
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM")}

_extractor: FeatureExtractor | ClipExtractor | None = None


def heavy_packages(config: AudioConfig) -> list[str]:
    """Returns the packages that every worker needs and that are slow to import; the fork server imports them once."""
    audio = ["soundfile", "soxr"]
    return audio if isinstance(config, VocoderPreprocessConfig) else ["torch", "scipy.ndimage", *audio]


def start(config: AudioConfig) -> None:
    """Prepares a worker process; the parent has set `ONE_THREAD` in its environment."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; only the parent handles it
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
    """Ends this worker when its parent is killed; it would wait forever for the next shard."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def make_shard(plan: ShardPlan) -> ShardHeader:
    """Computes and writes one shard of features.

    Raises:
        UserError: a setting is wrong.
        OSError: the shard cannot be written.
    """
    assert _extractor is not None, "start() runs first in every worker"
    return shard_set.make_shard(plan, _extractor.extract)


def make_inputs_shard(plan: ShardPlan) -> ShardHeader:
    """Computes and writes one shard of the aligner's training data.

    The records have the fields of those in `processors.stage1.aligner_inputs.AlignerCorpus`.

    Raises:
        UserError: a setting is wrong.
        OSError: the shard cannot be written.
    """
    from processors.acoustic import FeatureExtractor

    extractor = _extractor
    assert isinstance(extractor, FeatureExtractor), (
        "start() runs first in every worker, with the config of an acoustic model"
    )

    def inputs(utterance: Utterance, _: Path | None) -> Extracted:
        data = extractor.aligner_inputs(utterance)
        facts = {"phones": data.phones, "words": data.words, "num_frames": len(data.mel), "silences": data.silences}
        return Extracted({**facts, "seconds": data.seconds}, {"mel": data.mel}, [])

    return shard_set.make_shard(plan, inputs)
