"""Speech from texts: pieces -> acoustic model -> mel -> vocoder -> one waveform per text."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from config.schema import MelSettings
from models.tts.experiment import Experiment
from models.tts.load import AcousticModel, load_acoustic_model
from models.tts.pieces import Piece
from models.vocoder.load import load_vocoder
from modules.griffin_lim import GriffinLim
from utils.errors import UserError
from utils.logging import logger

# Padded phones per batch: enough to fill a GPU, few enough to stay in the caches of a CPU.
MAX_PHONES = {"cuda": 6000, "cpu": 600}
MAX_VOCODER_FRAMES = 12_000  # padded frames per vocoder batch: V1 then takes about 5 GB
# Pieces that are sorted by length together. Texts are completed window by window.
WINDOW = 512

Vocoder = Callable[[Tensor, Tensor], list[Tensor]]


class Controls(NamedTuple):
    """Factors on the predictions: pitch in Hz, energy, and durations in frames."""

    pitch: float = 1.0
    energy: float = 1.0
    duration: float = 1.0


NEUTRAL = Controls()


class Script(NamedTuple):
    """A text to speak."""

    utt_id: str
    pieces: list[Piece]
    speaker_id: int | None  # None: the model has one speaker


class Speech(NamedTuple):
    """A spoken text."""

    utt_id: str
    wav: np.ndarray  # float32 [N]
    mel: np.ndarray  # float32 [T, n_mel], without the pauses between pieces


class Synthesizer:
    """An acoustic model and a vocoder for the same mel. The speech of a text does not depend on its batch."""

    def __init__(self, model: AcousticModel, mel: MelSettings, vocoder: Vocoder, device: torch.device | str) -> None:
        """Moves the model to the device.

        Args:
            model: acoustic model.
            mel: settings of the mel that it predicts.
            vocoder: modules.griffin_lim or models.vocoder, on the device.
            device: where to compute.
        """
        self.model = model.to(device).eval().requires_grad_(False)
        self.mel, self.vocoder, self.device = mel, vocoder, torch.device(device)

    @property
    def num_speakers(self) -> int:
        """Number of speakers of the acoustic model."""
        return self.model.num_speakers

    def speak(self, utterances: Sequence[Script], controls: Controls = NEUTRAL) -> Iterator[Speech]:
        """Speaks texts in batches of similar length.

        Args:
            utterances: texts, each with at least one piece.
            controls: factors on the predictions.

        Yields:
            The speech of each text, in no particular order.

        Raises:
            UserError: the output contains NaN or infinite samples.
        """
        for window in _windows(utterances):
            pieces = [(n, k) for n, utterance in enumerate(window) for k in range(len(utterance.pieces))]
            pieces.sort(key=lambda key: len(window[key[0]].pieces[key[1]].phone_ids))
            spoken: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}
            missing = [len(utterance.pieces) for utterance in window]
            for batch in self._batches(pieces, window, controls.duration):
                for key, result in zip(batch, self._speak_batch(batch, window, controls), strict=True):
                    spoken[key] = result
                    missing[key[0]] -= 1
                    if not missing[key[0]]:
                        parts = [spoken.pop((key[0], k)) for k in range(len(window[key[0]].pieces))]
                        yield self._join(window[key[0]], parts)

    def _batches(
        self, pieces: list[tuple[int, int]], window: Sequence[Script], duration_control: float
    ) -> Iterator[list[tuple[int, int]]]:
        """Groups pieces, sorted by length, into batches of limited padded phones; fewer for slow speech."""
        max_phones = MAX_PHONES.get(self.device.type, MAX_PHONES["cpu"]) / max(duration_control, 1.0)
        batch: list[tuple[int, int]] = []
        for key in pieces:
            longest = len(window[key[0]].pieces[key[1]].phone_ids)
            if batch and longest * (len(batch) + 1) > max_phones:
                yield batch
                batch = []
            batch.append(key)
        if batch:
            yield batch

    @torch.inference_mode()
    def _speak_batch(
        self, batch: list[tuple[int, int]], window: Sequence[Script], controls: Controls
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields the waveform [N] and the mel [T, n_mel] of each piece."""
        ids = [torch.tensor(window[n].pieces[k].phone_ids) for n, k in batch]
        speakers = [window[n].speaker_id for n, _ in batch]
        lengths = torch.tensor([len(row) for row in ids])
        output = self.model(
            torch.nn.utils.rnn.pad_sequence(ids, batch_first=True).to(self.device),
            lengths.to(self.device),
            speaker_id=torch.tensor(speakers, device=self.device) if self.num_speakers > 1 else None,
            pitch_control=controls.pitch,
            energy_control=controls.energy,
            duration_control=controls.duration,
        )
        frames = output.mel_lengths.tolist()
        for (n, _), shortened, num_frames, num_phones in zip(
            batch, output.shortened.tolist(), frames, lengths.tolist(), strict=True
        ):
            if shortened:
                logger.warning("%s: longer than the model's %d frames: spoken faster", window[n].utt_id, max(frames))
            elif num_frames == 1 and num_phones > 1:
                logger.warning("%s: all predicted durations are zero: only one frame was produced", window[n].utt_id)
        rows = max(1, MAX_VOCODER_FRAMES // max(frames))
        for start in range(0, len(batch), rows):
            mel, mel_lengths = output.mel_postnet[start : start + rows], output.mel_lengths[start : start + rows]
            for row, wav in enumerate(self.vocoder(mel, mel_lengths)):
                yield wav.float().cpu().numpy(), mel[row, : frames[start + row]].float().cpu().numpy()

    def _join(self, utterance: Script, parts: list[tuple[np.ndarray, np.ndarray]]) -> Speech:
        """Joins the pieces of a text, with the pauses between them."""
        waves: list[np.ndarray] = []
        for piece, (wav, _) in zip(utterance.pieces, parts, strict=True):
            waves += [wav, np.zeros(round(piece.pause_after * self.mel.sample_rate), np.float32)]
        joined = np.concatenate(waves)
        if not np.isfinite(joined).all():
            raise UserError(
                f"{utterance.utt_id}: the model produced samples that are not numbers: its training went wrong"
            )
        return Speech(utterance.utt_id, joined, np.concatenate([mel for _, mel in parts]))


def load_synthesizer(
    experiment: Experiment, vocoder_dir: Path | None, device: torch.device | str | None = None
) -> Synthesizer:
    """Loads the given checkpoint, or the newest one if the folder is an experiment, and the vocoder.

    Args:
        experiment: the acoustic model's experiment.
        vocoder_dir: a folder in any layout that `load_vocoder` takes; None: Griffin-Lim.
        device: where to compute; None: the first GPU if there is one, else the CPU.

    Raises:
        UserError: there is no checkpoint, the weights do not match, or the vocoder was trained on a different mel.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    model, mel = load_acoustic_model(experiment)
    if vocoder_dir is None:
        logger.warning(
            "no --vocoder_dir: using Griffin-Lim, which sounds understandable but metallic. For a natural sound, pass "
            "the folder of a HiFi-GAN trained on the same mel, for example jik876's LJ_FT_T2_V1 or "
            "amphion/hifigan_ljspeech"
        )
        return Synthesizer(model, mel, GriffinLim(**asdict(mel)).to(device), device)
    vocoder = load_vocoder(vocoder_dir, device)
    vocoder.check_mel(mel)
    return Synthesizer(model, mel, vocoder, device)


def _windows(utterances: Sequence[Script]) -> Iterator[Sequence[Script]]:
    """Yields runs of consecutive texts with about WINDOW pieces each, so memory does not grow with their number."""
    start = count = 0
    for end, utterance in enumerate(utterances):
        count += len(utterance.pieces)
        if count >= WINDOW:
            yield utterances[start : end + 1]
            start, count = end + 1, 0
    if start < len(utterances):
        yield utterances[start:]
