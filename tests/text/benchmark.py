"""Prints the text front end's speed, size and agreement with LJSpeech's reader, on the rows that need normalization.

python tests/text/benchmark.py
"""

import resource
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from test_ljspeech import read_metadata, unequal  # noqa: E402

from text.frontend import Frontend  # noqa: E402

_FIRST = """
import time
start, cpu = time.perf_counter(), time.process_time()
from text.frontend import Frontend
Frontend().pronounce("Dr. Smith read 3 zorgblat books in 1984.")
print(time.perf_counter() - start, time.process_time() - cpu)
"""


def main() -> None:
    """Measures and prints."""
    runs = [
        [float(figure) for figure in subprocess.check_output([sys.executable, "-c", _FIRST], cwd=ROOT).split()]
        for _ in range(5)
    ]
    wall, cpu = (min(run[kind] for run in runs) for kind in (0, 1))
    print(f"import and first sentence: {wall:.2f} s ({cpu:.2f} s of processor time), best of 5; target 0.7 s")

    texts = [raw for raw, _ in read_metadata()]
    frontend = Frontend()
    sources: Counter[str] = Counter()
    start = time.process_time()
    for text in texts:
        sources.update(word.source for word in frontend.pronounce(text).words)
    seconds = time.process_time() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    print(f"LJSpeech: {len(texts) / seconds:,.0f} sentences a second of one core; target 1,000")
    print(f"memory: {memory:.0f} MB at most; target 150 MB")
    words = sum(sources.values())
    print("words: " + ", ".join(f"{source} {100 * count / words:.2f} %" for source, count in sources.most_common()))

    for spell_abbreviations in (False, True):
        total, rest = unequal(spell_abbreviations)
        note = ", abbreviations of the column written out" if spell_abbreviations else ""
        print(
            f"rows as LJSpeech's reader says them{note}: {100 * (1 - len(rest) / total):.1f} % of {total}; target 92 %"
        )
    for raw, reader, ours in rest:
        print(f"  raw    {raw}\n  reader {reader}\n  ours   {ours}\n")


if __name__ == "__main__":
    main()
