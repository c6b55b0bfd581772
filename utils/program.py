"""A wrapper for the programs in bins/: a user's mistake is reported on standard error without a traceback."""

import argparse
import os
import sys
from collections.abc import Callable
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """An argument parser that reports an error in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        """Prints what is wrong with the command line and exits with 2."""
        self.exit(2, f"{self.prog}: {message}; see --help\n")


def run(main: Callable[[], None], interrupted: str) -> None:
    """Runs a program; for an error that the user can fix, prints the message and exits with its code.

    Args:
        main: the program. Errors with an `exit_code` (UserError, ConfigError) and OSErrors are the user's to fix; any
            other error is a defect and keeps its traceback.
        interrupted: message after Ctrl-C.
    """
    try:
        main()
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of the output, such as `head`, has ended; nothing more can be printed
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)  # the exit status that a shell reports after SIGPIPE
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
