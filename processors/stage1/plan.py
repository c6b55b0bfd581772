"""Assigns utterances to shards, and computes a fingerprint of everything that each shard depends on.

Of files, the fingerprint has the size and time, not the contents. No state but the shards is kept between runs. A shard
with the current fingerprint is kept, and every other one is made again. So an interrupted run resumes, and a changed
recording, text or TextGrid is noticed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from config.load import to_dict
from config.schema import PATH_KEYS, AudioConfig, PitchedVocoderPreprocessConfig, PreprocessConfig
from utils.data_folder import FEATURES_VERSION
from utils.shards import shard_name, shard_path
from utils.utterance import Utterance

SHARD_SIZE = 16  # utterances; the average shard has between one and two times this many
# No feature depends on these keys. Those that select TextGrids take effect through the TextGrids themselves.
_OTHER_KEYS = ("valid_fraction", "test_fraction", "split_seed", "alignment", "max_misfit", "subsets")
# A vocoder's shards have no mel, which is computed during training, and most have no pitch either.
_MEL_KEYS = ("win_size", "n_mel", "fmin", "fmax")
_PITCH_KEYS = ("f0_min", "f0_max")

FileState = tuple[int, int] | None  # size in bytes, time of the last change in ns; None: no such file


class ShardPlan(NamedTuple):
    """The utterances that a shard must contain, and the fingerprint that it must have."""

    name: str
    path: Path
    fingerprint: str
    utterances: list[Utterance]
    textgrid_paths: list[Path | None]  # one per utterance


def settings(config: AudioConfig) -> dict[str, object]:
    """Returns the preprocess section without paths, which stage 2 compares with its own."""
    return {key: value for key, value in to_dict(config).items() if key not in PATH_KEYS}


def plan_shards(
    utterances: Sequence[Utterance],
    textgrids: Mapping[str, Path],
    config: AudioConfig,
    folder: Path,
    learned_dir: Path | None = None,
) -> list[ShardPlan]:
    """Assigns utterances to shards by leading bits of a hash of their ids, so that a new utterance changes one shard.

    The number of bits depends on the size of the corpus: if a corpus doubles, all shards are new.

    Args:
        utterances: ids are unique.
        textgrids: utterance id -> path.
        config: the preprocess section.
        folder: of the shards.
        learned_dir: TextGrids in this folder are compared by contents, not by time, because they are written again for
            every new data folder, and its bytes must not depend on the time.

    Returns:
        Shards sorted by name; none is empty.

    Raises:
        OSError: the lexicon cannot be read.
    """
    bits = max(0, (len(utterances) // SHARD_SIZE).bit_length() - 1)
    members: dict[int, list[Utterance]] = {}
    for utterance in sorted(utterances):
        digest = hashlib.sha256(utterance.utt_id.encode()).digest()
        members.setdefault(int.from_bytes(digest[:4], "big") >> (32 - bits), []).append(utterance)

    lexicon_path = config.lexicon_path if isinstance(config, PreprocessConfig) else None
    ignored = set(_OTHER_KEYS)
    if not isinstance(config, PreprocessConfig):
        ignored.update(_MEL_KEYS, () if isinstance(config, PitchedVocoderPreprocessConfig) else _PITCH_KEYS)
    features = {k: v for k, v in settings(config).items() if k not in ignored}
    lexicon = hashlib.sha256(Path(lexicon_path).read_bytes()).hexdigest() if lexicon_path else None
    common = hashlib.sha256(json.dumps([FEATURES_VERSION, features, lexicon], sort_keys=True).encode()).hexdigest()

    plans = []
    for index, group in sorted(members.items()):
        paths = [textgrids.get(utterance.utt_id) for utterance in group]
        states = [
            [u.utt_id, u.speaker, u.text, _state(u.wav_path), _textgrid_state(path, learned_dir)]
            for u, path in zip(group, paths, strict=True)
        ]
        fingerprint = hashlib.sha256(json.dumps([common, states]).encode()).hexdigest()
        name = shard_name(index)
        plans.append(ShardPlan(name, shard_path(folder, name), fingerprint, group, paths))
    return plans


def find_textgrids(folder: Path, utterances: Iterable[Utterance]) -> dict[str, Path]:
    """Finds the existing TextGrids: `<folder>/<utt_id>.TextGrid` or `<folder>/<speaker>/<utt_id>.TextGrid`."""
    utterances = list(utterances)
    listings = {"": _names(folder)}
    paths = {}
    for utterance in utterances:
        name = f"{utterance.utt_id}.TextGrid"
        for subfolder in ("", utterance.speaker):
            if subfolder not in listings:
                listings[subfolder] = _names(folder / subfolder)
            if name in listings[subfolder]:
                paths[utterance.utt_id] = folder / subfolder / name
                break
    return paths


def _names(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return set()


def _textgrid_state(path: Path | None, learned_dir: Path | None) -> FileState | str:
    if path is None:
        return None
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.parent == learned_dir else _state(path)


def _state(path: Path) -> FileState:
    try:
        stat = os.stat(path)
    except OSError:  # missing, a dangling link, or in a folder without permission: the file cannot be read
        return None
    return stat.st_size, stat.st_mtime_ns
