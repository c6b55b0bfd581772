import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from bins.export import main
from config.load import build_config
from config.schema import MelSettings
from models.training.resume import portable
from models.vocoder.hifigan.config import GeneratorConfig
from models.vocoder.hifigan.generator import HiFiGANGenerator
from models.vocoder.hifigan.load import load_vocoder

# Every key of the published config_v1.json.
PUBLISHED_KEYS = """resblock num_gpus batch_size learning_rate adam_b1 adam_b2 lr_decay seed upsample_rates
    upsample_kernel_sizes upsample_initial_channel resblock_kernel_sizes resblock_dilation_sizes segment_size num_mels
    num_freq n_fft hop_size win_size sampling_rate fmin fmax fmax_for_loss num_workers dist_config""".split()
SHAPE = GeneratorConfig("1", (4, 2), (8, 4), 16, (3, 5), ((1, 3), (1, 2)))
MEL = MelSettings(8000, 32, 32, 8, 5, 0.0, 4000.0)


@pytest.fixture
def generator() -> HiFiGANGenerator:
    model = HiFiGANGenerator(5, **asdict(SHAPE)).eval().requires_grad_(False)
    model.conv_pre.weight[3] = 0  # a dead filter has no direction
    return model


@pytest.fixture
def experiment(tmp_path, generator) -> Path:
    """As stage 2 leaves it."""
    root = tmp_path / "voice"
    folder = root / "checkpoint/step-0001500"
    folder.mkdir(parents=True)
    train = {"batch_size": 7, "segment_size": 800, "adam": {"lr": 3e-4}}
    values = {"model_type": "HiFiGAN", "model": asdict(SHAPE), "preprocess": asdict(MEL), "train": train}
    (root / "args.json").write_text(json.dumps(portable(build_config(json.loads(json.dumps(values))))))
    save_file({k: v * 0.5 for k, v in generator.state_dict().items()}, folder / "model.safetensors")
    save_file(generator.state_dict(), folder / "ema.safetensors")
    return root


def run(*flags: object) -> None:
    main([str(flag) for flag in flags])


def fails(capsys, *flags: object, code: int = 2) -> str:
    with pytest.raises(SystemExit) as stop:
        run(*flags)
    assert stop.value.code == code
    message = capsys.readouterr().err
    assert "Traceback" not in message
    return message


def sound(folder: Path) -> torch.Tensor:
    mel = torch.randn(1, 30, 5, generator=torch.Generator().manual_seed(0))
    return load_vocoder(folder)(mel, torch.tensor([30]))[0]


@pytest.mark.parametrize("file_format", ["jik876", "safetensors"])
def test_an_export_speaks_as_its_source(experiment, tmp_path, capsys, file_format):
    run("--vocoder_dir", experiment, "--output_dir", tmp_path / "out", "--format", file_format)
    names = {"jik876": ["config.json", "g_00001500"], "safetensors": ["args.json", "model.safetensors"]}
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == names[file_format]
    torch.testing.assert_close(sound(tmp_path / "out"), sound(experiment), rtol=0, atol=1e-6)
    load_vocoder(tmp_path / "out").check_mel(MEL)
    run("--vocoder_dir", tmp_path / "out", "--output_dir", tmp_path / "again", "--format", "jik876")
    torch.testing.assert_close(sound(tmp_path / "again"), sound(experiment), rtol=0, atol=1e-6)
    assert (tmp_path / "again/g_00001500").is_file()  # the step goes along


def test_jik876s_file_is_what_its_loader_wants(experiment, generator, tmp_path):
    run("--vocoder_dir", experiment, "--output_dir", tmp_path / "out", "--format", "jik876")
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert sorted(config) == sorted(PUBLISHED_KEYS)
    assert (config["resblock"], config["sampling_rate"], config["num_mels"], config["fmax"]) == ("1", 8000, 5, 4000)
    assert (config["batch_size"], config["learning_rate"], config["segment_size"]) == (7, 3e-4, 800)
    state = torch.load(tmp_path / "out/g_00001500", weights_only=True)["generator"]
    mel = torch.randn(1, 5, 9)
    expected = generator(mel)
    # torch.nn.utils.weight_norm, with which jik876's loader builds its generator
    for module in list(generator.modules()):
        if isinstance(module, torch.nn.Conv1d | torch.nn.ConvTranspose1d):
            with pytest.warns(FutureWarning, match="deprecated"):
                torch.nn.utils.weight_norm(module)
    for parameter in generator.parameters():
        parameter.detach().fill_(0.1)
    generator.load_state_dict(state)
    torch.testing.assert_close(generator(mel), expected, rtol=0, atol=1e-6)


def test_the_published_v3_keeps_its_sound(published, tmp_path):
    source = published / "hifigan_v3_jik876"
    run("--vocoder_dir", source, "--output_dir", tmp_path / "out", "--format", "safetensors")
    with safe_open(tmp_path / "out/model.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["info"]) == {"step": 1}
    mel, lengths = torch.randn(1, 8, 80) - 5, torch.tensor([8])
    expected = load_vocoder(source)(mel, lengths)[0]
    torch.testing.assert_close(load_vocoder(tmp_path / "out")(mel, lengths)[0], expected, rtol=0, atol=1e-6)
    assert not any("weight_g" in key for key in load_file(tmp_path / "out/model.safetensors"))
    run("--vocoder_dir", source, "--output_dir", tmp_path / "same", "--format", "jik876")
    there, here = (json.loads((folder / "config.json").read_text()) for folder in (source, tmp_path / "same"))
    assert here | {"seed": there["seed"]} == there


def test_nothing_is_overwritten(experiment, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    run("--vocoder_dir", experiment, "--output_dir", out, "--format", "safetensors")
    before = (out / "model.safetensors").read_bytes()
    message = fails(capsys, "--vocoder_dir", experiment, "--output_dir", out, "--format", "jik876")
    assert "is not empty" in message and message.count("\n") == 1
    assert (out / "model.safetensors").read_bytes() == before
    file = tmp_path / "file"
    file.touch()
    assert "is not empty" in fails(capsys, "--vocoder_dir", experiment, "--output_dir", file, "--format", "jik876")


def test_what_cannot_be_exported(experiment, tmp_path, capsys):
    flags = ("--output_dir", tmp_path / "out", "--format", "jik876")
    assert "no such vocoder folder" in fails(capsys, "--vocoder_dir", tmp_path / "none", *flags)
    assert "--format" in fails(capsys, "--vocoder_dir", experiment, "--output_dir", tmp_path / "out")
    args = json.loads((experiment / "args.json").read_text())
    del args["preprocess"]["fmax"]
    (experiment / "args.json").write_text(json.dumps(args))
    assert "does not state fmax" in fails(capsys, "--vocoder_dir", experiment, *flags)
    assert not (tmp_path / "out").exists()
