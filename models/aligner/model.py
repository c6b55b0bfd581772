"""The aligner model: scores how well each phone of the text fits each frame of the mel."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.aligner.config import AlignerConfig
from models.aligner.prior import beta_binomial_log_prior
from modules.conv import Conv1d
from modules.masks import padding_mask

# Score of a phone of the padding: its exp() is 0, but its gradient is not NaN, unlike that of -inf.
IMPOSSIBLE = -1e4


class Aligner(nn.Module):
    """Computes log probabilities of phones at frames (arXiv:2108.10447, sec. 2.1; Shih et al., RAD-TTS, 2021).

    Convolutions turn symbol embeddings into keys and mel frames into queries. The energy of a pair is -temperature
    times their squared distance. The prior is part of the model, so that training and the path search use the same
    numbers.
    """

    def __init__(self, config: AlignerConfig, num_symbols: int, n_mel: int) -> None:
        """Builds the aligner.

        Args:
            config: the model section.
            num_symbols: size of the symbol table; id 0 is padding.
            n_mel: number of mel bands.
        """
        super().__init__()
        channels = config.channels
        self.temperature = config.temperature
        self.embedding = nn.Embedding(num_symbols, channels, padding_idx=0)
        # Kernels of 1; the paper begins with 3. A query that sees the neighboring frames detects the next phone before
        # it sounds: every boundary is learned 10 ms early (measured). A key that sees its neighbors gains nothing with
        # little speech, and would change wherever an optional pause is inserted between words.
        self.keys = nn.Sequential(Conv1d(channels, 2 * channels, 1), nn.ReLU(), Conv1d(2 * channels, channels, 1))
        self.queries = nn.Sequential(
            Conv1d(n_mel, 2 * channels, 1),
            nn.ReLU(),
            Conv1d(2 * channels, channels, 1),
            nn.ReLU(),
            Conv1d(channels, channels, 1),
        )

    def forward(self, phone_ids: Tensor, phone_lengths: Tensor, mel: Tensor, mel_lengths: Tensor) -> Tensor:
        """Computes the log probability of each phone at each frame.

        Args:
            phone_ids: [B, S] int64, padded with 0.
            phone_lengths: [B] int64.
            mel: [B, T, n_mel], log amplitude.
            mel_lengths: [B] int64.

        Returns:
            float32 [B, T, S], also under autocast, normalized over the phones of the row; phones of the padding have
            `IMPOSSIBLE`.
        """
        phones_padding = padding_mask(phone_lengths, phone_ids.shape[1])
        frames_padding = padding_mask(mel_lengths, mel.shape[1])
        with torch.autocast(mel.device.type, enabled=False):
            keys = self.keys(self.embedding(phone_ids))
            queries = self.queries(_normalize(mel.float(), mel_lengths, frames_padding))
            # |q - k|^2 without |q|^2, which is the same for all phones of a frame and cancels in the softmax
            distances = keys.square().sum(2).unsqueeze(1) - 2 * queries @ keys.transpose(1, 2)
            log_prior = beta_binomial_log_prior(phone_lengths, mel_lengths, phone_ids.shape[1], mel.shape[1])
            scores = (-self.temperature * distances) + log_prior
            return F.log_softmax(scores.masked_fill(phones_padding.unsqueeze(1), IMPOSSIBLE), dim=2)

    def symbol_log_probs(self, symbol_ids: Tensor, mel: Tensor, mel_lengths: Tensor) -> Tensor:
        """Computes log probabilities of some symbols at each frame, without the prior or the order of the text.

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
    """Shifts each band to mean 0 and scales each utterance to variance 1: removes loudness and microphone."""
    mel = mel.masked_fill(padding.unsqueeze(2), 0)
    mean = mel.sum(1, keepdim=True) / lengths.view(-1, 1, 1)
    centered = (mel - mean).masked_fill(padding.unsqueeze(2), 0)
    variance = centered.square().sum((1, 2), keepdim=True) / (lengths.view(-1, 1, 1) * mel.shape[2])
    return centered / (variance + 1e-5).sqrt()
