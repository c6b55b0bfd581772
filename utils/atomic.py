"""Atomic writes: a file is written under a temporary name in the same folder and then renamed."""

from __future__ import annotations

import os
from pathlib import Path

TEMPORARY_SUFFIX = ".tmp"


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file atomically: a kill at any point leaves the old file, the new one or none, but never a part.

    Raises:
        OSError: the folder is missing, read-only or full.
    """
    # The process id keeps two writers of the same file apart.
    temporary = path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 text file with "\\n" line ends, atomically; see `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))
