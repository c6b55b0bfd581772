"""The mel spectrogram that acoustic models, vocoders and their losses share."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from modules.reflection import reflected

MAGNITUDE_EPSILON = 1e-9  # added under the root, which keeps its gradient finite in silence
LOG_FLOOR = 1e-5


def _hz_to_mel(hz: float) -> float:
    """Slaney's scale (Auditory Toolbox, 1998): linear up to 1,000 Hz = 15 mel; above, 27 mel per factor of 6.4."""
    return hz * 3 / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)


def _mel_to_hz(mel: Tensor) -> Tensor:
    return torch.where(mel < 15, mel * 200 / 3, 1000 * torch.exp((mel - 15) * (math.log(6.4) / 27)))


def mel_filters(sample_rate: int, n_fft: int, n_mel: int, fmin: float, fmax: float) -> Tensor:
    """Returns triangular filters of equal area on Slaney's mel scale.

    Args:
        sample_rate: Hz.
        n_fft: samples.
        n_mel: bands.
        fmin: Hz, lower edge of the first band.
        fmax: Hz, upper edge of the last band.

    Returns:
        float32 [n_fft // 2 + 1, n_mel].

    Raises:
        ValueError: fmax is beyond half the sample rate, or below fmin.
    """
    if not 0 <= fmin < fmax <= sample_rate / 2:
        raise ValueError(f"0 <= fmin < fmax <= {sample_rate / 2} must hold, got fmin={fmin}, fmax={fmax}")
    mels = torch.linspace(_hz_to_mel(fmin), _hz_to_mel(fmax), n_mel + 2, dtype=torch.float64)
    edges = _mel_to_hz(mels)  # [n_mel + 2]: band k rises from edge k to k + 1 and falls to k + 2
    bins = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64).unsqueeze(1)
    width = edges.diff()
    rising = (bins - edges[:-2]) / width[:-1]
    falling = (edges[2:] - bins) / width[1:]
    triangles = torch.minimum(rising, falling).clamp(min=0)
    return (triangles * (2 / (edges[2:] - edges[:-2]))).float()


class MelSpectrogram(nn.Module):
    """Computes the log mel of a waveform; differentiable.

    Frame t is centered at sample (t + 0.5) * hop_size: (n_fft - hop_size) / 2 samples are reflected at both ends and
    nothing else is padded. N samples yield exactly N // hop_size frames, and a vocoder turns T frames into
    T * hop_size samples. Computes in float32 even under autocast: magnitudes span 100 dB.
    """

    filters: Tensor
    window: Tensor

    def __init__(
        self, sample_rate: int, n_fft: int, win_size: int, hop_size: int, n_mel: int, fmin: float, fmax: float
    ) -> None:
        """Precomputes the window and the filters.

        Args:
            sample_rate: Hz.
            n_fft: samples.
            win_size: samples of the Hann window, at most n_fft; centered in the frame.
            hop_size: samples between frames; n_fft - hop_size is even.
            n_mel: bands.
            fmin: Hz, lower edge of the first band.
            fmax: Hz, upper edge of the last band.

        Raises:
            ValueError: the sizes or the band edges are inconsistent.
        """
        super().__init__()
        if not 0 < hop_size <= win_size <= n_fft or (n_fft - hop_size) % 2:
            raise ValueError(f"unusable sizes: n_fft={n_fft}, win_size={win_size}, hop_size={hop_size}")
        self.n_fft, self.win_size, self.hop_size = n_fft, win_size, hop_size
        self.padding = (n_fft - hop_size) // 2
        # Derived from the settings, so not part of a checkpoint.
        self.register_buffer("filters", mel_filters(sample_rate, n_fft, n_mel, fmin, fmax), persistent=False)
        self.register_buffer("window", torch.hann_window(win_size), persistent=False)

    def magnitude(self, wav: Tensor, padded: bool = True) -> Tensor:
        """Computes the magnitude spectrogram, sqrt(re^2 + im^2 + 1e-9).

        Args:
            wav: [B, N], full scale is 1; N must exceed (n_fft - hop_size) / 2, or be at least n_fft if not padded.
            padded: False for a part of a clip with `padding` = (n_fft - hop_size) / 2 samples of context on both sides:
                its frames are those of the whole clip.

        Returns:
            float32 [B, T, n_fft // 2 + 1]; T = N // hop_size, or (N - 2 * padding) // hop_size if not padded.

        Raises:
            ValueError: wav is not [B, N], or too short to be reflected or to fill one frame.
        """
        longest_unusable = max(self.padding, self.hop_size - 1) if padded else self.n_fft - 1
        if wav.dim() != 2 or wav.shape[1] <= longest_unusable:
            raise ValueError(f"expected [B, N] with N > {longest_unusable} samples, got {tuple(wav.shape)}")
        with torch.autocast(wav.device.type, enabled=False):
            wav = wav.float()
            if padded:
                wav = reflected(wav, self.padding, self.padding)
            spectrum = torch.stft(
                wav, self.n_fft, self.hop_size, self.win_size, self.window, center=False, return_complex=True
            )
            power = spectrum.real.square() + spectrum.imag.square()
            return (power + MAGNITUDE_EPSILON).sqrt().transpose(1, 2)

    def mel(self, magnitude: Tensor) -> Tensor:
        """Computes the log mel of a magnitude spectrogram, for callers that need both.

        Args:
            magnitude: [B, T, n_fft // 2 + 1].

        Returns:
            float32 [B, T, n_mel], ln(max(x, 1e-5)).
        """
        with torch.autocast(magnitude.device.type, enabled=False):
            return (magnitude.float() @ self.filters).clamp(min=LOG_FLOOR).log()

    def forward(self, wav: Tensor, padded: bool = True) -> Tensor:
        """Returns the log mel, float32 [B, T, n_mel], of a waveform [B, N]; T and `padded` as in `magnitude`."""
        return self.mel(self.magnitude(wav, padded))
