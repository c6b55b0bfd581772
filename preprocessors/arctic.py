"""Reader of CMU ARCTIC (http://festvox.org/cmu_arctic): the same 1,132 sentences, read by 18 speakers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from preprocessors.entries import Entry, folders_in, read_bytes, recordings_in, to_corpus
from utils.utterance import AUDIO_SUFFIXES, Corpus

LAYOUT = "cmu_us_slt_arctic/etc/txt.done.data and cmu_us_slt_arctic/wav/arctic_a0001.wav, for each speaker"
_LINE = re.compile(rb'\(\s*(\S+)\s+"(.*)"\s*\)')  # ( arctic_a0001 "Author of the danger trail." )


def matches(root: Path) -> bool:
    """Whether the folder has this layout, or is that of one speaker."""
    return any(True for _ in _speakers(root))


def _speakers(root: Path) -> Iterator[Path]:
    if root.is_dir():
        yield from (folder for folder in (root, *folders_in(root)) if (folder / "etc" / "txt.done.data").is_file())


def read(root: Path, name: str, needs_text: bool = True) -> Corpus:
    """Reads the corpus; the arguments are those of `preprocessors.read_corpus`.

    The ids are the same for all speakers in the corpus, and get the speaker's name in front here.
    """
    return to_corpus((entry for folder in _speakers(root) for entry in _entries(folder)), "CMU ARCTIC", needs_text)


def _entries(folder: Path) -> Iterator[Entry]:
    speaker = folder.resolve().name.removeprefix("cmu_us_").removesuffix("_arctic")
    texts = {}
    for line in read_bytes(folder / "etc" / "txt.done.data").splitlines():
        match = _LINE.fullmatch(line.strip())
        if match:
            name = Path(match[1].decode("utf-8", "replace").rpartition("/")[2])
            texts[name.stem if name.suffix.lower() in AUDIO_SUFFIXES else name.name] = match[2].replace(b'\\"', b'"')
    recordings = recordings_in(folder / "wav")
    for utt_id in sorted({*texts, *recordings}):
        yield Entry(f"{speaker}_{utt_id}", speaker, texts.get(utt_id), recordings.get(utt_id))
