"""Recordings of one channel: read from a file, brought to another sample rate.

N samples.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aligner.errors import AlignerError


def read_audio(path: str | Path) -> tuple[NDArray[np.float32], int]:
    """The samples `[N]` of a whole file, channels averaged, and their rate in Hz.

    Raises AlignerError, naming the file, if it is no recording or an empty one.
    """
    import soundfile

    try:
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:
        raise AlignerError(f"{path}: cannot be read as audio ({error})") from error
    if not len(samples):
        raise AlignerError(f"{path}: there is nothing in the recording")
    return samples.mean(1), rate_hz


def resample(samples: NDArray[np.float32], rate_hz: int, wanted_hz: int) -> Tensor:
    """The samples `[N]` at another rate."""
    if rate_hz != wanted_hz:
        import soxr

        samples = soxr.resample(samples, rate_hz, wanted_hz)
    return torch.from_numpy(np.ascontiguousarray(samples))
