"""What a page needs of a recording to show and play it: the sound itself, its peaks and its spectrogram.

A page that is opened from disk may fetch nothing, so that all of it is text that a script can hold.

N samples, S frames, C channels.
"""

import base64
import gzip
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from aligner.alignment import Alignment
from aligner.corpus.audio import read_audio, read_audio_part, resample
from aligner.corpus.prepared import CUTS, load_utterances
from aligner.errors import AlignerError, reason
from aligner.formats.read import find_manifest
from aligner.formats.tar_member import AudioPlace, audio_place
from aligner.plot import MEL_RANGE_DB, log_mel_db

_HIGHEST_HZ = 24000  # of the sound: speech has nothing above 12 kHz that an ear would judge a boundary by
_PEAKS_HZ = 500
_STRIP_FRAMES = 2000  # 10 s of the log-mel: pictures that any browser decodes at once
_JPEG_QUALITY = 80
_OTHER_LENGTH_S = 0.1  # rounding and resampling change the length of a recording by less

Sound = tuple[NDArray[np.float32], int]  # samples [N], their rate
ReadSound = Callable[[], Sound]
_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".sph", ".m4a", ".webm")


class Sounds:
    """The recordings of alignments, by utterance id.

    Args:
        alignments: Where the alignments are from: a manifest says where the recordings are.
        given: A prepared corpus, or a folder with a sound file for each utterance, named by its id. None:
            what the alignments themselves say.

    Raises:
        AlignerError: `given` is neither.
    """

    def __init__(self, alignments: Path, given: Path | None = None) -> None:
        self._parts: Mapping[str, ReadSound] = {}
        self._files: dict[str, Path] = {}
        self._given = given
        if given is None:
            self._parts = _parts_in_manifest(find_manifest(alignments) if alignments.exists() else None)
        elif (given / CUTS).is_file():
            self._parts = {
                u.id: _reader(u.audio, u.start_s, u.n_samples, u.channels, u.audio_rate_hz)
                for u in load_utterances(given)
            }
        elif given.is_dir():
            self._files = _files_by_id(given)
        else:
            raise AlignerError(f"{given}: no such folder; name a prepared corpus or a folder of sound files")

    def read(self, alignment: Alignment) -> Sound:
        """The samples `[N]` of one utterance and their rate in Hz.

        Args:
            alignment: Of the utterance.

        Raises:
            AlignerError: There is no recording, it cannot be read, or it is of another length.
        """
        part = self._parts.get(alignment.id)
        path = self._files.get(alignment.id)
        if part is not None:
            samples, rate_hz = part()
        elif path is not None:
            samples, rate_hz = read_audio(path)
        elif self._given is None and alignment.audio:
            samples, rate_hz = read_audio(alignment.audio)
        else:
            where = f"is not in {self._given}" if self._given else "is not known"
            raise AlignerError(f"its recording {where}: name the corpus or the folder with --audio")
        length_s = len(samples) / rate_hz
        if abs(length_s - alignment.duration_s) > _OTHER_LENGTH_S:
            raise AlignerError(
                f"its recording is {length_s:.2f} s long, the alignment {alignment.duration_s:.2f} s"
            )
        return samples, rate_hz


def sound_data(samples: NDArray[np.float32], rate_hz: int) -> dict[str, Any]:
    """A recording as plain JSON types.

    Args:
        samples: `[N]`.
        rate_hz: Their rate.

    Returns:
        `rate_hz` of the sound in `flac`; `peaks`, the largest and the smallest sample of each 1/500 s one
        after the other, as signed bytes; `strips`, pictures of the log-mel with `start_s` and `end_s`. What
        is binary is in base64.
    """
    if rate_hz > _HIGHEST_HZ:
        samples, rate_hz = resample(samples, rate_hz, _HIGHEST_HZ).numpy(), _HIGHEST_HZ
    samples = np.clip(np.nan_to_num(samples), -1, 1)
    flac = io.BytesIO()
    soundfile.write(flac, samples, rate_hz, format="FLAC", subtype="PCM_16")
    return {
        "rate_hz": rate_hz,
        "flac": _base64(flac.getvalue()),
        "peaks": _base64(_peaks(samples, rate_hz).tobytes()),
        "strips": _strips(samples, rate_hz),
    }


def _peaks(samples: NDArray[np.float32], rate_hz: int) -> NDArray[np.int8]:
    """The largest of each step, then the smallest of each."""
    n_steps = max(1, round(len(samples) / rate_hz * _PEAKS_HZ))
    first = np.arange(n_steps) * len(samples) // n_steps
    both = [np.maximum.reduceat(samples, first), np.minimum.reduceat(samples, first)]
    loudest = max(float(np.abs(samples).max()), 1e-6)
    return np.round(np.concatenate(both) * (127 / loudest)).astype(np.int8)


def _strips(samples: NDArray[np.float32], rate_hz: int) -> list[dict[str, Any]]:
    from PIL import Image

    levels, grid = log_mel_db(samples, rate_hz)
    grey = np.round((levels + MEL_RANGE_DB) * (255 / MEL_RANGE_DB)).clip(0, 255).astype(np.uint8)[::-1]
    strips = []
    for first in range(0, grey.shape[1], _STRIP_FRAMES):
        part = grey[:, first : first + _STRIP_FRAMES]
        start_s, end_s = grid.boundary_s(np.array([first, first + part.shape[1]])).tolist()
        jpeg = io.BytesIO()
        Image.fromarray(part).save(jpeg, "JPEG", quality=_JPEG_QUALITY)
        strips.append({"start_s": start_s, "end_s": end_s, "jpeg": _base64(jpeg.getvalue())})
    return strips


def _files_by_id(folder: Path) -> dict[str, Path]:
    """The sound files by the ids that they may be of: their paths, and names that one file alone has."""
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in _SUFFIXES]
    stems = Counter(path.stem for path in paths)
    found = {path.stem: path for path in paths if stems[path.stem] == 1}
    for path in paths:
        parts = path.relative_to(folder).with_suffix("").parts
        found |= {"-".join(parts): path, "/".join(parts): path}
    return found


def _parts_in_manifest(manifest: Path | None) -> dict[str, ReadSound]:
    """How to read the recording of each cut of a manifest that says where it is."""
    if manifest is None:
        return {}
    found = {}
    with (gzip.open if manifest.suffix == ".gz" else open)(manifest, "rb") as lines:
        for line in _whole(lines):
            try:
                cut = json.loads(line)
                recording, channel = cut["recording"], cut["channel"]
                rate_hz = recording["sampling_rate"]
                place = audio_place(recording["sources"][0], manifest.parent)
                if place is None:
                    continue
                found[cut["id"]] = _reader(
                    place,
                    cut["start"],
                    round(cut["duration"] * rate_hz),
                    tuple(channel) if isinstance(channel, list) else (channel,),
                    rate_hz,
                )
            except (ValueError, KeyError, TypeError, IndexError):  # a line that says nothing of a recording
                continue
    return found


def _whole(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines up to where a manifest is damaged; whoever reads its alignments says so."""
    try:
        yield from lines
    except Exception:
        return


def _reader(
    path: AudioPlace, start_s: float, n_samples: int, channels: tuple[int, ...], rate_hz: int
) -> ReadSound:
    def read() -> Sound:
        try:
            return read_audio_part(path, start_s, n_samples, channels, rate_hz), rate_hz
        except AlignerError:
            raise
        except Exception as error:  # whatever may be in a manifest of somebody else's
            raise AlignerError(f"{path}: {reason(error)}") from error

    return read


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
