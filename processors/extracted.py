"""The features of one utterance, for any kind of model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np


class Extracted(NamedTuple):
    """The part of a shard that one utterance contributes."""

    facts: dict[str, Any]  # for its line in the manifest
    arrays: dict[str, np.ndarray]  # name of the feature -> array, C-contiguous
    mended: list[tuple[str, str]]  # what was fixed or is doubtful, and the detail
