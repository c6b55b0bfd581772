import io
import json
import logging
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from config.schema import PreprocessConfig
from models.vocoder.hifigan.config import GeneratorConfig
from models.vocoder.hifigan.generator import HiFiGANGenerator
from models.vocoder.hifigan.load import load_vocoder
from utils.errors import UserError
from utils.logging import logger

SHAPE = GeneratorConfig("2", (4, 2), (8, 4), 16, (3, 5), ((1, 2), (1, 3)))
MEL = {"sample_rate": 8000, "n_fft": 32, "win_size": 32, "hop_size": 8, "n_mel": 5, "fmin": 0, "fmax": 4000}


@pytest.fixture
def tiny() -> HiFiGANGenerator:
    torch.manual_seed(1)
    return HiFiGANGenerator(5, **asdict(SHAPE)).eval().requires_grad_(False)


@pytest.fixture
def mel() -> torch.Tensor:
    return torch.randn(1, 6, 5, generator=torch.Generator().manual_seed(2))


def weight_normed(state: dict, g_name: str = "weight_g", v_name: str = "weight_v") -> dict:
    """The same network in weight-normed keys, with v of another length than g says."""
    normed = {}
    for key, value in state.items():
        if key.endswith("weight"):
            normed[key.removesuffix("weight") + g_name] = value.flatten(1).norm(dim=1).reshape(-1, 1, 1)
            normed[key.removesuffix("weight") + v_name] = value * 3
        else:
            normed[key] = value
    return normed


def jik876_folder(folder: Path, content: dict, name: str = "g_00000010") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    config = asdict(SHAPE) | {**MEL, "sampling_rate": 8000, "num_mels": 5}
    del config["sample_rate"], config["n_mel"]
    (folder / "config.json").write_text(json.dumps(config))
    torch.save(content, folder / name)
    return folder


