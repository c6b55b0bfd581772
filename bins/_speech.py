"""Writes the wav files of the programs that make speech, and reports on them."""

import os
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from utils.errors import UserError
from utils.logging import logger
from utils.output_names import OutputNames, publish

if TYPE_CHECKING:
    import numpy as np


class Spoken(Protocol):
    """An utterance to be written."""

    @property
    def utt_id(self) -> str:
        """A file name without its suffix."""

    @property
    def wav(self) -> "np.ndarray":
        """float32 [N], at least one sample."""


SpokenT = TypeVar("SpokenT", bound=Spoken)


def make_output_dir(folder: Path) -> Path:
    """Creates the folder if it is missing, and returns it.

    Raises:
        UserError: the folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--infer_output_dir {folder}: cannot be created: {error.strerror}", 2) from None
    return folder


def write_all(
    speeches: Iterable[SpokenT], output_dir: Path, sample_rate: int, total: int, unit: str = "texts"
) -> tuple[float, SpokenT, Path]:
    """Writes the wav of each utterance as soon as it is computed.

    Args:
        speeches: fewer than `total` if some could not be used; their reasons have been logged.
        output_dir: an existing folder.
        sample_rate: Hz.
        total: number of utterances requested.
        unit: their name in messages, plural.

    Returns:
        The duration of the audio in seconds, the last utterance, and its file.

    Raises:
        UserError: a file cannot be written, or no utterance could be used.
    """
    from utils.progress import Progress

    seconds, count, speech = 0.0, 0, None
    with Progress(total, unit, "speech") if total > 1 else nullcontext() as progress:
        for speech in speeches:
            path = write_speech(output_dir / f"{speech.utt_id}.wav", speech.wav, sample_rate)
            seconds += len(speech.wav) / sample_rate
            count += 1
            if progress is not None:
                progress.advance()
    if speech is None:
        raise UserError(f"none of the {total} {unit} could be used: see the warnings above", 2)
    logger.info("wrote %s", path if total == 1 else f"{count} wav files to {output_dir}")
    if count < total:
        logger.warning("%d of %d %s could not be used: see the warnings above", total - count, total, unit)
    return seconds, speech, path


def write_speech(path: Path, wav: "np.ndarray", sample_rate: int) -> Path:
    """Writes one wav atomically, as 16-bit PCM; peaks above full scale are scaled down, with a warning.

    Args:
        path: the wav file.
        wav: float32 [N], at least one sample.
        sample_rate: Hz.

    Returns:
        The file; it has another name if another program has taken `path` meanwhile.

    Raises:
        UserError: the file cannot be written.
    """
    from utils.audio_io import write_wav

    peak = float(abs(wav).max())
    if peak > 1:
        logger.warning("%s: its peak is %.2f of full scale: scaled down, so that it is not clipped", path.name, peak)
        wav = wav / peak
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        write_wav(temporary, wav, sample_rate)
        final = publish(temporary, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)
    if final != path:
        logger.info("another program has written %s meanwhile: this one is %s", path.name, final.name)
    return final


def tell_renamed(names: OutputNames) -> None:
    """Logs which names already existed and got a number."""
    if names.renamed:
        first, more = names.renamed[0], len(names.renamed) - 1
        also = f" and {more} more" if more else ""
        logger.info("nothing was overwritten: %s%s got a number, the plain name being taken", first, also)


def tell_speed(seconds: float, took: float, loading: float) -> None:
    """Logs how fast the speech was computed.

    Args:
        seconds: duration of the audio.
        took: seconds spent computing and writing it.
        loading: seconds spent loading the models before.
    """
    logger.info(
        "%.2f s of audio in %.2f s: real-time factor %.3f (loading took %.1f s more)",
        seconds,
        took,
        took / seconds,
        loading,
    )
