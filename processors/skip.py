"""Why an utterance is skipped."""

from __future__ import annotations


class SkipUtterance(Exception):
    """An utterance that cannot be used.

    Attributes:
        reason: one of a few fixed phrases, so that the report can count them.
        detail: what exactly is wrong with this one.
        transient: the failure may be gone next time (a disk error): every run tries the utterance again.
    """

    def __init__(self, reason: str, detail: str = "", transient: bool = False) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.transient = transient
