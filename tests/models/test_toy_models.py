"""A new model is a folder (a toy: a file) and a line of the registry: one of each kind goes through all stages."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import bins.inference
import bins.preprocess
import bins.train
import bins.vocode
from config import registry
from utils.audio_io import read_audio

TOYS = Path(__file__).parent / "toys"


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch, on_cpu: None) -> None:
    """The two models and their lines."""
    monkeypatch.syspath_prepend(TOYS)
    monkeypatch.setitem(registry.MODELS, "ToyVoice", "toy_voice")
    monkeypatch.setitem(registry.MODELS, "ToyVocoder", "toy_vocoder")


def write_config(folder: Path, model_type: str, corpus: Path, **train: object) -> str:
    path = folder / f"{model_type}.json"
    values = {
        "model_type": model_type,
        "dataset": ["LJSpeech"],
        "dataset_path": {"LJSpeech": str(corpus)},
        "preprocess": {"processed_dir": str(folder / model_type), "valid_fraction": 0.2, "test_fraction": 0.2},
        "model": {},
        "train": {"batch_size": 2, "max_steps": 20, "valid_every": 20, "save_every": 20, **train},
        "log_dir": str(folder / "ckpts"),
    }
    path.write_text(json.dumps(values))
    return str(path)


def call(monkeypatch: pytest.MonkeyPatch, program: Callable[[], None], *flags: str) -> None:
    """Runs a program in this process, which knows the toys."""
    monkeypatch.setattr(sys, "argv", ["program", *flags])
    program()


def test_toys_are_trained_and_speak(
    toys: None,
    tiny_corpus: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fresh_accelerator: Callable[[], None],
) -> None:
    corpus = tiny_corpus(8)
    voice, vocoder = write_config(tmp_path, "ToyVoice", corpus), write_config(tmp_path, "ToyVocoder", corpus)
    for config, name in ((voice, "voice"), (vocoder, "vocoder")):
        call(monkeypatch, bins.preprocess.main, "--config", config, "--num_workers", "1")
        fresh_accelerator()
        call(monkeypatch, bins.train.main, "--config", config, "--exp_name", name)
    wavs = tmp_path / "wavs"
    speak = ("--infer_expt_dir", str(tmp_path / "ckpts/voice"), "--infer_output_dir", str(wavs))
    text = ("--infer_mode", "single", "--infer_text", "The small dog ran home.")
    call(monkeypatch, bins.inference.main, *speak, *text, "--vocoder_dir", str(tmp_path / "ckpts/vocoder"))
    (wav,) = wavs.glob("*.wav")
    samples, rate = read_audio(wav)
    assert rate == 22050 and 0.5 < len(samples) / rate < 3 and np.abs(samples).max() > 0
    again = ("--infer_expt_dir", str(tmp_path / "ckpts/vocoder"), "--infer_output_dir", str(tmp_path / "again"))
    call(monkeypatch, bins.vocode.main, *again, "--infer_mode", "folder", "--infer_dir", str(corpus / "wavs"))
    assert len(list((tmp_path / "again").glob("*.wav"))) == 8
