"""Pictures: any text may stand above one."""

import warnings

import numpy as np
import pytest

from utils.plot import plot_curves, plot_mels


@pytest.mark.parametrize("title", ["We won $5,000 (#1) & lost $3 again.", r"\frac{", "日本 Zoë 😀", "$", "x" * 500])
def test_any_title_can_be_drawn(tmp_path, title):
    mel = np.random.default_rng(0).normal(size=(30, 8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot_mels({"predicted": mel, "recorded": mel}, title, 0.01).savefig(tmp_path / "mel.png")
        plot_curves({"pitch (Hz)": {"predicted": mel[:, 0]}}, ["AH0"] * 30, title).savefig(tmp_path / "curves.png")
    assert (tmp_path / "mel.png").stat().st_size > 1000
