"""Checks of an utterance before it is prepared: what is refused and why.

`check_text` and `check_audio` turn a `RawUtterance` into an `Utterance` or raise `RefusedUtterance`.
"""

import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from aligner.alignment import Alignment
from aligner.corpus.audio import audio_format, read_audio_part
from aligner.corpus.prepared import Utterance
from aligner.corpus.readers import RawUtterance
from aligner.corpus.reference import reference_beside, transcript_of_reference
from aligner.errors import AlignerError
from aligner.text.transcript import PAUSE, Transcript

SHORTEST_FRAME_S = 0.01  # every token needs one frame, and frames are usually 10 ms
SILENCE_PEAK = 1e-3  # full scale is 1: -60 dB, quieter than any microphone's own noise in a usable recording
SAFE_ID = re.compile(r"[^\s/\\\x00-\x1f\x7f]{1,200}")


class RefusedUtterance(AlignerError):
    """An utterance cannot be used.

    Args:
        reason: The kind of fault in a few words, by which refused utterances are counted.
        detail: The message: what exactly is wrong.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def check_text(
    raw: RawUtterance, phonemize: Callable[[str], Transcript], known_symbols: frozenset[str]
) -> Transcript:
    """The transcript of an utterance whose id and text can be used.

    Args:
        raw: The utterance as found.
        phonemize: Turns its text into a transcript.
        known_symbols: A model's vocabulary, if the corpus is for one; otherwise empty.

    Raises:
        RefusedUtterance: If the id or the text cannot be used.
    """
    check_id(raw.id)
    if raw.problem:
        raise RefusedUtterance("not readable as listed", raw.problem)
    if not raw.text.strip():
        raise RefusedUtterance("no text", "its text is empty")
    try:
        transcript = phonemize(raw.text)
    except AlignerError as error:
        raise RefusedUtterance("text cannot be spoken", str(error)) from error
    check_symbols(transcript, known_symbols)
    return transcript


def check_id(id: str) -> None:
    """Check that an id can be a file name and a field of a text file: no separators, white space or `..`.

    Raises:
        RefusedUtterance: If it cannot.
    """
    if not SAFE_ID.fullmatch(id) or ".." in id or id.startswith((".", "-")):
        raise RefusedUtterance(
            "unsafe id", f"id {id[:80]!r}: use letters, digits, - and _, at most 200, no path, no spaces"
        )


def check_symbols(transcript: Transcript, known_symbols: frozenset[str]) -> None:
    """Check that a transcript uses no symbol outside `known_symbols`; if these are empty, any will do.

    Raises:
        RefusedUtterance: Naming the unknown symbols.
    """
    if known_symbols and (unknown := transcript.symbols() - known_symbols - {PAUSE}):
        raise RefusedUtterance("unknown symbols", f"not in the vocabulary: {' '.join(sorted(unknown))}")


def check_audio(raw: RawUtterance, transcript: Transcript | None) -> Utterance:
    """The utterance, if the whole of its audio can be decoded and used.

    Args:
        raw: The utterance as found.
        transcript: What is said; None to take the phones of the reference times, which then must exist.

    Raises:
        RefusedUtterance: If its audio or its reference times cannot be used.
    """
    if raw.audio is None or not raw.audio.is_file():
        raise RefusedUtterance(
            "audio missing", f"no file {raw.audio}" if raw.audio else "no audio of this name"
        )
    try:
        found = audio_format(raw.audio)
        channels = raw.channels or tuple(range(found.n_channels))
        if max(channels) >= found.n_channels:
            raise AlignerError(f"{raw.audio} has {found.n_channels} channels, not channel {max(channels)}")
        wanted = None if raw.duration_s is None else round(raw.duration_s * found.rate_hz)
        audio = read_audio_part(raw.audio, raw.start_s, wanted, channels, found.rate_hz)
    except AlignerError as error:
        raise RefusedUtterance("audio undecodable", str(error)) from error
    duration_s = len(audio) / found.rate_hz
    _check_samples(audio, duration_s, raw)
    reference = _find_reference(raw, duration_s)
    transcript = transcript or _transcript_of(reference)
    needed = transcript.min_tokens()
    if duration_s / SHORTEST_FRAME_S < needed:
        raise RefusedUtterance("shorter than its text", f"{duration_s:.2f} s for {needed} tokens")
    return Utterance(
        id=raw.id,
        audio=raw.audio.resolve(),
        audio_rate_hz=found.rate_hz,
        duration_s=duration_s,
        text=raw.text,
        transcript=transcript,
        speaker=raw.speaker,
        start_s=raw.start_s,
        channels=channels,
        reference=reference,
    )


def _check_samples(audio: NDArray[np.float32], duration_s: float, raw: RawUtterance) -> None:
    """Check that there is as much sound as listed, and that it is neither broken nor silent."""
    if len(audio) == 0 or (raw.duration_s and duration_s < raw.duration_s - SHORTEST_FRAME_S):
        raise RefusedUtterance("audio too short", f"{raw.audio} has {duration_s:.3f} s of it")
    if not np.isfinite(audio).all():
        raise RefusedUtterance("audio not finite", f"{raw.audio} holds NaN or infinite samples")
    peak = float(np.abs(audio - audio.mean()).max())
    if peak < SILENCE_PEAK:
        loudest_db = 20 * np.log10(max(peak, 1e-9))
        raise RefusedUtterance("audio silent", f"{raw.audio} never exceeds {loudest_db:.0f} dB")


def _find_reference(raw: RawUtterance, duration_s: float) -> Alignment | None:
    """The reference times that came with the utterance or lie beside its audio."""
    assert raw.audio is not None
    try:
        return raw.reference or reference_beside(raw.audio, raw.id, duration_s)
    except AlignerError as error:
        raise RefusedUtterance("reference times unusable", str(error)) from error


def _transcript_of(reference: Alignment | None) -> Transcript:
    try:
        return transcript_of_reference(reference)
    except AlignerError as error:
        raise RefusedUtterance("no reference phones", str(error)) from error
