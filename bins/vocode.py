"""Resynthesizes recordings or mels with a vocoder, to hear its quality: those of a folder, or a split of a corpus."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this repository's packages win over any of their names

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from bins._speech import make_output_dir, tell_renamed, tell_speed, write_all, write_speech
from bins.recipe.flags import VOCODE
from config.load import load_config
from config.schema import MelSettings
from utils.errors import UserError
from utils.logging import logger, setup_logging
from utils.output_names import OutputNames
from utils.program import run
from utils.utterance import AUDIO_SUFFIXES

if TYPE_CHECKING:
    from torch import Tensor

    from models.vocoder.load import Vocoder
    from models.vocoder.resynthesis import Clip

MELS = (".npy", ".safetensors")
RECORDED = "-recorded.wav"  # the clips of a split, which exist only in shards


class Source(NamedTuple):
    """A recording or mel to resynthesize; it is read later."""

    utt_id: str
    read: "Callable[[str], Clip]"  # takes the name of the output; raises UserError if it cannot be used


def main(argv: Sequence[str] | None = None) -> None:
    """Parses the flags and resynthesizes.

    Args:
        argv: command line; None: sys.argv.
    """
    setup_logging()
    run(lambda: vocode(VOCODE.parse(__doc__, argv)), "Interrupted. The files written so far are complete.")


def vocode(args: argparse.Namespace) -> None:
    """Writes the wav files that the flags ask for.

    Raises:
        UserError: a flag, the recordings or the vocoder cannot be used.
        ConfigError: --config or --set is wrong.
    """
    config = load_config(args.config, args.set) if args.config else None
    split = None
    if args.infer_mode == "folder":
        paths = find_files(args.infer_dir)
    else:
        assert config is not None
        split = Path(config.preprocess.processed_dir) / args.infer_dataset

    started = time.monotonic()
    import torch

    from models.vocoder.hifigan.published.checkpoint_files import find_shape, find_weights
    from models.vocoder.load import load_vocoder
    from models.vocoder.resynthesis import Clip, Resynthesis, Resynthesizer, mel_settings

    device = "cuda" if torch.cuda.is_available() else "cpu"
    vocoder = load_vocoder(args.infer_expt_dir, device)
    weights = find_weights(args.infer_expt_dir)[0]
    if "sample_rate" not in vocoder.mel:
        raise UserError(f"{args.infer_expt_dir} does not state sample_rate: a wav file could not be written", 2)
    sample_rate = int(vocoder.mel["sample_rate"])
    if split is None:
        if any(path.suffix.lower() in AUDIO_SUFFIXES for path in paths):
            mel_settings(vocoder)  # so that a missing setting is one error, not one per recording
        sources = [Source(path.stem, _file_reader(path, vocoder)) for path in paths]
    else:
        assert config is not None
        vocoder.check_mel(config.preprocess.mel)
        sources = list(split_sources(split, args.infer_testing_set, mel_settings(vocoder)))
    output_dir = make_output_dir(args.infer_output_dir or find_shape(weights).parent / "result")
    logger.info("speaking with %s", weights)
    loaded = time.monotonic()

    names = OutputNames(output_dir, (".wav", RECORDED) if split else (".wav",))
    distances: dict[str, float] = {}

    def clips() -> Iterator[Clip]:
        for source in sources:
            try:
                clip = source.read(source.utt_id)
            except UserError as error:
                if len(sources) == 1:
                    raise
                logger.warning("skipped: %s", error)
                continue
            clip = clip._replace(utt_id=names.take(source.utt_id))
            if split is not None and clip.wav is not None:
                write_speech(output_dir / f"{clip.utt_id}{RECORDED}", clip.wav.numpy(), sample_rate)
            yield clip

    def measured() -> Iterator[Resynthesis]:
        for made in Resynthesizer(vocoder, device).resynthesize(clips()):
            if made.mel_distance is not None:
                distances[made.utt_id] = made.mel_distance
            yield made

    seconds, *_ = write_all(measured(), output_dir, sample_rate, len(sources), "clips")
    tell_renamed(names)
    if distances:
        worst = max(distances, key=lambda name: distances[name])
        logger.info(
            "mel L1 of recordings and their resynthesis: %.4f, mean of %d (full band); worst %s, %.4f",
            sum(distances.values()) / len(distances),
            len(distances),
            worst,
            distances[worst],
        )
    tell_speed(seconds, time.monotonic() - loaded, loaded - started)


def find_files(folder: Path) -> list[Path]:
    """Lists the recordings and mels of a folder, sorted by name.

    Raises:
        UserError: the folder is missing, or has none.
    """
    if not folder.is_dir():
        raise UserError(f"--infer_dir {folder}: no such folder", 2)
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in (*AUDIO_SUFFIXES, *MELS))
    if not paths:
        raise UserError(f"--infer_dir {folder}: holds no file of the kinds {', '.join((*AUDIO_SUFFIXES, *MELS))}", 2)
    return paths


def _file_reader(path: Path, vocoder: "Vocoder") -> "Callable[[str], Clip]":
    from models.vocoder.resynthesis import Clip

    def read(name: str) -> Clip:
        if path.suffix.lower() in AUDIO_SUFFIXES:
            return Clip(name, read_recording(path, vocoder), None)
        return Clip(name, None, read_mel(path, int(vocoder.mel["n_mel"])))

    return read


def read_recording(path: Path, vocoder: "Vocoder") -> "Tensor":
    """Reads a recording as float32 [N], one channel, at the vocoder's sample rate.

    Raises:
        UserError: the file is not a recording, or too short.
    """
    import torch

    from models.vocoder.resynthesis import mel_settings
    from utils.audio_io import AudioError, mix_down, read_audio, resample

    mel = mel_settings(vocoder)
    try:
        samples, rate = read_audio(path)
    except (AudioError, OSError) as error:
        raise UserError(f"{path}: {error.strerror if isinstance(error, OSError) else error}") from None
    wav = torch.from_numpy(resample(mix_down(samples), rate, int(mel.sample_rate)))
    if len(wav) < mel.n_fft:
        raise UserError(f"{path}: too short: {len(wav)} samples, one window has {mel.n_fft}")
    if not wav.isfinite().all():
        raise UserError(f"{path}: has samples that are not numbers")
    return wav


def read_mel(path: Path, n_mel: int) -> "Tensor":
    """Reads a log-mel [T, n_mel] from .npy, or from .safetensors with one tensor or one that is named mel.

    A mel of shape [n_mel, T], as other toolkits write it, is transposed.

    Raises:
        UserError: the file is damaged, or has no such mel.
    """
    import numpy as np
    import torch

    from utils.checkpoint import read_weights

    if path.suffix.lower() == ".npy":
        try:
            array = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise UserError(f"{path}: cannot be read: {error}") from None
        if array.dtype.kind not in "fiu":
            raise UserError(f"{path}: holds {array.dtype}, not numbers")
        mel = torch.from_numpy(array.astype(np.float32))
    else:
        tensors = read_weights(path)
        if "mel" not in tensors and len(tensors) != 1:
            raise UserError(f"{path}: holds {len(tensors)} tensors, none of them named mel")
        mel = tensors.get("mel", next(iter(tensors.values()))).float()
    shape = list(mel.shape)
    if mel.dim() == 3 and len(mel) == 1:
        mel = mel[0]
    if mel.dim() == 2 and mel.shape[1] != n_mel and mel.shape[0] == n_mel:
        logger.info("%s: holds [n_mel, T] = %s: transposed", path.name, shape)
        mel = mel.T
    if mel.dim() != 2 or mel.shape[1] != n_mel or not len(mel):
        raise UserError(f"{path}: expected a mel [T, {n_mel}], found {shape}")
    if not mel.isfinite().all():
        raise UserError(f"{path}: has values that are not finite numbers")
    return mel.contiguous()


def split_sources(folder: Path, split: str, mel: MelSettings) -> Iterator[Source]:
    """Yields the clips of a split of a data folder; those for fine-tuning come with the acoustic model's mels.

    Raises:
        UserError: the split is missing, empty or damaged.
    """
    from models.vocoder.hifigan.dataset import HiFiGANDataset
    from models.vocoder.resynthesis import Clip

    dataset = HiFiGANDataset([folder], split, mel, mel.hop_size)
    if not len(dataset):
        raise UserError(f"{folder / split}.jsonl: holds no utterance")

    def reader(number: int) -> "Callable[[str], Clip]":
        def read(name: str) -> Clip:
            wav, mel = dataset.clip(number)
            return Clip(name, wav, mel if len(mel) else None)

        return read

    for number, row in enumerate(dataset.rows):
        yield Source(row["utt_id"], reader(number))


if __name__ == "__main__":
    main()
