"""Sound files: the only place that opens, resamples and writes them.

N samples, C channels.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from aligner.errors import AlignerError

# What soundfile raises for a file that is missing, damaged, not sound, or shorter than where reading starts;
# TypeError for `.raw`, which has no header and so no known rate.
_UNREADABLE = (soundfile.SoundFileError, RuntimeError, OSError, ValueError, TypeError)


@dataclass(frozen=True)
class AudioFormat:
    """What the header of a sound file says.

    Args:
        rate_hz: Samples a second.
        n_channels: C, the channels.
        n_samples: N, the samples of each channel.
    """

    rate_hz: int
    n_channels: int
    n_samples: int


def audio_format(path: str | Path) -> AudioFormat:
    """The sample rate, channels and length of a sound file, without decoding it.

    Raises:
        AlignerError: Naming the file, if it is not a sound file that can be read.
    """
    try:
        with soundfile.SoundFile(path) as file:
            return AudioFormat(file.samplerate, file.channels, file.frames)
    except _UNREADABLE as error:
        raise AlignerError(f"{path}: cannot be read as audio ({error})") from error


def read_audio(path: str | Path) -> tuple[NDArray[np.float32], int]:
    """The whole of a sound file, channels averaged.

    Returns:
        The samples `[N]` and their rate in Hz.

    Raises:
        AlignerError: Naming the file, if it cannot be read or is empty.
    """
    samples, rate_hz = _decode(path)
    if not len(samples):
        raise AlignerError(f"{path}: there is nothing in the recording")
    return samples.mean(1), rate_hz


def read_audio_part(
    path: str | Path, start_s: float, n_samples: int | None, channels: tuple[int, ...], rate_hz: int
) -> NDArray[np.float32]:
    """A part of a sound file at the file's own rate, with the chosen channels averaged.

    Args:
        path: The sound file.
        start_s: Where the part begins, in seconds.
        n_samples: Its length; None reads to the end. It comes out shorter where the file ends before.
        channels: The channels to average, from 0.
        rate_hz: The rate that the file is known to have.

    Returns:
        The samples `[N]`.

    Raises:
        AlignerError: Naming the file, if it cannot be read, has another rate or lacks a channel.
    """
    samples, found_hz = _decode(path, round(start_s * rate_hz), n_samples)
    if found_hz != rate_hz or samples.shape[1] <= max(channels):
        raise AlignerError(f"{path} is not the file it was: run `aligner prepare` again")
    return samples[:, channels[0]] if len(channels) == 1 else samples[:, channels].mean(axis=1)


def resample(samples: NDArray[np.float32], rate_hz: int, wanted_hz: int) -> Tensor:
    """The samples `[N]` at another rate, both in Hz; at the same rate they stay as they are."""
    if rate_hz != wanted_hz:
        samples = soxr.resample(samples, rate_hz, wanted_hz)
    return torch.from_numpy(np.ascontiguousarray(samples))


def write_wav(file: BinaryIO, samples: NDArray[np.int16], rate_hz: int) -> None:
    """Write samples `[N]` as a WAV file of one channel and 16 bit."""
    soundfile.write(file, samples, rate_hz, format="WAV", subtype="PCM_16")


def _decode(
    path: str | Path, start: int = 0, n_samples: int | None = None
) -> tuple[NDArray[np.float32], int]:
    """The samples `[N, C]` from sample `start` on, at most `n_samples` of them, and their rate in Hz."""
    frames = -1 if n_samples is None else n_samples
    try:
        samples, rate_hz = soundfile.read(path, frames, start, dtype="float32", always_2d=True)
    except _UNREADABLE as error:
        raise AlignerError(f"{path}: cannot be read as audio ({error})") from error
    return samples, rate_hz
