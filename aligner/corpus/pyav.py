"""Sound files that libsndfile does not read (m4a, webm and other containers), through PyAV, an extra.

N samples, C channels.
"""

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aligner.errors import AlignerError

# How the files begin, at which byte: MP4 and its kin, Matroska and WebM, Windows Media, AAC, AMR.
_SIGNS = (
    (4, b"ftyp"),
    (0, b"\x1a\x45\xdf\xa3"),
    (0, b"\x30\x26\xb2\x75"),
    (0, b"\xff\xf1"),
    (0, b"\xff\xf9"),
    (0, b"#!AMR"),
)


def can_read(head: bytes) -> bool:
    """Whether a file that begins like this is one of PyAV's.

    Args:
        head: The first bytes of the file.
    """
    return any(head[place:].startswith(sign) for place, sign in _SIGNS)


def decode(file: str | Path | BytesIO, path: str) -> tuple[NDArray[np.float32], int]:
    """The samples `[N, C]` of the first sound stream of a file, and their rate in Hz.

    Args:
        file: The file, or its content.
        path: What to call it.

    Raises:
        AlignerError: If PyAV is not installed, or the file cannot be read.
    """
    try:
        import av
    except ImportError as error:
        raise AlignerError(
            f"{path}: a format that needs PyAV: `pip install 'mas-aligner[av]'`, or make it a WAV with "
            "`ffmpeg -i FILE FILE.wav`"
        ) from error
    try:
        with av.open(file if isinstance(file, BytesIO) else str(file), "r") as container:
            stream = container.streams.audio[0]
            planar = av.AudioResampler(format="fltp")  # the rate and the channels stay
            frames = [planar.resample(frame) for frame in container.decode(stream)]
            frames.append(planar.resample(None))  # what is left in it
            parts = [part.to_ndarray() for few in frames for part in few]
            rate_hz = stream.rate
    except Exception as error:  # whatever FFmpeg makes of somebody's file
        raise AlignerError(f"{path}: cannot be read as audio ({error})") from error
    if not parts:
        raise AlignerError(f"{path}: there is nothing in the recording")
    return np.ascontiguousarray(np.concatenate(parts, axis=1).T, dtype=np.float32), rate_hz
