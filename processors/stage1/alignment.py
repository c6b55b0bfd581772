"""The learned alignment of a corpus, as bins/preprocess.py and bins/align.py both need it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from config.schema import PreprocessConfig
from models.aligner.version import VERSION
from processors.stage1.agreement import agreement
from processors.stage1.aligner_inputs import make_inputs, plan_inputs
from processors.stage1.finalize import LOCK
from processors.stage1.pipeline import LearnedAlignment, check_lexicon, own_textgrid_dir
from processors.stage1.plan import ShardPlan, find_textgrids
from utils.jsonl import write_json
from utils.utterance import Corpus, Skipped

RESULT = "alignment.json"  # in the features' folder; written last, it says that the TextGrids are whole
WORST = 20  # utterances that the report names


class Alignment(NamedTuple):
    """What came of it."""

    corpus: Corpus  # without what cannot be aligned and what is misread
    learned: LearnedAlignment


def is_wanted(config: PreprocessConfig, root: Path, corpus: Corpus) -> bool:
    """Whether TextGrids must be learned: the configuration says so, or some are missing and it does not forbid it."""
    if config.alignment == "textgrid" or not corpus.utterances:
        return False
    if config.alignment == "learned":
        return True
    own = find_textgrids(own_textgrid_dir(config, root), corpus.utterances)
    # A folder that was named and holds nothing is a mistake: stage 1 says so.
    return len(own) < len(corpus.utterances) and not (config.textgrid_dir and not own)


def align_corpus(config: PreprocessConfig, dataset: str, root: Path, corpus: Corpus, num_workers: int) -> Alignment:
    """Learns the alignment of all utterances of a corpus, or takes the one that is there and still holds.

    TextGrids go to `<processed_dir>/<dataset>/TextGrid`. A run that was killed goes on where it was, and ends with the
    same bytes as long as it computes on the same kind of device with as many threads.

    Args:
        config: the preprocess section.
        dataset: name of the corpus.
        root: its folder.
        corpus: what its reader found, at least one utterance.
        num_workers: processes, at least 1.

    Raises:
        UserError: nothing can be aligned, the lexicon is wrong, or a worker died.
        OSError: a file cannot be written.
    """
    check_lexicon(config.lexicon_path)
    out_dir = Path(config.processed_dir) / dataset
    work_dir = out_dir / "aligner"
    plans, inputs = plan_inputs(corpus.utterances, config, work_dir / "mels")
    result = _finished(out_dir, inputs)
    if result is not None and result["retry"]:
        usable = {record["utt_id"] for record in make_inputs(plans, config, num_workers).records}
        if usable != {*result["scores"], *(utt_id for utt_id, _ in result["crowded"])}:
            result = None  # a recording that could not be read can be read now
    if result is None:
        result = _learn(config, plans, inputs, out_dir, num_workers)
    if work_dir.exists():
        shutil.rmtree(work_dir)
    return _judge(config, root, corpus, out_dir / "TextGrid", result)


def _finished(out_dir: Path, inputs: str) -> dict[str, Any] | None:
    """The result that is there, if it is whole and of these inputs."""
    try:
        result = json.loads((out_dir / RESULT).read_text(encoding="utf-8"))
        if [result["version"], result["inputs"]] != [VERSION, inputs]:
            return None
        there = {path.name for path in (out_dir / "TextGrid").iterdir()}
        return result if all(f"{utt_id}.TextGrid" in there for utt_id in result["scores"]) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _learn(
    config: PreprocessConfig, plans: list[ShardPlan], inputs: str, out_dir: Path, num_workers: int
) -> dict[str, Any]:
    """Makes mels, trains, writes TextGrids and, last, the result."""
    out_dir.mkdir(parents=True, exist_ok=True)
    for name in (LOCK, RESULT):  # stage 2 must not start on what is about to change
        (out_dir / name).unlink(missing_ok=True)
    total = sum(len(plan.utterances) for plan in plans)
    print(f"learning from the recordings where each phone of {total:,} utterances is spoken", flush=True)
    found = make_inputs(plans, config, num_workers)

    from models.aligner.stage import learn
    from utils.logging import setup_logging

    setup_logging()
    textgrid_dir, work_dir = out_dir / "TextGrid", out_dir / "aligner"
    scores, crowded = learn(
        config, found.folder, found.records, inputs, work_dir / "training", textgrid_dir, out_dir / "alignment"
    )
    for path in textgrid_dir.glob("*.TextGrid"):  # of utterances that have left the corpus
        if path.stem not in scores:
            path.unlink()
    result = {"version": VERSION, "inputs": inputs, "retry": found.retry, "scores": scores, "crowded": crowded}
    write_json(out_dir / RESULT, result)
    return result


def _judge(
    config: PreprocessConfig, root: Path, corpus: Corpus, textgrid_dir: Path, result: dict[str, Any]
) -> Alignment:
    """Leaves out what is misread, and says what the report shall tell. TextGrids of the corpus' own are trusted."""
    all_own = find_textgrids(own_textgrid_dir(config, root), corpus.utterances)
    own = {} if config.alignment == "learned" else all_own
    limit = float("inf") if config.max_misfit is None else config.max_misfit
    skipped = [Skipped(utt_id, "more phones than frames", found) for utt_id, found in result["crowded"]]
    skipped += [
        Skipped(utt_id, "text and audio do not match", f"misfit {score[0]:.1f}, more than preprocess.max_misfit")
        for utt_id, score in result["scores"].items()
        if score[0] > limit
    ]
    skipped = [entry for entry in skipped if entry.utt_id not in own]
    gone = {entry.utt_id for entry in skipped}
    # Python's sort is stable: equal misfits stay in order of their ids
    worst = sorted(result["scores"].items(), key=lambda item: (-item[1][0], item[1][1]))[:WORST]
    report = {
        "aligned": len(result["scores"]),
        "left_out": len(gone),
        "agreement": agreement(all_own, textgrid_dir),
        "worst": [
            {
                "utt_id": utt_id,
                "misfit": round(misfit, 2),
                "fit": round(fit, 4),
                "longest_phone": round(longest, 3),
                "frames_per_phone": round(rate, 2),
                "note": "left out" if utt_id in gone else "its own TextGrid is used" if utt_id in own else "",
                "picture": f"alignment/{utt_id}.png",
            }
            for utt_id, (misfit, fit, longest, rate) in worst
        ],
    }
    utterances = [utterance for utterance in corpus.utterances if utterance.utt_id not in gone]
    kept = corpus._replace(utterances=utterances, skipped=[*corpus.skipped, *skipped])
    return Alignment(kept, LearnedAlignment(textgrid_dir, report))
