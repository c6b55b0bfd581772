"""Stage 1 of a vocoder: recordings, with texts or without, to audio on disk."""

from __future__ import annotations

from pathlib import Path

from config.schema import PitchedVocoderPreprocessConfig, VocoderPreprocessConfig
from processors.pitch import check_extractor
from processors.stage1.finalize import holds_acoustic_features
from processors.stage1.pipeline import Summary, update
from processors.stage1.plan import plan_shards
from utils.errors import UserError
from utils.utterance import Corpus


def preprocess_recordings(config: VocoderPreprocessConfig, dataset: str, corpus: Corpus, num_workers: int) -> Summary:
    """Makes the clips of a corpus, or what is missing of them; see `processors.stage1.pipeline.preprocess`.

    Args:
        config: the preprocess section.
        dataset: name of the corpus; clips go to `<processed_dir>/<dataset>`.
        corpus: what its reader found.
        num_workers: processes, at least 1.

    Raises:
        UserError: no recording is usable, a package is missing, a worker died, or an acoustic model's features lie in
            that folder.
        OSError: the clips cannot be written.
    """
    if isinstance(config, PitchedVocoderPreprocessConfig):
        check_extractor(config.pitch_extractor)
    out_dir = Path(config.processed_dir) / dataset
    if holds_acoustic_features(out_dir):
        raise UserError(
            f"{out_dir} holds the features of an acoustic model, which would be lost: give the vocoder's another "
            "preprocess.processed_dir, such as data/vocoder",
            2,
        )
    recordings = [utterance._replace(text="") for utterance in corpus.utterances]  # a new text changes no sound
    plans = plan_shards(recordings, {}, config, out_dir / "shards")
    print(f"{dataset}: {len(recordings):,} recordings", flush=True)
    return update(config, dataset, corpus, plans, num_workers)
