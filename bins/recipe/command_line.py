"""Reads command lines by their declared flags: a recipe's, with its own messages, and a program's, with argparse.

Only the standard library is imported: a recipe names a typo at once, and even before anything is installed.
"""

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from utils.errors import UserError
from utils.program import Parser


class Flag(NamedTuple):
    """A flag of the command line."""

    name: str  # without the dashes
    value: str  # what --help calls its value: a key of CONVERT, or any other word for a text; "": it is a switch
    meaning: str
    default: str | None = None
    unset: str = "none"  # in words, what applies if the flag is not given and has no default
    letter: str = ""  # its short form in a recipe
    choices: tuple[str, ...] = ()
    repeatable: bool = False
    must_exist: bool = False  # a recipe looks for this folder before it starts its first stage
    passed_as: str = ""  # its name in the programs, if that is another one


class Program(NamedTuple):
    """A program and its flags, in the order in which a recipe passes them on."""

    path: str  # from the repository's root
    flags: tuple[Flag, ...]
    required: tuple[Flag, ...]
    check: Callable[[argparse.Namespace], None] = lambda args: None  # raises UserError

    def parse(self, description: str | None, argv: Sequence[str] | None = None) -> argparse.Namespace:
        """Reads and checks the program's own command line.

        Args:
            description: for --help.
            argv: the words; None: those of this process.

        Raises:
            UserError: flags are missing or contradict each other.
        """
        parser = Parser(description=description)
        for flag in self.flags:
            settings: dict[str, Any] = {"help": f"{flag.meaning} (default: {flag.default or flag.unset})"}
            if not flag.value:
                settings["action"] = "store_true"
            elif flag.repeatable:
                settings |= {"action": "append", "default": [], "metavar": flag.value}
            else:
                settings |= {"type": CONVERT.get(flag.value, str), "choices": flag.choices or None}
                settings |= {"default": flag.default, "required": flag in self.required, "metavar": flag.value}
            parser.add_argument(f"--{flag.passed_as or flag.name}", **settings)
        args = parser.parse_args(argv)
        self.check(args)
        return args

    def words(self, given: argparse.Namespace) -> list[str]:
        """The words that start the program with those of its flags that are given."""
        words = [self.path]
        for flag in self.flags:
            value, name = getattr(given, flag.name), f"--{flag.passed_as or flag.name}"
            if value is True:
                words.append(name)
            elif value is not None:
                words += [f"{name}={one}" for one in (value if flag.repeatable else [value])]
        return words


def read_flags(words: Sequence[str], flags: Mapping[str, Flag], folder: Path | None) -> argparse.Namespace:
    """Reads a recipe's command line.

    Unlike argparse, it takes any word as a value, "-5" and "--" too, unless it is a flag of the recipe.

    Args:
        words: the command line.
        flags: name to flag.
        folder: where relative paths start; None: they stay as they are.

    Returns:
        The value of each flag; if it is not given, or empty, None, or an empty list for a repeatable one.

    Raises:
        UserError: a flag is unknown, or its value is wrong or missing.
    """
    given = argparse.Namespace(**{flag.name: [] if flag.repeatable else None for flag in flags.values()})
    known = {f"--{flag.name}": flag for flag in flags.values()}
    known |= {f"-{flag.letter}": flag for flag in flags.values() if flag.letter}
    rest = iter(words)
    for word in rest:
        typed, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if not word.startswith("-"):
            raise UserError(
                f"unexpected argument '{word}'; flags start with --, and a value with spaces needs quotes", 2
            )
        flag = known.get(typed)
        if flag is None:
            raise UserError(f"unknown flag {typed}; {_suggestion(typed, list(flags))}", 2)
        if not flag.value:
            if equals:
                raise UserError(f"--{flag.name} takes no value", 2)
            setattr(given, flag.name, True)
            continue
        if not equals:
            value = next(rest, None)
            if value is None:
                raise UserError(f"--{flag.name} needs a value", 2)
            other = value.partition("=")[0]
            if other in known:
                raise UserError(
                    f"--{flag.name} needs a value, not the flag {other} (or write --{flag.name}={value})", 2
                )
        if flag.repeatable:
            getattr(given, flag.name).append(value)
        else:
            setattr(given, flag.name, _convert(flag, value, folder) if value else None)
    return given


def _convert(flag: Flag, text: str, folder: Path | None) -> Any:
    if flag.choices and text not in flag.choices:
        raise UserError(f"--{flag.name} is {' or '.join(flag.choices)}, not '{text}'", 2)
    try:
        value = CONVERT.get(flag.value, str)(text)
    except argparse.ArgumentTypeError as error:
        raise UserError(f"--{flag.name}: {error}", 2) from None
    return folder / value if isinstance(value, Path) and folder is not None else value


def _suggestion(typed: str, names: list[str]) -> str:
    """The end of the message about an unknown flag: the known one that it contains part of, or is spelled like."""
    from difflib import get_close_matches

    word = typed.lstrip("-")
    near = [name for name in names if len(word) > 2 and word in name] or get_close_matches(word, names, n=1)
    return f"did you mean --{near[0]}?" if near else "see --help"


def describe_flags(flags: Mapping[str, Flag]) -> str:
    """The text of --help about each flag."""
    lines = []
    for flag in flags.values():
        shown = (f"-{flag.letter}, " if flag.letter else "") + f"--{flag.name} {flag.value}"
        lines += [f"  {shown:<31} {flag.meaning}", f"{'':34}(default: {flag.default or flag.unset})"]
    return "\n".join(lines)


def whole_number(text: str) -> int:
    """Reads a value.

    Raises:
        ArgumentTypeError: it is not a whole number.
    """
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def factor(text: str) -> float:
    """Reads a value.

    Raises:
        ArgumentTypeError: it is not a number above 0.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"{text!r} is no factor: give a number above 0")
    return value


CONVERT: Mapping[str, Callable[[str], Any]] = {"N": whole_number, "FACTOR": factor, "FILE": Path, "DIR": Path}
