import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.tts.fastspeech2.amphion import AmphionFastSpeech2, amphion_names, load_amphion
from models.tts.fastspeech2.config import (
    FastSpeech2Config,
    TransformerConfig,
    VarianceEmbeddingConfig,
    VariancePredictorConfig,
)
from models.tts.fastspeech2.model import FastSpeech2, FeatureStats
from utils.errors import UserError

TENSORS = Path(__file__).resolve().parents[3] / "fixtures/amphion_fastspeech2_tensors.txt"

SMALL = """{
    "base_config": "config/fs2.json",
    "dataset": ["LJSpeech",],
    "model": {
        "max_seq_len": 1000, "text_token_num": 512,
        "transformer": {"encoder_layer": 1, "encoder_hidden": 8, "decoder_layer": 2, "decoder_hidden": 8,
                        "conv_filter_size": 12, "conv_kernel_size": [9, 1,],},
        "variance_predictor": {"filter_size": 8,},
        "variance_embedding": {"n_bins": 16, "pitch_quantization": "log"},
    },
    "preprocess": {"processed_dir": "/no/such/folder", "n_mel": 20, "fmax": 7600, "pitch_bin": 256},
}"""


@pytest.fixture(scope="session", params=["fastspeech2_amphion", "fastspeech2_amphion_module"])
def loaded(request: pytest.FixtureRequest, published: Path) -> AmphionFastSpeech2:
    return load_amphion(published / request.param)


