"""JSON and JSON Lines files: manifests, statistics, tables."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from utils.atomic import write_text
from utils.errors import UserError


def dump_line(row: Any) -> str:
    """Formats a JSON value as one line; equal values give equal bytes, and non-ASCII text is not escaped."""
    return json.dumps(row, ensure_ascii=False, separators=(", ", ": "))


def write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    """Writes one JSON value per line, atomically.

    Raises:
        OSError: the file cannot be written.
    """
    write_text(path, "".join(dump_line(row) + "\n" for row in rows))


def read_jsonl(path: Path) -> list[Any]:
    """Reads one JSON value per line.

    Raises:
        UserError: the file is missing or a line is not JSON; the message names the file and the line.
    """
    rows: list[Any] = []
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                rows.append(json.loads(line))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; run stage 1 to create it") from None
    except ValueError as error:
        raise UserError(f"{path}, line {len(rows) + 1}: {error}; run stage 1 again to rebuild it") from None
    return rows


def write_json(path: Path, value: Any) -> None:
    """Writes one JSON value, indented, atomically.

    Raises:
        OSError: the file cannot be written.
    """
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Reads one JSON value.

    Raises:
        UserError: the file is missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path}: damaged: {error}") from None
