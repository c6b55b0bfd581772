"""The demo: what it runs in which order, and what becomes of an earlier one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.egs.conftest import Recipe

REPO = Path(__file__).resolve().parents[2]

# What the demo's programs would leave behind.
ACT = """
from pathlib import Path
program, flags = sys.argv[1], dict(word.partition("=")[::2] for word in sys.argv[2:])
def leave(path, text=""):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)
if program.endswith("make_corpus.py"):
    leave("egs/demo/corpus/corpus.json", os.environ.get("CORPUS", "first"))
elif program == "bins/preprocess.py":
    rows = [{"utt_id": f"demo-{n}", "speaker": "demo", "text": f"Text {n}.", "phones": ["T"]} for n in range(5)]
    leave("data/demo/train.jsonl", "".join(json.dumps(row) + "\\n" for row in rows))
elif program == "bins/train.py" and "--resume" not in flags:
    leave("ckpts/tts/demo/weights", os.environ.get("CORPUS", "first"))
elif program == "bins/inference.py":
    leave(flags["--infer_output_dir"] + "/x.wav")
    leave(flags["--infer_output_dir"] + "/x.png")
"""


@pytest.fixture
def demo(recipe: Recipe) -> Recipe:
    """The recipe with the demo beside it."""
    shutil.copytree(REPO / "egs/demo", recipe.root / "egs/demo", ignore=shutil.ignore_patterns("corpus*"))
    shutil.copyfile(REPO / "config/fs2.json", recipe.root / "config/fs2.json")
    (recipe.root / "egs/demo/fastspeech2.json").write_text("{}")
    return recipe


def test_the_demo_goes_all_the_way_and_says_where_things_are(demo: Recipe) -> None:
    run = demo.run("--num_workers=1", script="egs/demo/run.sh", ACT=ACT)
    assert run.returncode == 0, run.stderr
    programs = [call["args"][0].rpartition("/")[2] for call in demo.calls]
    assert programs == ["make_corpus.py", "preprocess.py", "train.py", "inference.py", "inference.py"]
    assert "--num_workers=1" in demo.calls[1]["args"] and "--resume" not in demo.calls[2]["args"]
    assert "--infer_mode=single" in demo.calls[3]["args"] and "--infer_mode=batch" in demo.calls[4]["args"]
    texts = (demo.root / "ckpts/tts/demo/training_sentences.txt").read_text()
    assert texts == "demo-0|Text 0.\ndemo-1|Text 1.\ndemo-2|Text 2.\n"
    told = run.stdout.partition("=== Done")[2]
    for path in ("spoken/x.wav", "spoken/x.png", "spoken/training/x.wav", "log"):
        assert f"ckpts/tts/demo/{path}" in told


def test_the_demo_again_goes_on_and_destroys_nothing(demo: Recipe) -> None:
    demo.run(script="egs/demo/run.sh", ACT=ACT)
    assert demo.run(script="egs/demo/run.sh", ACT=ACT).returncode == 0
    assert "--resume" in demo.calls[2]["args"]
    run = demo.run(script="egs/demo/run.sh", ACT=ACT, CORPUS="second")
    assert run.returncode == 0 and "--resume" not in demo.calls[2]["args"]
    (aside,) = demo.root.glob("ckpts/tts/demo-until-*")
    assert str(aside.relative_to(demo.root)) in run.stdout
    assert (aside / "weights").read_text() == "first"
    assert (demo.root / "ckpts/tts/demo/weights").read_text() == "second"


def test_an_experiment_that_happens_to_be_called_demo_is_kept(demo: Recipe) -> None:
    mine = demo.root / "ckpts/tts/demo/mine"
    mine.parent.mkdir(parents=True)
    mine.write_text("precious")
    assert demo.run(script="egs/demo/run.sh", ACT=ACT).returncode == 0
    (aside,) = demo.root.glob("ckpts/tts/demo-until-*")
    assert (aside / "mine").read_text() == "precious"


@pytest.mark.parametrize("program", ["bins/preprocess.py", "bins/train.py", "bins/inference.py"])
def test_the_demo_fails_where_a_stage_fails(demo: Recipe, program: str) -> None:
    run = demo.run(script="egs/demo/run.sh", ACT=ACT, FAIL=json.dumps({program: 4}))
    assert run.returncode == 4
    assert demo.calls[-1]["args"][0] == program and "Done" not in run.stdout