@pytest.fixture(scope="session")
def arrays(published: Path) -> dict[str, Tensor]:
    with np.load(published / "fastspeech2_amphion" / "io.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file}


def agree(actual: Tensor, expected: Tensor) -> None:
    if expected.is_floating_point():
        torch.testing.assert_close(actual, expected, atol=1e-4, rtol=0)
    else:
        assert torch.equal(actual, expected)


def test_reference_folder(loaded: AmphionFastSpeech2, published: Path) -> None:
    assert loaded.step == 777
    assert loaded.stats is not None
    assert (loaded.stats.pitch_mean, loaded.stats.energy_std) == (207.58058673202913, 26.03995642040225)
    expected = (loaded.stats.pitch_mean, loaded.stats.pitch_mean + loaded.stats.pitch_std)
    assert loaded.model.pitch_in_hz(torch.tensor([0.0, 1.0])).tolist() == pytest.approx(expected)
    assert not loaded.model.training


@torch.no_grad()
def test_reference_features_given(loaded: AmphionFastSpeech2, arrays: dict[str, Tensor]) -> None:
    features = {name: arrays[name] for name in ("durations", "pitch", "energy")}
    output = loaded.model(arrays["phone_ids"], torch.tensor([24]), **features)
    agree(output.mel, arrays["forced_mel"])
    agree(output.mel_postnet, arrays["forced_postnet_mel"])
    agree(output.log_durations, arrays["forced_log_durations"])
    agree(output.pitch, arrays["forced_pitch_pred"])
    agree(output.energy, arrays["forced_energy_pred"])


@torch.no_grad()
def test_reference_free_running(loaded: AmphionFastSpeech2, arrays: dict[str, Tensor]) -> None:
    output = loaded.model(arrays["phone_ids"], torch.tensor([24]))
    agree(output.log_durations, arrays["free_log_durations"])
    agree(output.pitch, arrays["free_pitch_pred"])
    agree(output.energy, arrays["free_energy_pred"])
    agree(output.durations, arrays["free_durations"])
    agree(output.mel_postnet, arrays["free_postnet_mel"])


@torch.no_grad()
def test_reference_slow_rounds_where_amphion_truncates(loaded: AmphionFastSpeech2, arrays: dict[str, Tensor]) -> None:
    output = loaded.model(arrays["phone_ids"], torch.tensor([24]), duration_control=1.5)
    assert torch.equal(output.durations, arrays["slow15_durations"].round().long())
    assert arrays["slow15_durations"].long().sum() == arrays["slow15_frames"]  # Amphion's own count: not ours


@torch.no_grad()
@pytest.mark.parametrize("mask_padding", [False, True])
def test_reference_padded_batch(loaded: AmphionFastSpeech2, arrays: dict[str, Tensor], mask_padding: bool) -> None:
    model = FastSpeech2(reference_config(mask_padding), 152, 80, 1, FeatureStats(*[0.0] * 8))
    model.eval().load_state_dict(loaded.model.state_dict())
    features = {name: arrays[f"batch_{name}"] for name in ("durations", "pitch", "energy")}
    output = model(arrays["batch_phone_ids"], arrays["batch_text_len"], **features)
    agree(output.mel_lengths, arrays["batch_mel_len"])
    expected = arrays["batch_postnet_mel"]
    if not mask_padding:
        agree(output.mel_postnet, expected)
    else:
        agree(output.mel_postnet[0], expected[0])
        end = int(output.mel_lengths[1])
        agree(output.mel_postnet[1, : end - 10], expected[1, : end - 10])
        difference = (output.mel_postnet - expected)[1, end - 10 : end].abs().max()
        assert difference > 1  # Amphion's leak is not here


def reference_config(mask_padding: bool) -> FastSpeech2Config:
    """What the reference folder's args.json says."""
    transformer = TransformerConfig(
        encoder_layer=2, decoder_layer=2, encoder_hidden=64, decoder_hidden=64, conv_filter_size=128
    )
    predictor = VariancePredictorConfig(filter_size=64)
    return FastSpeech2Config(mask_padding=mask_padding, transformer=transformer, variance_predictor=predictor)


def test_the_published_tensors_are_all_taken(tmp_path: Path) -> None:
    """The 234 names and shapes of Amphion's default model, with an args.json that says nothing."""
    state = {}
    for line in TENSORS.read_text(encoding="utf-8").splitlines():
        match = re.fullmatch(r"(\S+)\t\(([\d, ]*)\)\t(float32|int64)", line)
        if match:
            shape = [int(size) for size in match[2].split(",") if size.strip()]
            state[match[1]] = torch.rand(shape) if match[3] == "float32" else torch.ones(shape, dtype=torch.int64)
    assert len(state) == 234
    checkpoint_dir = tmp_path / "checkpoint" / "epoch-0125_step-0097902_loss-1.074404"
    checkpoint_dir.mkdir(parents=True)
    save_file(state, checkpoint_dir / "model.safetensors")
    (tmp_path / "args.json").write_text("{}")
    model = load_amphion(tmp_path).model
    assert sum(parameter.numel() for parameter in model.parameters()) == 34_592_835
    block = model.decoder.blocks[5]
    prefix = "decoder.layer_stack.5.slf_attn."
    expected = torch.cat([state[f"{prefix}w_{part}s.weight"] for part in "qkv"])
    assert torch.equal(block.attention.qkv.weight, expected)
    assert torch.equal(model.postnet.norms[4].running_var, state["postnet.convolutions.4.1.running_var"])
    assert torch.equal(model.variance_adaptor.energy_bins, state["variance_adaptor.energy_bins"])


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A small published folder of random weights, two checkpoints and no statistics."""
    root = tmp_path / "published"
    root.mkdir()
    (root / "args.json").write_text(SMALL)
    for step, seed in ((90, 1), (1000, 2)):  # by name, 90 would be the last
        write_checkpoint(root, f"epoch-0001_step-{step}_loss-11.5", seed)
    yield root


def write_checkpoint(root: Path, name: str, seed: int) -> None:
    torch.manual_seed(seed)
    transformer = TransformerConfig(
        encoder_layer=1, encoder_hidden=8, decoder_layer=2, decoder_hidden=8, conv_filter_size=12
    )
    config = FastSpeech2Config(
        transformer=transformer,
        variance_predictor=VariancePredictorConfig(filter_size=8),
        variance_embedding=VarianceEmbeddingConfig(n_bins=16),
    )
    model = FastSpeech2(config, 152, 20, 1, FeatureStats(200.0, 50.0, -2.0, 3.0, 40.0, 20.0, -1.0, 4.0))
    state = {"encoder.position_enc": torch.zeros(1, 1001, 8), "decoder.position_enc": torch.zeros(1, 1001, 8)}
    for ours, tensor in model.state_dict().items():
        names = amphion_names(ours)
        parts = tensor.chunk(len(names)) if len(names) > 1 else [tensor] * len(names)
        state |= {name: part.clone() for name, part in zip(names, parts, strict=True)}
    checkpoint_dir = root / "checkpoint" / name
    checkpoint_dir.mkdir(parents=True)
    save_file(state, checkpoint_dir / "model.safetensors")


def write_statistics(root: Path, dataset: str = "LJSpeech", **changes: Any) -> None:
    for part, mean in (("phone_pitches", 207.5), ("phone_energys", 37.25)):
        path = root / dataset / part / "statistics.json"
        path.parent.mkdir(parents=True)
        values = {"voiced_positions": {"mean": mean, "std": 26.5, "min": 1.0, "max": 2.0} | changes}
        path.write_text(json.dumps({f"{dataset}_{dataset}": values}))


def edit_weights(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    path = folder / "checkpoint" / "epoch-0001_step-1000_loss-11.5" / "model.safetensors"
    state = load_file(path)
    change(state)
    save_file(state, path)


def test_a_folder_without_statistics(folder: Path) -> None:
    loaded = load_amphion(folder)
    assert (loaded.step, loaded.stats) == (1000, None)
    assert (loaded.mel.n_mel, loaded.mel.fmax, loaded.mel.hop_size, loaded.mel.sample_rate) == (20, 7600, 256, 22050)
    assert loaded.model.variance_adaptor.pitch_bins[[0, -1]].tolist() == [-2.0, 3.0]
    assert not loaded.model.mask_padding
    with torch.no_grad():
        output = loaded.model(
            torch.ones(1, 2, dtype=torch.long), torch.tensor([2]), durations=torch.tensor([[1500, 1]])
        )
    assert output.mel_postnet.shape == (1, 1501, 20)  # more than the 1,000 that args.json allows


def test_a_folder_with_statistics(folder: Path) -> None:
    write_statistics(folder)
    stats = load_amphion(folder).stats
    assert stats == FeatureStats(207.5, 26.5, -2.0, 3.0, 37.25, 26.5, -1.0, 4.0)


def test_one_checkpoint_or_the_folder_of_them_may_be_given(folder: Path) -> None:
    assert load_amphion(folder / "checkpoint" / "epoch-0001_step-90_loss-11.5").step == 90
    assert load_amphion(folder / "checkpoint").step == 1000
    assert not torch.equal(
        load_amphion(folder).model.mel_linear.weight,
        load_amphion(folder / "checkpoint" / "epoch-0001_step-90_loss-11.5").model.mel_linear.weight,
    )


def test_torch_files_with_a_prefix(folder: Path) -> None:
    expected = load_amphion(folder).model.state_dict()
    path = folder / "checkpoint" / "epoch-0001_step-1000_loss-11.5" / "model.safetensors"
    torch.save({f"module.{name}": tensor for name, tensor in load_file(path).items()}, path.with_name("x"))
    path.unlink()
    path.with_name("x").rename(path.with_name("pytorch_model.bin"))
    torch.testing.assert_close(load_amphion(folder).model.state_dict(), expected)


def test_speakers_are_counted_in_the_weights(folder: Path) -> None:
    edit_weights(folder, lambda state: state.update({"speaker_emb.weight": torch.rand(5, 8)}))
    speakers = load_amphion(folder).model.speaker_embedding
    assert speakers is not None
    assert speakers.weight.shape == (5, 8)


def test_every_wrong_tensor_is_listed(folder: Path) -> None:
    def spoil(state: dict[str, Tensor]) -> None:
        del state["decoder.layer_stack.1.slf_attn.w_ks.bias"], state["mel_linear.bias"]
        state["decoder.layer_stack.1.slf_attn.w_qs.bias"] = torch.zeros(9)
        state["postnet.convolutions.0.0.conv.weight"] = torch.zeros(512, 20, 3)
        state["gst.weight"] = torch.zeros(1)

    edit_weights(folder, spoil)
    with pytest.raises(UserError) as caught:
        load_amphion(folder)
    lines = str(caught.value).splitlines()
    assert "model.safetensors: the weights do not match" in lines[0]
    assert [line.strip() for line in lines[1:]] == [
        "missing: decoder.layer_stack.1.slf_attn.w_ks.bias",
        "missing: mel_linear.bias",
        "not of this model: gst.weight",
        "shape (9,), expected (8,): decoder.layer_stack.1.slf_attn.w_qs.bias",
        "shape (512, 20, 3), expected (512, 20, 5): postnet.convolutions.0.0.conv.weight",
    ]


def empty(folder: Path) -> None:
    shutil.rmtree(folder / "checkpoint")


def no_weights(folder: Path) -> None:
    (folder / "checkpoint" / "epoch-0001_step-1000_loss-11.5" / "model.safetensors").unlink()


def no_args(folder: Path) -> None:
    (folder / "args.json").unlink()


def broken_args(folder: Path) -> None:
    (folder / "args.json").write_text("{'model': ")


def wrong_args(folder: Path) -> None:
    (folder / "args.json").write_text('{"model": {"transformer": {"encoder_hidden": "wide"}}}')


def truncated_weights(folder: Path) -> None:
    path = folder / "checkpoint" / "epoch-0001_step-1000_loss-11.5" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


def pickled_code(folder: Path) -> None:
    no_weights(folder)
    path = folder / "checkpoint" / "epoch-0001_step-1000_loss-11.5" / "pytorch_model.bin"
    torch.save({"a": Path("x")}, path)


def broken_statistics(folder: Path) -> None:
    write_statistics(folder, mean=None)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (empty, r"no folder checkpoint/epoch-E_step-S_loss-L; a published .* holds args.json and checkpoint/"),
        (no_weights, "neither model.safetensors nor pytorch_model.bin"),
        (no_args, "args.json: no such file"),
        (broken_args, "args.json: cannot be read as JSON5"),
        (wrong_args, "encoder_hidden: expected a whole number"),
        (truncated_weights, "model.safetensors: cannot be read as weights"),
        (pickled_code, "pytorch_model.bin: holds more than tensors"),
        (broken_statistics, "statistics.json: must hold numbers"),
    ],
)
def test_what_is_wrong_is_said(folder: Path, spoil: Callable[[Path], None], message: str) -> None:
    spoil(folder)
    with pytest.raises(UserError, match=message):
        load_amphion(folder)


def test_a_missing_folder_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere: no such folder; a published Amphion FastSpeech2 folder holds"):
        load_amphion(tmp_path / "nowhere")


@pytest.mark.parametrize("dataset", ["../outside", "..", "/etc", "a/b", ""])
def test_no_path_leaves_the_folder(folder: Path, dataset: str) -> None:
    if dataset == "../outside":
        write_statistics(folder.parent, "outside")
    (folder / "args.json").write_text(SMALL.replace('"LJSpeech"', json.dumps(dataset)))
    assert load_amphion(folder).stats is None
