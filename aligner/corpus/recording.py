"""Recordings with their transcripts, in memory: what an aligner takes.

B batch, N samples.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aligner.corpus.audio import LOWEST_RATE_HZ, resample
from aligner.corpus.kept import Kept
from aligner.corpus.noise import without_noise
from aligner.corpus.prepared import Utterance, load_audio
from aligner.corpus.read_ahead import available_processors
from aligner.errors import AlignerError, reason
from aligner.text.transcript import Transcript

_COPYING_THREADS = 4
_LOUDEST = 4.0  # of samples: resampling and mixing go beyond 1; integers that became floats go far beyond


@dataclass(frozen=True)
class Recording:
    """One utterance's sound and transcript.

    Args:
        id: Of the utterance.
        audio: `[N]`, float32 in -1..1, at the aligner's sample rate.
        transcript: What is said.
        duration_s: Seconds before resampling, which rounds them.
        speaker: "" if unknown.
        text: As written, "" if unknown.
        path: Of the file, "" if there is none.
        kept: What a person set in an earlier alignment, and is to stay.
    """

    id: str
    audio: Tensor
    transcript: Transcript
    duration_s: float
    speaker: str = ""
    text: str = ""
    path: str = ""
    kept: Kept = Kept()

    @property
    def is_read(self) -> bool:
        """Whether its tokens were read from a text: they are not the user's own, who may know better."""
        return self.transcript.fixed is None

    @property
    def may_have_gaps(self) -> bool:
        """Whether its text may differ from what is said: no tokens of the user's own, nothing set by hand."""
        return self.is_read and self.kept == Kept()


def heard(samples: NDArray[np.float32], rate_hz: int, wanted_hz: int) -> Tensor:
    """What an aligner hears of samples `[N]` of anybody's: at its rate, without steady noise."""
    return without_noise(resample(samples, rate_hz, wanted_hz), wanted_hz)


def load_heard(utterance: Utterance, sample_rate_hz: int) -> Tensor:
    """What an aligner hears of a prepared corpus' utterance, `[N]`; arguments and errors as `load_audio`."""
    return without_noise(load_audio(utterance, sample_rate_hz), sample_rate_hz)


def load_recording(
    utterance: Utterance, sample_rate_hz: int, transcript: Transcript | None = None
) -> Recording:
    """The recording of a prepared corpus' utterance.

    Args:
        utterance: Of the corpus.
        sample_rate_hz: Wanted.
        transcript: Instead of the utterance's own.

    Raises:
        AlignerError: If the audio cannot be read, naming the utterance.
    """
    return Recording(
        id=utterance.id,
        audio=load_heard(utterance, sample_rate_hz),
        transcript=transcript or utterance.transcript,
        duration_s=utterance.duration_s,
        speaker=utterance.speaker,
        text=utterance.text,
        path=str(utterance.audio),
    )


def padded_audio(audio: Sequence[Tensor], *, for_gpu: bool = False) -> tuple[Tensor, Tensor]:
    """The audio of a batch `[B, N]`, padded with 0, and the samples of each recording `[B]`.

    Args:
        audio: `[N]` each; possibly none.
        for_gpu: Lay it in memory that goes to a GPU several times as fast, and that is used again and again
            (new memory is given by the system page by page).
    """
    lengths = [len(own) for own in audio]
    batch = torch.empty(len(audio), max(lengths, default=0), pin_memory=for_gpu)
    rows = batch.numpy()  # torch would give each of many small copies to all of its threads

    def fill(places: range) -> None:
        for place in places:
            rows[place, : lengths[place]] = audio[place].numpy()
            rows[place, lengths[place] :] = 0.0

    # A GPU waits for these copies, of hundreds of megabytes, when it needs the audio of a whole corpus.
    threads = min(_COPYING_THREADS, available_processors()) if for_gpu else 1
    parts = [range(first, len(audio), threads) for first in range(threads)]
    if threads == 1:
        fill(parts[0])
    else:
        with ThreadPoolExecutor(threads, thread_name_prefix="padded-audio") as pool:
            list(pool.map(fill, parts))
    return batch, torch.tensor(lengths, dtype=torch.int64)


def checked_samples(
    audio: NDArray[np.float32], sample_rate_hz: int | None
) -> tuple[NDArray[np.float32], int]:
    """Samples that somebody else's code made, if they are a recording, and their rate.

    Args:
        audio: `[N]`, in -1..1.
        sample_rate_hz: Of the samples.

    Raises:
        AlignerError: They are none; it says why.
    """
    if not isinstance(audio, np.ndarray | Tensor):
        raise AlignerError(
            f"audio is {type(audio).__name__}; the path of a sound file, or its samples as an array [N] with "
            "sample_rate_hz, is needed"
        )
    if not isinstance(sample_rate_hz, int | float | np.number) or not sample_rate_hz >= LOWEST_RATE_HZ:
        raise AlignerError(f"audio given as samples needs sample_rate_hz, at least {LOWEST_RATE_HZ}")
    try:
        samples = np.asarray(audio)
    except (RuntimeError, TypeError) as error:  # a tensor with a gradient, on a GPU, in bfloat16
        raise AlignerError(f"audio: {reason(error)}; pass audio.detach().cpu().float().numpy()") from error
    if samples.ndim != 1 or not len(samples):
        raise AlignerError(f"audio has shape {samples.shape}; one channel, [N], is needed")
    if not np.issubdtype(samples.dtype, np.floating) or not np.isfinite(samples).all():
        raise AlignerError(f"audio given as samples ({samples.dtype}) must be finite numbers in -1..1")
    if (loudest := np.abs(samples).max()) > _LOUDEST:
        raise AlignerError(
            f"audio given as samples ({samples.dtype}) must be finite numbers in -1..1 (a peak up to "
            f"{_LOUDEST:g} is taken), but reaches {loudest:g}; divide 16-bit samples by 32768"
        )
    return samples.astype(np.float32), sample_rate_hz
