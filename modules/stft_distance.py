"""Multi-resolution STFT distance of two waveforms (Parallel WaveGAN, arXiv:1910.11480, sec. 2.2)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))  # the paper's: n_fft, hop and window, samples
POWER_FLOOR = 1e-7  # per bin: keeps the logarithm of silence finite


class MultiResolutionSTFTDistance(nn.Module):
    """Spectral convergence plus the distance of log magnitudes, the paper's auxiliary loss; differentiable.

    Computes in float32 even under autocast.
    """

    def __init__(self, resolutions: Sequence[tuple[int, int, int]] = RESOLUTIONS) -> None:
        """Precomputes the windows.

        Args:
            resolutions: n_fft, hop and length of the Hann window of each, in samples.
        """
        super().__init__()
        self.sizes = [(n_fft, hop) for n_fft, hop, _ in resolutions]
        for i, (_, _, window) in enumerate(resolutions):
            self.register_buffer(f"window_{i}", torch.hann_window(window), persistent=False)

    def forward(self, wav: Tensor, reference: Tensor) -> Tensor:
        """Computes the distance, row by row.

        Args:
            wav: [B, N], full scale is 1; N exceeds half of the largest n_fft. Padding would count as matching.
            reference: [B, N].

        Returns:
            Scalar, float32, 0 for the same magnitudes: ||r - w|| / ||r|| over a row's magnitudes plus
            mean |ln r - ln w|, mean over resolutions and rows.

        Raises:
            ValueError: the waveforms are not [B, N] of the same shape, or too short.
        """
        longest_unusable = max(n_fft for n_fft, _ in self.sizes) // 2
        if reference.dim() != 2 or reference.shape != wav.shape or reference.shape[1] <= longest_unusable:
            shapes = f"{tuple(wav.shape)} and {tuple(reference.shape)}"
            raise ValueError(f"expected two [B, N] with the same N > {longest_unusable} samples, got {shapes}")
        distances = []
        with torch.autocast(wav.device.type, enabled=False):
            for i, (n_fft, hop) in enumerate(self.sizes):
                window = self.get_buffer(f"window_{i}")
                made, true = (_magnitude(x.float(), n_fft, hop, window) for x in (wav, reference))
                convergence = (true - made).norm(dim=(1, 2)) / true.norm(dim=(1, 2))
                distances.append(convergence + (true.log() - made.log()).abs().mean((1, 2)))
        return torch.stack(distances).mean()


def _magnitude(wav: Tensor, n_fft: int, hop: int, window: Tensor) -> Tensor:
    """[B, N] -> [B, n_fft // 2 + 1, T]; frames are centered, the ends reflected."""
    spectrum = torch.stft(wav, n_fft, hop, len(window), window, return_complex=True)
    return (spectrum.real.square() + spectrum.imag.square()).clamp(min=POWER_FLOOR).sqrt()
