"""The log on the console."""

import logging
import os
import sys

logger = logging.getLogger("lyre")


def setup_logging() -> None:
    """Logs to standard output with the time; all processes but the first one (`RANK` 0) log only errors."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Formatter())
    logger.handlers = [handler]
    logger.propagate = False
    logging.raiseExceptions = False  # a closed console must not end a training
    logger.setLevel(logging.INFO if os.environ.get("RANK", "0") == "0" else logging.ERROR)


class _Formatter(logging.Formatter):
    """Formats `12:34:56 message`; from warnings up, the level precedes the message."""

    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname.capitalize()}: " if record.levelno >= logging.WARNING else ""
        return f"{self.formatTime(record, '%H:%M:%S')} {level}{record.getMessage()}"
