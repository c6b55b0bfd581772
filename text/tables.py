"""Access to the word lists and tables in text/data."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

_DATA = Path(__file__).resolve().parent / "data"


@cache
def table(name: str) -> dict[str, Any]:
    """Reads `text/data/<name>.json`: sections of words or mappings; the key "about" describes the file."""
    return json.loads((_DATA / f"{name}.json").read_text(encoding="utf-8"))


def words(name: str, section: str) -> frozenset[str]:
    """Returns the words of a section, which is a string of words with spaces between them or a list of such strings."""
    entry = table(name)[section]
    return frozenset((entry if isinstance(entry, str) else " ".join(entry)).split())
