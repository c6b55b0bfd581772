"""Variance adaptor of FastSpeech 2 (arXiv:2006.04558, sec. 2.3): duration, pitch and energy between the stacks."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modules.conv import Conv1d
from modules.length_regulator import round_durations


def quantization_boundaries(
    minimum: float, maximum: float, mean: float, std: float, num_bins: int, scale: str
) -> Tensor:
    """Computes the boundaries between the bins of a z-scored feature.

    Args:
        minimum: smallest z-score.
        maximum: largest z-score.
        mean: mean of the feature, in its unit.
        std: standard deviation of the feature, in its unit.
        num_bins: number of bins.
        scale: "linear", or "log": equal ratios in the unit of the feature, whose values must be positive.

    Returns:
        [num_bins - 1] float32 z-scores, ascending.

    Raises:
        ValueError: the scale is unknown, or it is "log" and the feature has values of 0 or less.
    """
    if scale == "linear":
        return torch.linspace(minimum, maximum, num_bins - 1)
    if scale != "log":
        raise ValueError(f'the quantization must be "linear" or "log", got {scale!r}')
    low, high = minimum * std + mean, maximum * std + mean
    if low <= 0:
        raise ValueError(f'"log" quantization needs values above 0, but the smallest is {low:g}; use "linear"')
    boundaries = torch.linspace(math.log(low), math.log(high), num_bins - 1, dtype=torch.float64).exp()
    return ((boundaries - mean) / std).float()


class VariancePredictor(nn.Module):
    """Predicts one number per phone: two convolutions, each with ReLU, layer norm and dropout, and a linear layer."""

    def __init__(self, channels: int, hidden: int, kernel_size: int, dropout: float) -> None:
        """Builds the layers.

        Args:
            channels: C of the encoding.
            hidden: channels of the convolutions.
            kernel_size: taps, odd.
            dropout: after each convolution.
        """
        super().__init__()
        self.conv1 = Conv1d(channels, hidden, kernel_size)
        self.norm1 = nn.LayerNorm(hidden)
        self.conv2 = Conv1d(hidden, hidden, kernel_size)
        self.norm2 = nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden, 1)

    def forward(self, x: Tensor, phone_padding_mask: Tensor, mask_padding: bool) -> Tensor:
        """Predicts one value per phone.

        Args:
            x: [B, S, C] float.
            phone_padding_mask: [B, S] bool, True = padding.
            mask_padding: keep the padding out of the convolutions.

        Returns:
            [B, S] float32, also under autocast, because durations are rounded and pitch is quantized; 0 on padding.
        """
        padding = phone_padding_mask.unsqueeze(-1)
        for conv, norm in ((self.conv1, self.norm1), (self.conv2, self.norm2)):
            if mask_padding:
                x = x.masked_fill(padding, 0)
            x = self.dropout(norm(F.relu(conv(x))))
        with torch.autocast(x.device.type, enabled=False):
            return self.linear(x.float()).squeeze(-1).masked_fill(phone_padding_mask, 0)


class Scaling(NamedTuple):
    """A linear function of z-scores, by which a user's control changes a prediction."""

    factor: float | Tensor = 1.0  # anything that broadcasts to [B, S], as the offset
    offset: float | Tensor = 0.0

    def __call__(self, scores: Tensor) -> Tensor:
        """[B, S] -> [B, S]."""
        return scores * self.factor + self.offset


UNCHANGED = Scaling()


class VarianceAdaptorOutput(NamedTuple):
    """Output of the variance adaptor; pitch and energy are z-scores."""

    x: Tensor  # [B, S, C] float, with the embeddings of pitch and energy
    log_durations: Tensor  # [B, S] float32, predicted log(d + 1)
    pitch: Tensor  # [B, S] float32, predicted and, if no pitch was given, scaled
    energy: Tensor  # [B, S] float32, predicted and, if no energy was given, scaled
    durations: Tensor  # [B, S] int64, frames used
    shortened: Tensor  # [B] bool, True where predicted durations exceeded the limit and were scaled down


