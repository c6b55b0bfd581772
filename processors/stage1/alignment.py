"""Learns the alignment of a corpus, for bins/preprocess.py and bins/align.py."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from config.schema import PreprocessConfig
from models.aligner.scores import WORST, Score, doubts
from models.aligner.version import VERSION
from processors.speech_activity import NO_SPEECH
from processors.stage1.agreement import agreement
from processors.stage1.aligner_inputs import make_inputs, plan_inputs
from processors.stage1.pipeline import LearnedAlignment, check_lexicon, own_textgrid_dir
from processors.stage1.plan import ShardPlan, find_textgrids
from processors.stage1.pool import Workers
from utils.data_folder import ALIGNMENT, LOCK, claim
from utils.errors import UserError
from utils.jsonl import write_json
from utils.utterance import Corpus, Skipped

PICTURES = "alignment"  # in the data folder
MOST_FAILED = 0.1  # of a corpus; if more fail, none of its alignments can be trusted
MISREAD = "text and audio do not match"


class Alignment(NamedTuple):
    """The aligned part of a corpus, and its alignment."""

    corpus: Corpus  # without the utterances that are misread or cannot be aligned
    learned: LearnedAlignment


def is_wanted(config: PreprocessConfig, root: Path, corpus: Corpus) -> bool:
    """Whether TextGrids must be learned: the config requires it, or some are missing and the config allows it."""
    if config.alignment == "textgrid" or not corpus.utterances:
        return False
    if config.alignment == "learned":
        return True
    textgrids = find_textgrids(own_textgrid_dir(config, root), corpus.utterances)
    # If textgrid_dir is set but has no TextGrids, it is wrong, and stage 1 reports that.
    return len(textgrids) < len(corpus.utterances) and not (config.textgrid_dir and not textgrids)


def align_corpus(config: PreprocessConfig, dataset: str, root: Path, corpus: Corpus, workers: Workers) -> Alignment:
    """Learns the alignment of all utterances of a corpus, unless an up-to-date one exists.

    TextGrids go to `<processed_dir>/<dataset>/TextGrid`. A killed run can be resumed, and produces the same bytes if
    it runs on the same kind of device with the same number of threads.

    Args:
        config: the preprocess section.
        dataset: name of the corpus.
        root: folder of the corpus.
        corpus: from its reader; it has at least one utterance.
        workers: the processes that make the shards.

    Raises:
        UserError: nothing can be aligned, the lexicon is wrong, or a worker died.
        OSError: a file cannot be written.
    """
    check_lexicon(config.lexicon_path)
    out_dir = Path(config.processed_dir) / dataset
    claim(out_dir, own_textgrid_dir(config, root))
    work_dir = out_dir / "aligner"
    plans, inputs = plan_inputs(corpus.utterances, config, work_dir / f"mels-{VERSION}")
    result = _finished(out_dir, inputs)
    if result is not None and result["retry"]:
        usable = {record["utt_id"] for record in make_inputs(plans, config, workers).records}
        if usable != {*result["scores"], *(utt_id for utt_id, _ in result["crowded"])}:
            result = None  # a recording can be read that could not be read before
    if result is None:
        result = _learn(config, plans, inputs, out_dir, workers)
    if work_dir.exists():
        shutil.rmtree(work_dir)
    return _judge(config, root, corpus, out_dir / "TextGrid", result)


def _finished(out_dir: Path, inputs: str) -> dict[str, Any] | None:
    """Returns the existing result if it is complete and belongs to these inputs."""
    try:
        result = json.loads((out_dir / ALIGNMENT).read_text(encoding="utf-8"))
        if [result["version"], result["inputs"]] != [VERSION, inputs]:
            return None
        existing = {path.name for path in (out_dir / "TextGrid").iterdir()}
        return result if all(f"{utt_id}.TextGrid" in existing for utt_id in result["scores"]) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _learn(
    config: PreprocessConfig, plans: list[ShardPlan], inputs: str, out_dir: Path, workers: Workers
) -> dict[str, Any]:
    """Makes mels, trains the aligner, and writes the TextGrids and then the result."""
    out_dir.mkdir(parents=True, exist_ok=True)
    for name in (LOCK, ALIGNMENT):  # stage 2 must not start on files that are about to change
        (out_dir / name).unlink(missing_ok=True)
    total = sum(len(plan.utterances) for plan in plans)
    print(f"learning the alignment of {total:,} utterances from the recordings", flush=True)
    data = make_inputs(plans, config, workers)
    if not data.records:
        reasons = Counter(skipped.reason for skipped in data.skipped).most_common()
        listed = "; ".join(f"{reason} ({count:,}, such as {_first(data.skipped, reason)})" for reason, count in reasons)
        raise UserError(f"none of the {total:,} recordings can be aligned: {listed}")

    from models.aligner.stage import learn
    from utils.logging import setup_logging

    setup_logging()
    textgrid_dir, work_dir = out_dir / "TextGrid", out_dir / "aligner"
    scores, crowded = learn(
        config, data.folder, data.records, inputs, work_dir / "training", textgrid_dir, out_dir / PICTURES
    )
    for path in textgrid_dir.glob("*.TextGrid"):  # of utterances that are no longer in the corpus
        if path.stem not in scores:
            path.unlink()
    seconds = {record["utt_id"]: record["seconds"] for record in data.records}
    result = {
        "version": VERSION,
        "inputs": inputs,
        "retry": data.retry,
        "scores": {utt_id: score._asdict() for utt_id, score in scores.items()},
        "seconds": {utt_id: seconds[utt_id] for utt_id in scores},
        "crowded": crowded,
        "skipped": [list(skipped) for skipped in data.skipped],
    }
    write_json(out_dir / ALIGNMENT, result)
    return result


def _first(skipped: Sequence[Skipped], reason: str) -> str:
    """Returns the first utterance that was skipped for a reason, with the detail."""
    entry = next(entry for entry in skipped if entry.reason == reason)
    return f"{entry.utt_id}: {entry.detail}" if entry.detail else entry.utt_id


def _judge(
    config: PreprocessConfig, root: Path, corpus: Corpus, textgrid_dir: Path, result: dict[str, Any]
) -> Alignment:
    """Leaves out utterances that are not aligned or misread, and collects the figures for the report.

    Utterances with a TextGrid in the corpus are not judged.

    Raises:
        UserError: more than a tenth of the corpus could not be aligned.
    """
    textgrids = find_textgrids(own_textgrid_dir(config, root), corpus.utterances)
    trusted = {} if config.alignment == "learned" else textgrids
    limit = float("inf") if config.max_misfit is None else config.max_misfit
    scores = {utt_id: Score(**fields) for utt_id, fields in result["scores"].items()}
    failed = {
        utt_id: reasons for utt_id, score in scores.items() if utt_id not in trusted and (reasons := doubts(score))
    }
    mute = [entry[0] for entry in result["skipped"] if entry[1] == NO_SPEECH and entry[0] not in trusted]
    judged = len(scores.keys() - trusted.keys()) + len(mute)
    if len(failed) + len(mute) > MOST_FAILED * judged:
        raise UserError(_failure(corpus, scores, failed, mute, judged, textgrid_dir.parent / PICTURES))

    skipped = [Skipped(*entry) for entry in result["skipped"]]
    skipped += [Skipped(utt_id, "more phones than frames", reasons) for utt_id, reasons in result["crowded"]]
    skipped += [Skipped(utt_id, "could not be aligned", "; ".join(reasons)) for utt_id, reasons in failed.items()]
    skipped += [
        Skipped(utt_id, MISREAD, f"misfit {score.misfit:.1f}, above preprocess.max_misfit")
        for utt_id, score in scores.items()
        if score.misfit > limit and utt_id not in failed
    ]
    skipped = [entry for entry in skipped if entry.utt_id not in trusted]
    left_out = {entry.utt_id for entry in skipped}

    def row(utt_id: str) -> dict[str, Any]:
        values = {name: value if value is None else round(value, 3) for name, value in scores[utt_id]._asdict().items()}
        note = "left out" if utt_id in left_out else "its own TextGrid is used" if utt_id in trusted else ""
        return {"utt_id": utt_id, **values, "note": note, "picture": f"{PICTURES}/{utt_id}.png"}

    order = sorted(scores, key=lambda utt_id: scores[utt_id].fit)  # the sort is stable: equal fits stay in order of ids
    seconds = result["seconds"]
    silence = sum(scores[utt_id].silence_share * seconds[utt_id] for utt_id in scores)
    report = {
        "aligned": len(scores),
        "left_out": len(left_out),
        "hours": round(sum(seconds.values()) / 3600, 4),
        "silence_share": round(silence / sum(seconds.values()), 4),
        "one_frame_share": round(median(score.one_frame_share for score in scores.values()), 4),
        "agreement": agreement(textgrids, textgrid_dir),
        "typical": row(order[len(order) // 2]),
        "worst": [row(utt_id) for utt_id in order[:WORST]],
    }
    utterances = [utterance for utterance in corpus.utterances if utterance.utt_id not in left_out]
    kept = corpus._replace(utterances=utterances, skipped=[*corpus.skipped, *skipped])
    return Alignment(kept, LearnedAlignment(textgrid_dir, report))


def _failure(
    corpus: Corpus,
    scores: Mapping[str, Score],
    failed: Mapping[str, Sequence[str]],
    mute: Sequence[str],
    judged: int,
    pictures: Path,
) -> str:
    """Returns the error message for a corpus that could not be aligned."""
    count = len(failed) + len(mute)
    lines = [f"{count:,} of {judged:,} utterances could not be aligned, which is too many to trust the others."]
    if failed:
        fit = median(scores[utt_id].fit for utt_id in failed)
        share = median(scores[utt_id].one_frame_share for utt_id in failed)
        lines.append(
            f"In {len(failed):,} of them the text was not found in the audio: {share:.0%} of the phones last one frame "
            f"(usual: 5 to 20 %), and the log probability per phone is {fit:.1f} (usual: -1 to -3)."
        )
    if mute:
        lines.append(f"In {len(mute):,} of them there is no speech.")
    texts = {utterance.utt_id: utterance.text for utterance in corpus.utterances}
    lines.append("Compare some recordings with their texts:")
    lines += [f"    {utt_id}: {texts.get(utt_id, '')[:70]}" for utt_id in [*failed, *mute][:3]]
    lines.append(
        f"Plots of the worst are in {pictures}. If the texts belong to other recordings, correct metadata.csv. If they "
        "are right, remove recordings with music or in another language, or align the corpus with another tool and "
        'put its TextGrids into the corpus (preprocess.alignment = "textgrid").'
    )
    return "\n".join(lines)
