"""JSON files: whole or not there, and errors that name the place."""

from pathlib import Path

import pytest

from utils.errors import UserError
from utils.jsonl import read_json, read_jsonl, write_json, write_jsonl


def test_rows_come_back(tmp_path: Path) -> None:
    rows = [{"text": 'naïve "quotes"\u2028 and | bars', "phones": ["AH0", ","]}, {"num_frames": 3}]
    write_jsonl(tmp_path / "a.jsonl", rows)
    assert read_jsonl(tmp_path / "a.jsonl") == rows
    assert "naïve" in (tmp_path / "a.jsonl").read_text(encoding="utf-8")


def test_nothing_temporary_stays(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(tmp_path / "a.json", {"a": 1})

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="No space"):
        write_json(tmp_path / "a.json", {"a": 2})
    assert read_json(tmp_path / "a.json") == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_errors_name_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"a": \n')
    with pytest.raises(UserError, match=r"a\.jsonl, line 2"):
        read_jsonl(tmp_path / "a.jsonl")
    with pytest.raises(UserError, match=r"b\.jsonl: cannot be read"):
        read_jsonl(tmp_path / "b.jsonl")
    with pytest.raises(UserError, match=r"b\.json: cannot be read"):
        read_json(tmp_path / "b.json")
