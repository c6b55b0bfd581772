"""Training data in the memory of the device: they are read once, and batches are gathered there."""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, runtime_checkable

import torch

from utils.errors import UserError


class ResidentData(Protocol):
    """The data of a split on a device."""

    def batch(self, chosen: Any) -> Any:
        """The batch that `collate` makes of the same items, bit for bit.

        Fields of one number an utterance are on the host, which must know them; all others are on the device.
        """


@runtime_checkable
class CanBeResident(Protocol):
    """A data set that can move to a device."""

    @property
    def resident_bytes(self) -> int:
        """Memory that it takes there."""

    def on_device(self, device: torch.device) -> ResidentData:
        """Reads everything, once."""


class ResidentLoader:
    """A sampler's batches, gathered on the device; used instead of a DataLoader."""

    def __init__(self, data: ResidentData, sampler: Iterable[Any]) -> None:
        """Wraps the data.

        Args:
            data: on the device.
            sampler: yields what each batch holds.
        """
        self.data, self.sampler = data, sampler

    def __iter__(self) -> Iterator[Any]:
        return map(self.data.batch, self.sampler)


def should_be_resident(wanted: bool | str, dataset: CanBeResident, device: torch.device) -> bool:
    """Whether a data set is to move to the device: as `train.data_on_device` says.

    "auto" is yes on a GPU where it needs less than half of what is free: the rest is for the model and its activations.

    Raises:
        UserError: it must, and cannot.
    """
    if wanted is False or (wanted == "auto" and device.type != "cuda"):
        return False
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else float("inf")
    if wanted is True and dataset.resident_bytes > free:
        raise UserError(
            f"train.data_on_device is true, but the training data take {dataset.resident_bytes / 1e9:.1f} GB, and "
            f'{device} has {free / 1e9:.1f} GB free: leave it at "auto"',
            2,
        )
    return wanted is True or dataset.resident_bytes < free / 2
