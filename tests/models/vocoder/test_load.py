"""Which vocoder a folder holds, and what it can do."""

import json
from dataclasses import asdict

import pytest
import torch
from safetensors.torch import save_file

from config.schema import MelSettings
from models.vocoder.hifigan.config import GeneratorConfig
from models.vocoder.hifigan.generator import HiFiGANGenerator
from models.vocoder.hifigan.vocoder import HiFiGANVocoder
from models.vocoder.load import load_vocoder
from models.vocoder.sourcefilter.config import SourceFilterGeneratorConfig
from models.vocoder.sourcefilter.generator import SourceFilterGenerator
from models.vocoder.sourcefilter.vocoder import SourceFilterVocoder
from utils.errors import UserError

MEL = MelSettings(22050, 1024, 1024, 256, 80, 0.0, 8000.0)
LIGHT = SourceFilterGeneratorConfig(8, 8, 1, 3, 8, 3)
HIFIGAN = GeneratorConfig("2", (16, 16), (32, 32), 4, (3,), ((1,),))


def write(folder, model_type, shape, generator):
    folder.mkdir()
    args = {"model_type": model_type, "model": asdict(shape), "preprocess": asdict(MEL)}
    (folder / "args.json").write_text(json.dumps(args))
    save_file(generator.state_dict(), folder / "model.safetensors")
    return folder


@pytest.fixture
def light(tmp_path):
    return write(tmp_path / "light", "SourceFilter", LIGHT, SourceFilterGenerator(MEL, **asdict(LIGHT)))


@pytest.fixture
def hifigan(tmp_path):
    return write(tmp_path / "hifigan", "HiFiGAN", HIFIGAN, HiFiGANGenerator(80, **asdict(HIFIGAN)))


def test_the_folder_says_which_vocoder_it_is(light, hifigan):
    assert isinstance(load_vocoder(light), SourceFilterVocoder)
    assert isinstance(load_vocoder(light / "model.safetensors"), SourceFilterVocoder)
    assert isinstance(load_vocoder(hifigan), HiFiGANVocoder)
    args = json.loads((hifigan / "args.json").read_text())
    for model_type in ("GANVocoder", None):  # others' folders
        (hifigan / "args.json").write_text(json.dumps({**args, "model_type": model_type}))
        assert isinstance(load_vocoder(hifigan), HiFiGANVocoder)


@pytest.mark.parametrize("kind", ["light", "hifigan"])
def test_every_vocoder_speaks_streams_and_compares_its_mel(kind, request):
    vocoder = load_vocoder(request.getfixturevalue(kind))
    mel = torch.randn(2, 50, 80) - 4
    waves = vocoder(mel, torch.tensor([50, 20]))
    assert [len(wave) for wave in waves] == [50 * 256, 20 * 256]
    streamed = torch.cat(list(vocoder.stream(mel[1, :20])))
    torch.testing.assert_close(streamed, waves[1], atol=1e-4, rtol=1e-3)
    vocoder.check_mel(MEL)
    with pytest.raises(UserError, match=r"fmax: 7600 \(acoustic model\), 8000 \(vocoder\)"):
        vocoder.check_mel(MelSettings(22050, 1024, 1024, 256, 80, 0.0, 7600.0))


def test_weights_of_another_kind_or_shape_are_refused(light, hifigan):
    (hifigan / "model.safetensors").replace(light / "model.safetensors")
    with pytest.raises(UserError, match="no source-filter generator in model.safetensors"):
        load_vocoder(light)
    wider = SourceFilterGenerator(MEL, **{**asdict(LIGHT), "channels": 12})
    save_file(wider.state_dict(), light / "model.safetensors")
    with pytest.raises(UserError, match="conv_in"):
        load_vocoder(light)


def test_an_unknown_key_is_named(light):
    args = json.loads((light / "args.json").read_text())
    args["model"]["chanels"] = args["model"].pop("channels")
    (light / "args.json").write_text(json.dumps(args))
    with pytest.raises(UserError, match="chanels: unknown key; did you mean 'channels'"):
        load_vocoder(light)
