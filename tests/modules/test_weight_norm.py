import warnings

import pytest
import torch
from torch import nn

from models.vocoder.hifigan.generator import HiFiGANGenerator
from modules.weight_norm import add_weight_norm, current_names, fold_weight_norm, fused_state_dict, load_fused


def generator(resblock: str = "1") -> HiFiGANGenerator:
    return HiFiGANGenerator(5, resblock, (4, 2), (8, 4), 16, (3, 5), ((1, 3), (1, 2)))


@pytest.fixture
def mel() -> torch.Tensor:
    return torch.randn(2, 5, 9)


@pytest.mark.parametrize("resblock", ["1", "2"])
def test_every_convolution_is_normed_and_the_output_stays(mel, resblock):
    model = generator(resblock)
    before, count = model(mel), sum(name.endswith("weight") for name, _ in model.named_parameters())
    add_weight_norm(model)
    names = [name for name, _ in model.named_parameters()]
    assert sum(name.endswith("parametrizations.weight.original0") for name in names) == count
    assert not any(name.endswith(".weight") for name in names)
    torch.testing.assert_close(model(mel), before, rtol=0, atol=1e-6)


def test_lengths_and_directions_are_the_first_dimensions_also_of_transposed_convolutions():
    conv = nn.ConvTranspose1d(3, 2, 4)
    weight = conv.weight.detach().clone()
    add_weight_norm(conv)
    length = conv.parametrizations.weight.original0
    assert length.shape == (3, 1, 1)
    torch.testing.assert_close(length[:, 0, 0].detach(), weight.flatten(1).norm(dim=1))
    with torch.no_grad():
        length[1] *= 2
        conv.parametrizations.weight.original1 *= 5
    torch.testing.assert_close(conv.weight.detach(), weight * torch.tensor([1.0, 2.0, 1.0]).view(3, 1, 1))


def test_normed_twice_is_refused():
    model = generator()
    add_weight_norm(model)
    with pytest.raises(ValueError, match="conv_pre is already parametrized"):
        add_weight_norm(model)


def test_a_fused_state_is_loaded_and_given_back(mel):
    trained, model = generator(), generator()
    add_weight_norm(model)
    load_fused(model, trained.state_dict())
    torch.testing.assert_close(model(mel), trained(mel), rtol=0, atol=1e-6)
    fused = fused_state_dict(model)
    assert fused.keys() == trained.state_dict().keys()
    for name, value in trained.state_dict().items():
        torch.testing.assert_close(fused[name], value, rtol=1e-6, atol=1e-7)


def test_the_fused_state_after_training_computes_the_same(mel):
    model = generator()
    add_weight_norm(model)
    optimizer = torch.optim.AdamW(model.parameters(), 0.01)
    for _ in range(3):
        model(mel).square().mean().backward()
        optimizer.step()
    fused = generator()
    fused.load_state_dict(fused_state_dict(model))
    torch.testing.assert_close(fused(mel), model(mel), rtol=0, atol=1e-6)


def test_the_fused_state_is_a_copy():
    model = generator()
    add_weight_norm(model)
    before = fused_state_dict(model)
    kept = {name: value.clone() for name, value in before.items()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert all(torch.equal(before[name], kept[name]) for name in kept)


def test_a_filter_of_zeros_stays_one_and_can_be_trained(mel):
    trained, model = generator(), generator()
    with torch.no_grad():
        trained.ups[0].weight[3] = 0
    add_weight_norm(model)
    load_fused(model, trained.state_dict())
    torch.testing.assert_close(model(mel), trained(mel), rtol=0, atol=1e-6)
    model(mel).square().mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    assert not fused_state_dict(model)["ups.0.weight"][3].any()


def test_a_state_that_does_not_fit_is_refused_whole():
    model = generator()
    add_weight_norm(model)
    before = fused_state_dict(model)
    state = {name: value + 1 for name, value in generator().state_dict().items()}
    state["surplus"] = state.pop("conv_pre.weight")
    state["conv_post.bias"] = torch.zeros(2)
    words = r"conv_post.bias has shape \[2\], expected \[1\]; missing conv_pre.weight; unexpected surplus"
    with pytest.raises(ValueError, match=words):
        load_fused(model, state)
    for name, value in fused_state_dict(model).items():
        assert torch.equal(value, before[name])


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")  # published weights were trained with it
@pytest.mark.parametrize("layer", [nn.Conv1d(3, 2, 4), nn.ConvTranspose1d(3, 2, 4), nn.Conv2d(3, 2, (5, 1))])
def test_folding_is_torchs_own_weight_norm(layer):
    layer = torch.nn.utils.weight_norm(layer)
    with torch.no_grad():
        layer.weight_g.mul_(1.7)
    expected = torch._weight_norm(layer.weight_v, layer.weight_g, 0)
    legacy = {f"up.{key}": value.detach() for key, value in layer.state_dict().items()}
    for state in (legacy, current_names(legacy)):
        folded = fold_weight_norm(state)
        assert set(folded) == {"up.bias", "up.weight"}
        torch.testing.assert_close(folded["up.weight"], expected)


def test_folding_leaves_a_half_without_its_partner():
    state = {"up.weight_g": torch.ones(2, 1, 1), "down.weight_v": torch.ones(2, 3, 4)}
    assert fold_weight_norm(state) == state


def test_current_names_are_those_of_todays_norms():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        old = nn.ModuleDict(
            {"w": nn.utils.weight_norm(nn.Conv1d(1, 2, 3)), "s": nn.utils.spectral_norm(nn.Conv1d(1, 2, 3))}
        )
    new = nn.ModuleDict({"w": nn.Conv1d(1, 2, 3), "s": nn.Conv1d(1, 2, 3)})
    add_weight_norm(new["w"])
    nn.utils.parametrizations.spectral_norm(new["s"])
    new.load_state_dict(current_names(old.state_dict()))
    x = torch.randn(1, 1, 9)
    for name in ("w", "s"):
        torch.testing.assert_close(new.eval()[name](x), old.eval()[name](x))
    assert current_names(new.state_dict()).keys() == new.state_dict().keys()
