"""The features of one utterance, of any kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np


class Extracted(NamedTuple):
    """One utterance's part of a shard."""

    facts: dict[str, Any]  # of its line in the manifest
    arrays: dict[str, np.ndarray]  # name of the feature -> array, C-contiguous
    mended: list[tuple[str, str]]  # what was wrong but could be mended, and what was found there
