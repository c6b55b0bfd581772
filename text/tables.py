"""The word lists and tables in text/data."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

_DATA = Path(__file__).resolve().parent / "data"


@cache
def table(name: str) -> dict[str, Any]:
    """The table `text/data/<name>.json`: section to words or to a mapping; the key "about" describes the file."""
    return json.loads((_DATA / f"{name}.json").read_text(encoding="utf-8"))


def words(name: str, section: str) -> frozenset[str]:
    """The words of a section that is written as one string with spaces, or as a list of such strings."""
    entry = table(name)[section]
    return frozenset((entry if isinstance(entry, str) else " ".join(entry)).split())
