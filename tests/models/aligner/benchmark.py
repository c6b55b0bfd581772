"""Measures the aligner on a synthesizer's corpus, whose boundaries are exact. Run by hand; it is no test.

    python tests/models/aligner/benchmark.py CORPUS [--truth] [--swap 20]

CORPUS is a folder in LJSpeech's layout with exact TextGrids, as a script around flite (voice slt) makes them. It prints
the distance of the boundaries, and with --swap how many of so many exchanged texts are among the worst alignments.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import argparse
import random
import shutil
import tempfile
import time

import numpy as np

from bins._alignment import align_corpus
from config.schema import PreprocessConfig
from preprocessors import read_corpus
from processors import aligner_inputs
from processors.agreement import boundary_distances
from text.symbols import is_pause
from utils.jsonl import read_json
from utils.textgrid import read_phones


def main() -> None:
    """Parses, aligns, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--truth", action="store_true", help="align the TextGrids' own phones and pauses")
    parser.add_argument("--swap", type=int, default=0, metavar="N", help="exchange the texts of N utterances")
    parser.add_argument("--count", type=int, help="take only so many utterances")
    parser.add_argument("--num_workers", type=int, default=2)
    arguments = parser.parse_args()

    if shutil.which("flite") is None and not arguments.corpus.is_dir():
        print("skipped: there is no corpus, and no flite to make one")
        return
    corpus = read_corpus("LJSpeech", arguments.corpus)
    utterances = corpus.utterances[: arguments.count]
    swapped = set()
    if arguments.swap:
        chosen = random.Random(0).sample(range(len(utterances)), arguments.swap)
        texts = [utterances[i].text for i in chosen]
        for place, i in enumerate(chosen):
            utterances[i] = utterances[i]._replace(text=texts[place - 1])
            swapped.add(utterances[i].utt_id)
    corpus = corpus._replace(utterances=utterances)
    if arguments.truth:
        _align_true_phones(arguments.corpus)
    with tempfile.TemporaryDirectory() as folder:
        config = PreprocessConfig(processed_dir=folder, alignment="learned", max_misfit=None)
        began = time.monotonic()
        alignment = align_corpus(config, "LJSpeech", arguments.corpus, corpus, arguments.num_workers)
        seconds = time.monotonic() - began
        distances = []
        for utterance in utterances:
            exact = arguments.corpus / "TextGrid" / f"{utterance.utt_id}.TextGrid"
            if utterance.utt_id in swapped or not exact.is_file():
                continue
            truth = read_phones(exact)
            found = read_phones(alignment.learned.folder / f"{utterance.utt_id}.TextGrid")
            distances.append(1000 * boundary_distances(truth, found))
        result = read_json(Path(folder) / "LJSpeech" / "alignment.json")
    print(f"{len(utterances):,} utterances, {seconds / 60:.1f} min")
    if distances:
        all_ms = np.concatenate(distances)
        print(
            f"| {len(all_ms):,} boundaries | mean {np.abs(all_ms).mean():.1f} ms | median "
            f"{np.median(np.abs(all_ms)):.1f} ms | beyond 75 ms {(np.abs(all_ms) > 75).mean():.2%} "
            f"| shift {np.median(all_ms):+.1f} ms |"
        )
    order = sorted(result["scores"], key=lambda utt_id: -result["scores"][utt_id][0])
    misfits = [result["scores"][utt_id][0] for utt_id in order]
    print("misfits, worst first:", " ".join(f"{misfit:.1f}" for misfit in misfits[:10]))
    if swapped:
        among = sum(utt_id in swapped for utt_id in order[: round(1.25 * len(swapped))])
        low = min(result["scores"][utt_id][0] for utt_id in swapped)
        high = max(score[0] for utt_id, score in result["scores"].items() if utt_id not in swapped)
        print(f"{among} of {len(swapped)} exchanged texts among the worst {round(1.25 * len(swapped))}")
        print(f"misfits: exchanged from {low:.1f}, right up to {high:.1f}")


def _align_true_phones(root: Path) -> None:
    """Puts the phones of the corpus' TextGrids in the place of the front end's."""
    made = aligner_inputs.make_inputs

    def make_inputs(*arguments: object) -> aligner_inputs.AlignerCorpus:
        found = made(*arguments)  # type: ignore[arg-type]
        for record in found.records:
            labels = [i.label for i in read_phones(root / "TextGrid" / f"{record['utt_id']}.TextGrid")]
            record["phones"] = ["," if is_pause(label) else label for label in labels]
            record["words"] = [("all", sum(not is_pause(label) for label in labels))]
        return found

    import bins._alignment

    bins._alignment.make_inputs = make_inputs


if __name__ == "__main__":
    main()
