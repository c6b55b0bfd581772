"""Loads a trained FastSpeech 2 for stage 3: of this toolkit, or published by Amphion."""

from config.schema import MelSettings
from models.tts.experiment import Experiment
from models.tts.fastspeech2.amphion import load_amphion
from models.tts.fastspeech2.dataset import read_stats
from models.tts.fastspeech2.model import FastSpeech2
from models.tts.load import own_weights
from utils.checkpoint import load_strict, read_weights, strip_module_prefix
from utils.logging import logger


def load_fastspeech2(experiment: Experiment) -> tuple[FastSpeech2, MelSettings]:
    """See `models.tts.load.load_acoustic_model`."""
    if not experiment.published:
        return load_own_model(experiment), experiment.preprocess.mel
    amphion = load_amphion(experiment.folder)
    logger.info("speaking with %s (step %s)", amphion.checkpoint_dir, amphion.step)
    # A mask gives each row of a batch what the published model gives it alone.
    amphion.model.mask_padding = amphion.model.variance_adaptor.mask_padding = True
    return amphion.model, amphion.mel


def load_own_model(experiment: Experiment) -> FastSpeech2:
    """The model of an experiment of this toolkit.

    Raises:
        UserError: there is no checkpoint, or its weights do not fit.
    """
    weights = own_weights(experiment)
    num_speakers, n_mel = len(experiment.speakers), experiment.preprocess.n_mel
    model = FastSpeech2(experiment.model, len(experiment.symbols), n_mel, num_speakers, read_stats(experiment.root))
    load_strict(model, strip_module_prefix(read_weights(weights)), weights)
    logger.info("speaking with %s", weights.parent)
    return model
