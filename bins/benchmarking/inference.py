"""Measures the speed of stage 3: of each network, and from the text of a sentence to its waveform."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from bins.benchmarking.corpus import FRAMES_PER_PHONE, corpus_lengths
from bins.benchmarking.measure import (
    Options,
    Record,
    counting_operations,
    machine,
    matmul_rate,
    peak_memory,
    rounded,
    synchronize,
)
from bins.benchmarking.untrained import untrained_acoustic_model, untrained_vocoder
from config.load import load_config
from config.schema import ExpConfig
from models.graphs import CALLS_BEFORE_RECORDING
from models.tts.fastspeech2.config import FastSpeech2Config
from models.tts.fastspeech2.recorded import RecordedFastSpeech2
from models.tts.pieces import Piece
from models.tts.synthesizer import Script, Synthesizer
from text.frontend import Frontend
from text.symbols import SYMBOLS, SymbolTable
from utils.errors import UserError

VOCODER = "egs/vocoder/hifigan/exp_config.json"  # that speaks in `speech`
# 109 phones, 7.6 s at the fixed rate of the untrained model.
SENTENCE = (
    "The old lighthouse keeper walked down to the harbor every morning, and he counted all the small boats that "
    "had come home during the night."
)


def inference(config: ExpConfig, options: Options) -> Iterator[Record]:
    """Measures one network with random weights: from phones with known durations to mels, or from mels to audio.

    Batches hold utterances of similar lengths, as the synthesizer forms them.

    Yields:
        A record for one utterance at a time, and one for batches of train.batch_size.

    Raises:
        UserError: `options.real`, which has no meaning here.
    """
    if options.real:
        raise UserError("--real: inference is measured on random data alone", 2)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    steps = options.steps or (50 if device.type == "cuda" else 5)
    sizes = sorted({1, config.train.batch_size})
    # A GPU plans its kernels by shape: it is measured on new utterances after it has seen as many others.
    warm_up = steps if device.type == "cuda" else 0
    lengths = corpus_lengths(config, (warm_up + steps) * max(sizes))
    hop_seconds = config.preprocess.hop_size / config.preprocess.sample_rate
    make = _mels_from_phones if isinstance(config.model, FastSpeech2Config) else _audio_from_mels
    speak, dtype = make(config, device)
    rate = matmul_rate(device, dtype)
    for size in sizes:
        frames = (lengths.seconds[: (warm_up + steps) * size] / hop_seconds).round().astype(int)
        earlier, frames = (np.sort(part).reshape(-1, size) for part in np.split(frames, [warm_up * size]))
        batches = [torch.from_numpy(row).to(device) for row in frames]
        with counting_operations() as counter:
            speak(batches[0])
        for row in earlier:
            speak(torch.from_numpy(row).to(device))
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        synchronize(device)
        began = time.perf_counter()
        for batch in batches:
            speak(batch)
        synchronize(device)
        seconds = time.perf_counter() - began
        padded = frames.max(axis=1) * size
        per_second = counter.get_total_flops() / padded[0] * padded.sum() / seconds
        yield {
            "model": config.model_type,
            "data": lengths.source,
            **machine(device, dtype),
            "batch_size": size,
            "steps": steps,
            "audio_seconds_per_second": rounded(frames.sum() * hop_seconds / seconds),
            "ms_per_step": rounded(1000 * seconds / steps),
            "padding": round(1 - frames.sum() / padded.sum(), 4),
            "peak_memory_gib": rounded(peak_memory(device)),
            "model_teraflops": rounded(per_second / 1e12),
            "matmul_teraflops": rounded(rate / 1e12),
            "share_of_matmul": round(per_second / rate, 3),
        }


def speech(config: ExpConfig, options: Options) -> Iterator[Record]:
    """Measures a sentence from its text to a waveform in the host's memory: front end, FastSpeech2, HiFi-GAN V1.

    The networks have random weights, but that each phone lasts 6 frames.

    Yields:
        One record; times are of whole calls, one after the other.

    Raises:
        UserError: `config` is not of a FastSpeech2.
    """
    if not isinstance(config.model, FastSpeech2Config):
        raise UserError(f"--what speech: needs the configuration of a FastSpeech2, not of {config.model_type}", 2)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    mel = config.preprocess.mel
    model = untrained_acoustic_model(config.model, mel.n_mel, device)
    vocoder = untrained_vocoder(load_config(VOCODER), device)
    synthesizer = Synthesizer(RecordedFastSpeech2(model), mel, vocoder, device)
    frontend, symbols = Frontend(), SymbolTable(SYMBOLS)

    def speak() -> int:
        piece = Piece(symbols.ids(frontend.pronounce(SENTENCE).phones), 0.0)
        (spoken,) = synthesizer.speak([Script("sentence", [piece], None)])
        return len(spoken.wav)

    # On a GPU, until everything is recorded.
    for _ in range(CALLS_BEFORE_RECORDING + 2 if device.type == "cuda" else 3):
        num_samples = speak()
    times = []
    for _ in range(options.steps or (50 if device.type == "cuda" else 3)):
        began = time.perf_counter()
        speak()
        times.append(time.perf_counter() - began)
    seconds = num_samples / mel.sample_rate
    median = sorted(times)[len(times) // 2]
    yield {
        "model": f"{config.model_type} + HiFiGAN",
        **machine(device, torch.float16 if device.type == "cuda" else torch.float32),
        "batch_size": 1,
        "steps": len(times),
        "seconds_of_speech": rounded(seconds),
        "ms_per_step": rounded(1000 * median),
        "audio_seconds_per_second": rounded(seconds / median),
        "peak_memory_gib": rounded(peak_memory(device)),
    }


def _mels_from_phones(config: ExpConfig, device: torch.device) -> tuple[Callable[[Tensor], object], torch.dtype]:
    """Returns FastSpeech 2 as a function of the numbers of frames [B]."""
    model = untrained_acoustic_model(config.model, config.preprocess.n_mel, device)

    @torch.inference_mode()
    def speak(frames: Tensor) -> object:
        phones = (frames / FRAMES_PER_PHONE).round().long().clamp(min=1)
        number = torch.arange(int(phones.max()), device=device)
        ends = ((number + 1) * frames[:, None] // phones[:, None]).clamp(max=frames[:, None])
        durations = ends.diff(dim=1, prepend=torch.zeros_like(ends[:, :1]))
        return model(durations.clamp(max=1) * 7, phones, durations=durations)

    return speak, torch.float32


def _audio_from_mels(config: ExpConfig, device: torch.device) -> tuple[Callable[[Tensor], object], torch.dtype]:
    """Returns a vocoder as a function of the numbers of frames [B]."""
    n_mel = config.preprocess.n_mel
    vocoder = untrained_vocoder(config, device)

    def speak(frames: Tensor) -> object:
        mels = torch.randn(len(frames), int(frames.max()), n_mel, device=device) - 5
        return vocoder(mels, frames)

    return speak, torch.float16 if config.model_type == "HiFiGAN" and device.type == "cuda" else torch.float32
