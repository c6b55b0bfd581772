"""File names for synthesized audio: safe, readable and unused."""

import os
import re
import unicodedata
from pathlib import Path

MAX_LENGTH = 80  # characters; file systems take 255 bytes
_SLUG_WORDS = 8


def safe_name(name: str) -> str:
    """Returns a file name, without a suffix: no separator, no leading dot, no character that is special in a shell.

    Args:
        name: any string, such as an utterance id.
    """
    kept = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", name)).strip("._-")
    # Cut by bytes: a character of another script has up to four.
    cut = kept.encode("utf-8")[:MAX_LENGTH].decode("utf-8", errors="ignore").rstrip("._-")
    return cut or "utterance"


def slug(text: str) -> str:
    """Makes a file name of the first words of a text: "Well, this is it." becomes "well_this_is_it"."""
    words = re.findall(r"\w+", text.lower().replace("'", "").replace("’", ""))
    return safe_name("_".join(words[:_SLUG_WORDS]))


class OutputNames:
    """Unused file names in a folder: a name that a file or this run has already gets the suffix -2, -3 and so on."""

    def __init__(self, folder: Path, suffixes: tuple[str, ...]) -> None:
        """Starts with no names used by this run.

        Args:
            folder: where the files are written; it need not exist yet.
            suffixes: suffixes of the files that get one name, such as ".wav".
        """
        self.folder, self.suffixes = folder, suffixes
        self._used: set[str] = set()
        self.renamed: list[str] = []  # names with a number

    def take(self, name: str) -> str:
        """Reserves an unused file name and returns it, without a suffix.

        Args:
            name: any string; made safe by `safe_name`.
        """
        stem = safe_name(name)
        candidate, number = stem, 1
        while self._is_taken(candidate):
            number += 1
            candidate = f"{stem}-{number}"
        self._used.add(candidate.casefold())  # some file systems ignore case
        if number > 1:
            self.renamed.append(candidate)
        return candidate

    def _is_taken(self, name: str) -> bool:
        return name.casefold() in self._used or any(
            (self.folder / f"{name}{suffix}").exists() for suffix in self.suffixes
        )


def publish(temporary: Path, path: Path) -> Path:
    """Gives a finished file its final name, or a numbered one if another program has taken that name meanwhile.

    Args:
        temporary: the file, in the same folder.
        path: the wanted name.

    Returns:
        The name that the file has now. No existing file is overwritten.

    Raises:
        OSError: the file cannot be given a name.
    """
    final, number = path, 1
    while True:
        try:
            _rename_new(temporary, final)
            return final
        except FileExistsError:
            number += 1
            final = path.with_name(f"{path.stem}-{number}{path.suffix}")


def _rename_new(temporary: Path, final: Path) -> None:
    """Renames a file; unlike Path.rename, it fails if the name is taken, also when two programs race for it.

    Raises:
        FileExistsError: the name is taken.
    """
    try:
        os.link(temporary, final)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links, such as FAT: the empty file reserves the name
        os.close(os.open(final, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        temporary.replace(final)
    else:
        temporary.unlink()
