"""The description in an acoustic model's folder, read without PyTorch so that mistakes are reported at once."""

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

PUBLISHED = "FastSpeech2"  # what Amphion's folders hold


class Experiment(NamedTuple):
    """An experiment of this toolkit, or a published Amphion folder."""

    folder: Path  # as given: the whole experiment, or one checkpoint in it
    root: Path  # the folder with args.json
    published: bool  # an Amphion folder
    model_type: str  # a key of config.registry.MODELS
    model: Any  # its section, with max_seq_len; of a published folder: the defaults, its own is read with its weights
    preprocess: PreprocessConfig  # likewise
    symbols: SymbolTable
    speakers: Mapping[str, int]  # of a published folder: none, it holds no names

    def phone_ids(self, phones: list[str]) -> list[int]:
        """The ids that this model knows the front end's tokens by.

        Raises:
            UnknownSymbolError: the model was trained without one of them; the message names it.
        """
        return self.symbols.ids(amphion_symbols(phones) if self.published else phones)


def read_experiment(folder: Path, flag: str = "--infer_expt_dir") -> Experiment:
    """Recognizes the folder by its files and reads them, weights aside.

    Args:
        folder: an experiment, or a checkpoint folder inside it.
        flag: that named it, for messages.

    Raises:
        UserError: it is missing, is neither kind of folder, or a file in it is damaged.
    """
    name = folder.name if folder.name.isidentifier() else "NAME"
    train_first = f"train first: sh egs/tts/FastSpeech2/run.sh --stage 2 --name {name}"
    if not folder.is_dir():
        raise UserError(f"{flag} {folder}: no such folder; {train_first}", 2)
    places = (folder, *folder.absolute().parents[:2])
    root = next((place for place in places if (place / "args.json").is_file()), None)
    if root is None:
        raise UserError(f"{flag} {folder}: no experiment: it holds no args.json; {train_first}", 2)
    missing = [name for name in TABLES if not (root / name).is_file()]
    if any(root.glob("checkpoint/epoch-*")):
        table = SymbolTable(AMPHION_SYMBOLS)
        defaults = find_model(PUBLISHED)
        return Experiment(folder, root, True, PUBLISHED, defaults.model(), defaults.preprocess(), table, {})
    if missing:
        raise UserError(
            f"{flag} {root}: no experiment of this toolkit ({', '.join(missing)} missing), and no published "
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
            f"{flag} {root}: holds a {config.model_type}, not an acoustic model; it goes to --vocoder_dir", 2
        )
    symbols, speakers = read_json(root / SYMBOLS_TABLE), read_json(root / SPEAKERS)
    if not isinstance(speakers, dict) or not isinstance(symbols, list):
        raise UserError(f"{flag} {root}: symbols.json or speakers.json is damaged", 2)
    symbol_table = SymbolTable(symbols)
    return Experiment(folder, root, False, config.model_type, config.model, preprocess, symbol_table, speakers)


def speaker_id(speakers: Mapping[str, int], name: str | None, source: object) -> int | None:
    """The id of the speaker to be, None where the model has but one.

    Args:
        speakers: names to ids.
        name: the one that was asked for, if any.
        source: the experiment, for messages.

    Raises:
        UserError: the speaker is unknown, or there is a choice and no name; the known ones are listed.
    """
    known = ", ".join(sorted(speakers))
    if name is not None and name not in speakers:
        known = f"its speakers: {known}" if known else "it has one voice, without a name: leave the flag out"
        raise UserError(f"--infer_speaker_name {name}: {source} has no such speaker; {known}", 2)
    if len(speakers) < 2:
        return None
    if name is None:
        raise UserError(f"{source} has {len(speakers)} speakers: choose one with --infer_speaker_name: {known}", 2)
    return speakers[name]
