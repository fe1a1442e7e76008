"""The devices of this machine, as `Aligner.load` and --device name them."""

import torch

from aligner.errors import AlignerError


def devices() -> list[str]:
    """The devices of this machine."""
    there = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    return [*there, "mps"] if torch.backends.mps.is_available() else there


def check_device(device: str) -> None:
    """Say which devices there are if this machine lacks the one that was asked for.

    Args:
        device: Such as "cpu", "cuda" or "cuda:1".

    Raises:
        AlignerError: There is no such device.
    """
    there = devices()
    if device not in {*there, *(name.partition(":")[0] for name in there)}:
        raise AlignerError(f"there is no device {device!r} here: take one of {', '.join(there)}")
