"""Recordings with their transcripts, in memory: what an aligner takes.

N samples.
"""

from dataclasses import dataclass

from torch import Tensor

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
    """

    id: str
    audio: Tensor
    transcript: Transcript
    duration_s: float
    speaker: str = ""
    text: str = ""
    path: str = ""


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