def amphion_args(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    args = {"model": {"generator": "hifigan", "hifigan": asdict(SHAPE)}, "preprocess": MEL, "model_type": "GANVocoder"}
    (folder / "args.json").write_text(json.dumps(args)[:-1] + ",}")  # JSON5, as Amphion writes it


def same_sound(vocoder, generator, mel) -> None:
    lengths = torch.tensor([mel.shape[1]])
    torch.testing.assert_close(vocoder(mel, lengths)[0], generator(mel.transpose(1, 2))[0, 0], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("folder", "inside"),
    [
        ("hifigan_v3_jik876", ""),
        ("hifigan_v3_jik876", "g_00000001"),
        ("hifigan_amphion", ""),
        ("hifigan_amphion", "checkpoints"),
        ("hifigan_amphion", "checkpoints/step-0000001_loss-51.2373.pt"),
    ],
)
def test_published_folders_give_their_own_waveforms(published, folder, inside):
    vocoder = load_vocoder(published / folder / inside)
    arrays = np.load(published / folder / "io.npz")
    mel = torch.from_numpy(arrays["mel"]).transpose(1, 2)
    wave = vocoder(mel, torch.tensor([40]))[0]
    assert np.abs(wave.numpy() - arrays["audio"][0, 0]).max() <= 1e-4
    vocoder.check_mel(PreprocessConfig().mel)  # 22,050 Hz, 1024/1024/256, 80 bands, 0 to 8,000 Hz: no complaint


@pytest.mark.parametrize(
    "spelling",
    [
        lambda state: state,
        weight_normed,
        lambda state: weight_normed(state, "parametrizations.weight.original0", "parametrizations.weight.original1"),
        lambda state: {f"module.{key}": value for key, value in weight_normed(state).items()},
    ],
    ids=["fused", "weight_g", "parametrizations", "module"],
)
def test_every_spelling_of_the_keys(tmp_path, tiny, mel, spelling):
    jik876_folder(tmp_path, {"generator": spelling(tiny.state_dict())})
    same_sound(load_vocoder(tmp_path), tiny, mel)


@pytest.mark.parametrize("inside", ["", "checkpoint", "checkpoint/epoch-0002_step-0000200_loss-39.5"])
@pytest.mark.parametrize("name", ["model_1.safetensors", "pytorch_model_1.bin"])
def test_accelerate_folders_newest_step_and_the_generator_among_the_models(tmp_path, tiny, mel, inside, name):
    amphion_args(tmp_path)
    other = {"discriminators.0.conv_post.bias": torch.zeros(1)}
    for step, scale in (("epoch-0010_step-0000100_loss-9.1", 0.5), ("epoch-0002_step-0000200_loss-39.5", 1.0)):
        folder = tmp_path / "checkpoint" / step
        folder.mkdir(parents=True)
        state = {key: value * scale for key, value in tiny.state_dict().items()}
        save = torch.save if name.endswith("bin") else save_file
        save(other, folder / name.replace("_1", ""))
        save(state, folder / name)
    same_sound(load_vocoder(tmp_path / inside), tiny, mel)


def scaled(state: dict, factor: float) -> dict:
    return {key: value * factor for key, value in state.items()}


def test_own_experiment_folder(tmp_path, tiny, mel):
    args = {"model_type": "HiFiGAN", "model": asdict(SHAPE), "preprocess": MEL}
    (tmp_path / "args.json").write_text(json.dumps(args))
    (tmp_path / "log").mkdir()
    names = ("parametrizations.weight.original0", "parametrizations.weight.original1")
    folder = tmp_path / "checkpoint" / "step-0000100"
    for step, factor in ((folder, 1), (folder.with_name("step-0000020"), 0.5)):
        step.mkdir(parents=True)
        save_file(weight_normed(scaled(tiny.state_dict(), factor), *names), step / "model.safetensors")
        save_file({"mpd.conv.bias": torch.zeros(1)}, step / "model_1.safetensors")
    for given in (tmp_path, tmp_path / "checkpoint", folder, folder / "model.safetensors"):
        same_sound(load_vocoder(given), tiny, mel)


def test_the_average_wins_and_the_best_must_be_asked_for(tmp_path, tiny, mel):
    args = {"model_type": "HiFiGAN", "model": asdict(SHAPE), "preprocess": MEL}
    (tmp_path / "args.json").write_text(json.dumps(args))
    folder, best = tmp_path / "checkpoint" / "step-0000100", tmp_path / "best"
    folder.mkdir(parents=True)
    best.mkdir()
    save_file(weight_normed(scaled(tiny.state_dict(), 0.5)), folder / "model.safetensors")
    save_file(tiny.state_dict(), folder / "ema.safetensors")
    save_file(scaled(tiny.state_dict(), 0.7), best / "model.safetensors")
    for given in (tmp_path, tmp_path / "checkpoint", folder):
        same_sound(load_vocoder(given), tiny, mel)
    for given, factor in ((best, 0.7), (best / "model.safetensors", 0.7), (folder / "model.safetensors", 0.5)):
        other = HiFiGANGenerator(5, **asdict(SHAPE)).eval().requires_grad_(False)
        other.load_state_dict(scaled(tiny.state_dict(), factor))
        same_sound(load_vocoder(given), other, mel)


def test_newest_jik876_generator(tmp_path, tiny, mel):
    zeros = {key: torch.zeros_like(value) for key, value in tiny.state_dict().items()}
    jik876_folder(tmp_path, {"generator": zeros}, "g_00000010")
    jik876_folder(tmp_path, {"generator": tiny.state_dict()}, "g_00000200")
    torch.save({}, tmp_path / "do_00000300")
    same_sound(load_vocoder(tmp_path), tiny, mel)


def test_generator_v1_and_a_choice_that_only_the_user_can_make(tmp_path, tiny, mel):
    jik876_folder(tmp_path, {"generator": tiny.state_dict()}, "generator_v1")
    same_sound(load_vocoder(tmp_path), tiny, mel)
    jik876_folder(tmp_path, {"generator": tiny.state_dict()}, "generator_v2")
    with pytest.raises(UserError, match="which of generator_v1, generator_v2"):
        load_vocoder(tmp_path)


def test_missing_extra_and_misshapen_keys_are_named(tmp_path, tiny):
    state = weight_normed(tiny.state_dict())
    del state["conv_pre.bias"], state["ups.0.weight_g"]
    state["surplus"] = torch.zeros(1)
    state["conv_post.bias"] = torch.zeros(2)
    with pytest.raises(UserError) as error:
        load_vocoder(jik876_folder(tmp_path, {"generator": state}))
    message = str(error.value)
    for words in ("missing conv_pre.bias", "missing ups.0.weight", "unexpected surplus", "unexpected ups.0.weight_v"):
        assert words in message
    assert "conv_post.bias has shape [2], expected [1]" in message
    assert "config.json" in message  # whose shape was it


class Harmful:
    """Would run on unpickling."""

    def __reduce__(self):
        return (Path("harmed").touch, ())


def test_a_pickle_with_code_is_refused(tmp_path, tiny, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="g_00000010: holds more than tensors"):
        load_vocoder(jik876_folder(tmp_path / "v", {"generator": tiny.state_dict(), "x": Harmful()}))
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"no weights at all"])
@pytest.mark.parametrize("name", ["g_00000010", "model.safetensors"])
def test_a_broken_weight_file_is_named(tmp_path, tiny, content, name):
    jik876_folder(tmp_path, {"generator": tiny.state_dict()})
    (tmp_path / "g_00000010").unlink()
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name}: (cannot be read as weights|holds more than tensors)"):
        load_vocoder(tmp_path)


