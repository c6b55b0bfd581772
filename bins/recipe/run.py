"""Checks a recipe's flags and runs its stages in order: run.sh starts it as `run.py KIND RUN.SH [flags]`."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # this repository's packages win over any of their names

import os
import shlex
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from itertools import takewhile

from bins.recipe import flags
from bins.recipe.command_line import Program, read_flags
from bins.recipe.gpus import choose_gpus
from utils.errors import UserError
from utils.program import run

# kind of recipe -> its stages in order, and the programs of each
KINDS = {
    "voice": {"1": [flags.PREPROCESS], "2": [flags.TRAIN_MODEL], "3": [flags.INFERENCE]},
    "vocoder": {
        "1": [flags.PREPROCESS],
        "2": [flags.TRAIN_MODEL],
        "3": [flags.VOCODE],
        "finetune": [flags.TEACHER_FORCED, flags.FINETUNE],
    },
}


class Recipe:
    """A recipe and its command line.

    Attributes:
        stages: each with its programs, in order.
        flags: all flags of the recipe, by name.
        given: the values of the flags.
        plan: the stages to run.
    """

    def __init__(self, kind: str, script: str) -> None:
        """Reads the recipe's files.

        Args:
            kind: a key of KINDS.
            script: the recipe's run.sh, as the user typed it.
        """
        self.kind, self.script = kind, script
        self.path = Path(script).resolve()
        self.config = (self.path.parent / "exp_config.json").relative_to(ROOT)
        self.folder = Path.cwd()
        self.stages = KINDS[kind]
        stages = list(self.stages)
        stage = flags.STAGE._replace(meaning=f"{flags.STAGE.meaning}: {' '.join(stages)}", choices=stages)
        stop_stage = flags.STOP_STAGE._replace(choices=stages)
        of_programs = [flag for programs in self.stages.values() for program in programs for flag in program.flags]
        declared = {flag.name: flag for flag in (stage, stop_stage, flags.GPU, *of_programs, flags.HELP)}
        self.flags = declared | {"config": flags.CONFIG._replace(default=str(self.config))}

    def help(self) -> str:
        """Returns the comment at the top of run.sh, and a description of every flag."""
        lines = self.path.read_text(encoding="utf-8").splitlines()[1:]
        text = [line[2:] for line in takewhile(lambda line: line.startswith("#"), lines)]
        text += ["", "Flags (--flag VALUE or --flag=VALUE):"]
        for flag in self.flags.values():
            typed = (f"-{flag.letter}, " if flag.letter else "") + f"--{flag.name} {flag.value}"
            text += [f"  {typed:<31} {flag.meaning}", f"{'':34}(default: {flag.default or flag.unset})"]
        text += ["", "Relative paths in flags are relative to your current folder; those in the configuration and in"]
        return "\n".join(text) + " --set to the repository."

    def read(self, words: Sequence[str]) -> None:
        """Parses the flags, and checks what all stages need before the first one starts.

        Raises:
            UserError: a flag is unknown, wrong or missing.
        """
        self.given = given = read_flags(words, self.flags, None if self.folder == ROOT else self.folder)
        given.config = given.config or self.config
        stages = list(self.stages)
        if given.stage is None:
            raise UserError(f"--stage is missing (one of: {' '.join(stages)}); see --help")
        given.stop_stage = given.stop_stage or given.stage
        self.plan = stages[stages.index(given.stage) : stages.index(given.stop_stage) + 1]
        if not self.plan:
            raise UserError(f"--stop_stage {given.stop_stage} comes before --stage {given.stage}")
        if "finetune" in self.plan[1:]:
            raise UserError("stage finetune runs alone, with a separate --name: --stage finetune")
        for stage in self.plan:
            self.check(stage)
        # A start reads only weights; --resume continues from a checkpoint of the fine-tuning.
        if given.stage == "finetune":
            given.resume_type = "finetune" if given.resume_from_ckpt_path else None

    def check(self, stage: str) -> None:
        """Checks what a stage needs.

        Raises:
            UserError: a flag or a folder is missing, or two flags contradict each other.
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
        """Runs the stages, and prints what to do next.

        Raises:
            SystemExit: a program failed; with its exit status.
            UserError: --gpu is wrong.
            ConfigError: the configuration is wrong.
        """
        next_step = self.next_step()  # before the stages, because the configuration may be edited while they run
        for stage in self.plan:
            if len(self.plan) > 1:
                print(f"\n=== Stage {stage}", flush=True)
            try:
                for program in self.stages[stage]:
                    self.start(program)
            except SystemExit:
                if stage != self.plan[-1]:
                    print(f"Stage {stage} failed: the stages after it were not started.", file=sys.stderr)
                raise
        if next_step:
            print(f"\n{next_step}")

    def start(self, program: Program) -> None:
        """Runs a program with the given flags that it has.

        Raises:
            SystemExit: the program failed; with its exit status, as a shell reports it.
            UserError: --gpu is wrong.
        """
        gpus = choose_gpus(self.given.gpu) if program.gpus != "none" else 0
        launcher = (
            f"-m accelerate.commands.launch --multi_gpu --num_processes {gpus} --num_machines 1 --machine_rank 0 "
            "--gpu_ids all --mixed_precision no --dynamo_backend no --main_process_port 0"
        )
        command = [*(launcher.split() if program.gpus == "all" and gpus > 1 else []), *program.words(self.given)]
        with subprocess.Popen([sys.executable, *command]) as process:
            before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
            while process.returncode is None:
                with suppress(KeyboardInterrupt):  # Ctrl-C also reached the program, which ends by itself
                    process.wait()
            signal.signal(signal.SIGTERM, before)
        if process.returncode:
            sys.exit(process.returncode if process.returncode > 0 else 128 - process.returncode)

    def next_step(self) -> str:
        """Returns the message that follows the last stage.

        Raises:
            ConfigError: the configuration is wrong.
        """
        given, last = self.given, self.plan[-1]
        if last == "3":
            return ""
        if last == "1":
            shared = flags.PREPROCESS.words(given)[2:]  # the words after the program and --config
            return self.next_command(*shared, stage="2", name=given.name or f"my-{self.kind}")

        from config.load import load_config

        config = load_config(given.config, given.set)
        log_dir = config.log_dir if self.folder == ROOT else ROOT / config.log_dir  # as the user can type it in a flag
        experiment = str(Path(log_dir) / given.name)
        if last == "finetune":
            return f"The voice of {given.acoustic_dir} now speaks through it: --vocoder_dir {experiment}"
        speak = {"stage": "3", "infer_expt_dir": experiment, "infer_output_dir": f"{experiment}/result"}
        if self.kind == "vocoder":
            speak |= {"infer_mode": "batch", "infer_dataset": config.dataset[0] if config.dataset else ""}
            return self.next_command(**speak, infer_testing_set="golden_test")
        text = "This is a clip of generated speech with the given text from a TTS model."
        return self.next_command(**speak, infer_mode="single", infer_text=text, vocoder_dir=given.vocoder_dir)

    def next_command(self, *words: str, **values: object) -> str:
        """Returns a message with the next command: these flags, and those that all stages of a run share."""
        typed = [word for name, value in values.items() if value for word in (f"--{name}", str(value))]
        config = ["--config", str(self.given.config)] if self.given.config != self.config else []
        gpu = ["--gpu", self.given.gpu] if self.given.gpu else []
        return f"Next, type:\n    {shlex.join(['sh', self.script, *typed, *words, *config, *gpu])}"


def main() -> None:
    """Parses the command line and runs the recipe."""
    kind, script, *words = sys.argv[1:]
    recipe = Recipe(kind, script)
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
