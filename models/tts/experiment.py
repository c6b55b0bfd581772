"""Reads an acoustic model's experiment except its weights. Needs no PyTorch, so mistakes are reported immediately."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from config.load import ConfigError, load_config
from config.registry import find_model
from config.schema import PreprocessConfig
from text.symbols import AMPHION_SYMBOLS, SymbolTable, amphion_symbols
from utils.data_folder import SPEAKERS, SYMBOLS_TABLE, TABLES
from utils.errors import UserError
from utils.jsonl import read_json

_LISTED = 20  # speakers in a message
PUBLISHED = "FastSpeech2"  # model type of a published Amphion folder


class Experiment(NamedTuple):
    """An experiment of this toolkit, or a published Amphion folder."""

    folder: Path  # as given: the experiment, or one checkpoint in it
    root: Path  # the folder with args.json
    published: bool  # an Amphion folder
    model_type: str  # a key of config.registry.MODELS
    model: Any  # model section, has max_seq_len; the defaults if published: its args.json is read with its weights
    preprocess: PreprocessConfig  # preprocess section; the defaults if published
    symbols: SymbolTable
    speakers: Mapping[str, int]  # name -> id; empty for a published folder, which holds no names

    def phone_ids(self, phones: list[str]) -> list[int]:
        """Returns this model's ids of the front end's tokens.

        Raises:
            UnknownSymbolError: the model was trained without one of the tokens; the message names it.
        """
        return self.symbols.ids(amphion_symbols(phones) if self.published else phones)


def read_experiment(folder: Path, flag: str = "--infer_expt_dir") -> Experiment:
    """Identifies the kind of folder by its files and reads everything except the weights.

    Args:
        folder: an experiment, or a checkpoint folder inside it.
        flag: the flag that named the folder, for messages.

    Raises:
        UserError: the folder is missing, is neither kind of experiment, or contains a damaged file.
    """
    name = folder.name if folder.name.isidentifier() else "NAME"
    train_first = f"train first: sh egs/tts/FastSpeech2/run.sh --stage 2 --name {name}"
    if not folder.is_dir():
        raise UserError(f"{flag} {folder}: no such folder; {train_first}", 2)
    candidates = (folder, *folder.absolute().parents[:2])
    root = next((candidate for candidate in candidates if (candidate / "args.json").is_file()), None)
    if root is None:
        raise UserError(f"{flag} {folder}: not an experiment: it has no args.json; {train_first}", 2)
    missing = [name for name in TABLES if not (root / name).is_file()]
    if any(root.glob("checkpoint/epoch-*")):
        table = SymbolTable(AMPHION_SYMBOLS)
        defaults = find_model(PUBLISHED)
        return Experiment(folder, root, True, PUBLISHED, defaults.model(), defaults.preprocess(), table, {})
    if missing:
        raise UserError(
            f"{flag} {root}: neither an experiment of this toolkit ({', '.join(missing)} missing) nor a published "
            "Amphion folder (no checkpoint/epoch-*)",
            2,
        )
    try:
        config = load_config(root / "args.json")
    except ConfigError as error:
        raise UserError(str(error), 2) from None
    preprocess = config.preprocess
    if find_model(config.model_type).role != "acoustic" or not isinstance(preprocess, PreprocessConfig):
        raise UserError(
            f"{flag} {root}: holds a {config.model_type}, not an acoustic model; pass it as --vocoder_dir", 2
        )
    symbols, speakers = read_json(root / SYMBOLS_TABLE), read_json(root / SPEAKERS)
    if not isinstance(speakers, dict) or not isinstance(symbols, list):
        raise UserError(f"{flag} {root}: symbols.json or speakers.json is damaged", 2)
    symbol_table = SymbolTable(symbols)
    return Experiment(folder, root, False, config.model_type, config.model, preprocess, symbol_table, speakers)


def corpus_speaker(speakers: Mapping[str, int], speaker: str, dataset: str) -> str:
    """Returns an experiment's name for a corpus's speaker: `CORPUS/SPEAKER` if several corpora have this speaker."""
    return f"{dataset}/{speaker}" if f"{dataset}/{speaker}" in speakers else speaker


def speaker_id(speakers: Mapping[str, int], name: str | None, source: object) -> int | None:
    """Returns the id of the requested speaker, or None if the model has only one.

    Args:
        speakers: names to ids.
        name: the requested speaker, if any.
        source: the experiment, for messages.

    Raises:
        UserError: the speaker is unknown, or the model has several and no name was given; the message lists names.
    """
    if name is not None and name not in speakers:
        if not speakers:
            raise UserError(f"--infer_speaker_name {name}: {source} has one unnamed voice: omit the flag", 2)
        near = difflib.get_close_matches(name, speakers, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise UserError(f"--infer_speaker_name {name}: {source} has no such speaker; {hint}{_listed(speakers)}", 2)
    if len(speakers) < 2:
        return None
    if name is None:
        raise UserError(
            f"{source} has {len(speakers)} speakers: choose one with --infer_speaker_name; {_listed(speakers)}", 2
        )
    return speakers[name]


def _listed(speakers: Mapping[str, int]) -> str:
    """Lists speakers for a message, but not hundreds of them."""
    names = sorted(speakers)
    more = f" and {len(names) - _LISTED} more, in {SPEAKERS}" if len(names) > _LISTED else ""
    return f"its speakers: {', '.join(names[:_LISTED])}{more}"
