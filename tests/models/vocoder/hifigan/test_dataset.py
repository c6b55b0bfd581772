"""Crops: the whole clip's mel at their frames, the acoustic model's frames beside them, silence after a short clip."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from config.schema import MelSettings
from models.training.batching import collate
from models.training.crops import Crop, CropSampler
from models.vocoder.hifigan.dataset import HiFiGANBatch, HiFiGANDataset
from modules.mel import LOG_FLOOR, MelSpectrogram
from utils.errors import UserError
from utils.shards import write_shard

HOP, N_FFT, N_MEL = 256, 1024, 80
MARGIN = (N_FFT - HOP) // 2
MEL = MelSettings(22050, N_FFT, N_FFT, HOP, N_MEL, 0.0, 8000.0)
FRAMES = {"long": 60, "longer": 75, "equal": 32, "short": 9, "least": 4}  # of the clips
SEGMENT = 32 * HOP


def make_folder(folder: Path, mel_dtype: type | None = None, split: str = "train") -> dict[str, np.ndarray]:
    """Clips of noise of two shards; with a dtype also mels, whose values tell where they are from."""
    rng = np.random.default_rng(0)
    wavs, rows = {}, []
    (folder / "shards").mkdir(parents=True)
    for number, names in enumerate((list(FRAMES)[:2], list(FRAMES)[2:])):
        arrays = {}
        for name in names:
            wavs[name] = rng.integers(-32768, 32767, FRAMES[name] * HOP, dtype=np.int16)
            arrays[f"{name}.wav"] = wavs[name]
            if mel_dtype:
                arrays[f"{name}.mel"] = mel_of(name).astype(mel_dtype)
            row = {"utt_id": name, "speaker": "one", "num_samples": len(wavs[name]), "shard": f"shard-{number:05}"}
            rows.append(json.dumps(row) + "\n")
        write_shard(folder / f"shards/shard-{number:05}.safetensors", arrays, {})
    (folder / f"{split}.jsonl").write_text("".join(rows))
    return wavs


def mel_of(name: str) -> np.ndarray:
    return np.arange(FRAMES[name])[:, None] + np.arange(N_MEL) % 8 / 8  # what float16 holds exactly


def row_of(name: str) -> int:
    return list(FRAMES).index(name)


def crop_mel(audio: torch.Tensor) -> torch.Tensor:
    """Log-mel of [B, margin + N + margin] without padding."""
    mel = MelSpectrogram(*vars(MEL).values())
    spectrum = torch.stft(audio, N_FFT, HOP, N_FFT, mel.window, center=False, return_complex=True)
    return mel.mel((spectrum.abs().square() + 1e-9).sqrt().transpose(1, 2))


@pytest.mark.parametrize("segment_frames", [1, 2, 8, 32])
@pytest.mark.parametrize("fraction", [0.0, 0.04, 0.4, 0.97, 1 - 2**-53])
@pytest.mark.parametrize("name", ["long", "equal"])
def test_a_crops_mel_is_the_whole_clips(tmp_path: Path, name: str, fraction: float, segment_frames: int) -> None:
    wavs = make_folder(tmp_path)
    dataset = HiFiGANDataset([tmp_path], "train", MEL, segment_frames * HOP)
    item = dataset[Crop(row_of(name), fraction)]
    first = int(fraction * (FRAMES[name] - segment_frames + 1))
    first = min(first, FRAMES[name] - segment_frames)
    whole = torch.from_numpy(wavs[name] / np.float32(32768))[None]
    expected = MelSpectrogram(*vars(MEL).values())(whole)[:, first : first + segment_frames]
    assert torch.allclose(crop_mel(item.audio[None]), expected, atol=1e-5)
    assert torch.equal(item.audio[MARGIN:-MARGIN], whole[0, first * HOP : (first + segment_frames) * HOP])
    assert item.mel.shape == (0, N_MEL) and item.audio.dtype == torch.float32


@pytest.mark.parametrize("name", ["short", "least"])
@pytest.mark.parametrize("fraction", [0.0, 0.999])
def test_a_short_clip_goes_on_with_silence(tmp_path: Path, name: str, fraction: float) -> None:
    wavs = make_folder(tmp_path, np.float32)
    item = HiFiGANDataset([tmp_path], "train", MEL, SEGMENT)[Crop(row_of(name), fraction)]
    longer = torch.zeros(1, SEGMENT)
    longer[0, : len(wavs[name])] = torch.from_numpy(wavs[name] / np.float32(32768))
    assert torch.equal(item.audio[MARGIN:-MARGIN], longer[0])
    silent = MelSpectrogram(*vars(MEL).values())(longer)
    assert torch.allclose(crop_mel(item.audio[None]), silent, atol=1e-5)
    frames = FRAMES[name]
    assert np.array_equal(item.mel[:frames].numpy(), mel_of(name).astype(np.float32))
    assert torch.allclose(item.mel[frames:], silent[0, -1]) and item.mel.shape == (32, N_MEL)
    assert item.mel[-1, 0] == pytest.approx(np.log(LOG_FLOOR))  # silence in log-mel is not 0


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_the_acoustic_models_frames_are_those_of_the_crop(tmp_path: Path, dtype: type) -> None:
    wavs = make_folder(tmp_path, dtype)
    dataset = HiFiGANDataset([tmp_path], "train", MEL, SEGMENT)
    for fraction in (0.0, 0.3, 0.999):
        item = dataset[Crop(row_of("long"), fraction)]
        first = int(item.mel[0, 0])  # each frame tells its number
        assert first == int(fraction * (FRAMES["long"] - 32 + 1))
        assert np.array_equal(item.mel.numpy(), mel_of("long")[first : first + 32].astype(np.float32))
        segment = wavs["long"][first * HOP : (first + 32) * HOP]
        assert np.array_equal(item.audio[MARGIN:-MARGIN].numpy() * 32768, segment)


def test_whole_clips(tmp_path: Path) -> None:
    wavs = make_folder(tmp_path / "a", split="valid")
    audio, mel = HiFiGANDataset([tmp_path / "a"], "valid", MEL, SEGMENT).clip(row_of("short"))
    assert audio.dtype == torch.float32 and mel.shape == (0, N_MEL)
    assert np.array_equal(audio.numpy() * 32768, wavs["short"])
    make_folder(tmp_path / "b", np.float16)
    _, mel = HiFiGANDataset([tmp_path / "b"], "train", MEL, SEGMENT).clip(row_of("longer"))
    assert mel.dtype == torch.float32 and np.array_equal(mel.numpy(), mel_of("longer"))


def test_every_place_is_drawn_and_no_other(tmp_path: Path) -> None:
    make_folder(tmp_path, np.float32)
    dataset = HiFiGANDataset([tmp_path], "train", MEL, SEGMENT)
    sampler = CropSampler(dataset.lengths, 5, 0)
    firsts = set()
    for epoch in range(200):
        sampler.set_position(epoch)
        firsts |= {int(dataset[crop].mel[0, 0]) for batch in sampler for crop in batch if crop.row == row_of("long")}
    assert firsts == set(range(FRAMES["long"] - 32 + 1))


def batches(dataset: HiFiGANDataset, epoch: int, num_workers: int) -> list[HiFiGANBatch]:
    sampler = CropSampler(dataset.lengths, 2, 0)
    sampler.set_position(epoch)
    return list(DataLoader(dataset, batch_sampler=sampler, collate_fn=collate, num_workers=num_workers))


def test_batches_do_not_depend_on_who_loads_them(tmp_path: Path) -> None:
    make_folder(tmp_path, np.float32)
    dataset = HiFiGANDataset([tmp_path], "train", MEL, SEGMENT)
    here, elsewhere = batches(dataset, 3, 0), batches(dataset, 3, 2)
    assert len(here) == 2
    for a, b in zip(here, elsewhere, strict=True):
        assert a.audio.shape == (2, SEGMENT + 2 * MARGIN) and a.mel.shape == (2, 32, N_MEL)
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert not torch.equal(here[0].audio, batches(dataset, 4, 0)[0].audio)


def test_it_travels_to_a_worker_without_its_open_files(tmp_path: Path) -> None:
    make_folder(tmp_path)
    dataset = HiFiGANDataset([tmp_path], "train", MEL, SEGMENT)
    again = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(again[Crop(0, 0.5)].audio, dataset[Crop(0, 0.5)].audio)


def test_errors_name_the_file_and_the_mend(tmp_path: Path) -> None:
    make_folder(tmp_path)
    with pytest.raises(UserError, match=r"test.jsonl.*stage 1"):
        HiFiGANDataset([tmp_path], "test", MEL, SEGMENT)
    dataset = HiFiGANDataset([tmp_path], "train", MEL, SEGMENT)
    second = tmp_path / "shards/shard-00001.safetensors"
    second.write_bytes(second.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"shard-00001.safetensors is damaged .*: run stage 1 again"):
        dataset[Crop(row_of("short"), 0.0)]
    second.unlink()
    with pytest.raises(UserError, match=r"shard-00001.safetensors is missing: run stage 1 again"):
        dataset[Crop(row_of("short"), 0.0)]
    manifest = tmp_path / "train.jsonl"  # of another run than the shards
    manifest.write_text(manifest.read_text().replace(str(FRAMES["long"] * HOP), str((FRAMES["long"] + 1) * HOP)))
    stale = HiFiGANDataset([tmp_path], "train", MEL, SEGMENT)
    with pytest.raises(UserError, match=r"shard-00000.safetensors is damaged \(long.wav ends at .*: run stage 1"):
        stale.clip(row_of("long"))
    manifest.write_text(manifest.read_text().replace('"longer"', '"gone"'))
    with pytest.raises(UserError, match=r"shard-00000.safetensors is damaged .*gone.wav.*: run stage 1"):
        HiFiGANDataset([tmp_path], "train", MEL, SEGMENT).clip(row_of("longer"))
    (tmp_path / "shards/shard-00000.safetensors").unlink()
    with pytest.raises(UserError, match="shard-00000.safetensors is missing"):
        HiFiGANDataset([tmp_path], "train", MEL, SEGMENT)


@pytest.mark.parametrize("mel_dtype", [None, np.float16])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_clips_on_the_device_give_the_same_batches_bit_for_bit(
    tmp_path: Path, mel_dtype: type | None, device: str
) -> None:
    make_folder(tmp_path, mel_dtype)
    dataset = HiFiGANDataset([tmp_path], "train", MEL, SEGMENT)
    assert dataset.resident_bytes == sum(FRAMES.values()) * (HOP * 2 + (N_MEL * 4 if mel_dtype else 0))
    sampler = CropSampler(dataset.lengths, 2, 0)
    sampler.set_position(3)
    resident = dataset.on_device(torch.device(device))
    crops = [[Crop(row, fraction) for row in range(len(FRAMES))] for fraction in (0.0, 0.5, 0.999)]
    for chosen in [*sampler, *crops]:
        expected, found = collate([dataset[crop] for crop in chosen]), resident.batch(chosen)
        for name in HiFiGANBatch._fields:
            own, gathered = getattr(expected, name), getattr(found, name)
            assert gathered.dtype == own.dtype and torch.equal(gathered.cpu(), own), name
        assert found.audio.device.type == found.mel.device.type == device and found.rows.device.type == "cpu"
