"""Measures the aligner on a synthesizer's corpus, whose boundaries are exact. Run by hand; it is no test.

    python tests/models/aligner/benchmark.py CORPUS --metadata LJSpeech-1.1/metadata.csv --count 300
    python tests/models/aligner/benchmark.py CORPUS --phones front --swap 20
    python tests/models/aligner/benchmark.py CORPUS --silence

The first makes the corpus with flite (Debian's package `flite`) where the folder is not there yet. For the true phones
and for the front end's it prints how far the boundaries of phones and of words lie from the true ones, how long it took
and how much memory; with --swap also how many of so many exchanged texts are among the worst alignments. --silence
aligns copies of the corpus with silence, noise and pauses, and one with shuffled texts, which stage 1 must refuse.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import argparse
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from flite_corpus import make_corpus
from silent_corpus import VARIANTS, make_variant

import processors.stage1.alignment
from config.schema import PreprocessConfig
from preprocessors import read_corpus
from processors.stage1.agreement import boundary_distances
from processors.stage1.aligner_inputs import AlignerCorpus, make_inputs
from text.symbols import is_pause
from utils.errors import UserError
from utils.jsonl import read_json
from utils.textgrid import read_phones
from utils.utterance import Corpus, Utterance

_FAR = 75  # ms
_HEAD = """| phones or corpus | boundaries of | number | mean | median | beyond 75 ms | shift | took |
|---|---|---|---|---|---|---|---|"""


class Result(NamedTuple):
    """What an alignment came to."""

    minutes: float
    distances: dict[str, np.ndarray]  # "phones", "words" -> ms
    misfits: dict[str, float]  # by utterance


def main() -> None:
    """Parses, makes the corpus, aligns, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="made where it is not there")
    parser.add_argument("--metadata", type=Path, help="texts for a corpus to be made, as LJSpeech's metadata.csv")
    parser.add_argument("--count", type=int, default=300, help="texts of a corpus to be made")
    parser.add_argument("--voices", default="slt", help="of flite, e.g. slt,rms,awb: each reads every text")
    parser.add_argument("--phones", choices=["true", "front", "both"], default="both", help="which ones to align")
    parser.add_argument("--swap", type=int, default=0, metavar="N", help="exchange the texts of N utterances")
    parser.add_argument("--silence", action="store_true", help="align copies with silence, noise and pauses")
    parser.add_argument("--num_workers", type=int, default=2)
    arguments = parser.parse_args()

    if not (arguments.corpus / "metadata.csv").is_file():
        if shutil.which("flite") is None:
            print(f"skipped: {arguments.corpus} is not there, and no flite to make it (apt-get install flite)")
            return
        if arguments.metadata is None:
            parser.error(f"{arguments.corpus} is not there: --metadata must name a metadata.csv with texts to speak")
        voices = arguments.voices.split(",")
        make_corpus(arguments.corpus, arguments.metadata, arguments.count, voices, arguments.num_workers)
    corpus = read_corpus("LJSpeech", arguments.corpus)
    if arguments.silence:
        measure_silence(arguments.corpus, corpus, arguments.num_workers)
        return
    swapped = exchange_texts(corpus.utterances, arguments.swap)
    results = {}
    for kind in ("true", "front") if arguments.phones == "both" else (arguments.phones,):
        results[kind] = measure(arguments.corpus, corpus, swapped, kind == "true", arguments.num_workers)
    print(f"\n{arguments.corpus.name}: {len(corpus.utterances):,} utterances, {len(swapped)} with another's text")
    print(_HEAD)
    for kind, result in results.items():
        print_rows(kind, result)
    for kind, result in results.items():
        print_misfits(kind, result.misfits, swapped)
    print(f"memory at most, workers aside: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")


def measure_silence(root: Path, corpus: Corpus, num_workers: int) -> None:
    """Aligns the corpus, its variants, and the corpus with all texts shuffled; prints a row as soon as it is known."""
    print(_HEAD)
    print_rows("as it is", measure(root, corpus, set(), False, num_workers))
    for name, sounds in VARIANTS.items():
        with tempfile.TemporaryDirectory() as folder:
            make_variant(root, Path(folder), sounds)
            variant = read_corpus("LJSpeech", Path(folder))
            print_rows(name, measure(Path(folder), variant, set(), False, num_workers))
    shuffled = exchange_texts(corpus.utterances, len(corpus.utterances))
    try:
        measure(root, corpus, shuffled, False, num_workers)
        print("shuffled texts: NOT NOTICED")
    except UserError as error:
        print(f"shuffled texts: {str(error).splitlines()[0]}")


