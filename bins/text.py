"""Shows how a text is read: the normalized text, the phones of each word with their source, and the model's tokens.

python bins/text.py "Dr. Smith read 3 books."
python bins/text.py --file texts.txt --lexicon my_words.txt
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from collections.abc import Iterator

from text.frontend import Frontend, Pronunciation, UnpronounceableError
from text.pronunciation.lexicon import LexiconError
from text.symbols import UnknownSymbolError
from utils.program import Parser, run


def main() -> None:
    """Prints one block per text; exits with 2 if a text cannot be spoken or a file cannot be read."""
    parser = Parser(
        description="Show how a text is read: normalized text, phones of each word with their source, tokens."
    )
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("text", nargs="?", help="the text")
    given.add_argument("--file", metavar="PATH", help='a file with one text per line; "-" reads standard input')
    parser.add_argument("--lexicon", metavar="PATH", help="lines WORD PH PH ..., which override the dictionary")
    options = parser.parse_args()

    failed = False
    try:
        frontend = Frontend(options.lexicon)
        for place, text in read_texts(options.text, options.file):
            try:
                print(describe(frontend.pronounce(text)), end="\n\n")
            except (UnpronounceableError, UnknownSymbolError) as error:
                print(f"error: {place}{error}", file=sys.stderr)
                failed = True
    except BrokenPipeError:
        raise
    except (LexiconError, OSError, UnicodeDecodeError) as error:
        print(f"error: {error}", file=sys.stderr)
        failed = True
    if failed:
        sys.exit(2)


def read_texts(text: str | None, path: str | None) -> Iterator[tuple[str, str]]:
    """Yields the texts, each with its position for error messages; empty lines of a file are skipped."""
    if text is not None:
        yield "", text
        return
    lines = sys.stdin if path == "-" else Path(str(path)).read_text(encoding="utf-8-sig").splitlines()
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield f"{path}:{number}: ", line.strip()


def describe(result: Pronunciation) -> str:
    """Formats a pronunciation for people."""
    width = max(len(word.text) for word in result.words)
    phones_width = max(len(" ".join(word.phones)) for word in result.words)
    lines = [f"text        {result.text}", f"normalized  {result.normalized}"]
    lines += [
        f"  {word.text:<{width}}  {' '.join(word.phones):<{phones_width}}  {word.source}" for word in result.words
    ]
    lines.append(f"tokens      {' '.join(result.phones)}")
    lines += [f"warning     {warning}" for warning in result.warnings]
    return "\n".join(lines)


if __name__ == "__main__":
    run(main, "Interrupted.")
