"""Recordings with their transcripts, in memory: what an aligner takes.

B batch, N samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from aligner.corpus.kept import Kept
from aligner.corpus.prepared import Utterance, load_audio
from aligner.text.transcript import Transcript


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
        audio=load_audio(utterance, sample_rate_hz),
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
    for row, own in zip(rows, audio, strict=True):
        row[: len(own)] = own.numpy()
        row[len(own) :] = 0.0
    return batch, torch.tensor(lengths, dtype=torch.int64)
