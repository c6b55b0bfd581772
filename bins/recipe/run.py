"""What a run.sh starts, as `run.py KIND RUN.SH [flags]`: checks a recipe's flags and runs its stages in order."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # this repository's packages win over any of their names

import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import takewhile
from typing import TYPE_CHECKING, ClassVar

from bins.recipe import flags
from bins.recipe.command_line import Flag, Program, read_flags
from bins.recipe.gpus import choose_gpus
from utils.errors import UserError
from utils.program import run

if TYPE_CHECKING:
    from config.schema import ExpConfig


_LAUNCHER = (
    "-m accelerate.commands.launch --multi_gpu --num_processes PROCESSES --num_machines 1 --machine_rank 0 --gpu_ids "
    "all --mixed_precision no --dynamo_backend no --main_process_port 0"
).split()


class Recipe:
    """A recipe, called with flags. The subclasses are the kinds of recipes.

    Attributes:
        stages: the programs of each stage, in order.
        example_name: of an experiment, in the command that follows stage 1.
        given: the value of each flag.
        plan: the stages to run.
    """

    stages: ClassVar[Mapping[str, tuple[Program, ...]]]
    example_name: ClassVar[str]

    def __init__(self, script: str) -> None:
        """Args: script: the recipe's run.sh, as the user typed it."""
        self.script = script
        self.path = Path(script).resolve()
        self.config = (self.path.parent / "exp_config.json").relative_to(ROOT)
        self.folder = Path.cwd()
        stage = Flag("stage", "STAGE", f"the stage to run: {' '.join(self.stages)}", unset="none, required", letter="s")
        of_programs = [flag for programs in self.stages.values() for program in programs for flag in program.flags]
        declared = {flag.name: flag for flag in (stage, flags.STOP_STAGE, flags.GPU, *of_programs, flags.HELP)}
        self.flags = declared | {"config": flags.CONFIG._replace(default=str(self.config))}

    def help(self) -> str:
        """What the comment at the head of run.sh says, and every flag."""
        lines = self.path.read_text(encoding="utf-8").splitlines()[1:]
        text = [line[2:] for line in takewhile(lambda line: line.startswith("#"), lines)]
        text += ["", "Flags (--flag VALUE or --flag=VALUE):"]
        for flag in self.flags.values():
            typed = (f"-{flag.letter}, " if flag.letter else "") + f"--{flag.name} {flag.value}"
            text += [f"  {typed:<31} {flag.meaning}", f"{'':34}(default: {flag.default or flag.unset})"]
        text += ["", "Relative paths in flags start where you stand; those in the configuration and in --set at the "]
        return "\n".join(text) + "repository."

    def read(self, words: Sequence[str]) -> None:
        """Reads the flags, and checks all that the stages need before the first one starts.

        Raises:
            UserError: a flag is unknown, wrong or missing.
        """
        self.given = given = read_flags(words, self.flags, None if self.folder == ROOT else self.folder)
        given.config = given.config or self.config
        stages = list(self.stages)
        if given.stage is None:
            raise UserError(f"--stage is missing (one of: {' '.join(stages)}); see --help")
        given.stop_stage = given.stop_stage or given.stage
        for name in ("stage", "stop_stage"):
            if getattr(given, name) not in stages:
                raise UserError(f"--{name} is one of {' '.join(stages)}, not '{getattr(given, name)}'")
        self.plan = stages[stages.index(given.stage) : stages.index(given.stop_stage) + 1]
        if not self.plan:
            raise UserError(f"--stop_stage {given.stop_stage} comes before --stage {given.stage}")
        if "finetune" in self.plan[1:]:
            raise UserError("stage finetune runs alone, with a --name of its own: --stage finetune")
        for stage in self.plan:
            self.check(stage)

    def check(self, stage: str) -> None:
        """Checks what a stage needs.

        Raises:
            UserError: a flag is missing, a folder is not there, or two flags contradict each other.
        """
        programs = self.stages[stage]
        required = {flag.name for program in programs for flag in program.required}
        missing = [f"--{name}" for name in self.flags if name in required and getattr(self.given, name) is None]
        if missing:
            raise UserError(f"stage {stage} needs {' and '.join(missing)}")
        for program in programs:
            for flag in program.flags:
                folder = getattr(self.given, flag.name)
                if flag.must_exist and folder is not None and not folder.is_dir():
                    raise UserError(f"--{flag.name}: there is no folder {folder}")
            program.check(self.given)

    def run(self) -> None:
        """Runs the stages.

        Raises:
            SystemExit: a stage failed; it has the exit status of the stage's program.
            UserError: --gpu is wrong.
            ConfigError: the configuration is wrong.
        """
        for stage in self.plan:
            if len(self.plan) > 1:
                print(f"\n=== Stage {stage}", flush=True)
            try:
                getattr(self, f"stage_{stage}")()
            except SystemExit:
                if stage != self.plan[-1]:
                    print(f"Stage {stage} failed: the stages after it were not started.", file=sys.stderr)
                raise

    def stage_1(self) -> None:
        """Makes the features."""
        self.start(flags.PREPROCESS)
        name = self.given.name or self.example_name
        shared = flags.PREPROCESS.words(self.given)[2:]  # what follows the program and --config
        self.print_next("1", "--stage", "2", "--name", name, *shared)

    def stage_2(self) -> None:
        """Trains."""
        config, experiment = self.experiment()
        self.start(*self.stages["2"], processes=choose_gpus(self.given.gpu))
        folders = ("--infer_expt_dir", experiment, "--infer_output_dir", f"{experiment}/result")
        self.print_next("2", "--stage", "3", *folders, *self.first_listening(config))

    def stage_3(self) -> None:
        """Speaks, in one process on the first of the GPUs."""
        choose_gpus(self.given.gpu)
        self.start(*self.stages["3"])

    def first_listening(self, config: "ExpConfig") -> Sequence[str]:
        """The flags that let a newly trained experiment speak."""
        raise NotImplementedError

    def experiment(self) -> "tuple[ExpConfig, str]":
        """The configuration, and the experiment's folder as it can be typed in a flag.

        Raises:
            ConfigError: the configuration is wrong.
        """
        from config.load import load_config

        config = load_config(self.given.config, self.given.set)
        log_dir = Path(config.log_dir) if self.folder == ROOT else ROOT / config.log_dir
        return config, str(log_dir / self.given.name)

    def start(self, program: Program, processes: int = 1) -> None:
        """Runs a program with those of its flags that are given; accelerate starts more than one process.

        Raises:
            SystemExit: it failed; with its exit status, as a shell gives it.
        """
        command = [sys.executable, *(_LAUNCHER if processes > 1 else []), *program.words(self.given)]
        command = [str(processes) if word == "PROCESSES" else word for word in command]
        with subprocess.Popen(command) as process:
            before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
            while process.returncode is None:
                with suppress(KeyboardInterrupt):  # Ctrl-C reached the program as well, which ends in its own way
                    process.wait()
            signal.signal(signal.SIGTERM, before)
        if process.returncode:
            sys.exit(process.returncode if process.returncode > 0 else 128 - process.returncode)

    def print_next(self, stage: str, *words: str) -> None:
        """Prints the command to type after a stage, if that is the last: it shares --config and --gpu with this run."""
        if stage == self.plan[-1]:
            config = ["--config", str(self.given.config)] if self.given.config != self.config else []
            gpu = ["--gpu", self.given.gpu] if self.given.gpu else []
            print(f"\nNext, type:\n    {shlex.join(['sh', self.script, *words, *config, *gpu])}", flush=True)


