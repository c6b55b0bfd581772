"""Corpora that tests make for themselves, tones with real words and exact TextGrids; models that others published."""

import os
import random
import shutil
import tarfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from hypothesis import register_random, settings

# Tests run side by side, a process a core, on models too small for several threads; set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# What cuBLAS wants where kernels are to be deterministic; it is read once.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import torch
from safetensors.torch import load_file

# A run draws the same examples every time, so that a failure says something about the change. To look for new ones:
# pytest --hypothesis-profile=default
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


class _TorchRandom:
    """torch's generator as hypothesis knows the standard library's: seeded before each example, restored after."""

    seed = staticmethod(torch.manual_seed)
    getstate = staticmethod(torch.get_rng_state)
    setstate = staticmethod(torch.set_rng_state)


_torch_random = _TorchRandom()  # hypothesis keeps only a weak reference
register_random(_torch_random)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips the tests marked "gpu" where there is none."""
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU")


@pytest.fixture(autouse=True)
def _same_draws() -> None:
    """Seeds torch, so that a test's random weights are the same alone and in the whole run."""
    torch.manual_seed(0)


FIXTURES = Path(__file__).resolve().parent / "fixtures"


class Repeat:
    """Stands for CUDA graphs where there is no GPU: a recording does the work anew, on the same tensors."""

    def __init__(self) -> None:
        self.recorded = 0

    def running(self) -> nullcontext:
        return nullcontext()

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        self.recorded += 1
        return work


@pytest.fixture
def recorder() -> Repeat:
    """In place of models.graphs.CudaRecorder; `recorded` counts."""
    return Repeat()


@pytest.fixture
def recorded_steps(recorder: Repeat, monkeypatch: pytest.MonkeyPatch) -> Repeat:
    """From now on trainers record their steps, with the recorder that this returns."""
    from models.training import steps

    monkeypatch.setattr(steps, "should_record", lambda wanted, accelerator: True)
    monkeypatch.setattr(steps, "CudaRecorder", lambda optimizers: recorder)
    return recorder


SAMPLE_RATE = 22050
VOCABULARY = (
    "the small dog ran home over a cold river and we saw green birds sing under old trees while rain fell "
    "on quiet streets near your house five boys gave them fresh bread"
)


def _write_textgrid(path: Path, intervals: Sequence[tuple[str, float]], tier: str = "phones") -> None:
    """Writes (label, seconds) pairs as a TextGrid in Praat's long format."""
    end = sum(seconds for _, seconds in intervals)
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {end:.6f}"]
    lines += ["tiers? <exists>", "size = 1", "item []:", "    item [1]:", '        class = "IntervalTier"']
    lines += [f'        name = "{tier}"', "        xmin = 0", f"        xmax = {end:.6f}"]
    lines += [f"        intervals: size = {len(intervals)}"]
    at = 0.0
    for number, (label, seconds) in enumerate(intervals, 1):
        escaped = label.replace('"', '""')
        lines += [f"        intervals [{number}]:", f"            xmin = {at:.6f}"]
        at += seconds
        lines += [f"            xmax = {at:.6f}", f'            text = "{escaped}"']
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _harmonic_tone(f0_hz: np.ndarray, amplitude: float = 0.2) -> np.ndarray:
    """A tone of six harmonics that follows f0_hz [N]; float [N]."""
    phase = 2 * np.pi * np.cumsum(f0_hz) / SAMPLE_RATE
    return amplitude * sum(np.sin(k * phase) / k for k in range(1, 7)) / 1.5


def _write_utterance(root: Path, utt_id: str, text: str, seed: int, phone_seconds: float = 0.07) -> None:
    """Writes wavs/<utt_id>.wav and TextGrid/<utt_id>.TextGrid: a tone that glides, a pause at each mark."""
    from text.frontend import Frontend
    from text.symbols import is_mark
    from utils.audio_io import write_wav

    draw = random.Random(seed)
    intervals = [("sil", 0.1)]
    for token in Frontend().pronounce(text).phones:
        if not is_mark(token):
            intervals.append((token, phone_seconds * draw.uniform(0.7, 1.3)))
        elif token != ".":
            intervals.append(("sp", 0.1))
    intervals.append(("sil", 0.1))
    num_samples = int(sum(seconds for _, seconds in intervals) * SAMPLE_RATE)
    loud = np.concatenate(
        [np.full(round(seconds * SAMPLE_RATE) + 2, label not in ("sil", "sp")) for label, seconds in intervals]
    )[:num_samples]
    glide = np.linspace(draw.uniform(120, 180), draw.uniform(180, 260), num_samples)
    (root / "wavs").mkdir(parents=True, exist_ok=True)
    write_wav(root / "wavs" / f"{utt_id}.wav", _harmonic_tone(glide) * loud, SAMPLE_RATE)
    _write_textgrid(root / "TextGrid" / f"{utt_id}.TextGrid", intervals)


@pytest.fixture(scope="session")
def write_textgrid() -> Callable[..., None]:
    """`write_textgrid(path, [(label, seconds), ...], tier="phones")`."""
    return _write_textgrid


@pytest.fixture(scope="session")
def write_utterance() -> Callable[..., None]:
    """`write_utterance(root, utt_id, text, seed)`: a tone and its TextGrid, but no line in metadata.csv."""
    return _write_utterance


@pytest.fixture(scope="session")
def harmonic_tone() -> Callable[..., np.ndarray]:
    """`harmonic_tone(f0_hz [N], amplitude=0.2) -> float [N]` at 22,050 Hz."""
    return _harmonic_tone


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`tiny_corpus(count=8, name="LJSpeech", words=5) -> Path`: a new corpus in LJSpeech's layout on each call.

    Utterances tiny-0000, tiny-0001 ... of about 1.5 s (at five words), 22,050 Hz, with TextGrids. The same arguments
    give the same bytes.
    """

    def make(count: int = 8, name: str = "LJSpeech", words: int = 5) -> Path:
        root = tmp_path_factory.mktemp("corpus") / name
        lines = []
        for index in range(count):
            draw = random.Random(index)
            chosen = [draw.choice(VOCABULARY.split()) for _ in range(words)]
            text = " ".join(chosen[:3]) + ", " + " ".join(chosen[3:]) + "." if words > 3 else " ".join(chosen) + "."
            _write_utterance(root, f"tiny-{index:04d}", text.capitalize(), seed=index)
            lines.append(f"tiny-{index:04d}|{text}|{text.capitalize()}\n")
        (root / "metadata.csv").write_text("".join(lines), encoding="utf-8")
        return root

    return make


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders as other toolkits publish their models, complete with weights; not to be changed."""
    root = tmp_path_factory.mktemp("published")
    with tarfile.open(FIXTURES / "published.tar.xz") as archive:
        archive.extractall(root, filter="data")
    # The same model in its other layout: accelerate's file, with the names of a training on several GPUs.
    plain, wrapped = root / "fastspeech2_amphion", root / "fastspeech2_amphion_module"
    shutil.copytree(plain, wrapped, ignore=shutil.ignore_patterns("io.npz", "symbols.json"))
    (weights,) = wrapped.rglob("model.safetensors")
    state = {f"module.{name}": tensor for name, tensor in load_file(weights).items()}
    torch.save(state, weights.with_name("pytorch_model.bin"))
    weights.unlink()
    return root
