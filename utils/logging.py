"""The log that a person reads on the console."""

import logging
import os
import sys

logger = logging.getLogger("lyre")


def setup_logging() -> None:
    """Sends the project's messages to standard output, with the time; only the first of several processes speaks."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Formatter())
    logger.handlers = [handler]
    logger.propagate = False
    logging.raiseExceptions = False  # a console that went away must not end a training
    logger.setLevel(logging.INFO if os.environ.get("RANK", "0") == "0" else logging.ERROR)


class _Formatter(logging.Formatter):
    """`12:34:56 message`; warnings and errors say that they are."""

    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname.capitalize()}: " if record.levelno >= logging.WARNING else ""
        return f"{self.formatTime(record, '%H:%M:%S')} {level}{record.getMessage()}"
