"""What a run.sh starts, as `run.py KIND RUN.SH [flags]`: checks a recipe's flags and runs its stages in order.

Up to the first stage only the standard library is imported, unless the configuration must be read.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # this repository's packages win over any of their names

import os
import shlex
import signal
import subprocess
from collections.abc import Mapping
from itertools import takewhile
from typing import ClassVar

from bins.recipe import flags as declared
from bins.recipe.command_line import Flag, Program, describe_flags, read_flags
from bins.recipe.gpus import choose_gpus
from utils.errors import UserError
from utils.program import run as run_program


class Recipe:
    """A recipe as it was called: run.sh with its flags.

    Attributes:
        stages: what each stage starts.
        example: the experiment's name in the command that stage 1 suggests, if --name gives none.
        given: the flags' values.
        plan: the stages to run.
    """

    stages: ClassVar[Mapping[str, tuple[Program, ...]]]
    example: ClassVar[str]

    def __init__(self, script: str) -> None:
        """Args: script: the recipe's run.sh, as it was typed."""
        self.script = script
        self.folder = Path.cwd()
        self.path = Path(script).resolve()
        self.default_config = (self.path.parent / "exp_config.json").relative_to(ROOT)
        config = declared.CONFIG._replace(default=str(self.default_config))
        stage = Flag("stage", "STAGE", f"the stage to run: {' '.join(self.stages)}", unset="none, required", letter="s")
        programs = [program for of_stage in self.stages.values() for program in of_stage]
        self.flags = {flag.name: flag for flag in (stage, declared.STOP_STAGE, *declared.COMMON)}
        self.flags |= {flag.name: flag for program in programs for flag in program.flags}
