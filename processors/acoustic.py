"""Computes the features of one utterance from its text, recording and alignment."""

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
    """The aligner's training data for one utterance; none of it depends on an alignment."""

    phones: list[str]  # the front end's tokens
    words: list[tuple[str, int]]  # each word and its number of phones, without marks
    mel: np.ndarray  # float32 [T, n_mel], of the recording with the middles of its silences cut out
    silences: list[Silence]  # of the recording
    seconds: float  # length of the whole recording


class FeatureExtractor:
    """Computes features. Create one per process: loading the dictionaries and filters takes a while."""

    def __init__(self, config: PreprocessConfig) -> None:
        """Loads the dictionaries and builds the mel filters.

        Args:
            config: the preprocess section.

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
        """Computes all features of one utterance, cut to [start of the first phone, end of the last].

        Mel, pitch and energy are computed on the whole recording and then cut, so that no frame sees an artificial
        edge.

        Args:
            utterance: the utterance.
            textgrid_path: its alignment, if there is one.

        Returns:
            An array for each of utils.shards.FEATURES, and the tokens (text.symbols) that the arrays belong to.

        Raises:
            SkipUtterance: the utterance cannot be used; the reason is in the exception.
        """
        config = self._config
        spoken, fixes = self._pronounce(utterance.text)
        wav, audio_fixes = self._waveform(utterance)
        num_frames = len(wav) // config.hop_size
        seconds = len(wav) / config.sample_rate
        alignment = utterance_alignment(textgrid_path, seconds, config.sample_rate, config.hop_size, num_frames)
        phones, durations = self._insert_marks(alignment.labels, alignment.durations, spoken.phones)

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
        # first_frame locates the features in the recording, for stages that read the audio again
        facts = {"text": utterance.text, "phones": phones, "num_frames": len(mel), "first_frame": cut.start}
        return Extracted(facts, contiguous, [(what, "") for what in audio_fixes] + fixes)

    def aligner_inputs(self, utterance: Utterance) -> AlignerInputs:
        """Computes the aligner's training data for one utterance.

        Raises:
            SkipUtterance: the utterance cannot be used, or has no speech; the reason is in the exception.
        """
        spoken, _ = self._pronounce(utterance.text)
        wav, _ = self._waveform(utterance)
        with torch.inference_mode():
            mel = self._mel(torch.from_numpy(wav).unsqueeze(0))[0].numpy()
        words = [(word.text, len(word.phones)) for word in spoken.words]
        silences = find_silences(mel, self._config.hop_size / self._config.sample_rate)
        if silences is None:
            raise SkipUtterance(NO_SPEECH, "nothing in the recording stands out from its noise")
        shortened = np.ascontiguousarray(cut_silences(mel, silences))
        return AlignerInputs(spoken.phones, words, shortened, silences, len(wav) / self._config.sample_rate)

    def _pronounce(self, text: str) -> tuple[Pronunciation, list[tuple[str, str]]]:
        """Returns the tokens of the text, and the front end's warnings as (what, detail)."""
        try:
            spoken = self._frontend.pronounce(text)
        except UnpronounceableError as error:
            raise SkipUtterance("text has nothing to pronounce", str(error)) from None
        return spoken, [("the text could not be read in full", warning) for warning in spoken.warnings]

    def _waveform(self, utterance: Utterance) -> tuple[np.ndarray, list[str]]:
        """Returns the samples, at least one window long, and what was fixed or is doubtful."""
        config = self._config
        wav, fixes = load_waveform(utterance.wav_path, config.sample_rate, config.max_seconds)
        if len(wav) < config.n_fft:
            raise SkipUtterance("audio is too short", f"{len(wav)} samples, one window has {config.n_fft}")
        return wav, fixes

    def _insert_marks(
        self, labels: list[str], durations: np.ndarray, written: list[str]
    ) -> tuple[list[str], np.ndarray]:
        """Returns the model's input tokens and their durations; a mark without a pause lasts 0 frames."""
        placed = place_marks(labels, written)
        phones = [token for token, _ in placed]
        try:
            self._symbols.ids(phones)
        except UnknownSymbolError:
            unknown = sorted({p for p in phones if p not in self._symbols.symbols})
            raise SkipUtterance(
                "TextGrid has unknown symbols",
                f"{' '.join(unknown)} (phones must be ARPAbet, as in MFA's english_us_arpa)",
            ) from None
        frames = [0 if index is None else int(durations[index]) for _, index in placed]
        return phones, np.array(frames, dtype=np.int32)
