"""The aligner: how well each phone's text fits each frame's sound."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.aligner.config import AlignerConfig
from models.aligner.prior import beta_binomial_log_prior
from modules.conv import Conv1d
from modules.masks import padding_mask

# What a phone of the padding gets: exp() of it is 0, and its gradient is no NaN, as that of -inf would be.
IMPOSSIBLE = -1e4


class Aligner(nn.Module):
    """Log probabilities of phones at frames (arXiv:2108.10447, sec. 2.1; Shih et al., RAD-TTS, 2021).

    Keys are symbol embeddings through convolutions, queries are mel frames through convolutions, and the energy of a
    pair is -temperature times their squared distance. The prior is part of the model, so that training and the path
    search see the same numbers.
    """

    def __init__(self, config: AlignerConfig, num_symbols: int, n_mel: int) -> None:
        """Builds the aligner.

        Args:
            config: its shape.
            num_symbols: size of the symbol table; id 0 is padding.
            n_mel: mel bands.
        """
        super().__init__()
        channels = config.channels
        self.temperature = config.temperature
        self.embedding = nn.Embedding(num_symbols, channels, padding_idx=0)
        # Kernels of 1, where the paper has 3 in front. A query that sees the neighboring frames knows the next phone
        # before it sounds: every boundary is learned 10 ms early (measured). A key that sees its neighbors buys nothing
        # in little speech, and would be another one where a pause may stand between words.
        self.keys = nn.Sequential(Conv1d(channels, 2 * channels, 1), nn.ReLU(), Conv1d(2 * channels, channels, 1))
        self.queries = nn.Sequential(
            Conv1d(n_mel, 2 * channels, 1),
            nn.ReLU(),
            Conv1d(2 * channels, channels, 1),
            nn.ReLU(),
            Conv1d(channels, channels, 1),
        )

    def forward(self, phone_ids: Tensor, phone_lengths: Tensor, mel: Tensor, mel_lengths: Tensor) -> Tensor:
        """Scores every pair.

        Args:
            phone_ids: [B, S] int64, padded with 0.
            phone_lengths: [B] int64.
            mel: [B, T, n_mel], log amplitude.
            mel_lengths: [B] int64.

        Returns:
            float32 [B, T, S], also under autocast: each frame's log probabilities over its row's phones; phones of
            the padding have `IMPOSSIBLE`.
        """
        phones_padding = padding_mask(phone_lengths, phone_ids.shape[1])
        frames_padding = padding_mask(mel_lengths, mel.shape[1])
        with torch.autocast(mel.device.type, enabled=False):
            keys = self.keys(self.embedding(phone_ids))
            queries = self.queries(_normalize(mel.float(), mel_lengths, frames_padding))
            # |q - k|^2 without |q|^2, which is the same for all phones of a frame: softmax does not see it
            distances = keys.square().sum(2).unsqueeze(1) - 2 * queries @ keys.transpose(1, 2)
            log_prior = beta_binomial_log_prior(phone_lengths, mel_lengths, phone_ids.shape[1], mel.shape[1])
            scores = (-self.temperature * distances) + log_prior
            return F.log_softmax(scores.masked_fill(phones_padding.unsqueeze(1), IMPOSSIBLE), dim=2)

    def symbol_log_probs(self, symbol_ids: Tensor, mel: Tensor, mel_lengths: Tensor) -> Tensor:
        """Log probabilities of some symbols at each frame, without the order of the text and the prior.

        Args:
            symbol_ids: [N] int64.
            mel: [B, T, n_mel], log amplitude.
            mel_lengths: [B] int64.

        Returns:
            float32 [B, T, N], normalized over the symbols.
        """
        with torch.autocast(mel.device.type, enabled=False):
            keys = self.keys(self.embedding(symbol_ids).unsqueeze(0))
            queries = self.queries(_normalize(mel.float(), mel_lengths, padding_mask(mel_lengths, mel.shape[1])))
            distances = keys.square().sum(2).unsqueeze(1) - 2 * queries @ keys.transpose(1, 2)
            return F.log_softmax(-self.temperature * distances, dim=2)


def _normalize(mel: Tensor, lengths: Tensor, padding: Tensor) -> Tensor:
    """Each utterance's bands to mean 0 and one common scale: neither loudness nor microphone says what was spoken."""
    mel = mel.masked_fill(padding.unsqueeze(2), 0)
    mean = mel.sum(1, keepdim=True) / lengths.view(-1, 1, 1)
    centered = (mel - mean).masked_fill(padding.unsqueeze(2), 0)
    variance = centered.square().sum((1, 2), keepdim=True) / (lengths.view(-1, 1, 1) * mel.shape[2])
    return centered / (variance + 1e-5).sqrt()
