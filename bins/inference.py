"""Stage 3: speaks texts with a trained FastSpeech2 and writes them as wav files."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this repository's packages win over any of their names

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from bins._speech import make_output_dir, tell_renamed, tell_speed, write_all
from bins.recipe.flags import INFERENCE
from config.load import load_config
from utils.errors import UserError
from utils.logging import logger, setup_logging
from utils.output_names import OutputNames, slug
from utils.program import run

if TYPE_CHECKING:
    from models.tts.pieces import Piece
    from models.tts.synthesizer import Speech, Synthesizer


class Request(NamedTuple):
    """A text to speak."""

    utt_id: str  # names the file, and the text in messages
    text: str
    speaker: str | None  # as stated by the data set, if any


def main(argv: Sequence[str] | None = None) -> None:
    """Parses the flags and speaks.

    Args:
        argv: command line; None: sys.argv.
    """
    setup_logging()
    run(lambda: infer(INFERENCE.parse(__doc__, argv)), "Interrupted. The files written so far are complete.")


def infer(args: argparse.Namespace) -> None:
    """Runs stage 3.

    Raises:
        UserError: a flag, a text, the experiment or the vocoder cannot be used.
        ConfigError: --config or --set is wrong.
    """
    requests = read_requests(args)

    from models.tts.experiment import corpus_speaker, read_experiment, speaker_id
    from models.tts.pieces import TextReader

    experiment = read_experiment(args.infer_expt_dir)
    if not experiment.published:  # the speakers of a published model are known only from its weights
        # With several speakers, an utterance of the data set has its speaker, unless the flag names one for all.
        speakers = experiment.speakers
        own = [r.speaker and corpus_speaker(speakers, r.speaker, args.infer_dataset) for r in requests]
        named = [args.infer_speaker_name or (name if len(speakers) > 1 else None) for name in own]
        ids = [speaker_id(speakers, name, experiment.root) for name in named]
    pieces = pronounce(requests, TextReader(experiment, args.duration_control).read)
    output_dir = make_output_dir(args.infer_output_dir or experiment.root / "result")

    started = time.monotonic()
    from models.tts.synthesizer import Controls, Script, load_synthesizer

    synthesizer = load_synthesizer(experiment, args.vocoder_dir)
    if experiment.published:
        numbers = {str(n): n for n in range(synthesizer.num_speakers)} if synthesizer.num_speakers > 1 else {}
        ids = [speaker_id(numbers, args.infer_speaker_name, experiment.root)] * len(requests)
    loaded = time.monotonic()
    names = OutputNames(output_dir, (".wav", ".png"))  # assigned in the order of the texts
    scripts = [
        Script(names.take(r.utt_id), spoken, i) for r, spoken, i in zip(requests, pieces, ids, strict=True) if spoken
    ]
    controls = Controls(args.pitch_control, args.energy_control, args.duration_control)
    seconds, last, wav_path = write_all(
        synthesizer.speak(scripts, controls), output_dir, synthesizer.mel.sample_rate, len(scripts)
    )
    tell_renamed(names)
    took = time.monotonic() - loaded
    if args.infer_text is not None:
        draw(wav_path.with_suffix(".png"), last, synthesizer)
    skipped = len(requests) - len(scripts)
    if skipped:
        logger.warning("%d of %d texts could not be spoken: see the warnings above", skipped, len(requests))
    tell_speed(seconds, took, loaded - started)


def read_requests(args: argparse.Namespace) -> list[Request]:
    """Reads the texts that the flags ask for.

    Raises:
        UserError: a file cannot be read, or there is no text.
        ConfigError: --config or --set is wrong.
    """
    config = load_config(args.config, args.set) if args.config else None
    if args.infer_text is not None:
        return [Request(slug(args.infer_text), args.infer_text, None)]
    if args.infer_file is not None:
        return list(_file_lines(args.infer_file))
    assert config is not None
    from utils.jsonl import read_jsonl

    path = Path(config.preprocess.processed_dir) / args.infer_dataset / f"{args.infer_testing_set}.jsonl"
    requests = [Request(row["utt_id"], row["text"], row["speaker"]) for row in read_jsonl(path)]
    if not requests:
        raise UserError(f"{path}: holds no utterance")
    return requests


def _file_lines(path: Path) -> Iterator[Request]:
    """Reads the nonblank lines of a text file: TEXT, ID|TEXT, or ID|TEXT|NORMALIZED TEXT as in LJSpeech.

    Raises:
        UserError: the file cannot be read, or is empty.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UserError(f"--infer_file {path}: cannot be read: {reason}", 2) from None
    if not any(line.strip() for line in lines):
        raise UserError(f"--infer_file {path}: holds no text", 2)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        utt_id, bar, text = line.partition("|")
        if bar and utt_id.strip() and not any(c.isspace() for c in utt_id.strip()):
            yield Request(utt_id.strip(), text.rpartition("|")[2], None)
        else:
            yield Request(f"{path.stem}-{number:04d}", line, None)


def pronounce(requests: Sequence[Request], read: "Callable[[str, str], list[Piece]]") -> "list[list[Piece] | None]":
    """Converts texts to pieces; a text that cannot be spoken becomes None, with a warning.

    Args:
        requests: at least one.
        read: TextReader.read.

    Raises:
        UserError: no text can be spoken.
    """
    pieces: list[list[Piece] | None] = []
    for request in requests:
        try:
            pieces.append(read(request.text, request.utt_id))
        except UserError as error:
            if len(requests) == 1:
                raise
            logger.warning("skipped: %s", error)
            pieces.append(None)
    if not any(pieces):
        raise UserError(f"none of the {len(requests)} texts can be spoken: see the warnings above", 2)
    return pieces


def draw(path: Path, speech: "Speech", synthesizer: "Synthesizer") -> None:
    """Plots the mel, next to the wav.

    Raises:
        UserError: the file cannot be written.
    """
    from utils.plot import save_mel

    try:
        save_mel(path, speech.mel, path.stem, synthesizer.mel.hop_size / synthesizer.mel.sample_rate)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from None
    logger.info("wrote %s, its mel spectrogram", path)


if __name__ == "__main__":
    main()
