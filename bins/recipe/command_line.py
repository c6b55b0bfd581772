"""Parses command lines with declared flags: of programs with argparse, of recipes with messages that suggest flags.

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
    value: str  # what --help calls its value, which CONVERT may convert; "": the flag is a switch
    meaning: str
    default: str | None = None
    unset: str = "none"  # in words, what applies if the flag is not given and has no default
    letter: str = ""  # its short form in a recipe
    choices: Sequence[str] = ()
    repeatable: bool = False
    must_exist: bool = False  # a recipe looks for this folder before it starts its first stage
    passed_as: str = ""  # its name in the programs, if that is another one


class Program(NamedTuple):
    """A program and its flags, in the order in which a recipe passes them on."""

    path: str  # from the repository's root
    flags: tuple[Flag, ...]
    required: tuple[Flag, ...]
    check: Callable[[argparse.Namespace], None] = lambda args: None  # raises UserError
    gpus: str = "one"  # how many of the GPUs of --gpu it uses: none, one or all

    def parse(self, description: str | None, argv: Sequence[str] | None = None) -> argparse.Namespace:
        """Parses and checks the command line of the program.

        Args:
            description: for --help.
            argv: the words; None: those of this process.

        Raises:
            UserError: flags are missing or contradict each other.
        """
        parser = Parser(description=description)
        for flag in self.flags:
            default = flag.default or flag.unset
            settings: dict[str, Any] = {
                "help": flag.meaning.replace("%", "%%") + (f" (default: {default})" if default != "none" else "")
            }
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
        """Returns the words that start the program, with the given flags that it has."""
        words = [self.path]
        for flag in self.flags:
            value, name = getattr(given, flag.name), f"--{flag.passed_as or flag.name}"
            values = value if flag.repeatable else [value]
            words += [name if one is True else f"{name}={one}" for one in values if one is not None]
        return words


def read_flags(words: Sequence[str], flags: Mapping[str, Flag], folder: Path | None) -> argparse.Namespace:
    """Parses the command line of a recipe. Unlike argparse, it accepts "-5" or "--" as a value: all but known flags.

    Args:
        words: the command line.
        flags: name to flag.
        folder: where relative paths start; None: they stay as they are.

    Returns:
        The value of each flag. Without one, or with an empty one: None, or an empty list for a repeatable flag.

    Raises:
        UserError: a flag is unknown, or its value is wrong or missing.
    """
    given = argparse.Namespace(**{flag.name: [] if flag.repeatable else None for flag in flags.values()})
    known = {f"--{flag.name}": flag for flag in flags.values()}
    known |= {f"-{flag.letter}": flag for flag in flags.values() if flag.letter}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        typed, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if not word.startswith("-"):
            raise UserError(f"unexpected argument '{word}'; flags start with --, and a value with spaces needs quotes")
        flag = known.get(typed)
        if flag is None:
            raise UserError(f"unknown flag {typed}; {_suggestion(typed, list(flags))}")
        if not flag.value:
            if equals:
                raise UserError(f"--{flag.name} takes no value")
            setattr(given, flag.name, True)
            continue
        if not equals:
            if not rest:
                raise UserError(f"--{flag.name} needs a value")
            value = rest.pop(0)
            other = value.partition("=")[0]
            if other in known:
                raise UserError(f"--{flag.name} needs a value, not the flag {other} (or write --{flag.name}={value})")
        if flag.repeatable:
            getattr(given, flag.name).append(value)
        else:
            setattr(given, flag.name, _convert(flag, value, folder) if value else None)
    return given


def _suggestion(typed: str, names: list[str]) -> str:
    """Returns a suggestion for an unknown flag: a flag that contains the word, or has a similar spelling."""
    from difflib import get_close_matches

    word = typed.lstrip("-")
    near = [name for name in names if len(word) > 2 and word in name] or get_close_matches(word, names, n=1)
    return f"did you mean --{near[0]}?" if near else "see --help"


def _convert(flag: Flag, text: str, folder: Path | None) -> Any:
    if flag.choices and text not in flag.choices:
        choices = " or ".join(flag.choices) if len(flag.choices) == 2 else f"one of {' '.join(flag.choices)}"
        raise UserError(f"--{flag.name} is {choices}, not '{text}'")
    try:
        value = CONVERT.get(flag.value, str)(text)
    except ValueError:  # of int
        raise UserError(f"--{flag.name} is a whole number, not '{text}'") from None
    except argparse.ArgumentTypeError as error:
        raise UserError(f"--{flag.name}: {error}") from None
    return folder / value if folder is not None and isinstance(value, Path) else value


def _factor(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"{text!r} is no factor: give a number above 0")
    return value


CONVERT: Mapping[str, Callable[[str], Any]] = {"N": int, "FACTOR": _factor, "FILE": Path, "DIR": Path}