class VoiceRecipe(Recipe):
    """An acoustic model: from a corpus to speech."""

    stages = {"1": (flags.PREPROCESS,), "2": (flags.TRAIN_VOICE,), "3": (flags.INFERENCE,)}
    example_name = "my-voice"

    def first_listening(self, config: "ExpConfig") -> Sequence[str]:
        """A sentence, through the vocoder if one is given."""
        text = "This is a clip of generated speech with the given text from a TTS model."
        vocoder = ["--vocoder_dir", str(self.given.vocoder_dir)] if self.given.vocoder_dir else []
        return ["--infer_mode", "single", "--infer_text", text, *vocoder]


class VocoderRecipe(Recipe):
    """A vocoder: from recordings to a network that turns mels into sound."""

    stages = {
        "1": (flags.PREPROCESS,),
        "2": (flags.TRAIN_VOCODER,),
        "3": (flags.VOCODE,),
        "finetune": (flags.TEACHER_FORCED, flags.TRAIN),
    }
    example_name = "my-vocoder"

    def check(self, stage: str) -> None:
        """Checks, besides, that fine-tuning has something to start from."""
        super().check(stage)
        if stage == "finetune" and not self.given.resume and self.given.resume_from_ckpt_path is None:
            raise UserError("stage finetune needs --resume_from_ckpt_path")

    def first_listening(self, config: "ExpConfig") -> Sequence[str]:
        """Ten utterances of the test set."""
        return ["--infer_mode", "batch", "--infer_dataset", config.dataset[0], "--infer_testing_set", "golden_test"]

    def stage_finetune(self) -> None:
        """Makes an acoustic model's mels of the recordings, and trains on them."""
        _, experiment = self.experiment()
        processes = choose_gpus(self.given.gpu)
        self.start(flags.TEACHER_FORCED)
        self.given.resume_type = "finetune" if self.given.resume_from_ckpt_path else None
        self.start(flags.TRAIN, processes)
        voice = self.given.acoustic_dir
        print(f"\nThe voice of {voice} now speaks through it: --vocoder_dir {experiment}", flush=True)


RECIPES = {"voice": VoiceRecipe, "vocoder": VocoderRecipe}


def main() -> None:
    """Reads the command line and runs the recipe."""
    kind, script, *words = sys.argv[1:]
    recipe = RECIPES[kind](script)
    if {"-h", "--help"} & set(words):
        print(recipe.help())
        return
    os.chdir(ROOT)
    try:
        recipe.read(words)
        recipe.run()
    except UserError as error:
        raise UserError(f"{recipe.path.name}: {' '.join(str(error).splitlines())}", 2) from None


if __name__ == "__main__":
    run(main, "Interrupted.")
