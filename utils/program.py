"""Runs the programs in bins/: a user's mistake is one line on standard error, never a traceback."""

import argparse
import os
import sys
from collections.abc import Callable
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Prints what is wrong with the command line and exits with 2."""
        self.exit(2, f"{self.prog}: {message}; see --help\n")


def run(main: Callable[[], None], interrupted: str) -> None:
    """Runs a program; an error that the user can fix ends it with its message and its exit code.

    Args:
        main: the program. Errors with an `exit_code` (UserError, ConfigError) and those of files are the user's; any
            other is a defect and keeps its traceback.
        interrupted: what to say after Ctrl-C.
    """
    try:
        main()
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, `head` for one, has seen enough; nothing may be printed any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)  # what a shell reports of a program that SIGPIPE ended
    except KeyboardInterrupt:
        print(f"\n{interrupted}", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        print(f"{error.filename}: {error.strerror}" if error.filename else error.strerror or error, file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        if not hasattr(error, "exit_code"):
            raise
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
