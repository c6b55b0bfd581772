"""The loader of exp_config.json: JSON5, base_config, --set overrides, and a strict check of all keys and values.

`python -m config.load --config C [--set a.b=c]` prints the resolved configuration.
"""

import argparse
import dataclasses
import difflib
import json
import math
import sys
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import json5

from config.registry import MODELS, find_model
from config.schema import ExpConfig

REPO_ROOT = Path(__file__).resolve().parents[1]
_TYPE_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a string", type(None): "null"}


class ConfigError(Exception):
    """The errors in a configuration, one per line."""

    exit_code = 2


def load_config(path: str | Path, overrides: Iterable[str] = ()) -> ExpConfig:
    """Reads a configuration file, merges it over its `base_config`, applies overrides and checks every key.

    Args:
        path: a JSON5 file.
        overrides: "a.b=value" strings; the value is read as JSON5, or as a plain string if it is not JSON5.

    Raises:
        ConfigError: the file, a base or an override cannot be read, or some keys or values are wrong (all are listed).
    """
    values = _read_merged(Path(path), ())
    for override in overrides:
        _override(values, override)
    return build_config(values, Path(path).name)


def build_config(values: Mapping[str, Any], source: str = "exp_config.json") -> ExpConfig:
    """Builds the configuration from plain values and checks every key, type and range.

    Args:
        values: contents of the file, merged with its bases.
        source: file name at the start of error messages.

    Raises:
        ConfigError: a key is unknown or missing, or a value has the wrong type or range; all are listed.
    """
    errors: list[str] = []
    hints = dict(get_type_hints(ExpConfig))
    model_type = values.get("model_type")
    sections = ("model", "preprocess", "train")
    if isinstance(model_type, str) and model_type in MODELS:
        hints |= {name: getattr(find_model(model_type), name) for name in sections}
    else:  # the keys of these sections are unknown; the others are still checked
        problem = "missing" if model_type is None else f"unknown: {model_type!r}"
        errors.append(f"model_type: {problem}{_suggest(str(model_type), MODELS)}")
        hints |= dict.fromkeys(sections, Any)
    values = {"model_type": "", **{name: {} for name in sections}, **values}
    config = _build(ExpConfig, values, "", errors, hints)
    if errors:
        raise ConfigError("\n".join(f"{source}: {error}" for error in errors))
    return config


def to_dict(config: Any) -> dict[str, Any]:
    """Converts a configuration, or a section of one, to plain JSON values (tuples to lists)."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def _read_merged(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """Merges the values of a file over those of its `base_config`, whose path is relative to the repository's root."""
    if path.resolve() in seen:
        raise ConfigError(f"{path}: base_config leads back to the file itself")
    try:
        values = json5.loads(path.read_text(encoding="utf-8"), allow_duplicate_keys=False)
    except OSError as error:
        role = f" (the base_config of {seen[-1].name})" if seen else ""
        raise ConfigError(f"{path}: cannot be read{role}: {error.strerror}") from None
    except ValueError as error:  # malformed JSON5, a duplicate key, or bytes that are not UTF-8
        raise ConfigError(f"{path}: not valid JSON5: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must hold one object {{...}}")
    base = values.pop("base_config", None)
    if base is None:
        return values
    if not isinstance(base, str):
        raise ConfigError(f"{path}: base_config: expected a string, got {base!r}")
    return _merge(_read_merged(REPO_ROOT / base, (*seen, path.resolve())), values)


def _merge(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merges objects recursively; lists and scalars replace those of the base."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return merged


def _override(values: dict[str, Any], override: str) -> None:
    """Applies one override "a.b=value" to `values`."""
    dotted, equals, text = override.partition("=")
    keys = dotted.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(f"--set {override}: expected KEY=VALUE, for example train.batch_size=8")
    try:
        value = json5.loads(text)
    except ValueError:
        value = text  # a path or a name needs no quotes on the command line
    for key in keys[:-1]:
        inner = values.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {override}: {key} is not a section")
        values = inner
    values[keys[-1]] = value


def _build(cls: type, values: Any, path: str, errors: list[str], hints: dict[str, Any] | None = None) -> Any:
    """Returns an instance of the dataclass `cls`, or None after adding the reasons to `errors`."""
    if not isinstance(values, Mapping):
        errors.append(f"{path}: expected a section {{...}}, got {values!r}")
        return None
    hints = hints or get_type_hints(cls)
    prefix = f"{path}." if path else ""
    errors_before = len(errors)
    arguments = {}
    for key, value in values.items():
        if key not in hints:
            errors.append(f"{prefix}{key}: unknown key{_suggest(key, hints)}")
        else:
            arguments[key] = _convert(hints[key], value, f"{prefix}{key}", errors)
    for spec in dataclasses.fields(cls):
        required = spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING
        if required and spec.name not in arguments:
            errors.append(f"{prefix}{spec.name}: missing")
    if len(errors) > errors_before:
        return None
    section = cls(**arguments)
    errors.extend(f"{prefix}{key}: {message}" for key, message in section.problems())
    return section


def _convert(hint: Any, value: Any, path: str, errors: list[str]) -> Any:
    """Converts `value` to the type `hint`; adds to `errors` why it is impossible."""
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _build(hint, value, path, errors)
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):  # always "X | None"
        wanted = next(t for t in inner if t is not type(None))
        return None if value is None else _convert(wanted, value, path, errors)
    if origin is Literal:
        if not any(value == choice and type(value) is type(choice) for choice in inner):
            errors.append(f"{path}: expected one of {', '.join(map(json.dumps, inner))}, got {json.dumps(value)}")
        return value
    if origin is tuple:
        if not isinstance(value, list):
            errors.append(f"{path}: expected a list [...], got {json.dumps(value)}")
            return None
        return tuple(_convert(inner[0], item, f"{path}[{i}]", errors) for i, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, Mapping):
            errors.append(f"{path}: expected an object {{...}}, got {json.dumps(value)}")
            return None
        return {key: _convert(inner[1], item, f"{path}.{key}", errors) for key, item in value.items()}
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is float and not math.isfinite(value):  # JSON5 has NaN and Infinity
        errors.append(f"{path}: expected a finite number, got {value}")
        return None
    if type(value) is not hint:  # exact, because in Python true is an int
        errors.append(f"{path}: expected {_TYPE_NAMES[hint]}, got {json.dumps(value)}")
    return value


def _suggest(key: str, known: Iterable[str]) -> str:
    """Returns the end of a message: the known key most similar to a misspelled one, or all known keys."""
    known = list(known)
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else f"; valid here: {', '.join(known)}"


def main() -> None:
    """Prints the resolved configuration, or its errors."""
    parser = argparse.ArgumentParser(prog="python -m config.load", description=main.__doc__)
    parser.add_argument("--config", required=True, help="a JSON5 configuration file")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override one key")
    args = parser.parse_args()
    try:
        print(json.dumps(to_dict(load_config(args.config, args.set)), indent=2, ensure_ascii=False))
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