class VarianceAdaptor(nn.Module):
    """Adds pitch and energy to the phones' encodings, and predicts durations for the length regulator."""

    pitch_bins: Tensor
    energy_bins: Tensor

    def __init__(
        self,
        channels: int,
        predictor_hidden: int,
        predictor_kernel_size: int,
        predictor_dropout: float,
        pitch_bins: Tensor,
        energy_bins: Tensor,
        max_frames: int,
        mask_padding: bool,
    ) -> None:
        """Builds the predictors and embeddings.

        Args:
            channels: C of the encoding.
            predictor_hidden: channels of the predictors.
            predictor_kernel_size: taps of the predictors, odd.
            predictor_dropout: dropout of the predictors.
            pitch_bins: [num_bins - 1] float32 boundaries, z-scores.
            energy_bins: [num_bins - 1] float32 boundaries, z-scores.
            max_frames: limit of frames per row when durations are predicted.
            mask_padding: keep the padding out of the predictors' convolutions.
        """
        super().__init__()
        self.max_frames = max_frames
        self.mask_padding = mask_padding

        def predictor() -> VariancePredictor:
            return VariancePredictor(channels, predictor_hidden, predictor_kernel_size, predictor_dropout)

        self.duration_predictor, self.pitch_predictor, self.energy_predictor = predictor(), predictor(), predictor()
        self.pitch_embedding = nn.Embedding(len(pitch_bins) + 1, channels)
        self.energy_embedding = nn.Embedding(len(energy_bins) + 1, channels)
        self.register_buffer("pitch_bins", pitch_bins)
        self.register_buffer("energy_bins", energy_bins)

    def forward(
        self,
        x: Tensor,
        phone_padding_mask: Tensor,
        durations: Tensor | None = None,
        pitch: Tensor | None = None,
        energy: Tensor | None = None,
        max_frames: int | None = None,
        pitch_scaling: Scaling = UNCHANGED,
        energy_scaling: Scaling = UNCHANGED,
        duration_control: float | Tensor = 1.0,
    ) -> VarianceAdaptorOutput:
        """Predicts the features that are not given and adds the embeddings of pitch and energy.

        Args:
            x: [B, S, C] float encodings.
            phone_padding_mask: [B, S] bool, True = padding.
            durations: [B, S] int64 frames, 0 on padding; None: the predicted ones.
            pitch: [B, S] float z-scores; None: the predicted ones.
            energy: [B, S] float z-scores; None: the predicted ones.
            max_frames: a lower limit of frames per row, for predicted durations.
            pitch_scaling: applied to the predicted pitch.
            energy_scaling: applied to the predicted energy.
            duration_control: factor on the predicted durations.

        Returns:
            The encodings, the predictions, and the durations used.
        """
        log_durations = self.duration_predictor(x, phone_padding_mask, self.mask_padding)
        pitch_prediction = self.pitch_predictor(x, phone_padding_mask, self.mask_padding)
        if pitch is None:
            pitch = pitch_prediction = pitch_scaling(pitch_prediction)
        x = x + self.pitch_embedding(torch.bucketize(pitch, self.pitch_bins))
        energy_prediction = self.energy_predictor(x, phone_padding_mask, self.mask_padding)
        if energy is None:
            energy = energy_prediction = energy_scaling(energy_prediction)
        x = x + self.energy_embedding(torch.bucketize(energy, self.energy_bins))
        if durations is None:
            limit = self.max_frames if max_frames is None else min(max_frames, self.max_frames)
            durations, shortened = round_durations(log_durations, phone_padding_mask, duration_control, limit)
        else:
            shortened = torch.zeros(x.size(0), dtype=torch.bool, device=x.device)
        return VarianceAdaptorOutput(x, log_durations, pitch_prediction, energy_prediction, durations, shortened)
