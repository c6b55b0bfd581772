"""Plots of mel spectrograms and of pitch and energy curves (matplotlib, no display needed)."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # matplotlib takes half a second to import
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_mels(mels: Mapping[str, np.ndarray], title: str, seconds_per_frame: float) -> "Figure":
    """Draws mel spectrograms one above the other, with the same color scale and time axis.

    Args:
        mels: panel heading -> mel [T, n_mel], log amplitude.
        title: title of the figure.
        seconds_per_frame: hop_size / sample_rate.
    """
    low = min(float(mel.min()) for mel in mels.values())
    high = max(float(mel.max()) for mel in mels.values())
    longest = max(len(mel) for mel in mels.values()) * seconds_per_frame
    figure, axes = _panels(len(mels), title, right=0.94)
    for axis, (heading, mel) in zip(axes, mels.items(), strict=True):
        extent = (0.0, len(mel) * seconds_per_frame, 0.0, float(mel.shape[1]))
        image = axis.imshow(mel.T, origin="lower", aspect="auto", extent=extent, vmin=low, vmax=high, cmap="magma")
        axis.set(title=heading, ylabel="mel band", xlim=(0, longest))
    axes[-1].set_xlabel("seconds")
    figure.colorbar(image, ax=axes, label="log amplitude", fraction=0.03, pad=0.02)
    return figure


def plot_curves(curves: Mapping[str, Mapping[str, np.ndarray]], labels: Sequence[str], title: str) -> "Figure":
    """Draws curves over the phones of an utterance, one panel per quantity.

    Args:
        curves: panel heading -> (legend -> values [S]).
        labels: the S phones, written below the last panel.
        title: title of the figure.
    """
    figure, axes = _panels(len(curves), title)
    for axis, (heading, lines) in zip(axes, curves.items(), strict=True):
        for legend, values in lines.items():
            axis.plot(values, marker=".", label=legend)
        axis.set(title=heading, xlim=(-0.5, len(labels) - 0.5))
        axis.legend(loc="upper right")
    axes[-1].set_xticks(range(len(labels)), labels, fontsize=6, rotation=90)
    return figure


def save_mel(path: Path, mel: np.ndarray, title: str, seconds_per_frame: float) -> None:
    """Draws one mel [T, n_mel], log amplitude, and writes it to a PNG file."""
    plot_mels({"": mel}, title, seconds_per_frame).savefig(path, dpi=120)


def save_alignment(
    path: Path, mel: np.ndarray, labels: Sequence[str], ends: np.ndarray, title: str, seconds_per_frame: float
) -> None:
    """Draws a mel with an alignment over it and writes it to a PNG file.

    Args:
        path: the file.
        mel: [T, n_mel], log amplitude.
        labels: the N phones, "" for pauses.
        ends: [N], the end of each phone in s.
        title: title of the figure.
        seconds_per_frame: hop_size / sample_rate.
    """
    figure = plot_mels({"": mel}, title, seconds_per_frame)
    figure.set_size_inches(max(8.0, 2.2 * len(mel) * seconds_per_frame), 3.6)
    axis, top = figure.axes[0], mel.shape[1]
    start = 0.0
    for number, (label, end) in enumerate(zip(labels, ends, strict=True)):
        axis.axvline(end, color="white", linewidth=0.5)
        axis.text(
            (start + end) / 2, top - 3 - 4 * (number % 2), label, color="white", fontsize=6, ha="center", va="top"
        )
        start = end
    figure.savefig(path, dpi=100)


def _panels(count: int, title: str, right: float = 0.98) -> "tuple[Figure, list[Axes]]":
    from matplotlib.figure import Figure

    # Fixed margins, because matplotlib's layout engines draw everything several times.
    height = 1 + 2.6 * count
    figure = Figure(figsize=(10, height))
    margins = {"left": 0.07, "right": right, "top": 1 - 0.6 / height, "bottom": 0.6 / height, "hspace": 0.35}
    # Dollar signs in a text do not mark a formula; characters that the font lacks would cause warnings.
    shown = textwrap.shorten(title, 120, placeholder=" ...").encode("ascii", "replace").decode()
    figure.suptitle(shown, fontsize=10, parse_math=False)
    return figure, list(figure.subplots(count, 1, squeeze=False, gridspec_kw=margins)[:, 0])
