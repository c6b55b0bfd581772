"""FastSpeech 2 (arXiv:2006.04558) with Amphion's default architecture."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.tts.fastspeech2.config import FastSpeech2Config
from modules.length_regulator import LengthRegulator
from modules.masks import padding_mask
from modules.positions import SinusoidalPositions
from modules.postnet import PostNet
from modules.transformer import FFTStack
from modules.variance_adaptor import Scaling, VarianceAdaptor, VarianceAdaptorOutput, quantization_boundaries


class SpeakerStats(NamedTuple):
    """What the phones of one speaker are normalized with: pitch in Hz, energy in the unit of its feature."""

    pitch_mean: float
    pitch_std: float
    energy_mean: float
    energy_std: float


class FeatureStats(NamedTuple):
    """Phone-level statistics of the training split: pitch in Hz, energy in the unit of its feature.

    `*_min` and `*_max` are z-scores: they bound the quantization bins.
    """

    pitch_mean: float
    pitch_std: float
    pitch_min: float
    pitch_max: float
    energy_mean: float
    energy_std: float
    energy_min: float
    energy_max: float
    speakers: tuple[SpeakerStats, ...] = ()  # by speaker id; empty: the statistics above are those of all speakers


class FastSpeech2Output(NamedTuple):
    """Output of the model for B utterances of up to S phones and T frames."""

    mel: Tensor  # [B, T, n_mel] float32, before the PostNet
    mel_postnet: Tensor  # [B, T, n_mel] float32, the final mel
    log_durations: Tensor  # [B, S] float32, predicted log(d + 1)
    pitch: Tensor  # [B, S] float32, z-scores, predicted and, if no pitch was given, scaled
    energy: Tensor  # [B, S] float32, z-scores, predicted and, if no energy was given, scaled
    durations: Tensor  # [B, S] int64, frames used
    mel_lengths: Tensor  # [B] int64
    phone_padding_mask: Tensor  # [B, S] bool, True = padding
    mel_padding_mask: Tensor  # [B, T] bool, True = padding
    shortened: Tensor  # [B] bool, True where predicted durations exceeded the frame limit and were scaled down


class FastSpeech2(nn.Module):
    """Predicts a mel spectrogram from phones, all frames in parallel.

    The mel of an utterance does not depend on the rest of its batch. With `config.mask_padding` false, the padding
    leaks into the predictors and the PostNet, as in the model whose weights Amphion published.
    """

    pitch_mean: Tensor
    pitch_std: Tensor
    energy_mean: Tensor
    energy_std: Tensor

    def __init__(
        self, config: FastSpeech2Config, num_symbols: int, n_mel: int, num_speakers: int, stats: FeatureStats
    ) -> None:
        """Builds the layers and derives the quantization bins from `stats`.

        Args:
            config: model section.
            num_symbols: number of symbols, including padding (id 0).
            n_mel: mel bands.
            num_speakers: number of speakers; if more than one, each has an embedding, which starts at 0, so that the
                model can start from the weights of a single speaker.
            stats: statistics of pitch and energy; the state dict contains the bins, means and standard deviations.

        Raises:
            ValueError: the features cannot be quantized on the scale in `config`.
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
        self.length_regulator = LengthRegulator()
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
        if self.speaker_embedding is not None:
            nn.init.zeros_(self.speaker_embedding.weight)
        for name in SpeakerStats._fields:
            value = [getattr(speaker, name) for speaker in stats.speakers] or getattr(stats, name)
            self.register_buffer(name, torch.tensor(value, dtype=torch.float32))
        self.controls_z_scores = False  # True: as in Amphion, the controls are factors on z-scores

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
        pitch_control: float | Tensor = 1.0,
        energy_control: float | Tensor = 1.0,
        duration_control: float | Tensor = 1.0,
    ) -> FastSpeech2Output:
        """Predicts the mels of a batch; given durations, pitch and energy replace the predictions (in training, all).

        If durations are predicted, every utterance gets at least one frame. An utterance that would exceed max_seq_len
        (or `num_frames`) is scaled down to fit and marked in `shortened`.

        Args:
            phone_ids: [B, S] int64, 0 on padding.
            phone_lengths: [B] int64.
            durations: [B, S] int64 frames, 0 on padding.
            pitch: [B, S] float32 z-scores.
            energy: [B, S] float32 z-scores.
            speaker_id: [B] int64; required if the model has more than one speaker, else ignored.
            num_frames: T, the padded number of frames. If given, the forward pass never waits for the device, and the
                durations are not checked. None: the frames of the longest row.
            pitch_control: factor on the predicted pitch.
            energy_control: factor on the predicted energy.
            duration_control: factor on the predicted durations.

        Returns:
            Mels and predictions; float32 also under autocast.

        Raises:
            ValueError: S or T exceeds max_seq_len, `speaker_id` is missing, or a given duration is negative (checked
                only if `num_frames` is None).
        """
        phone_padding_mask = padding_mask(phone_lengths, phone_ids.size(1))
        x = self.encode(phone_ids, phone_padding_mask, speaker_id)
        adapted = self.variance_adaptor(
            x,
            phone_padding_mask,
            durations,
            pitch,
            energy,
            num_frames,
            self.scaling("pitch", pitch_control, speaker_id),
            self.scaling("energy", energy_control, speaker_id),
            duration_control,
        )
        return self.decode(adapted, phone_padding_mask, num_frames)

    def encode(self, phone_ids: Tensor, phone_padding_mask: Tensor, speaker_id: Tensor | None) -> Tensor:
        """Encodes phones to [B, S, C] float; the first part of `forward`, which explains the arguments."""
        x = self.encoder(self.positions(self.embedding(phone_ids)), phone_padding_mask)
        if self.speaker_embedding is not None:
            if speaker_id is None:
                raise ValueError(f"this model has {self.speaker_embedding.num_embeddings} speakers: give speaker_id")
            x = x + self.speaker_embedding(speaker_id).unsqueeze(1)
        return x

    def decode(
        self, adapted: VarianceAdaptorOutput, phone_padding_mask: Tensor, num_frames: int | None
    ) -> FastSpeech2Output:
        """Expands phones to frames and predicts the mels; the last part of `forward`, which explains the arguments."""
        x, mel_lengths = self.length_regulator(adapted.x, adapted.durations, num_frames)
        mel_padding_mask = padding_mask(mel_lengths, x.size(1))
        x = self.decoder(self.positions(x), mel_padding_mask)
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
            mel_lengths=mel_lengths,
            phone_padding_mask=phone_padding_mask,
            mel_padding_mask=mel_padding_mask,
            shortened=adapted.shortened,
        )

    def scaling(self, feature: str, control: float | Tensor, speaker_id: Tensor | None) -> Scaling:
        """Returns what multiplies a speaker's "pitch" or "energy" by `control`, in terms of z-scores."""
        if self.controls_z_scores:
            return Scaling(control, 0.0)
        mean, std = self._of_speaker(f"{feature}_mean", speaker_id), self._of_speaker(f"{feature}_std", speaker_id)
        # ((z * std + mean) * control - mean) / std
        return Scaling(control, (control - 1) * mean / std)

    def pitch_in_hz(self, pitch: Tensor, speaker_id: Tensor | None = None) -> Tensor:
        """Converts pitch [B, S] from z-scores to Hz."""
        return pitch * self._of_speaker("pitch_std", speaker_id) + self._of_speaker("pitch_mean", speaker_id)

    def _of_speaker(self, name: str, speaker_id: Tensor | None) -> Tensor:
        """Returns a statistic as [B, 1], or as a scalar if it is the same for all speakers."""
        value: Tensor = getattr(self, name)
        return value if value.dim() == 0 else value[speaker_id].unsqueeze(1)


def _range(stats: FeatureStats, feature: str) -> tuple[float, float, float, float]:
    """Returns min, max, mean and std of one feature."""
    minimum, maximum, mean, std = (getattr(stats, f"{feature}_{name}") for name in ("min", "max", "mean", "std"))
    return minimum, maximum, mean, std
