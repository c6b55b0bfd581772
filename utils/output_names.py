"""File names for what is spoken: safe, readable, and never one that is taken."""

import re
import unicodedata
from pathlib import Path

MAX_LENGTH = 80  # characters; file systems take 255 bytes
_SLUG_WORDS = 8


def safe_name(name: str) -> str:
    """A file name without a suffix from any string: no separator, no leading dot, nothing a shell would trip over.

    Args:
        name: an utterance id, say.
    """
    kept = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", name)).strip("._-")
    # Cut by bytes: a name in another script has up to four a character.
    cut = kept.encode("utf-8")[:MAX_LENGTH].decode("utf-8", errors="ignore").rstrip("._-")
    return cut or "utterance"


def slug(text: str) -> str:
    """A text's first words as a file name: "Well, this is it." becomes "well_this_is_it"."""
    words = re.findall(r"\w+", text.lower().replace("'", "").replace("’", ""))
    return safe_name("_".join(words[:_SLUG_WORDS]))


class OutputNames:
    """Names in one folder that are not taken by its files nor by this run: taken ones get -2, -3 and so on."""

    def __init__(self, folder: Path, suffixes: tuple[str, ...]) -> None:
        """Remembers the names in a folder.

        Args:
            folder: may not exist yet.
            suffixes: of the files with a name, such as ".wav".
        """
        self.folder, self.suffixes = folder, suffixes
        self._used: set[str] = set()
        self.renamed: list[str] = []  # the names that got a number

    def take(self, name: str) -> str:
        """The file name, without a suffix, that `name` gets.

        Args:
            name: any string; see `safe_name`.
        """
        stem = safe_name(name)
        candidate, number = stem, 1
        while self._is_taken(candidate):
            number += 1
            candidate = f"{stem}-{number}"
        self._used.add(candidate.casefold())  # some file systems take A.wav for a.wav
        if number > 1:
            self.renamed.append(candidate)
        return candidate

    def _is_taken(self, name: str) -> bool:
        return name.casefold() in self._used or any(
            (self.folder / f"{name}{suffix}").exists() for suffix in self.suffixes
        )
