"""Checks of an utterance before it is prepared: what is refused and why.

`check_text` and `check_audio` turn a `RawUtterance` into an `Utterance` or raise `RefusedUtterance`. Each is
the one place where a library reads a person's text or recording: whatever it raises is that utterance's
refusal.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aligner.alignment import Alignment
from aligner.corpus.audio import LOWEST_RATE_HZ, audio_format, holds_more, is_cut_off, read_audio_part
from aligner.corpus.prepared import Utterance
from aligner.corpus.readers import RawUtterance
from aligner.corpus.reference import (
    UnusableReference,
    fitted,
    has_reference_beside,
    reference_beside,
    transcript_of_reference,
)
from aligner.errors import AlignerError, reason
from aligner.formats.tar_member import TarMember
from aligner.text.language_names import primary_language
from aligner.text.transcript import PAUSE, Transcript

SHORTEST_FRAME_S = 0.01  # every token needs one frame, and frames are usually 10 ms
SILENCE_PEAK = 1e-3  # full scale is 1: -60 dB, quieter than any microphone's own noise in a usable recording
# A list may count an MP3's or AAC's filling at its ends, of up to two of its frames at 16 kHz.
SHORTFALL_S = 0.15
_WHOLE_SECONDS_S = 1.0  # a length in whole seconds has been rounded, up or down
_OF_THE_WHOLE = "times beside a recording are those of the whole of it, and the utterance is a part"
_SURROGATE = re.compile("[\ud800-\udfff]")  # in no text: half a character, or a byte of a file name
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


@dataclass(frozen=True)
class CheckedAudio:
    """An utterance that can be used, and what is to be known about its audio.

    Args:
        utterance: The utterance.
        reference_problem: Why its reference times cannot be used; "" if they can, or there are none.
        cut_off: Whether the file ends before the end that its header names.
        goes_on: Whether the file goes on after the end that its header names.
        missing_s: By how many seconds the file is shorter than listed, where that is the fill of its format.
        wrong_length: The listed and the real length, where they differ by more; "" if they do not.
    """

    utterance: Utterance
    reference_problem: str = ""
    cut_off: bool = False
    goes_on: bool = False
    missing_s: float = 0.0
    wrong_length: str = ""


def check_found(raw: RawUtterance) -> None:
    """Check that an utterance has an id that can be used, can be written, and was readable as listed.

    Raises:
        RefusedUtterance: If not.
    """
    _check_name(raw.audio)
    check_id(raw.id)
    for what, value in (("id", raw.id), ("text", raw.text), ("speaker", raw.speaker)):
        if _SURROGATE.search(value):
            raise RefusedUtterance("not Unicode", f"its {what} has half a character in it (a lone surrogate)")
    if raw.problem:
        raise RefusedUtterance("not readable as listed", raw.problem)


def check_language(raw: RawUtterance, language: str) -> None:
    """Check that an utterance is not listed as of another language than its text is read as.

    Args:
        raw: The utterance as found.
        language: That of the phonemizer. Of one that is not known, as of one listed, nothing is said.

    Raises:
        RefusedUtterance: If it is.
    """
    listed, read = primary_language(raw.language), primary_language(language)
    if listed and read and listed != read:
        raise RefusedUtterance(
            "another language",
            f"its language is listed as {raw.language}, and texts are read as {language}: prepare each "
            "language by itself, with --language; if the list is wrong, call its column ignore (--columns)",
        )


def check_text(
    raw: RawUtterance, phonemize: Callable[[str], Transcript], known_symbols: frozenset[str]
) -> Transcript:
    """The transcript of an utterance whose text can be used.

    Args:
        raw: The utterance as found, after `check_found`.
        phonemize: Turns its text into a transcript.
        known_symbols: A model's vocabulary, if the corpus is for one; otherwise empty.

    Raises:
        RefusedUtterance: If the text cannot be used.
    """
    if not raw.text.strip():
        raise RefusedUtterance("no text", "its text is empty")
    try:
        transcript = phonemize(raw.text)
    except Exception as error:  # any callable may be a phonemizer
        raise RefusedUtterance("text cannot be spoken", reason(error)) from error
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


def check_audio(raw: RawUtterance, transcript: Transcript | None) -> CheckedAudio:
    """The utterance, if the whole of its audio can be decoded and used.

    Args:
        raw: The utterance as found.
        transcript: What is said; None to take the phones of the reference times, which then must exist.

    Raises:
        RefusedUtterance: If its audio cannot be used, or there is neither transcript nor reference.
    """
    advice = f"; {raw.if_missing}" if raw.if_missing else ""
    if raw.audio is None:
        raise RefusedUtterance("audio missing", "no audio of this name" + advice)
    if problem := _missing(raw.audio.tar if isinstance(raw.audio, TarMember) else raw.audio):
        raise RefusedUtterance("audio missing", problem + advice)
    _check_name(raw.audio.resolve())
    try:
        found = audio_format(raw.audio)
        if found.rate_hz < LOWEST_RATE_HZ:
            raise AlignerError(
                f"{raw.audio}: its header says {found.rate_hz} Hz, and speech needs at least {LOWEST_RATE_HZ}"
            )
        channels = raw.channels or tuple(range(found.n_channels))
        if max(channels) >= found.n_channels:
            raise AlignerError(f"{raw.audio} has {found.n_channels} channels, not channel {max(channels)}")
        if not found.n_samples and holds_more(raw.audio):
            raise AlignerError(
                f"{raw.audio}: nothing is in it by its header, but by its size: write it anew, such "
                "as with `sox --ignore-length IN OUT`"
            )
        start = round(raw.start_s * found.rate_hz)
        if start >= found.n_samples > 0:
            raise AlignerError(f"{raw.audio} ends before {raw.start_s:g} s, where the utterance begins")
        wanted = None if raw.duration_s is None else round(raw.duration_s * found.rate_hz)
        audio = read_audio_part(raw.audio, raw.start_s, wanted, channels, found.rate_hz)
        cut_off, goes_on = is_cut_off(raw.audio), holds_more(raw.audio)
    except (AlignerError, OSError) as error:
        raise RefusedUtterance("audio undecodable", str(error)) from error
    duration_s = len(audio) / found.rate_hz
    missing_s = _check_samples(audio, duration_s, raw, len(channels))
    wrong_length = _wrong_length(raw.listed_s, duration_s)
    reference, reference_problem = _find_reference(raw, duration_s)
    transcript = transcript or _transcript_of(reference, reference_problem)
    needed = transcript.min_tokens()
    if duration_s / SHORTEST_FRAME_S < needed:
        raise RefusedUtterance("shorter than its text", f"{duration_s:.2f} s for {needed} tokens")
    utterance = Utterance(
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
    to_its_end = wanted is None or start + wanted >= found.n_samples
    decoded_short = wanted is None and start + len(audio) < found.n_samples
    return CheckedAudio(
        utterance,
        reference_problem,
        (cut_off and to_its_end) or decoded_short,
        goes_on and to_its_end,
        missing_s if missing_s <= SHORTFALL_S else 0.0,  # more is suspect, or a rounding to seconds
        wrong_length,
    )


def _check_name(audio: Path | TarMember | None) -> None:
    """Check that a manifest can name a file.

    Raises:
        RefusedUtterance: If it cannot.
    """
    if _SURROGATE.search(str(audio)):
        raise RefusedUtterance("unsafe file name", f"{audio}: a name that is not UTF-8; rename it")


def _missing(audio: Path) -> str:
    """Why there is no file at a path; "" if there is one. Pipes and devices are none: they may never end."""
    try:
        if audio.is_file():
            return ""
        if audio.is_symlink() and not audio.exists():
            return f"no such file: {audio} (a link to nowhere)"
        return f"not a file: {audio}" if audio.exists() else f"no such file: {audio}"
    except OSError as error:  # a name that is too long, a folder that may not be entered
        return f"{audio}: {error.strerror or error}"


def _check_samples(
    audio: NDArray[np.float32], duration_s: float, raw: RawUtterance, n_channels: int
) -> float:
    """Check that there is the part that is listed, and that it is neither broken nor silent.

    A length that a list gives for a whole file cuts nothing out of it, so a wrong one costs no utterance.

    Returns:
        The seconds that are missing of what is listed, few enough.
    """
    part_s = raw.duration_s or duration_s
    if len(audio) == 0 or duration_s < part_s - SHORTFALL_S:
        listed = f", listed are {part_s:.3f} s" if part_s > duration_s else ""
        raise RefusedUtterance("audio too short", f"{raw.audio} has {duration_s:.3f} s of it{listed}")
    if not np.isfinite(audio).all():
        raise RefusedUtterance("audio not finite", f"{raw.audio} holds NaN or infinite samples")
    peak = float(np.abs(audio - audio.mean()).max())
    if peak < SILENCE_PEAK:
        if _channels_cancel(raw, n_channels):
            raise RefusedUtterance(
                "channels cancel each other",
                f"the channels of {raw.audio} are each other's opposite, and their average is silent: write "
                "one of them to a file, such as with `sox IN OUT remix 1`",
            )
        loudest_db = 20 * np.log10(max(peak, 1e-9))
        raise RefusedUtterance("audio silent", f"{raw.audio} never exceeds {loudest_db:.0f} dB")
    return max(0.0, (raw.duration_s or raw.listed_s or duration_s) - duration_s)


def _channels_cancel(raw: RawUtterance, n_channels: int) -> bool:
    """Whether one channel alone of a recording, whose average is silent, is not silent."""
    assert raw.audio is not None
    if n_channels == 1:
        return False
    rate_hz = audio_format(raw.audio).rate_hz
    wanted = None if raw.duration_s is None else round(raw.duration_s * rate_hz)
    first = raw.channels[0] if raw.channels else 0
    alone = read_audio_part(raw.audio, raw.start_s, wanted, (first,), rate_hz)
    return float(np.abs(alone - alone.mean()).max()) >= SILENCE_PEAK


def _wrong_length(listed_s: float | None, duration_s: float) -> str:
    """The listed and the real length of a file, where they differ; "" if they do not, or none is listed."""
    if listed_s is None:
        return ""
    allowed_s = _WHOLE_SECONDS_S if listed_s >= 1 and listed_s.is_integer() else SHORTFALL_S
    if abs(listed_s - duration_s) <= allowed_s:
        return ""
    listed = "no number" if math.isnan(listed_s) else f"{listed_s:.3f} s"
    return f"listed is {listed}, the file has {duration_s:.3f} s"


def _find_reference(raw: RawUtterance, duration_s: float) -> tuple[Alignment | None, str]:
    """The reference times that came with it or lie beside its audio, or None and why they cannot be used."""
    assert raw.audio is not None
    if raw.reference_problem:
        return None, raw.reference_problem
    if not raw.times_beside:
        return None, ""
    try:
        if raw.reference is not None:
            return fitted(raw.reference, raw.id, duration_s, "the manifest"), ""
        if isinstance(raw.audio, TarMember):
            return None, ""  # nothing lies beside it
        if raw.start_s:
            return None, _OF_THE_WHOLE if has_reference_beside(raw.audio) else ""
        return reference_beside(raw.audio, raw.id, duration_s), ""
    except UnusableReference as error:
        return None, str(error)


def _transcript_of(reference: Alignment | None, reference_problem: str) -> Transcript:
    try:
        return transcript_of_reference(reference)
    except AlignerError as error:
        raise RefusedUtterance("no reference phones", reference_problem or str(error)) from error
