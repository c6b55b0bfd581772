"""Rows of different lengths, concatenated in a device's memory, and batches gathered from them on the device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Ragged:
    """A table with rows of different lengths."""

    def __init__(
        self,
        lengths: Sequence[int],
        device: torch.device,
        dtype: torch.dtype,
        shape: Sequence[int] = (),
        padding: float = 0,
    ) -> None:
        """Allocates the memory; `put` fills it.

        Args:
            lengths: lengths of the rows.
            device: device of the values.
            dtype: dtype of the values.
            shape: shape of a value, such as (80,) for frames of a mel.
            padding: value past the end of a row.
        """
        ends = torch.tensor(lengths).cumsum(0)
        self._total = int(ends[-1])
        self._starts = [0, *ends.tolist()]
        self._values = torch.empty(self._total + 1, *shape, dtype=dtype, device=device)
        self._values[-1] = padding  # an extra value that stands for everything past a row's end
        self._start = (ends - torch.tensor(lengths)).to(device)
        self._length = torch.tensor(lengths).to(device)

    def put(self, row: int, values: Tensor) -> None:
        """Fills a row.

        Args:
            row: index of the row.
            values: [length of the row, *shape], on any device.

        Raises:
            ValueError: the number of values is not the length of the row.
        """
        start, end = self._starts[row], self._starts[row + 1]
        if len(values) != end - start:
            raise ValueError(f"row {row} has {end - start} values, got {len(values)}")
        self._values[start:end] = values

    def take(self, rows: Tensor, places: Tensor) -> Tensor:
        """Gathers values at positions of rows, without waiting for the device.

        Args:
            rows: [B] int64, on the device.
            places: [B, L] or [L] int64 positions, at least 0, on the device; those past a row's end yield padding.

        Returns:
            [B, L, *shape].
        """
        inside = places < self._length[rows].unsqueeze(1)
        return self._values[torch.where(inside, self._start[rows].unsqueeze(1) + places, self._total)]

    def padded(self, rows: Tensor, width: int) -> Tensor:
        """Gathers whole rows, with padding after their ends.

        Args:
            rows: [B] int64, on the device.
            width: L, at least the length of the longest of these rows.

        Returns:
            [B, L, *shape].
        """
        return self.take(rows, torch.arange(width, device=rows.device))
