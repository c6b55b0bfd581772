"""Rows of different lengths, one after the other in the memory of a device, and batches gathered from them there."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Ragged:
    """A table whose rows have lengths of their own."""

    def __init__(
        self,
        lengths: Sequence[int],
        device: torch.device,
        dtype: torch.dtype,
        shape: Sequence[int] = (),
        padding: float = 0,
    ) -> None:
        """Makes room; `put` fills it.

        Args:
            lengths: of the rows.
            device: of the values.
            dtype: of the values.
            shape: of a value, as in (80,) for a mel's frames.
            padding: the value past the end of a row.
        """
        ends = torch.tensor(lengths).cumsum(0)
        self._total = int(ends[-1])
        self._starts = [0, *ends.tolist()]
        self._values = torch.empty(self._total + 1, *shape, dtype=dtype, device=device)
        self._values[-1] = padding  # one value more: all that is past a row's end points there
        self._start = (ends - torch.tensor(lengths)).to(device)
        self._length = torch.tensor(lengths).to(device)

    def put(self, row: int, values: Tensor) -> None:
        """Fills a row.

        Args:
            row: its number.
            values: [length of the row, *shape], on any device.

        Raises:
            ValueError: the row has another length.
        """
        start, end = self._starts[row], self._starts[row + 1]
        if len(values) != end - start:
            raise ValueError(f"row {row} has {end - start} values, got {len(values)}")
        self._values[start:end] = values

    def take(self, rows: Tensor, places: Tensor) -> Tensor:
        """Values at places of rows. Nothing waits for the device.

        Args:
            rows: [B] int64, on the device.
            places: [B, L] or [L] int64, at least 0, on the device; past a row's end there is padding.

        Returns:
            [B, L, *shape].
        """
        there = places < self._length[rows].unsqueeze(1)
        return self._values[torch.where(there, self._start[rows].unsqueeze(1) + places, self._total)]

    def padded(self, rows: Tensor, width: int) -> Tensor:
        """Whole rows, with padding after their ends.

        Args:
            rows: [B] int64, on the device.
            width: L, not less than the longest one's length.

        Returns:
            [B, L, *shape].
        """
        return self.take(rows, torch.arange(width, device=rows.device))
