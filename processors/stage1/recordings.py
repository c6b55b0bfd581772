"""Stage 1 of a vocoder: makes clips from recordings, with or without texts."""

from __future__ import annotations

from pathlib import Path

from config.schema import PitchedVocoderPreprocessConfig, VocoderPreprocessConfig
from processors.pitch import check_extractor
from processors.stage1.lock import check_kind
from processors.stage1.pipeline import Summary, update
from processors.stage1.plan import plan_shards
from processors.stage1.pool import Workers
from utils.data_folder import SHARDS
from utils.utterance import Corpus


def preprocess_recordings(config: VocoderPreprocessConfig, dataset: str, corpus: Corpus, workers: Workers) -> Summary:
    """Makes the clips of a corpus that are missing or out of date; see `processors.stage1.pipeline.preprocess`.

    Args:
        config: the preprocess section.
        dataset: name of the corpus; clips go to `<processed_dir>/<dataset>`.
        corpus: from its reader.
        workers: the processes that make the shards.

    Raises:
        UserError: no recording is usable, a package is missing, a worker died, or the folder holds the features of an
            acoustic model.
        OSError: the clips cannot be written.
    """
    if isinstance(config, PitchedVocoderPreprocessConfig):
        check_extractor(config.pitch_extractor)
    out_dir = Path(config.processed_dir) / dataset
    check_kind(out_dir, config)
    recordings = [utterance._replace(text="") for utterance in corpus.utterances]  # a new text does not change a clip
    plans = plan_shards(recordings, {}, config, out_dir / SHARDS)
    print(f"{dataset}: {len(recordings):,} recordings", flush=True)
    return update(config, dataset, corpus, plans, workers)
