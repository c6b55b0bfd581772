"""Training data in the memory of the device: read once, then batches are gathered there."""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, runtime_checkable

import torch

from utils.errors import UserError


class ResidentData(Protocol):
    """The data of a split on a device."""

    def batch(self, chosen: Any) -> Any:
        """Returns the same batch as `collate` for the same items, bit for bit.

        Fields with one number per utterance are on the host, which needs their values; all others are on the device.
        """


@runtime_checkable
class CanBeResident(Protocol):
    """A dataset that can move to a device."""

    @property
    def resident_bytes(self) -> int:
        """Memory that it needs on the device, in bytes."""

    def on_device(self, device: torch.device) -> ResidentData:
        """Reads all data onto the device, once."""


class ResidentLoader:
    """Gathers a sampler's batches on the device; replaces a DataLoader."""

    def __init__(self, data: ResidentData, sampler: Iterable[Any]) -> None:
        """Combines data and sampler.

        Args:
            data: data on the device.
            sampler: yields the items of each batch.
        """
        self.data, self.sampler = data, sampler

    def __iter__(self) -> Iterator[Any]:
        return map(self.data.batch, self.sampler)


def should_be_resident(wanted: bool | str, dataset: CanBeResident, device: torch.device) -> bool:
    """Whether a dataset is to move to the device, given `train.data_on_device`.

    "auto" means yes on a GPU if the data need less than half of the free memory; the rest is for the model and its
    activations.

    Raises:
        UserError: `train.data_on_device` is true, and the data do not fit.
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
