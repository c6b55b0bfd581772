"""Why an utterance is left out."""

from __future__ import annotations


class SkipUtterance(Exception):
    """An utterance that cannot be used.

    `reason` is one of a few fixed phrases, so that the report can count them; `detail` says what was found in this
    one. `passing` marks what may be gone next time (a disk error): such an utterance is tried again by every run.
    """

    def __init__(self, reason: str, detail: str = "", passing: bool = False) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.passing = passing
