"""Short-time Fourier transform and its inverse with the framing of `modules.mel`: T frames are T * hop_size samples."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SMALLEST_ENERGY = 1e-8  # sum of the squared windows at a sample


class FramedSTFT(nn.Module):
    """Computes spectra of frames, and the waveform from spectra (Griffin and Lim, 1984, eq. 6). float32 throughout."""

    window: Tensor

    def __init__(self, n_fft: int, win_size: int, hop_size: int) -> None:
        """Precomputes the window.

        Args:
            n_fft: samples.
            win_size: samples of the Hann window, at most n_fft; centered in the frame.
            hop_size: samples between frames; n_fft - hop_size is even.
        """
        super().__init__()
        self.n_fft, self.hop_size = n_fft, hop_size
        self.cut = (n_fft - hop_size) // 2  # samples by which a frame extends beyond its hop on each side
        before = (n_fft - win_size) // 2
        window = F.pad(torch.hann_window(win_size), (before, n_fft - win_size - before))
        self.register_buffer("window", window, persistent=False)

    def forward(self, wav: Tensor) -> Tensor:
        """Computes the spectra of a signal, taken as silent before and after.

        Args:
            wav: float32 [B, T * hop_size].

        Returns:
            complex64 [B, T, n_fft // 2 + 1]; white noise of unit power has bins of unit power.
        """
        frames = F.pad(wav, (self.cut, self.cut)).unfold(1, self.n_fft, self.hop_size)
        return torch.fft.rfft(frames * (self.window * self.window.square().sum().rsqrt()))

    def inverse(self, spectrum: Tensor, mask: Tensor | None = None) -> Tensor:
        """Computes the signal with the closest spectra.

        Args:
            spectrum: complex64 [B, T, n_fft // 2 + 1], in the scale of a plain Fourier transform of windowed frames.
            mask: float32 [B, T, 1], 0 on padding, which then adds nothing; None: no padding.

        Returns:
            float32 [B, T * hop_size].
        """
        energy = self.window.square().expand(1, spectrum.shape[1], -1)
        frames = torch.fft.irfft(spectrum, self.n_fft) * self.window
        if mask is not None:
            frames, energy = frames * mask, energy * mask
        wav = self._overlap_add(frames) / self._overlap_add(energy).clamp(min=_SMALLEST_ENERGY)
        return wav[:, self.cut : self.cut + spectrum.shape[1] * self.hop_size]

    def _overlap_add(self, frames: Tensor) -> Tensor:
        """[B, T, n_fft] -> [B, at least (T - 1) * hop_size + n_fft]."""
        hops = -(-self.n_fft // self.hop_size)  # per frame
        parts = F.pad(frames, (0, hops * self.hop_size - self.n_fft)).unflatten(2, (hops, self.hop_size))
        # Hop k of frame t belongs to hop t + k of the signal.
        shifted = [F.pad(parts[:, :, k], (0, 0, k, hops - 1 - k)) for k in range(hops)]
        return torch.stack(shifted).sum(0).flatten(1)
