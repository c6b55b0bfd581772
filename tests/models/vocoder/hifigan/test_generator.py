import dataclasses

import pytest
import torch

from config.load import REPO_ROOT, load_config
from models.vocoder.hifigan.generator import HiFiGANGenerator

TINY = {
    "resblock": "1",
    "upsample_rates": (4, 2),
    "upsample_kernel_sizes": (8, 4),
    "upsample_initial_channel": 16,
    "resblock_kernel_sizes": (3, 5),
    "resblock_dilation_sizes": ((1, 3), (1, 2)),
}


def generator(**changes) -> HiFiGANGenerator:
    torch.manual_seed(0)
    return HiFiGANGenerator(5, **{**TINY, **changes}).eval()


# The paper's Table 1 gives 13.92 M, 0.92 M and 1.46 M; these are the counts of its code with the weight norm removed.
@pytest.mark.parametrize(("preset", "parameters"), [("v1", 13_926_017), ("v2", 925_985), ("v3", 1_462_273)])
def test_presets_have_the_papers_parameter_counts(preset, parameters):
    config = load_config(REPO_ROOT / f"config/hifigan_{preset}.json")
    model = HiFiGANGenerator(config.preprocess.n_mel, **dataclasses.asdict(config.model.generator))
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert model.hop_size == config.preprocess.hop_size


@pytest.mark.parametrize("resblock", ["1", "2"])
def test_every_frame_becomes_hop_size_samples(resblock):
    with torch.inference_mode():
        wave = generator(resblock=resblock)(torch.randn(2, 5, 11))
    assert wave.shape == (2, 1, 11 * 8)
    assert wave.abs().max() <= 1


@pytest.mark.parametrize("resblock", ["1", "2"])
def test_a_row_is_the_same_alone_and_in_a_batch(resblock):
    model = generator(resblock=resblock)
    mel, lengths = torch.randn(3, 5, 12) * 3 - 5, torch.tensor([12, 1, 7])
    with torch.inference_mode():
        batch = model(mel, lengths)
        unmasked = model(mel)
        for row, length in enumerate(lengths.tolist()):
            alone = model(mel[row : row + 1, :, :length])[0, 0]
            torch.testing.assert_close(batch[row, 0, : length * 8], alone, rtol=0, atol=1e-6)
            assert not batch[row, 0, length * 8 :].any()
    assert (unmasked[2, 0, :56] - batch[2, 0, :56]).abs().max() > 1e-4  # without the lengths, the padding does leak


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"resblock": "3"}, "resblock"),
        ({"upsample_rates": (4,)}, "equally long"),
        ({"upsample_kernel_sizes": (8, 3)}, "upsample kernel 3"),
        ({"resblock_kernel_sizes": (3,)}, "equally long"),
        ({"resblock_kernel_sizes": (3, 4)}, "odd"),
        ({"upsample_initial_channel": 18}, "divisible"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        generator(**changes)
