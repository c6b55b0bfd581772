"""Excitation of voiced speech: pulses at the pitch, without aliasing, in closed form.

Neural source-filter vocoders (arXiv:1904.12088, sec. 2.2) sum one sine per harmonic. The sum of all cosines up to the
Nyquist frequency is Dirichlet's kernel, sum over h = 1..H of cos(h x) = sin((H + 1/2) x) / (2 sin(x / 2)) - 1/2, which
costs as much as two sines. The phase has a closed form, too: pitch is linear between the middles of frames, so it needs
only a running sum over frames, not over samples.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_SMALLEST_SINE = 1e-4  # below it, the kernel is set to its limit, H
_UNITS_A_PERIOD = 1 << 32


def pulse_phases(pitch: Tensor, hop_size: int, sample_rate: int) -> Tensor:
    """Returns the phase at which the pulses of each frame start.

    Args:
        pitch: [B, T] Hz, 0 = unvoiced.
        hop_size: samples between frames.
        sample_rate: Hz.

    Returns:
        float32 [B, T + 1] periods, in 0..1. Element t is the phase in the middle of frame t - 1, where the straight
        line to the pitch of frame t starts; the first is 0.
    """
    left, right = _line_ends(pitch.float())
    periods = (left.double() + right.double()) * (hop_size / 2 / sample_rate)
    # Exact sums of integers: a minute of speech has thousands of periods, and a GPU adds floats in varying order.
    units = (periods * _UNITS_A_PERIOD).round().long().cumsum(1)[:, :-1]
    return F.pad(units.remainder(_UNITS_A_PERIOD).double() / _UNITS_A_PERIOD, (1, 0)).float()


def pulses(pitch: Tensor, phases: Tensor, hop_size: int, sample_rate: int) -> Tensor:
    """Generates pulses of unit power in voiced parts, silence elsewhere.

    Args:
        pitch: [B, T] Hz, 0 = unvoiced.
        phases: [B, T + 1] periods, from `pulse_phases`; for a part of a clip, that part of the phases of the clip.
        hop_size: samples between frames.
        sample_rate: Hz.

    Returns:
        float32 [B, T * hop_size].
    """
    left, right = (end.unsqueeze(2) for end in _line_ends(pitch.float()))  # [B, T + 1, 1], Hz
    position = (torch.arange(hop_size, device=pitch.device) + 0.5) / hop_size  # [hop_size], 0..1 along the line
    line = left + (right - left) * position  # [B, T + 1, hop_size], Hz
    periods = (left + (right - left) * position / 2) * (position * (hop_size / sample_rate)) + phases.unsqueeze(2)
    angle = (2 * math.pi) * (periods - periods.round())
    num_harmonics = (sample_rate / 2 / line.clamp(min=1)).floor()
    sine = (angle / 2).sin()
    at_pulse = sine.abs() < _SMALLEST_SINE
    kernel = ((num_harmonics + 0.5) * angle).sin() / (2 * sine.masked_fill(at_pulse, 1)) - 0.5
    kernel = torch.where(at_pulse, num_harmonics, kernel) * (num_harmonics / 2).clamp(min=0.5).rsqrt()

    # A line runs from the middle of one frame to the middle of the next; each half takes the voicing of its frame.
    voiced = F.pad((pitch > 0).float(), (1, 1))
    voiced = torch.where(position < 0.5, voiced[:, :-1, None], voiced[:, 1:, None])
    cut = hop_size // 2
    wave = (kernel * voiced).flatten(1)
    return wave[:, cut : cut + pitch.shape[1] * hop_size]


def _line_ends(pitch: Tensor) -> tuple[Tensor, Tensor]:
    """[B, T] -> [B, T + 1] twice: the pitch at both ends of the lines before, between and after the middles of frames.

    An unvoiced end, which has no pitch, takes the pitch of the other end.
    """
    left, right = F.pad(pitch, (1, 0)), F.pad(pitch, (0, 1))
    return torch.where(left > 0, left, right), torch.where(right > 0, right, left)
