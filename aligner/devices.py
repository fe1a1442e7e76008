"""The devices of this machine, as `Aligner.load` and --device name them, memory, and what goes to them."""

import ctypes
import os
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from aligner.errors import AlignerError

_MOST_HEAPS = -8  # glibc's M_ARENA_MAX


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


def on_device(values: NDArray[Any], device: torch.device) -> Tensor:
    """The values on a device, for which the host does not wait.

    Args:
        values: Any. To a GPU they go through pinned memory: from other memory a copy begins when the GPU has
            done all that it was asked for before, and the host waits until then.
        device: Wanted.
    """
    here = torch.from_numpy(values)
    return here.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else here.to(device)


def free_memory_bytes() -> float:
    """Memory that can be had without swapping; without /proc, half of all there is."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    except OSError:
        pass
    return 0.5 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def few_heaps() -> None:
    """Let the threads of this process share two heaps, where the C library (glibc) has one for each.

    Each heap keeps pieces of the recordings that were read into it: memory grows with every epoch.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if set_option is not None:
        set_option(_MOST_HEAPS, 2)
