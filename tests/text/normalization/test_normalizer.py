"""What written English is read as."""

from pathlib import Path

import pytest

from text.normalization.normalizer import normalize

PAIRS_PATH = Path(__file__).parents[1] / "data" / "normalizer_pairs.txt"


def read_pairs() -> list[tuple[str, str, str]]:
    pairs, section = [], ""
    for line in PAIRS_PATH.read_text(encoding="utf-8").splitlines():
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif line and not line.startswith("# "):
            raw, spoken = line.split(" => ")
            pairs.append((section, raw, spoken))
    return pairs


@pytest.mark.parametrize(("section", "raw", "spoken"), read_pairs())
def test_pair(section: str, raw: str, spoken: str) -> None:
    assert normalize(raw)[0] == spoken


@pytest.mark.parametrize(("section", "raw", "spoken"), read_pairs())
def test_twice_is_once(section: str, raw: str, spoken: str) -> None:
    assert normalize(spoken)[0] == spoken


def test_there_are_enough_pairs() -> None:
    assert len(read_pairs()) >= 400
