"""The exception for an utterance that cannot be used."""

from __future__ import annotations


class SkipUtterance(Exception):
    """Raised when an utterance cannot be used; stage 1 skips it and reports the reason.

    Attributes:
        reason: one of a few fixed phrases, so that the report can count them.
        detail: what exactly is wrong with this utterance.
        transient: the failure may not recur (a disk error), so every run tries the utterance again.
    """

    def __init__(self, reason: str, detail: str = "", transient: bool = False) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.transient = transient
