"""One process at a time in a folder."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from utils.errors import UserError


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Keeps a second run out of a folder for as long as the first one lives; a kill frees it.

    The lock is a file beside the folder, `.<name>.lock`, so that the folder's contents stay what they are.

    Args:
        folder: need not exist.

    Raises:
        UserError: another process is at work there.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{folder}: another run is at work there. Wait until it ends, or stop it.") from None
        yield
