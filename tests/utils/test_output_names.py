import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.output_names import OutputNames, publish, safe_name, slug


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Well, this is it.", "well_this_is_it"),
        ("It's Dr. Smith's", "its_dr_smiths"),
        ("one two three four five six seven eight nine", "one_two_three_four_five_six_seven_eight"),
        ("...", "utterance"),
        ("Überall café", "überall_café"),
    ],
)
def test_slug(text, name):
    assert slug(text) == name


@pytest.mark.parametrize(
    ("utt_id", "name"),
    [
        ("LJ001-0001", "LJ001-0001"),
        ("../../etc/passwd", "etc_passwd"),
        ("/root/x", "root_x"),
        ("..", "utterance"),
        ("a\\b\0c", "a_b_c"),
        (".hidden", "hidden"),
        ("-rf", "rf"),
    ],
)
def test_safe_name(utt_id, name):
    assert safe_name(utt_id) == name


@given(st.text())
def test_no_id_leaves_the_folder(utt_id):
    name = OutputNames(Path("/out"), (".wav",)).take(utt_id)
    assert Path(name).name == name and name not in ("", ".", "..")
    assert len(name.encode()) < 200


def test_taken_names_get_numbers(tmp_path):
    (tmp_path / "a.wav").touch()
    (tmp_path / "a-2.png").touch()
    names = OutputNames(tmp_path, (".wav", ".png"))
    given = ("a", "a", "A", "b", "B", "b-2")
    assert [names.take(name) for name in given] == ["a-3", "a-4", "A", "b", "B-2", "b-2-2"]
    assert names.renamed == ["a-3", "a-4", "B-2", "b-2-2"]


@pytest.mark.parametrize("hard_links", [True, False])
def test_programs_that_race_for_a_name_lose_nothing(tmp_path, monkeypatch, hard_links):
    def no_links(*_):
        raise PermissionError("hard links")

    if not hard_links:
        monkeypatch.setattr(os, "link", no_links)

    def write(number):
        temporary = tmp_path / f"{number}.tmp"
        temporary.write_text(str(number))
        return publish(temporary, tmp_path / "same.wav")

    with ThreadPoolExecutor(8) as threads:
        paths = list(threads.map(write, range(40)))
    assert [path.read_text() for path in paths] == [str(number) for number in range(40)]
    assert {path.name for path in tmp_path.iterdir()} == {"same.wav", *(f"same-{n}.wav" for n in range(2, 41))}
