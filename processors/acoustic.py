"""One utterance -> its features: the walk from text, audio and alignment to arrays."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from config.schema import PreprocessConfig
from modules.mel import MelSpectrogram
from processors.audio import load_waveform
from processors.durations import utterance_alignment
from processors.energy import frame_energy
from processors.extracted import Extracted
from processors.phone_average import fill_unvoiced, phone_average
from processors.pitch import extract_pitch
from processors.skip import SkipUtterance
from processors.speech_activity import NO_SPEECH, Silence, cut_silences, find_silences
from text.frontend import Frontend, Pronunciation, UnpronounceableError
from text.pauses import place_marks
from text.symbols import SYMBOLS, SymbolTable, UnknownSymbolError
from utils.utterance import Utterance


class AlignerInputs(NamedTuple):
    """The aligner's training data of one utterance; nothing of it depends on an alignment."""

    phones: list[str]  # the front end's tokens
    words: list[tuple[str, int]]  # each word and how many of the phones, marks not counted, are its
    mel: np.ndarray  # float32 [T, n_mel], of the recording without the middles of its silences
    silences: list[Silence]  # those of the recording
    seconds: float  # length of the whole recording


class FeatureExtractor:
    """Computes features; built once a process, as dictionaries and filters take a while to load."""

    def __init__(self, config: PreprocessConfig) -> None:
        """Loads the dictionaries and builds the mel.

        Raises:
            UserError: the lexicon cannot be read.
        """
        self._config = config
        self._frontend = Frontend(config.lexicon_path)
        self._symbols = SymbolTable(SYMBOLS)
        mel = config.mel
        self._mel = MelSpectrogram(
            mel.sample_rate, mel.n_fft, mel.win_size, mel.hop_size, mel.n_mel, mel.fmin, mel.fmax
        )

    def extract(self, utterance: Utterance, textgrid_path: Path | None) -> Extracted:
        """All features of one utterance, cut to [start of the first phone, end of the last].

        Mel, pitch and energy are computed on the whole recording and cut then, so that no frame sees an artificial
        edge.

        Args:
            utterance: what to read.
            textgrid_path: its alignment, None where there is none.

        Returns:
            An array for each of utils.shards.FEATURES, and the tokens of text.symbols that they are of.

        Raises:
            SkipUtterance: it cannot be used; the reason says why.
        """
        config = self._config
        spoken, mended = self._pronounce(utterance.text)
        wav, mended_audio = self._waveform(utterance)
        num_frames = len(wav) // config.hop_size
        seconds = len(wav) / config.sample_rate
        alignment = utterance_alignment(textgrid_path, seconds, config.sample_rate, config.hop_size, num_frames)
        phones, durations = self._place(alignment.labels, alignment.durations, spoken.phones)

        cut = slice(alignment.first_frame, alignment.first_frame + int(durations.sum()))
        pitch = extract_pitch(
            config.pitch_extractor, wav, config.sample_rate, config.hop_size, config.f0_min, config.f0_max
        )[cut]
        if not pitch.any():
            raise SkipUtterance(
                "no pitch was found", f"no voiced frame between {config.f0_min:g} and {config.f0_max:g} Hz"
            )
        with torch.inference_mode():
            magnitude = self._mel.magnitude(torch.from_numpy(wav).unsqueeze(0))
            mel = self._mel.mel(magnitude)[0].numpy()[cut]
        energy = frame_energy(magnitude[0].numpy()[cut])
        arrays = {
            "mel": mel,
            "durations": durations,
            "phone_pitch": phone_average(fill_unvoiced(pitch), durations),
            "phone_energy": phone_average(energy, durations),
        }
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        # first_frame: where in the recording the features begin, for those who read it again
        facts = {"text": utterance.text, "phones": phones, "num_frames": len(mel), "first_frame": cut.start}
        return Extracted(facts, contiguous, [(what, "") for what in mended_audio] + mended)

    def aligner_inputs(self, utterance: Utterance) -> AlignerInputs:
        """Computes the aligner's training data of one utterance.

        Raises:
            SkipUtterance: it cannot be used, or nobody speaks in it; the reason says why.
        """
        spoken, _ = self._pronounce(utterance.text)
        wav, _ = self._waveform(utterance)
        with torch.inference_mode():
            mel = self._mel(torch.from_numpy(wav).unsqueeze(0))[0].numpy()
        words = [(word.text, len(word.phones)) for word in spoken.words]
        silences = find_silences(mel, self._config.hop_size / self._config.sample_rate)
        if silences is None:
            raise SkipUtterance(NO_SPEECH, "nothing in the recording stands out from its noise")
        heard = np.ascontiguousarray(cut_silences(mel, silences))
        return AlignerInputs(spoken.phones, words, heard, silences, len(wav) / self._config.sample_rate)

    def _pronounce(self, text: str) -> tuple[Pronunciation, list[tuple[str, str]]]:
        """The text's tokens, and the front end's warnings as what was mended."""
        try:
            spoken = self._frontend.pronounce(text)
        except UnpronounceableError as error:
            raise SkipUtterance("text has nothing to pronounce", str(error)) from None
        return spoken, [("the text could not be read in full", warning) for warning in spoken.warnings]

    def _waveform(self, utterance: Utterance) -> tuple[np.ndarray, list[str]]:
        """The recording, long enough for a window, and what was mended."""
        config = self._config
        wav, mended = load_waveform(utterance.wav_path, config.sample_rate, config.max_seconds)
        if len(wav) < config.n_fft:
            raise SkipUtterance("audio is too short", f"{len(wav)} samples, one window has {config.n_fft}")
        return wav, mended

    def _place(self, labels: list[str], durations: np.ndarray, written: list[str]) -> tuple[list[str], np.ndarray]:
        """The tokens that the model sees, and their durations: marks that nobody paused at last 0 frames."""
        placed = place_marks(labels, written)
        phones = [token for token, _ in placed]
        try:
            self._symbols.ids(phones)
        except UnknownSymbolError:
            unknown = sorted({p for p in phones if p not in self._symbols.symbols})
            raise SkipUtterance(
                "TextGrid has unknown symbols",
                f"{' '.join(unknown)} (phones must be ARPAbet, as MFA's english_us_arpa)",
            ) from None
        frames = [0 if index is None else int(durations[index]) for _, index in placed]
        return phones, np.array(frames, dtype=np.int32)
