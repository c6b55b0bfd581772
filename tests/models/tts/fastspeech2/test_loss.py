from types import SimpleNamespace

import torch
from torch import Tensor

from models.tts.fastspeech2.loss import LossWeights, fastspeech2_loss
from models.tts.fastspeech2.model import FastSpeech2Output
from modules.masks import padding_mask

PARTS = ("mel", "mel_postnet", "duration", "pitch", "energy")


def example(rows: list[int]) -> tuple[FastSpeech2Output, SimpleNamespace]:
    """Some of three fixed utterances of 4, 2 and 1 phones and 6, 2 and 3 frames, padded with rubbish."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(3, *shape, generator=generator)[rows]

    phone_lengths, mel_lengths = torch.tensor([4, 2, 1])[rows], torch.tensor([6, 2, 3])[rows]
    output = FastSpeech2Output(
        mel=random(6, 5),
        mel_postnet=random(6, 5),
        log_durations=random(4),
        pitch=random(4),
        energy=random(4),
        durations=torch.zeros(len(rows), 4),
        mel_lengths=mel_lengths,
        phone_padding_mask=padding_mask(phone_lengths, 4),
        mel_padding_mask=padding_mask(mel_lengths, 6),
        shortened=torch.zeros(len(rows), dtype=torch.bool),
    )
    durations = torch.tensor([[1, 0, 2, 3], [2, 0, 9, 9], [3, 9, 9, 9]])[rows]
    return output, SimpleNamespace(mel=random(6, 5), pitch=random(4), energy=random(4), durations=durations)


def test_means_over_what_is_not_padding() -> None:
    output, batch = example([0, 1, 2])
    losses = fastspeech2_loss(output, batch)
    mel, phone = ~output.mel_padding_mask, ~output.phone_padding_mask
    expected = {
        "mel": (output.mel - batch.mel)[mel].abs().mean(),
        "mel_postnet": (output.mel_postnet - batch.mel)[mel].abs().mean(),
        "duration": (output.log_durations - torch.log1p(batch.durations))[phone].square().mean(),
        "pitch": (output.pitch - batch.pitch)[phone].square().mean(),
        "energy": (output.energy - batch.energy)[phone].square().mean(),
    }
    for name in PARTS:
        torch.testing.assert_close(losses[name], expected[name])
    torch.testing.assert_close(losses["total"], sum(expected.values()))
    assert set(losses) == {*PARTS, "total"}


def test_nothing_but_padding_is_zero() -> None:
    output, batch = example([0])
    output = output._replace(
        phone_padding_mask=torch.ones(1, 4, dtype=torch.bool), mel_padding_mask=torch.ones(1, 6, dtype=torch.bool)
    )
    assert fastspeech2_loss(output, batch)["total"] == 0


def test_weights_count_in_the_total_alone() -> None:
    output, batch = example([0, 1, 2])
    plain = fastspeech2_loss(output, batch)
    weighted = fastspeech2_loss(output, batch, None, LossWeights(mel=2.0, duration=0.0, pitch=0.5, energy=3.0))
    assert all(torch.equal(plain[name], weighted[name]) for name in PARTS)
    expected = 2 * (plain["mel"] + plain["mel_postnet"]) + 0.5 * plain["pitch"] + 3 * plain["energy"]
    torch.testing.assert_close(weighted["total"], expected)
