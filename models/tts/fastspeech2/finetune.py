"""Starts a FastSpeech 2 from the weights of another one: of other speakers, another corpus, or published by Amphion."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from config.schema import MelSettings
from models.tts.experiment import read_experiment
from models.tts.fastspeech2.amphion import load_amphion
from models.tts.fastspeech2.model import FastSpeech2, SpeakerStats
from models.tts.load import own_weights
from text.symbols import AMPHION_SYMBOLS, amphion_symbols, is_phone
from utils.checkpoint import load_strict, read_weights, strip_module_prefix
from utils.errors import UserError
from utils.logging import logger


def start_from(
    model: FastSpeech2, folder: Path, symbols: Sequence[str], speakers: Mapping[str, int], mel: MelSettings
) -> None:
    """Loads the weights of a trained model into a new one, as far as the two agree.

    Embeddings of symbols and speakers go by name. A symbol that the trained model lacks starts from the phone that
    is most like it; a new speaker, from the mean of the trained ones. Pitch and energy keep their meaning as z-scores,
    but those of the new speakers.

    Args:
        model: receives the weights.
        folder: an experiment, a checkpoint in it, or a published Amphion folder.
        symbols: of the new model, by id.
        speakers: of the new model, name -> id.
        mel: that the new model will predict.

    Raises:
        UserError: the folder has no FastSpeech 2, or one of another shape or mel; the message names the differences.
    """
    experiment = read_experiment(folder, "--resume_from_ckpt_path")
    old_speakers = dict(experiment.speakers)
    if experiment.published:
        amphion = load_amphion(folder)
        state, source, old_mel = amphion.model.state_dict(), amphion.checkpoint_dir, amphion.mel
        names = {symbol: AMPHION_SYMBOLS.index(amphion_symbols([symbol])[0]) for symbol in symbols[1:]}
        old_speakers = {str(number): number for number in range(amphion.model.num_speakers)}
    else:
        source, old_mel = own_weights(experiment), experiment.preprocess.mel
        state = strip_module_prefix(read_weights(source))
        names = {symbol: index for index, symbol in enumerate(experiment.symbols.symbols)}
    _check_mel(source, old_mel, mel)
    state = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    new = model.state_dict()
    for name in SpeakerStats._fields:  # they are those of the new corpus
        state[name] = new[name]
    state["embedding.weight"] = _symbol_embeddings(state["embedding.weight"], new["embedding.weight"], names, symbols)
    _move_speakers(model, state, old_speakers, speakers)
    for feature in ("pitch", "energy"):
        _move_bins(state, new, f"variance_adaptor.{feature}")
    load_strict(model, state, source)
    logger.info("starting from %s", source)


def _check_mel(source: Path, old: MelSettings, new: MelSettings) -> None:
    configured = asdict(new)
    differing = [
        f"preprocess.{key}: {value} there, {configured[key]} in the configuration"
        for key, value in asdict(old).items()
        if value != configured[key]
    ]
    if differing:
        raise UserError(f"{source}: this model predicts another mel: {'; '.join(differing)}", 2)


def _symbol_embeddings(old: Tensor, new: Tensor, names: Mapping[str, int], symbols: Sequence[str]) -> Tensor:
    """Returns [S, C] embeddings for `symbols`, of which the first is padding; `names` gives the rows of `old`."""
    table = new.clone()
    started, fresh = [], []
    for row, symbol in enumerate(symbols[1:], 1):
        similar = next((name for name in _similar(symbol) if name in names), None)
        if similar is None:
            fresh.append(symbol)
        else:
            table[row] = old[names[similar]]
            if similar != symbol:
                started.append(f"{symbol} from {similar}")
    if started:
        logger.info("symbols that the trained model lacks start from similar ones: %s", ", ".join(started))
    if fresh:
        logger.warning("symbols that the trained model lacks, and nothing is similar to: %s", ", ".join(fresh))
    return table


def _similar(symbol: str) -> list[str]:
    """Returns a symbol and those that sound most like it, the best first."""
    if not is_phone(symbol):
        return [symbol, "sp", ",", "."]
    base = symbol.rstrip("012")
    return [symbol, base, *(base + stress for stress in "012")]


def _move_speakers(
    model: FastSpeech2, state: dict[str, Tensor], old: Mapping[str, int], new: Mapping[str, int]
) -> None:
    """Gives each new speaker the embedding of the old one of this name, or the mean of all.

    A model of one speaker has no embedding: the vector becomes a part of the last bias of its encoder.
    """
    trained = state.pop("speaker_embedding.weight", None)
    table = torch.zeros(1, model.embedding.embedding_dim) if trained is None else trained
    rows = torch.stack([table[old[name]] if trained is not None and name in old else table.mean(0) for name in new])
    if model.speaker_embedding is not None:
        state["speaker_embedding.weight"] = rows
    else:
        last = f"encoder.blocks.{len(model.encoder.blocks) - 1}.feed_forward.norm.bias"
        if last in state:  # else the models differ in depth, which load_strict reports
            state[last] = state[last] + rows[0]


def _move_bins(state: dict[str, Tensor], new: Mapping[str, Tensor], feature: str) -> None:
    """Moves a table of embeddings to the new bins: each gets the old row of its z-score."""
    boundaries, old = new[f"{feature}_bins"], state[f"{feature}_bins"]
    centers = torch.cat([boundaries[:1], (boundaries[1:] + boundaries[:-1]) / 2, boundaries[-1:]])
    state[f"{feature}_embedding.weight"] = state[f"{feature}_embedding.weight"][torch.bucketize(centers, old)]
    state[f"{feature}_bins"] = boundaries