def print_rows(name: str, result: Result) -> None:
    """A row for the boundaries of phones, and one for those of words."""
    for kind, ms in result.distances.items():
        far = np.abs(ms)
        print(
            f"| {name} | {kind} | {len(ms):,} | {far.mean():.1f} ms | {np.median(far):.1f} ms "
            f"| {(far > _FAR).mean():.2%} | {np.median(ms):+.1f} ms | {result.minutes:.1f} min |",
            flush=True,
        )


def exchange_texts(utterances: list[Utterance], count: int) -> set[str]:
    """Gives that many utterances the text of another one of them, in place; returns their ids."""
    chosen = random.Random(0).sample(range(len(utterances)), count)
    texts = [utterances[i].text for i in chosen]
    for place, i in enumerate(chosen):
        utterances[i] = utterances[i]._replace(text=texts[place - 1])
    return {utterances[i].utt_id for i in chosen}


def measure(root: Path, corpus: Corpus, swapped: set[str], true_phones: bool, num_workers: int) -> Result:
    """Aligns a corpus as stage 1 does."""
    processors.stage1.alignment.make_inputs = true_inputs(root) if true_phones else make_inputs
    with tempfile.TemporaryDirectory() as folder:
        config = PreprocessConfig(processed_dir=folder, alignment="learned", max_misfit=None, max_seconds=120.0)
        began = time.monotonic()
        found = processors.stage1.alignment.align_corpus(config, "LJSpeech", root, corpus, num_workers).learned.folder
        minutes = (time.monotonic() - began) / 60
        distances: dict[str, list[np.ndarray]] = {"phones": [], "words": []}
        for utterance in corpus.utterances:
            exact, learned = (place / f"{utterance.utt_id}.TextGrid" for place in (root / "TextGrid", found))
            if utterance.utt_id in swapped or not exact.is_file():
                continue
            for name, ms in distances.items():
                ms.append(1000 * boundary_distances(read_phones(exact, name), read_phones(learned, name)))
        scores = read_json(Path(folder) / "LJSpeech" / "alignment.json")["scores"]
    misfits = {utt_id: score["misfit"] for utt_id, score in scores.items()}
    return Result(minutes, {name: np.concatenate(ms) for name, ms in distances.items() if ms}, misfits)


def true_inputs(root: Path) -> Callable[..., AlignerCorpus]:
    """`make_inputs` with the phones and words of the corpus' TextGrids in the place of the front end's."""

    def make(*arguments: Any) -> AlignerCorpus:
        found = make_inputs(*arguments)
        for record in found.records:
            path = root / "TextGrid" / f"{record['utt_id']}.TextGrid"
            phones = read_phones(path)
            words = [word for word in read_phones(path, "words") if word.label]
            starts = np.array([word.start for word in words])
            spoken = [phone for phone in phones if not is_pause(phone.label)]
            owners = np.searchsorted(starts, [phone.start + 1e-4 for phone in spoken]) - 1
            counts = np.bincount(owners, minlength=len(words)).tolist()
            record["phones"] = ["," if is_pause(phone.label) else phone.label for phone in phones]
            record["words"] = [(word.label, count) for word, count in zip(words, counts, strict=True)]
        return found

    return make


def print_misfits(kind: str, misfits: dict[str, float], swapped: set[str]) -> None:
    """Whether exchanged texts stand out."""
    order = sorted(misfits, key=lambda utt_id: -misfits[utt_id])
    print(f"{kind}: misfits, worst first:", " ".join(f"{misfits[utt_id]:.1f}" for utt_id in order[:10]))
    if swapped:
        worst = round(1.25 * len(swapped))
        among = sum(utt_id in swapped for utt_id in order[:worst])
        low = min(misfits[utt_id] for utt_id in swapped)
        right = [misfit for utt_id, misfit in misfits.items() if utt_id not in swapped]
        limit = PreprocessConfig().max_misfit or float("inf")
        lost = sum(misfit > limit for misfit in right)
        print(f"{kind}: {among} of {len(swapped)} exchanged texts among the worst {worst}")
        print(f"{kind}: misfits of exchanged texts from {low:.1f}, of right ones up to {max(right):.1f}")
        print(f"{kind}: stage 1 would leave out what has more than {limit:.1f}, {lost} right ones among them")


if __name__ == "__main__":
    main()
