"""Sound files: the only place that opens, resamples and writes them, also those that lie in a tar.

libsndfile reads most formats, PyAV (`pyav.py`) the rest.

N samples, C channels.
"""

import os
import struct
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from aligner.corpus import pyav
from aligner.errors import AlignerError
from aligner.formats.tar_member import TarMember

LOWEST_RATE_HZ = 4000  # half a telephone's: below it there is nothing left of most consonants
_HEAD_BYTES = 1024  # of NIST SPHERE's header
_NO_LENGTH = 0x7FFFF000  # a WAV header that promises more was written before its length was known
_OGG_PAGE_BYTES = 65307  # of Ogg's longest page
_OGG_FIRST_PAGE, _OGG_LAST_PAGE = 2, 4  # the flags of the first and the last page of a stream
_OGG_HEAD_BYTES = 27  # of a page, before the lengths of its parts
_SMALL_BYTES = 1024  # no more than that is left behind by programs, and is no sound


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


def audio_format(path: str | Path | TarMember) -> AudioFormat:
    """The sample rate, channels and length of a sound file, without decoding it (but for PyAV's formats).

    Raises:
        AlignerError: Naming the file, if it is not a sound file that can be read.
    """
    try:
        with soundfile.SoundFile(_readable(path)) as file:
            return AudioFormat(file.samplerate, file.channels, file.frames)
    except Exception as error:  # whatever libsndfile and its wrapper make of somebody's file
        samples, rate_hz = _decode_otherwise(path, error)
        return AudioFormat(rate_hz, samples.shape[1], len(samples))


def read_audio(path: str | Path | TarMember) -> tuple[NDArray[np.float32], int]:
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
    path: str | Path | TarMember,
    start_s: float,
    n_samples: int | None,
    channels: tuple[int, ...],
    rate_hz: int,
) -> NDArray[np.float32]:
    """A part of a sound file at the file's own rate, with the chosen channels averaged.

    Args:
        path: The sound file, or where in a tar it lies.
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


def is_cut_off(path: str | Path | TarMember) -> bool:
    """Whether a WAV or Ogg file ends before the end that it names: libsndfile then reads what there is."""
    with _opened(path) as file:
        kind, size = _kind_and_size(file)
        if kind == "wav":
            return _wav_is_cut_off(file, size)
        if kind == "ogg":
            file.seek(max(0, size - _OGG_PAGE_BYTES))
            _, page, after = file.read().rpartition(b"OggS")
            return bool(page) and len(after) > 1 and not after[1] & _OGG_LAST_PAGE
    return False


def holds_more(path: str | Path | TarMember) -> bool:
    """Whether a WAV or Ogg file goes on after the end that it names: libsndfile does not read that.

    It is so where a header was written before its length was known, and where Ogg files were put together
    with `cat`; of WAV files put together libsndfile reads none.
    """
    with _opened(path) as file:
        kind, size = _kind_and_size(file)
        if kind == "wav":
            return _wav_holds_more(file, size)
        file.seek(0)
        return kind == "ogg" and _ogg_holds_more(file)


def _kind_and_size(file: BinaryIO) -> tuple[str, int]:
    """The kind ("wav", "ogg" or "") and the bytes of a file, which is left 12 bytes from its beginning."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        return "wav", size
    return ("ogg" if head[:4] == b"OggS" else ""), size


def resample(samples: NDArray[np.float32], rate_hz: int, wanted_hz: int) -> Tensor:
    """The samples `[N]` at another rate, both in Hz; at the same rate they stay as they are."""
    if rate_hz != wanted_hz:
        samples = soxr.resample(samples, rate_hz, wanted_hz)
    return torch.from_numpy(np.ascontiguousarray(samples))


def write_wav(file: BinaryIO, samples: NDArray[np.int16], rate_hz: int) -> None:
    """Write samples `[N]` as a WAV file of one channel and 16 bit."""
    soundfile.write(file, samples, rate_hz, format="WAV", subtype="PCM_16")


def _wav_is_cut_off(file: BinaryIO, size: int) -> bool:
    """Whether the data that a WAV header promises go beyond the end of the file."""
    while len(chunk := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", chunk)
        if name == b"data":
            return length < _NO_LENGTH and file.tell() + length > size + 1
        file.seek(length + length % 2, os.SEEK_CUR)
    return False


def _readable(path: str | Path | TarMember) -> str | Path | BytesIO:
    """What libraries open: a path, or the content of a file in a tar, which is read with one seek."""
    return BytesIO(path.read()) if isinstance(path, TarMember) else path


def _opened(path: str | Path | TarMember) -> BinaryIO:
    return BytesIO(path.read()) if isinstance(path, TarMember) else open(path, "rb")


def _wav_holds_more(file: BinaryIO, size: int) -> bool:
    """Whether what follows the data of a WAV file is no chunk of its own, nor a tag or filling."""
    data_bytes = -1
    while len(chunk := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", chunk)
        place = file.tell()
        if data_bytes >= 0 and not (name.isascii() and name.decode().isprintable()):
            left = size - place + 8
            is_tag = chunk.startswith((b"ID3", b"TAG"))
            return left > max(_SMALL_BYTES, data_bytes // 100) and not is_tag and any(file.read(_SMALL_BYTES))
        if name == b"data":
            data_bytes = length
        if place + length > size:
            return False
        file.seek(length + length % 2, os.SEEK_CUR)
    return False


def _ogg_holds_more(file: BinaryIO) -> bool:
    """Whether a stream begins in an Ogg file after one has ended."""
    ended = False
    while len(page := file.read(_OGG_HEAD_BYTES)) == _OGG_HEAD_BYTES and page.startswith(b"OggS"):
        if ended and page[5] & _OGG_FIRST_PAGE:
            return True
        ended = ended or bool(page[5] & _OGG_LAST_PAGE)
        file.seek(sum(file.read(page[-1])), os.SEEK_CUR)
    return False


def _decode(
    path: str | Path | TarMember, start: int = 0, n_samples: int | None = None
) -> tuple[NDArray[np.float32], int]:
    """The samples `[N, C]` from sample `start` on, at most `n_samples` of them, and their rate in Hz."""
    frames = -1 if n_samples is None else n_samples
    try:
        samples, rate_hz = soundfile.read(_readable(path), frames, start, dtype="float32", always_2d=True)
    except Exception as error:  # whatever libsndfile and its wrapper make of somebody's file
        samples, rate_hz = _decode_otherwise(path, error)
        samples = samples[start:] if n_samples is None else samples[start : start + n_samples]
    return samples, rate_hz


def _decode_otherwise(path: str | Path | TarMember, error: Exception) -> tuple[NDArray[np.float32], int]:
    """The samples `[N, C]` of a file that libsndfile cannot read, and their rate.

    Raises:
        AlignerError: Saying in a person's words why the file cannot be read, and what to do.
    """
    try:
        with _opened(path) as file:
            head = file.read(_HEAD_BYTES)
    except OSError as problem:
        raise AlignerError(f"{path}: {(problem.strerror or str(problem)).lower()}") from problem
    if not head:
        raise AlignerError(f"{path}: the file is empty")
    if pyav.can_read(head):
        return pyav.decode(_readable(path), str(path))
    if head.startswith(b"NIST_1A"):
        raise AlignerError(
            f"{path}: a NIST SPHERE file that is compressed; make it a WAV with `sph2pipe -f wav`"
        )
    what = getattr(error, "error_string", error)  # libsndfile's own, without the name of the file
    raise AlignerError(f"{path}: cannot be read as audio ({what})") from error
