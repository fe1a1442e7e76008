"""Reference times: hand-made times of phones and words, in files beside the audio."""

import math
from dataclasses import replace
from pathlib import Path

from aligner.alignment import Alignment, Interval, is_pause
from aligner.errors import AlignerError
from aligner.formats import read_textgrid, read_timit
from aligner.formats.timit import merge_phones, reference_files
from aligner.text.transcript import PAUSE, Tokens, Transcript, Word

# Reference times that end later than this after the audio belong to another recording. Hand-made ones may
# end a few hundredths of a second off.
REFERENCE_EXCESS_S = 0.1
# TIMIT's words share a phone here and there, which lasts 0.15 s in timit-dev; a TextGrid's intervals do not.
SHARED_PHONE_S = 0.2
_TIER_OVERLAP_S = 0.01
_ROUNDING_S = 1e-6
TEXTGRID_SUFFIXES = (".TextGrid", ".textgrid")


class UnusableReference(AlignerError):
    """Reference times that cannot be used. It costs the reference, not the utterance."""


def reference_beside(audio: Path, id: str, duration_s: float) -> Alignment | None:
    """The reference times in files of the audio's name: TIMIT's `.phn` and `.wrd`, or a TextGrid.

    TIMIT's phones come merged (see `aligner.formats.timit`).

    Args:
        audio: The sound file.
        id: The utterance's id, for the result and for errors.
        duration_s: The length of the audio.

    Returns:
        The times, made to end with the audio; None if there are no such files.

    Raises:
        UnusableReference: If the file cannot be read or its times do not fit the audio.
    """
    timit_files = reference_files(audio)
    file = next(iter(timit_files), _grid_beside(audio))
    if file is None:
        return None
    try:
        found = read_timit(file, id) if timit_files else read_textgrid(file, id)  # read_timit reads both
    except Exception as error:  # whatever their readers make of somebody's file
        raise UnusableReference(f"{file.name}: {_one_line(error)}") from error
    overlap_s = SHARED_PHONE_S if timit_files else _TIER_OVERLAP_S
    reference = fitted(found, id, duration_s, file.name, overlap_s)
    if not timit_files:
        return reference
    return replace(reference, tokens=_in_words(merge_phones(reference.tokens), reference.words))


def has_reference_beside(audio: Path) -> bool:
    """Whether there is a file that `reference_beside` would read."""
    return bool(reference_files(audio)) or _grid_beside(audio) is not None


def fitted(
    reference: Alignment, id: str, duration_s: float, where: str, overlap_s: float = SHARED_PHONE_S
) -> Alignment:
    """Reference times made to end with the audio: hand-made times stop a little before or after it.

    Args:
        reference: As found.
        id: The utterance's id.
        duration_s: The length of the audio.
        where: What the times are from, for errors.
        overlap_s: By how much words may overlap.

    Raises:
        UnusableReference: If there are none, or they are not finite, not in order, or those of other audio.
    """
    intervals = (*reference.tokens, *reference.words)
    if not reference.words and all(is_pause(token.symbol) for token in reference.tokens):
        raise UnusableReference(f"{where}: has times of no phone and no word")
    for one in intervals:
        if not (math.isfinite(one.start_s) and math.isfinite(one.end_s)) or one.start_s < -_ROUNDING_S:
            raise UnusableReference(f"{where}: {one.symbol!r} at {one.start_s}-{one.end_s} s is nowhere")
        if one.end_s < one.start_s:
            raise UnusableReference(f"{where}: {one.symbol!r} ends before it begins ({one.start_s:.3f} s)")
    end_s = max(interval.end_s for interval in intervals)
    if end_s > duration_s + REFERENCE_EXCESS_S:
        raise UnusableReference(
            f"{where}: its reference times end at {end_s:.2f} s, the audio at {duration_s:.2f} s"
        )
    words = tuple(_within(word, duration_s) for word in reference.words)
    for earlier, later in zip(words, words[1:], strict=False):
        if later.start_s < max(earlier.start_s, earlier.end_s - overlap_s):
            raise UnusableReference(f"{where}: its words {earlier.symbol!r} and {later.symbol!r} overlap")
    tokens = _to_the_end(reference.tokens, duration_s)
    if any(later.start_s != earlier.end_s for earlier, later in zip(tokens, tokens[1:], strict=False)):
        raise UnusableReference(f"{where}: its phones do not follow each other")
    return Alignment(id, duration_s, tokens, words)


def transcript_of_reference(reference: Alignment | None) -> Transcript:
    """The reference's own phones as fixed tokens, so that boundaries can be compared phone by phone.

    Raises:
        AlignerError: If there is no reference or it has no phones.
    """
    if reference is None or not any(
        token.word >= 0 or not is_pause(token.symbol) for token in reference.tokens
    ):
        raise AlignerError("no .phn or TextGrid phones to take the tokens from")
    spoken = sorted({token.word for token in reference.tokens if token.word >= 0})
    place = {word: index for index, word in enumerate(spoken)}
    symbols = tuple(PAUSE if is_pause(token.symbol) else token.symbol for token in reference.tokens)
    indices = tuple(place.get(token.word, -1) for token in reference.tokens)
    words = tuple(
        Word(
            reference.words[word].symbol,
            (tuple(s for s, i in zip(symbols, indices, strict=True) if i == place[word]),),
            "given",
        )
        for word in spoken
    )
    fixed = Tokens(symbols, indices, (False,) * len(symbols))
    return Transcript(words, ("",) * (len(words) + 1), fixed)


def _grid_beside(audio: Path) -> Path | None:
    return next((f for suffix in TEXTGRID_SUFFIXES if (f := audio.with_suffix(suffix)).is_file()), None)


def _to_the_end(tokens: tuple[Interval, ...], duration_s: float) -> tuple[Interval, ...]:
    """The tokens that begin within the audio, with a pause to its end where the last one stops before."""
    kept = [token for token in tokens if token.start_s < duration_s]
    if kept and is_pause(kept[-1].symbol):
        kept[-1] = replace(kept[-1], end_s=duration_s)
    elif kept and kept[-1].end_s < duration_s:
        kept.append(Interval(PAUSE, kept[-1].end_s, duration_s))
    elif kept:
        kept[-1] = replace(kept[-1], end_s=duration_s)
    return tuple(kept)


def _within(word: Interval, duration_s: float) -> Interval:
    return replace(word, end_s=duration_s) if word.start_s < duration_s < word.end_s else word


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _in_words(phones: tuple[Interval, ...], words: tuple[Interval, ...]) -> tuple[Interval, ...]:
    """Each phone with the word its middle lies in, or the nearest: TIMIT's words leave some phones out."""
    placed = []
    for phone in phones:
        index = -1
        if words and not is_pause(phone.symbol):
            middle_s = (phone.start_s + phone.end_s) / 2
            gaps_s = [max(word.start_s - middle_s, middle_s - word.end_s) for word in words]
            index = gaps_s.index(min(gaps_s))
        placed.append(replace(phone, word=index))
    return tuple(placed)
