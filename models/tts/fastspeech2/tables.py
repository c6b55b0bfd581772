"""The symbols, speakers and statistics that a model is trained with, of one corpus or of several together."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models.tts.experiment import corpus_speaker
from models.tts.fastspeech2.model import FeatureStats, SpeakerStats
from utils.data_folder import SPEAKERS, STATS, SYMBOLS_TABLE, TABLES
from utils.errors import UserError
from utils.jsonl import read_json

_FEATURES = ("pitch", "energy")


def read_tables(data_dirs: Sequence[Path]) -> dict[str, Any]:
    """Reads the tables of data folders, and joins them if there are several.

    Speakers keep their names. If two corpora have a speaker of the same name, both are named `CORPUS/SPEAKER`: they are
    taken for different people.

    Args:
        data_dirs: data folders of stage 1; their names are those of the corpora.

    Returns:
        File name -> content, as the experiment keeps it.

    Raises:
        UserError: a table is missing or damaged, or the corpora have different symbols.
    """
    tables = [{name: read_json(data_dir / name) for name in TABLES} for data_dir in data_dirs]
    if len(tables) == 1:
        return tables[0]
    for data_dir, table in zip(data_dirs, tables, strict=True):
        if table[SYMBOLS_TABLE] != tables[0][SYMBOLS_TABLE]:
            raise UserError(f"{data_dir} and {data_dirs[0]} have different symbols: run stage 1 again for both")
    uses = Counter(speaker for table in tables for speaker in table[SPEAKERS])
    speakers: dict[str, Any] = {}
    for data_dir, table in zip(data_dirs, tables, strict=True):
        try:
            own = table[STATS].get("speakers", {})
            default = {name: {key: table[STATS][name][key] for key in ("mean", "std")} for name in _FEATURES}
        except (AttributeError, KeyError, TypeError):
            raise _damaged(data_dir / STATS) from None
        for speaker in table[SPEAKERS]:
            unique = speaker if uses[speaker] == 1 else f"{data_dir.name}/{speaker}"
            speakers[unique] = own.get(speaker, default)
    names = sorted(speakers)
    return {
        SYMBOLS_TABLE: tables[0][SYMBOLS_TABLE],
        SPEAKERS: {name: index for index, name in enumerate(names)},
        STATS: {
            **{name: _joined(name, [table[STATS] for table in tables]) for name in _FEATURES},
            "speakers": {name: speakers[name] for name in names},
        },
    }


def _joined(feature: str, stats: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, float]:
    """Joins the statistics of corpora, each with the same weight."""
    parts = [table[feature] for table in stats]
    mean = sum(part["mean"] for part in parts) / len(parts)
    variance = sum(part["std"] ** 2 + (part["mean"] - mean) ** 2 for part in parts) / len(parts)
    return {
        "mean": mean,
        "std": math.sqrt(variance),
        "min": min(part["min"] for part in parts),
        "max": max(part["max"] for part in parts),
    }


def find_speaker(speakers: Mapping[str, int], speaker: str, dataset: str) -> int:
    """Returns the id of a corpus's speaker in the table of an experiment.

    Raises:
        UserError: the experiment has no such speaker.
    """
    name = corpus_speaker(speakers, speaker, dataset)
    if name in speakers:
        return speakers[name]
    raise UserError(f"{dataset}: {SPEAKERS} lacks the speaker {speaker}: run stage 1 again")


def read_stats(folder: Path, speakers: Mapping[str, int]) -> FeatureStats:
    """Reads the pitch and energy statistics of an experiment.

    Raises:
        UserError: stats.json is missing or damaged.
    """
    return feature_stats(read_json(folder / STATS), speakers, folder / STATS)


def feature_stats(stats: Any, speakers: Mapping[str, int], source: Path = Path(STATS)) -> FeatureStats:
    """Converts the content of stats.json.

    Args:
        stats: the content.
        speakers: name -> id, the content of speakers.json. Those without training data get the corpus's statistics.
        source: the file, for messages.

    Raises:
        UserError: the file is damaged.
    """
    try:
        own = stats.get("speakers", {})
        by_id = sorted(speakers, key=speakers.__getitem__)
        rows = tuple(_speaker_stats(own.get(speaker, stats)) for speaker in by_id) if own else ()
        fields: dict[str, Any] = {
            f"{name}_{key}": float(stats[name][key]) for name in _FEATURES for key in ("mean", "std", "min", "max")
        }
        return FeatureStats(**fields, speakers=rows)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _damaged(source) from None


def _speaker_stats(stats: Mapping[str, Mapping[str, float]]) -> SpeakerStats:
    return SpeakerStats(**{f"{name}_{key}": float(stats[name][key]) for name in _FEATURES for key in ("mean", "std")})


def _damaged(path: Path) -> UserError:
    return UserError(f"{path} is damaged: it must contain the statistics of stage 1")
