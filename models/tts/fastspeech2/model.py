"""FastSpeech 2 (arXiv:2006.04558) with Amphion's default architecture."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.tts.fastspeech2.config import FastSpeech2Config
from modules.masks import padding_mask
from modules.positions import SinusoidalPositions
from modules.postnet import PostNet
from modules.transformer import FFTStack
from modules.variance_adaptor import VarianceAdaptor, quantization_boundaries


class FeatureStats(NamedTuple):
    """Phone-level statistics of the training split: pitch in Hz, energy in its own unit.

    `*_min` and `*_max` are of the z-scored values: they bound the quantization bins.
    """

    pitch_mean: float
    pitch_std: float
    pitch_min: float
    pitch_max: float
    energy_mean: float
    energy_std: float
    energy_min: float
    energy_max: float


class FastSpeech2Output(NamedTuple):
    """Output of the model; B utterances, S phones, T frames."""

    mel: Tensor  # [B, T, n_mel] float32, before the PostNet
    mel_postnet: Tensor  # [B, T, n_mel] float32, the result
    log_durations: Tensor  # [B, S] float32, predicted log(d + 1)
    pitch: Tensor  # [B, S] float32, predicted z-scores, control applied where they were used
    energy: Tensor  # [B, S] float32, predicted z-scores, control applied where they were used
    durations: Tensor  # [B, S] int64, frames used
    mel_lengths: Tensor  # [B] int64
    phone_padding_mask: Tensor  # [B, S] bool, True = padding
    mel_padding_mask: Tensor  # [B, T] bool, True = padding
    shortened: Tensor  # [B] bool, predicted durations exceeded max_seq_len and were scaled down to it


class FastSpeech2(nn.Module):
    """Phones to a mel spectrogram, all frames at once.

    An utterance gives the same mel alone and in any batch. With `config.mask_padding` false, the padding leaks into the
    predictors and the PostNet, as in the model whose weights Amphion published.
    """

    pitch_mean: Tensor
    pitch_std: Tensor
    energy_mean: Tensor
    energy_std: Tensor

    def __init__(
        self, config: FastSpeech2Config, num_symbols: int, n_mel: int, num_speakers: int, stats: FeatureStats
    ) -> None:
        """Builds the model.

        Args:
            config: the model section.
            num_symbols: symbols, padding (id 0) included.
            n_mel: mel bands.
            num_speakers: speakers; with more than one, each has an embedding.
            stats: of pitch and energy; they set the quantization bins and travel in the state dict.

        Raises:
            ValueError: `stats` cannot be quantized as the config says.
        """
        super().__init__()
        transformer, predictor, variance = config.transformer, config.variance_predictor, config.variance_embedding
        channels = transformer.encoder_hidden
        self.mask_padding = config.mask_padding
        self.embedding = nn.Embedding(num_symbols, channels, padding_idx=0)
        self.positions = SinusoidalPositions(channels, config.max_seq_len)
        self.encoder = FFTStack(
            transformer.encoder_layer,
            channels,
            transformer.encoder_head,
            transformer.conv_filter_size,
            transformer.conv_kernel_size,
            transformer.encoder_dropout,
        )
        self.num_speakers = num_speakers
        self.speaker_embedding = nn.Embedding(num_speakers, channels) if num_speakers > 1 else None
        self.variance_adaptor = VarianceAdaptor(
            channels,
            predictor.filter_size,
            predictor.kernel_size,
            predictor.dropout,
            quantization_boundaries(*_range(stats, "pitch"), variance.n_bins, variance.pitch_quantization),
            quantization_boundaries(*_range(stats, "energy"), variance.n_bins, variance.energy_quantization),
            max_frames=config.max_seq_len,
            mask_padding=config.mask_padding,
        )
        self.decoder = FFTStack(
            transformer.decoder_layer,
            transformer.decoder_hidden,
            transformer.decoder_head,
            transformer.conv_filter_size,
            transformer.conv_kernel_size,
            transformer.decoder_dropout,
        )
        self.mel_linear = nn.Linear(channels, n_mel)
        postnet = config.postnet
        self.postnet = PostNet(n_mel, postnet.hidden, postnet.layers, postnet.kernel_size, postnet.dropout)
        for name in ("pitch_mean", "pitch_std", "energy_mean", "energy_std"):
            self.register_buffer(name, torch.tensor(getattr(stats, name), dtype=torch.float32))

    def forward(
        self,
        phone_ids: Tensor,
        phone_lengths: Tensor,
        *,
        durations: Tensor | None = None,
        pitch: Tensor | None = None,
        energy: Tensor | None = None,
        speaker_id: Tensor | None = None,
        num_frames: int | None = None,
        pitch_control: float = 1.0,
        energy_control: float = 1.0,
        duration_control: float = 1.0,
    ) -> FastSpeech2Output:
        """Speaks; what is given replaces what the model would predict (in training, all three features).

        Where durations are predicted, every utterance gets at least one frame, and one that would exceed max_seq_len
        (or `num_frames`) is scaled down to fit: `shortened` then says so.

        Args:
            phone_ids: [B, S] int64, 0 on padding.
            phone_lengths: [B] int64.
            durations: [B, S] int64 frames, 0 on padding.
            pitch: [B, S] float32 z-scores.
            energy: [B, S] float32 z-scores.
            speaker_id: [B] int64; needed where there is more than one speaker, ignored where there is one.
            num_frames: T, the padded number of frames. Given, the forward pass never waits for the device, and the
                durations are not checked. None: the longest row's.
            pitch_control: factor on the predicted pitch (z-scores).
            energy_control: factor on the predicted energy (z-scores).
            duration_control: factor on the predicted durations.

        Returns:
            Mels and predictions; float32 also under autocast.

        Raises:
            ValueError: S or T exceeds max_seq_len, `speaker_id` is missing, or a given duration is negative (looked at
                only where `num_frames` is None).
        """
        phone_padding_mask = padding_mask(phone_lengths, phone_ids.size(1))
        x = self.encoder(self.positions(self.embedding(phone_ids)), phone_padding_mask)
        if self.speaker_embedding is not None:
            if speaker_id is None:
                raise ValueError(f"this model has {self.speaker_embedding.num_embeddings} speakers: give speaker_id")
            x = x + self.speaker_embedding(speaker_id).unsqueeze(1)
        adapted = self.variance_adaptor(
            x,
            phone_padding_mask,
            durations,
            pitch,
            energy,
            num_frames,
            pitch_control,
            energy_control,
            duration_control,
        )
        mel_padding_mask = padding_mask(adapted.mel_lengths, adapted.x.size(1))
        x = self.decoder(self.positions(adapted.x), mel_padding_mask)
        with torch.autocast(x.device.type, enabled=False):  # bfloat16 keeps 8 bits: steps of .03 in a log-mel
            mel = self.mel_linear(x.float())
        if self.mask_padding:
            mel = mel.masked_fill(mel_padding_mask.unsqueeze(-1), 0)
        return FastSpeech2Output(
            mel=mel,
            mel_postnet=self.postnet(mel, mel_padding_mask if self.mask_padding else None),
            log_durations=adapted.log_durations,
            pitch=adapted.pitch,
            energy=adapted.energy,
            durations=adapted.durations,
            mel_lengths=adapted.mel_lengths,
            phone_padding_mask=phone_padding_mask,
            mel_padding_mask=mel_padding_mask,
            shortened=adapted.shortened,
        )

    def pitch_in_hz(self, pitch: Tensor) -> Tensor:
        """Pitch in Hz from z-scores, any shape."""
        return pitch * self.pitch_std + self.pitch_mean


def _range(stats: FeatureStats, feature: str) -> tuple[float, float, float, float]:
    """min, max, mean and std of one feature."""
    minimum, maximum, mean, std = (getattr(stats, f"{feature}_{name}") for name in ("min", "max", "mean", "std"))
    return minimum, maximum, mean, std
