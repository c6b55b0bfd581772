"""Random corpora for bins/benchmark.py, with the lengths of real speech."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from config.schema import (
    AudioConfig,
    ExpConfig,
    PitchedVocoderPreprocessConfig,
    PreprocessConfig,
    VocoderPreprocessConfig,
)
from text.symbols import SYMBOLS
from utils.data_folder import SHARDS, SPEAKERS, STATS, SYMBOLS_TABLE
from utils.jsonl import read_jsonl, write_json, write_jsonl
from utils.shards import feature_key, shard_name, shard_path, write_shard

# Seconds of LJSpeech's clips at every 5 % of them: the lengths of its 13,100 texts, scaled to its 23.9 hours and cut to
# its shortest and longest clip. (Of its first 32 clips, the lengths of texts and recordings correlate with 0.93.)
LJSPEECH_SECONDS = (
    *(1.11, 2.63, 3.42, 4.01, 4.54, 5.00, 5.40, 5.73, 6.05, 6.45, 6.71),
    *(7.04, 7.37, 7.70, 7.96, 8.29, 8.62, 9.02, 9.34, 9.94, 10.10),
)
FRAMES_PER_PHONE = 5.5  # LJSpeech at 22,050 Hz and a hop of 256 samples
SHARD_SIZE = 32
WORDS = "the small dog ran home over a cold river and we saw green birds sing under old trees while rain fell".split()


class Lengths(NamedTuple):
    """Lengths of the utterances."""

    source: str  # where that is known from
    seconds: np.ndarray  # [N]


def corpus_lengths(config: ExpConfig, count: int) -> Lengths:
    """Returns the lengths of `count` utterances: of the configured corpus if stage 1 has run, else of LJSpeech.

    Raises:
        UserError: the corpus's manifest is damaged.
    """
    rng = np.random.default_rng(0)
    audio = config.preprocess
    if config.dataset:
        manifest = Path(audio.processed_dir) / config.dataset[0] / "train.jsonl"
        if manifest.is_file():
            unit, per_second = "num_frames", audio.sample_rate / audio.hop_size
            if isinstance(audio, VocoderPreprocessConfig):
                unit, per_second = "num_samples", audio.sample_rate
            there = np.array([row[unit] for row in read_jsonl(manifest)])
            return Lengths(str(manifest), rng.choice(there, count, replace=count > len(there)) / per_second)
    at = rng.random(count)
    return Lengths("LJSpeech's lengths", np.interp(at, np.linspace(0, 1, len(LJSPEECH_SECONDS)), LJSPEECH_SECONDS))


def write_features(config: ExpConfig, seconds: np.ndarray, folder: Path) -> None:
    """Writes a data folder as stage 1 would, with utterances of these lengths, for the model of `config`.

    Args:
        config: the experiment.
        seconds: of each utterance, at least two; the last one is for validation.
        folder: `<processed_dir>/<dataset>`, which must not exist.

    Raises:
        OSError: a file cannot be written.
    """
    make = _acoustic if isinstance(config.preprocess, PreprocessConfig) else _clip
    rng = np.random.default_rng(0)
    (folder / SHARDS).mkdir(parents=True)
    rows = []
    for shard, start in enumerate(range(0, len(seconds), SHARD_SIZE)):
        tensors: dict[str, np.ndarray] = {}
        for number in range(start, min(start + SHARD_SIZE, len(seconds))):
            utt_id = f"random-{number:06d}"
            facts, arrays = make(config.preprocess, rng, float(seconds[number]))
            tensors |= {feature_key(utt_id, name): array for name, array in arrays.items()}
            rows.append({"utt_id": utt_id, "speaker": "random", **facts, "shard": shard_name(shard)})
        write_shard(shard_path(folder / SHARDS, shard_name(shard)), tensors, {})
    write_jsonl(folder / "train.jsonl", rows[:-1])
    write_jsonl(folder / "valid.jsonl", rows[-1:])
    write_json(folder / SYMBOLS_TABLE, list(SYMBOLS))
    write_json(folder / SPEAKERS, {"random": 0})
    z_scores = {"min": -2.0, "max": 5.0}
    stats = {"pitch": {"mean": 200.0, "std": 50.0, **z_scores}, "energy": {"mean": 40.0, "std": 20.0, **z_scores}}
    write_json(folder / STATS, stats)


def _acoustic(audio: AudioConfig, rng: np.random.Generator, seconds: float) -> tuple[dict, dict[str, np.ndarray]]:
    num_frames = max(2, round(seconds * audio.sample_rate / audio.hop_size))
    num_phones = max(1, round(num_frames / FRAMES_PER_PHONE))
    ends = np.sort(rng.choice(np.arange(1, num_frames), num_phones - 1, replace=False))
    durations = np.diff(np.concatenate([[0], ends, [num_frames]])).astype(np.int32)
    phones = [SYMBOLS[i] for i in rng.integers(1, len(SYMBOLS), num_phones)]
    arrays = {
        "mel": rng.standard_normal((num_frames, audio.n_mel), dtype=np.float32) - 5,
        "durations": durations,
        "phone_pitch": (200 + 50 * rng.standard_normal(num_phones)).astype(np.float32),
        "phone_energy": (40 + 20 * rng.standard_normal(num_phones)).astype(np.float32),
    }
    return {"text": "", "phones": phones, "num_frames": num_frames}, arrays


def _clip(audio: AudioConfig, rng: np.random.Generator, seconds: float) -> tuple[dict, dict[str, np.ndarray]]:
    num_frames = max(audio.n_fft // audio.hop_size + 1, round(seconds * audio.sample_rate / audio.hop_size))
    num_samples = num_frames * audio.hop_size
    arrays = {"wav": (3000 * rng.standard_normal(num_samples)).astype(np.int16)}
    if isinstance(audio, PitchedVocoderPreprocessConfig):
        arrays["pitch"] = rng.uniform(100, 300, num_frames).astype(np.float32)
    return {"num_samples": num_samples}, arrays


def write_recordings(seconds: np.ndarray, sample_rate: int, root: Path) -> None:
    """Writes a corpus in LJSpeech's layout, with TextGrids: gliding harmonic tones with random words as text.

    Args:
        seconds: of each utterance, at least 1.
        sample_rate: Hz.
        root: the corpus's folder, which must not exist.

    Raises:
        OSError: a file cannot be written.
    """
    from text.frontend import Frontend
    from text.symbols import is_mark
    from utils.audio_io import write_wav
    from utils.textgrid import Interval, Tier, write_textgrid

    frontend, rng = Frontend(), np.random.default_rng(0)
    (root / "wavs").mkdir(parents=True)
    (root / "TextGrid").mkdir()
    lines = []
    for number, length in enumerate(seconds):
        utt_id, num_samples = f"random-{number:06d}", round(float(length) * sample_rate)
        text = " ".join(rng.choice(WORDS, max(1, round(2.6 * float(length))))).capitalize() + "."
        phones = [token for token in frontend.pronounce(text).phones if not is_mark(token)]
        ends = np.linspace(0.1, num_samples / sample_rate - 0.1, len(phones) + 1).tolist()
        places = [0.0, *ends, num_samples / sample_rate]
        labels = ["sil", *phones, "sil"]
        intervals = [Interval(*values) for values in zip(places, places[1:], labels, strict=False)]
        write_textgrid(root / "TextGrid" / f"{utt_id}.TextGrid", [Tier("phones", intervals)])
        glide = np.linspace(rng.uniform(120, 180), rng.uniform(180, 260), num_samples)
        phase = 2 * np.pi * np.cumsum(glide) / sample_rate
        wav = sum(np.sin(k * phase) / k for k in range(1, 7)) * 0.15 + 0.003 * rng.standard_normal(num_samples)
        write_wav(root / "wavs" / f"{utt_id}.wav", wav, sample_rate)
        lines.append(f"{utt_id}|{text}|{text}\n")
    (root / "metadata.csv").write_text("".join(lines), encoding="utf-8")
