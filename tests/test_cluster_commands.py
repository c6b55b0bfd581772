"""The README's commands for several machines: the launcher knows their flags, and what they start knows its own."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from accelerate.commands.launch import launch_command_parser

ROOT = Path(__file__).resolve().parents[1]
BLOCKS = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.replace("\\\n", " ").splitlines() if ".venv" in line]
FLAGS = {"bins/preprocess.py": {"--config"}, "bins/train.py": {"--config", "--exp_name"}}


def test_there_are_commands_for_both_stages_and_for_slurm() -> None:
    assert len(COMMANDS) == 3 and "srun" in COMMANDS[2]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_launcher_takes_them(command: str) -> None:
    words = shlex.split(command)
    if words[0] == "srun":  # the launcher's command is a word of its own, for the shell on each machine
        words = shlex.split(next(word for word in words if word.startswith(".venv")))
        values = {"$SLURM_NNODES": "2", "$SLURM_NODEID": "1", "$0": "16", "$1": "host"}
        words = [values.get(word, word) for word in words]
        words = [*words[:-1], "bins/train.py", "--config", "c", "--exp_name", "n"]
    assert words[:2] == [".venv/bin/accelerate", "launch"]
    parsed = launch_command_parser().parse_args(words[2:])
    assert parsed.multi_gpu and parsed.num_machines == 2 and parsed.num_processes in (2, 16)
    assert parsed.main_process_ip and parsed.main_process_port == 29500 and parsed.machine_rank in (0, 1)
    given = {word for word in parsed.training_script_args if word.startswith("--")}
    assert given == FLAGS[parsed.training_script]


def test_the_slurm_script_is_a_shell_script() -> None:
    script = next(block for block in BLOCKS if "#SBATCH" in block)
    checked = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
