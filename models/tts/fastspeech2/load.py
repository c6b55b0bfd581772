"""Loads a trained FastSpeech 2 for stage 3: from an experiment of this toolkit, or as published by Amphion."""

from config.schema import MelSettings
from models.tts.experiment import Experiment
from models.tts.fastspeech2.amphion import load_amphion
from models.tts.fastspeech2.model import FastSpeech2
from models.tts.fastspeech2.recorded import RecordedFastSpeech2
from models.tts.fastspeech2.tables import read_stats
from models.tts.load import own_weights
from utils.checkpoint import load_strict, read_weights, strip_module_prefix
from utils.logging import logger


def load_fastspeech2(experiment: Experiment) -> tuple[RecordedFastSpeech2, MelSettings]:
    """Implements `models.tts.load.load_acoustic_model` for FastSpeech 2."""
    if not experiment.published:
        return RecordedFastSpeech2(load_own_model(experiment)), experiment.preprocess.mel
    amphion = load_amphion(experiment.folder)
    logger.info("speaking with %s (step %s)", amphion.checkpoint_dir, amphion.step)
    # With a mask, each row of a batch gets the mel that the published model predicts for it in a batch of one.
    amphion.model.mask_padding = amphion.model.variance_adaptor.mask_padding = True
    amphion.model.controls_z_scores = True
    return RecordedFastSpeech2(amphion.model), amphion.mel


def load_own_model(experiment: Experiment) -> FastSpeech2:
    """Loads the model of an experiment of this toolkit.

    Raises:
        UserError: there is no checkpoint, or its weights do not match the model.
    """
    weights = own_weights(experiment)
    num_speakers, n_mel = len(experiment.speakers), experiment.preprocess.n_mel
    stats = read_stats(experiment.root, experiment.speakers)
    model = FastSpeech2(experiment.model, len(experiment.symbols), n_mel, num_speakers, stats)
    load_strict(model, strip_module_prefix(read_weights(weights)), weights)
    logger.info("speaking with %s", weights.parent)
    return model
