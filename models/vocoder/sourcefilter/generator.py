"""A source-filter generator: signal processing models the known physics, and the network learns only the rest.

The source consists of pulses at the pitch and of noise (neural source-filter models, arXiv:1904.12088; HiFTNet,
arXiv:2309.09493, also predicts the pitch from the mel). The filter is one spectrum per frame, computed by ConvNeXt
blocks at the mel's frame rate; an inverse STFT returns the waveform (Vocos, arXiv:2306.00814; with a harmonic source,
Wavehax, arXiv:2411.06807). Magnitudes start from the pseudo-inverse of the mel filters (FreeV, arXiv:2406.08196), so
that even an untrained generator produces something like speech.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from config.schema import MelSettings
from modules.conv import Conv1d
from modules.convnext import ConvNeXtBlock
from modules.mel import LOG_FLOOR, mel_filters
from modules.pulses import pulse_phases, pulses
from modules.stft import FramedSTFT

LOWEST_PITCH, HIGHEST_PITCH = 55.0, 1000.0  # Hz, limits of the predicted pitch
# Voicing logit above which the source has pulses. Below 0, because the filter can damp pulses but not add missing ones.
VOICED_FROM = -1.5
NOISE_PERIOD = 1 << 17  # samples of fixed noise, 6 s at the usual rate
_USUAL_LOG_PITCH = 5.3  # ln of 200 Hz, the initial prediction of the head
_MEL_SCALE = 5.0  # divisor of the log-mel values
_MAGNITUDE_FLOOR = 1e-4  # lower limit, because the pseudo-inverse can return 0 or negative values
_LARGEST_LOG_MAGNITUDE = 6.0
_NOISE_START, _REST_START = -1.5, -3.0  # added to the log magnitudes, so that pulses are loudest at first


class PitchReading(NamedTuple):
    """Prediction of the pitch head. Shapes: B utterances, T frames. All float32."""

    log_pitch: Tensor  # [B, T] ln Hz, also defined in unvoiced frames
    voicing: Tensor  # [B, T] logit: above 0 means probably voiced


class Source(NamedTuple):
    """Input of the filter. Shapes: B utterances, T frames. All float32."""

    pitch: Tensor  # [B, T] Hz, 0 = unvoiced
    phases: Tensor  # [B, T + 1] in periods, see modules.pulses
    noise: Tensor  # [B, T * hop_size], unit power


class Generated(NamedTuple):
    """Output of the generator."""

    wav: Tensor  # float32 [B, T * hop_size]
    reading: PitchReading


class PitchHead(nn.Module):
    """Predicts pitch and voicing from a mel, computed from audio or by an acoustic model."""

    def __init__(self, n_mel: int, channels: int, kernel_size: int) -> None:
        """Builds the layers.

        Args:
            n_mel: mel bands.
            channels: of the layers.
            kernel_size: frames, odd.
        """
        super().__init__()
        sizes = (n_mel, channels, channels, channels)
        self.convs = nn.ModuleList(Conv1d(a, b, kernel_size) for a, b in zip(sizes, sizes[1:], strict=False))
        self.out = nn.Linear(channels, 2)
        self.reach = len(self.convs) * (kernel_size // 2)  # frames on either side that an output depends on

    def forward(self, x: Tensor, mask: Tensor | None) -> PitchReading:
        """Predicts log pitch and voicing.

        Args:
            x: [B, T, n_mel] scaled mel, 0 on padding.
            mask: [B, T, 1] float, 0 on padding, or None.
        """
        for conv in self.convs:
            x = _masked(F.gelu(conv(x)), mask)
        with torch.autocast(x.device.type, enabled=False):
            log_pitch, voicing = self.out(x.float()).unbind(2)
        return PitchReading(log_pitch + _USUAL_LOG_PITCH, voicing)


class SourceFilterGenerator(nn.Module):
    """Turns log-mels [B, T, n_mel] into waveforms [B, T * hop_size]."""

    filters_inverse: Tensor
    fixed_noise: Tensor

    def __init__(
        self,
        mel: MelSettings,
        channels: int,
        hidden_channels: int,
        num_blocks: int,
        kernel_size: int,
        pitch_channels: int,
        pitch_kernel_size: int,
    ) -> None:
        """Builds the layers.

        Args:
            mel: of the input; the source and the spectra have the same frames.
            channels, hidden_channels, num_blocks, kernel_size: of the ConvNeXt blocks.
            pitch_channels, pitch_kernel_size: of the pitch head.
        """
        super().__init__()
        self.mel = mel
        bins = mel.n_fft // 2 + 1
        self.pitch_head = PitchHead(mel.n_mel, pitch_channels, pitch_kernel_size)
        self.conv_in = Conv1d(mel.n_mel, channels, kernel_size)
        self.norm_in = nn.LayerNorm(channels, eps=1e-6)
        blocks = (ConvNeXtBlock(channels, hidden_channels, kernel_size, 1 / num_blocks) for _ in range(num_blocks))
        self.blocks = nn.ModuleList(blocks)
        self.norm_out = nn.LayerNorm(channels, eps=1e-6)
        self.out = nn.Linear(channels, 5 * bins)
        nn.init.normal_(self.out.weight, std=0.01)
        nn.init.zeros_(self.out.bias)
        self.stft = FramedSTFT(mel.n_fft, mel.win_size, mel.hop_size)
        filters = mel_filters(mel.sample_rate, mel.n_fft, mel.n_mel, mel.fmin, mel.fmax)
        self.register_buffer("filters_inverse", torch.linalg.pinv(filters.double()).float(), persistent=False)
        seeded = torch.Generator().manual_seed(0)
        self.register_buffer("fixed_noise", torch.randn(NOISE_PERIOD, generator=seeded), persistent=False)
        # Frames on either side that a frame's samples depend on, without the pitch head, which gets the whole mel.
        self.reach = (kernel_size // 2) * (1 + num_blocks) + 2 * -(-mel.n_fft // mel.hop_size)

    def forward(self, mel: Tensor, pitch: Tensor | None = None, mel_lengths: Tensor | None = None) -> Generated:
        """Synthesizes: in training mode with random noise and a random first phase, else with fixed ones.

        Args:
            mel: [B, T, n_mel] log-mel.
            pitch: [B, T] Hz, 0 = unvoiced, negative: use the predicted pitch. None: use it everywhere.
            mel_lengths: [B] int64 frames; the rest is padding with any content. None: no padding.

        Returns:
            The waveform, 0 on padding, and the prediction of the pitch head.
        """
        mask = None
        if mel_lengths is not None:
            mask = (torch.arange(mel.shape[1], device=mel.device) < mel_lengths.unsqueeze(1)).unsqueeze(2).float()
        reading = self.read_pitch(mel, mask)
        predicted = heard_pitch(reading)
        pitch = predicted if pitch is None else torch.where(pitch < 0, predicted, pitch)
        pitch = pitch if mask is None else pitch * mask.squeeze(2)
        return Generated(self.filter(mel, self.source(pitch), mask), reading)

    def read_pitch(self, mel: Tensor, mask: Tensor | None = None) -> PitchReading:
        """Predicts pitch and voicing.

        Args:
            mel: [B, T, n_mel] log-mel.
            mask: [B, T, 1] float, 0 on padding. None: no padding.

        Returns:
            Log pitch and voicing.
        """
        return self.pitch_head(_scaled(mel, mask), mask)

    def source(self, pitch: Tensor) -> Source:
        """Computes the source of whole utterances.

        Args:
            pitch: [B, T] Hz, 0 = unvoiced.
        """
        phases = pulse_phases(pitch, self.mel.hop_size, self.mel.sample_rate)
        num_samples = pitch.shape[1] * self.mel.hop_size
        if self.training:
            phases = phases + torch.rand(len(pitch), 1, device=pitch.device)
            noise = torch.randn(len(pitch), num_samples, device=pitch.device)
        else:
            samples = torch.arange(num_samples, device=pitch.device)
            noise = self.fixed_noise[samples % NOISE_PERIOD].expand(len(pitch), -1)
        return Source(pitch, phases, noise)

    def filter(self, mel: Tensor, source: Source, mask: Tensor | None = None) -> Tensor:
        """Filters the source.

        Args:
            mel: [B, T, n_mel] log-mel of whole utterances or of parts.
            source: for the same frames.
            mask: [B, T, 1] float, 0 on padding. None: no padding.

        Returns:
            Waveforms, float32 [B, T * hop_size].
        """
        x = self.norm_in(self.conv_in(_scaled(mel, mask)))
        for block in self.blocks:
            x = block(_masked(x, mask))
        x = self.norm_out(x)
        with torch.autocast(mel.device.type, enabled=False):  # bfloat16's three digits are too few for signals
            outputs = self.out(x.float())
            wav = self.stft.inverse(self._spectrum(mel.float(), outputs, source, mask), mask)
        if mask is not None:
            wav = wav * mask.expand(-1, -1, self.mel.hop_size).flatten(1)
        return wav

    def _spectrum(self, mel: Tensor, outputs: Tensor, source: Source, mask: Tensor | None) -> Tensor:
        """Sums filtered pulses, filtered noise and a free remainder: complex64 [B, T, bins].

        Args:
            mel: [B, T, n_mel].
            outputs: [B, T, 5 * bins], of the network: log magnitude and phase for the pulses, log magnitude for the
                noise, log magnitude and phase of the remainder.
            source, mask: as in `filter`.
        """
        hop_size, noise = self.mel.hop_size, source.noise
        if mask is not None:
            noise = noise * mask.expand(-1, -1, hop_size).flatten(1)
        pulse_bins = self.stft(pulses(source.pitch, source.phases, hop_size, self.mel.sample_rate))
        noise_bins = self.stft(noise)
        base = (mel.exp() @ self.filters_inverse).clamp(min=_MAGNITUDE_FLOOR).log()
        pulse_gain, pulse_phase, noise_gain, rest_gain, rest_phase = outputs.chunk(5, 2)
        pulse_filter = torch.polar(_magnitude(base + pulse_gain), math.pi * pulse_phase.tanh())
        rest = torch.polar(_magnitude(base + rest_gain + _REST_START), rest_phase)
        return pulse_filter * pulse_bins + _magnitude(base + noise_gain + _NOISE_START) * noise_bins + rest


def heard_pitch(reading: PitchReading) -> Tensor:
    """Returns the predicted pitch as a source needs it: [B, T] Hz, 0 = unvoiced, without a gradient."""
    hertz = reading.log_pitch.detach().exp().clamp(LOWEST_PITCH, HIGHEST_PITCH)
    return torch.where(reading.voicing.detach() > VOICED_FROM, hertz, 0.0)


def _magnitude(log_magnitude: Tensor) -> Tensor:
    return log_magnitude.clamp(max=_LARGEST_LOG_MAGNITUDE).exp()


def _scaled(mel: Tensor, mask: Tensor | None) -> Tensor:
    """Scales a mel for the network: silence is 0, the same as a convolution's padding."""
    return _masked((mel - math.log(LOG_FLOOR)) / _MEL_SCALE, mask)


def _masked(x: Tensor, mask: Tensor | None) -> Tensor:
    return x if mask is None else x * mask
