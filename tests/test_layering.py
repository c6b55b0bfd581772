"""Who may import whom, in the syntax tree of every file, imports inside functions included; and ARCHITECTURE.md."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]

# package -> the other packages of the repository that it may import
MAY_IMPORT = {
    "bins": {"models", "modules", "preprocessors", "processors", "config", "text", "utils"},
    "models": {"modules", "text", "config", "utils"},
    "processors": {"models", "modules", "text", "config", "utils"},
    "preprocessors": {"utils"},
    "modules": set(),
    "text": set(),
    "config": set(),
    "utils": set(),
}
# package -> all that it may import from outside; a package that is not here may import what pyproject.toml names
THIRD_PARTY = {
    "modules": {"torch"},
    "text": {"numpy"},
    "config": {"json5"},
    "utils": {"numpy", "torch", "safetensors", "soundfile", "soxr", "matplotlib", "tensorboard", "tqdm"},
}
ARCHITECTURE = (REPO / "ARCHITECTURE.md").read_text(encoding="utf-8")
FILES = sorted(path for package in MAY_IMPORT for path in (REPO / package).rglob("*.py"))


def imports(tree: ast.AST) -> Iterator[tuple[str, ast.Import | ast.ImportFrom]]:
    """Every dotted name that a file imports, with its statement; `from a import b` gives "a.b"."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((f"{node.module}.{alias.name}", node) for alias in node.names)


def faults(package: str, source: str) -> list[str]:
    """What a file of `package` imports against the rules."""
    found = []
    for name, node in imports(ast.parse(source)):
        top = name.split(".")[0]
        if isinstance(node, ast.ImportFrom) and node.level:
            found.append(f"line {node.lineno}: a relative import; write the whole path")
        elif name.endswith(".*"):
            found.append(f"line {node.lineno}: import * from {name[:-2]}")
        elif top != package and top not in sys.stdlib_module_names:
            outside = top not in (*MAY_IMPORT, "tests", "egs")
            allowed = THIRD_PARTY.get(package, {top}) if outside else MAY_IMPORT[package]
            if top not in allowed:
                found.append(f"line {node.lineno}: {package} must not import {top}")
    return found


def module_of(name: str) -> Path | None:
    """The repository's file that an imported dotted name is found in, if any."""
    parts = name.split(".")
    for length in (len(parts), len(parts) - 1):
        path = REPO.joinpath(*parts[:length])
        for candidate in (path.with_suffix(".py"), path / "__init__.py"):
            if length and parts[0] in MAY_IMPORT and candidate.is_file():
                return candidate
    return None


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(REPO)))
def test_imports_follow_the_table(path: Path) -> None:
    assert faults(path.relative_to(REPO).parts[0], path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("modules", "import numpy"),
        ("modules", "from utils.errors import UserError"),
        ("text", "def f():\n    import torch"),
        ("config", "from utils import errors"),
        ("utils", "import models.training"),
        ("utils", "import librosa"),
        ("preprocessors", "from processors.audio import read"),
        ("processors", "import preprocessors.listed"),
        ("models", "from bins.train import main"),
        ("models", "from . import loss"),
        ("models", "from modules.mel import *"),
        ("bins", "from tests.test_layering import imports"),
    ],
)
def test_the_table_forbids(package: str, source: str) -> None:
    assert len(faults(package, source)) == 1


def test_no_file_imports_itself_in_a_circle() -> None:
    graph = {}
    for path in FILES:
        targets = (module_of(name) for name, _ in imports(ast.parse(path.read_text(encoding="utf-8"))))
        graph[path] = {target for target in targets if target not in (None, path)}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_every_package_says_what_it_is() -> None:
    folders = {path.parent for path in FILES}
    for folder in folders | {REPO / package for package in MAY_IMPORT}:
        tree = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), f"{folder.relative_to(REPO)}/__init__.py has no docstring"
    assert list((REPO / "tests").rglob("__init__.py")) == []  # one there would shadow the package it is named after


def heavy_imports(*command: str, cwd: Path = REPO) -> set[str]:
    """Which of the slow packages a Python command imports."""
    run = subprocess.run([sys.executable, "-X", "importtime", *command], cwd=cwd, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    seen = {line.rpartition("|")[2].strip() for line in run.stderr.splitlines() if line.startswith("import time:")}
    assert "site" in seen  # the listing was read
    return seen & {"torch", "librosa", "scipy", "numba", "matplotlib", "pyworld", "accelerate", "onnxruntime"}


@pytest.mark.parametrize("module", ["bins.recipe.run", "config.load", "text.frontend", "text.symbols", "utils.errors"])
def test_light_modules_import_nothing_heavy(module: str) -> None:
    assert heavy_imports("-c", f"import {module}") == set()


@pytest.mark.parametrize("program", sorted(p.name for p in (REPO / "bins").glob("[!_]*.py")))
def test_help_imports_nothing_heavy(program: str, tmp_path: Path) -> None:
    assert heavy_imports(str(REPO / "bins" / program), "--help", cwd=tmp_path) == set()


def test_every_file_has_a_line_and_every_line_a_file() -> None:
    listed = re.findall(r"^\| `([\w/]+\.py)` \| \S", ARCHITECTURE, re.MULTILINE)
    files = [path.relative_to(REPO).as_posix() for package in MAY_IMPORT for path in (REPO / package).rglob("*.py")]
    assert len(set(listed)) == len(listed)
    # A package's __init__.py needs a line only if it holds more than the package's docstring and declaration.
    expected = {name for name in files if not name.endswith("__init__.py")} | {"preprocessors/__init__.py"}
    assert set(listed) == expected


def test_every_path_in_the_text_exists() -> None:
    folders = (REPO, REPO / "processors/stage1")
    for name in set(re.findall(r"`((?:[\w.]+/)+[\w.]*)`", ARCHITECTURE)) - {
        "preprocessors/vctk.py",
        "tests/preprocessors/test_vctk.py",
    }:
        if name.startswith(("data/", "ckpts/")):
            continue
        assert any((folder / name).exists() for folder in folders), name


def test_the_layers_are_those_that_the_tests_enforce() -> None:
    table = ARCHITECTURE.partition("## Layers")[2].partition("## How to add")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", table, re.MULTILINE))
    assert rows.keys() == MAY_IMPORT.keys()
    for package, allowed in MAY_IMPORT.items():
        if package != "bins":
            assert set(re.findall(r"`(\w+)`", rows[package])) == allowed, package
