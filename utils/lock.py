"""A lock that lets only one process at a time work in a folder."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from utils.errors import UserError


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Locks a folder against other runs; the lock ends with the process, even if it is killed.

    The lock is the file `.<name>.lock` next to the folder, so that it is not part of the folder's contents.

    Args:
        folder: the folder, which need not exist.

    Raises:
        UserError: another run has locked the folder.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{folder}: another run is using this folder. Wait until it ends, or stop it.") from None
        yield