def test_a_cut_zip_is_named(tmp_path, tiny):
    folder = jik876_folder(tmp_path, {"generator": tiny.state_dict()})
    whole = (folder / "g_00000010").read_bytes()
    assert zipfile.is_zipfile(io.BytesIO(whole))
    (folder / "g_00000010").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="g_00000010: cannot be read as weights"):
        load_vocoder(folder)


def test_amphions_pointer_must_stay_inside_and_exist(tmp_path, tiny):
    amphion_args(tmp_path / "v")
    (tmp_path / "v/checkpoints").mkdir()
    pointer = tmp_path / "v/checkpoints/checkpoint"
    torch.save({"generator_state_dict": tiny.state_dict()}, tmp_path / "outside.pt")
    for name in ("../../outside.pt", str(tmp_path / "outside.pt"), ""):
        pointer.write_text(name)
        with pytest.raises(UserError, match="not a file in this folder|does not exist"):
            load_vocoder(tmp_path / "v")
    pointer.write_text("step-7.pt\n")
    with pytest.raises(UserError, match="'step-7.pt', which does not exist"):
        load_vocoder(tmp_path / "v")


def test_a_folder_that_is_none_says_what_was_looked_for_and_found(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(UserError, match=r"Looked for: config.json beside g_\*.*Found: notes.txt") as error:
        load_vocoder(tmp_path)
    assert error.value.exit_code == 2
    with pytest.raises(UserError, match="no such vocoder folder"):
        load_vocoder(tmp_path / "nowhere")


def test_shape_is_never_assumed(tmp_path, tiny):
    folder = jik876_folder(tmp_path / "v", {"generator": tiny.state_dict()})
    path = folder / "config.json"
    whole = json.loads(path.read_text())

    def message(change: dict, gone: str = "") -> str:
        path.write_text(json.dumps({key: value for key, value in (whole | change).items() if key != gone}))
        with pytest.raises(UserError) as error:
            load_vocoder(folder)
        return str(error.value)

    assert "no resblock:" in message({}, "resblock")
    assert "no n_mel" in message({}, "num_mels")
    assert "not a HiFi-GAN: has neither upsample_rates" in message({}, "upsample_rates")
    assert "model.upsample_kernel_sizes" in message({"upsample_kernel_sizes": [8]})
    assert "hop_size is 256, but the product of upsample_rates is 8" in message({"hop_size": 256})
    assert "sampling_rate: expected a number" in message({"sampling_rate": "high"})
    path.write_text("{")
    with pytest.raises(UserError, match="config.json: not a readable JSON file"):
        load_vocoder(folder)
    path.unlink()
    with pytest.raises(UserError, match="no args.json or config.json"):
        load_vocoder(folder)


def test_a_hop_that_divides_no_segment_of_ours(tmp_path):
    """Published 24 kHz vocoders have hops such as 300; how they were trained is not the matter."""
    shape = replace(SHAPE, upsample_rates=(25, 12), upsample_kernel_sizes=(25, 12))
    generator = HiFiGANGenerator(5, **asdict(shape)).eval()
    folder = jik876_folder(tmp_path / "v", {"generator": generator.state_dict()})
    values = {**json.loads((folder / "config.json").read_text()), **asdict(shape), "hop_size": 300}
    (folder / "config.json").write_text(json.dumps(values))
    assert load_vocoder(folder)(torch.randn(1, 2, 5), torch.tensor([2]))[0].shape == (600,)


def test_another_generator_is_refused_by_name(tmp_path):
    args = {"model": {"generator": "bigvgan", "bigvgan": {}}, "preprocess": MEL}
    (tmp_path / "args.json").write_text(json.dumps(args))
    torch.save({"generator_state_dict": {}}, tmp_path / "step-1.pt")
    with pytest.raises(UserError, match="'bigvgan', not a HiFi-GAN"):
        load_vocoder(tmp_path)


def test_mel_check_names_the_field_and_both_values(tmp_path, tiny, caplog):
    vocoder = load_vocoder(jik876_folder(tmp_path, {"generator": tiny.state_dict()}))
    ours = PreprocessConfig(sample_rate=8000, n_fft=32, win_size=32, hop_size=8, n_mel=5, fmin=0.0, fmax=4000.0)
    vocoder.check_mel(ours.mel)
    assert not caplog.records
    other = PreprocessConfig(sample_rate=8000, n_fft=32, win_size=32, hop_size=8, n_mel=5, fmin=50.0, fmax=3800.0)
    with pytest.raises(UserError, match="fmin: 50 .*, 0 .*; fmax: 3800 .*, 4000 ") as error:
        vocoder.check_mel(other.mel)
    assert error.value.exit_code == 2


def test_mel_fields_that_are_not_stated_make_one_warning(tmp_path, tiny, caplog, monkeypatch):
    # A program that ran before in this process may have set the log up for itself.
    monkeypatch.setattr(logger, "propagate", True)
    monkeypatch.setattr(logger, "handlers", [])
    folder = jik876_folder(tmp_path, {"generator": tiny.state_dict()})
    config = json.loads((folder / "config.json").read_text())
    del config["fmin"], config["win_size"]
    config["fmax"] = None  # half the sample rate
    (folder / "config.json").write_text(json.dumps(config))
    ours = PreprocessConfig(sample_rate=8000, n_fft=32, win_size=32, hop_size=8, n_mel=5, fmin=0.0, fmax=4000.0)
    with caplog.at_level(logging.WARNING):
        load_vocoder(folder).check_mel(ours.mel)
    assert [record.getMessage() for record in caplog.records] == [
        f"{folder} does not state win_size, fmin: could not be checked against the acoustic model"
    ]


def test_batch_gives_frames_times_hop_and_the_same_as_alone(tmp_path, tiny):
    vocoder = load_vocoder(jik876_folder(tmp_path, {"generator": tiny.state_dict()}))
    mel, lengths = torch.randn(3, 9, 5), torch.tensor([4, 9, 1])
    waves = vocoder(mel, lengths)
    assert [len(wave) for wave in waves] == [32, 72, 8]
    for row, wave in enumerate(waves):
        alone = vocoder(mel[row : row + 1], lengths[row : row + 1])[0]
        torch.testing.assert_close(wave, alone, rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match="mel_lengths"):
        vocoder(mel, torch.tensor([4, 10, 1]))
