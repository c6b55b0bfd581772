"""Builds the report of stage 1: as data, as a Markdown page, and as a table for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from text.symbols import PHONES, is_phone
from utils.utterance import Mended, Skipped

_MENDED_SHOWN = 50  # per kind on the page: a whole corpus may need resampling, for example


def build_report(
    dataset: str,
    records: Sequence[Mapping[str, Any]],
    skipped: Iterable[Skipped],
    mended: Iterable[Mended],
    split_sizes: Mapping[str, int],
    seconds: float,
) -> dict[str, Any]:
    """Builds the report as data, without dates, paths or machine names, so that equal features give equal bytes.

    Args:
        dataset: name of the corpus.
        records: manifest rows of the kept utterances.
        skipped: utterances that were left out.
        mended: fixes and doubts about kept utterances.
        split_sizes: set -> number of utterances.
        seconds: total length of the kept utterances.
    """
    by_reason: dict[str, list[list[str]]] = {}
    for entry in sorted(skipped):
        by_reason.setdefault(entry.reason, []).append([entry.utt_id, entry.detail])
    by_fix: dict[str, list[list[str]]] = {}
    for note in sorted(mended):
        by_fix.setdefault(note.what, []).append([note.utt_id, note.detail])
    return {
        "dataset": dataset,
        "kept": len(records),
        "hours": round(seconds / 3600, 4),
        "splits": dict(split_sizes),
        "speakers": dict(sorted(Counter(record["speaker"] for record in records).items())),
        "skipped": dict(sorted(by_reason.items(), key=lambda item: (-len(item[1]), item[0]))),
        "mended": dict(sorted(by_fix.items(), key=lambda item: (-len(item[1]), item[0]))),
    }


def count_phones(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts the phones of a corpus and lists the missing ones, for the report of an acoustic model."""
    seen = Counter(phone for record in records for phone in record["phones"])
    return {
        "phones": dict(sorted(seen.items(), key=lambda item: (-item[1], item[0]))),
        "phones_never_seen": _never_seen(seen),
    }


def _never_seen(seen: Mapping[str, int]) -> list[str]:
    """Returns the phones that the corpus lacks; an aligner writes vowels with or without stress, not both."""
    stressed = any(phone[-1].isdigit() for phone in seen if is_phone(phone))
    vowels = {phone[:-1] for phone in PHONES if phone[-1].isdigit()}
    inventory = [p for p in PHONES if (p not in vowels if stressed else not p[-1].isdigit())]
    return [phone for phone in inventory if phone not in seen]


def render_page(report: Mapping[str, Any]) -> str:
    """Renders the report as Markdown."""
    lines = [
        f"# Features of {report['dataset']}",
        "",
        f"- kept: {report['kept']:,} utterances, {report['hours']:.2f} hours",
        f"- skipped: {num_skipped(report):,}",
        f"- fixed or doubtful: {sum(len(entries) for entries in report['mended'].values()):,}",
        "- " + ", ".join(f"{name}: {size:,}" for name, size in report["splits"].items()),
        "- speakers: " + ", ".join(f"{name} ({count:,})" for name, count in report["speakers"].items()),
        "",
        "## Skipped, by reason",
        "",
    ]
    lines += _entries(report["skipped"])
    lines += ["## Kept, but fixed or doubtful", ""]
    lines += _entries(report["mended"], most=_MENDED_SHOWN)
    if "alignment" in report:
        lines += _alignment(report["alignment"])
    if "phones" in report:
        lines += ["## Phones", "", "| phone | count |", "|---|---|"]
        lines += [f"| {phone} | {count:,} |" for phone, count in report["phones"].items()]
        missing = " ".join(report["phones_never_seen"]) or "none"
        lines += ["", f"Not in the corpus, so a model cannot learn them: {missing}"]
    return "\n".join(lines) + "\n"


def _entries(groups: Mapping[str, Sequence[Sequence[str]]], most: int | None = None) -> list[str]:
    lines = []
    for what, entries in groups.items():
        lines += [f"### {what}: {len(entries):,}", ""]
        lines += [f"- {utt_id}" + (f": {detail}" if detail else "") for utt_id, detail in entries[:most]]
        if most is not None and len(entries) > most:
            lines.append(f"- and {len(entries) - most:,} more, in report.json")
        lines.append("")
    return lines or ["None.", ""]


def _alignment(alignment: Mapping[str, Any]) -> list[str]:
    """Renders the scores of a learned alignment, the worst first."""
    lines = [
        "## Alignment",
        "",
        f"Learned from the recordings of {alignment['aligned']:,} utterances ({alignment['hours']:.2f} hours, "
        f"{alignment['silence_share']:.0%} of it silence). The features leave out the silence at the ends of an "
        f"utterance. In a typical utterance {alignment['one_frame_share']:.0%} of the phones last a single frame.",
        "",
    ]
    agreement = alignment["agreement"]
    if agreement is not None:
        lines += [
            f"Compared with {agreement['utterances']:,} TextGrids of the corpus, {agreement['boundaries']:,} phone "
            f"boundaries are {agreement['mean_ms']:.1f} ms apart on average (median {agreement['median_ms']:.1f} ms); "
            f"{agreement['beyond_75_ms']:.2%} are more than 75 ms apart.",
            "",
        ]
    lines += [
        "The table lists a typical utterance, then the worst ones, whose texts may differ from the speech. The misfit",
        "is the number of standard deviations by which an utterance fits worse than most; above",
        "`preprocess.max_misfit` it is left out. Agreement is the share of phones that a model trained on the other",
        "half of the corpus aligns to the same position. To correct an alignment, copy its TextGrid (from the folder",
        "TextGrid beside this page) to the folder of the corpus's TextGrids and edit the copy.",
        "",
        "| utterance | misfit | log probability per phone | agreement | phones of one frame | longest phone (s) "
        "| phones per second | silence | |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    shown = [alignment["typical"], *alignment["worst"]]
    lines += [
        f"| [{row['utt_id']}]({row['picture']}) | {row['misfit']:.1f} | {row['fit']:.3f} "
        f"| {'' if row['agreement'] is None else format(row['agreement'], '.0%')} | {row['one_frame_share']:.0%} "
        f"| {row['longest_phone']:.2f} | {row['phones_per_second']:.1f} | {row['silence_share']:.0%} "
        f"| {'typical' if number == 0 else row['note']} |"
        for number, row in enumerate(shown)
    ]
    pictures = [line for row in shown for line in ("", f"![{row['utt_id']}]({row['picture']})")]
    return [*lines, *pictures, ""]


def num_skipped(report: Mapping[str, Any]) -> int:
    """Counts the utterances and metadata lines that were left out."""
    return sum(len(entries) for entries in report["skipped"].values())


def reasons_table(report: Mapping[str, Any]) -> list[str]:
    """Returns table lines: each reason for skipping and each fix, with its count and an example."""
    rows = [("skipped: " + reason, len(entries), entries[0][0]) for reason, entries in report["skipped"].items()]
    rows += [("kept, but " + what, len(entries), entries[0][0]) for what, entries in report["mended"].items()]
    if not rows:
        return []
    width = max(len(row[0]) for row in rows)
    return [f"  {what:<{width}}  {count:>7,}  e.g. {example}" for what, count, example in rows]
