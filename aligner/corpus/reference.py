"""Reference times: hand-made times of phones and words, in files beside the audio."""

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
TEXTGRID_SUFFIXES = (".TextGrid", ".textgrid")


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
        AlignerError: If the file cannot be read or its times do not fit the audio.
    """
    if timit_files := reference_files(audio):
        reference = read_timit(timit_files[0], id)  # reads both, whichever is named
        phones = merge_phones(_fitted(reference, duration_s))
        return Alignment(id, duration_s, _in_words(phones, reference.words), reference.words)
    for suffix in TEXTGRID_SUFFIXES:
        if audio.with_suffix(suffix).is_file():
            reference = read_textgrid(audio.with_suffix(suffix), id)
            return Alignment(id, duration_s, _fitted(reference, duration_s), reference.words)
    return None


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


def _fitted(reference: Alignment, duration_s: float) -> tuple[Interval, ...]:
    """The phones, made to end with the audio: hand-made times stop a little before or after it."""
    end_s = max((interval.end_s for interval in (*reference.tokens, *reference.words)), default=0.0)
    if end_s > duration_s + REFERENCE_EXCESS_S:
        raise AlignerError(f"its reference times end at {end_s:.2f} s, the audio at {duration_s:.2f} s")
    kept = [token for token in reference.tokens if token.start_s < duration_s]
    if kept and is_pause(kept[-1].symbol):
        kept[-1] = replace(kept[-1], end_s=duration_s)
    elif kept and kept[-1].end_s < duration_s:
        kept.append(Interval(PAUSE, kept[-1].end_s, duration_s))
    elif kept:
        kept[-1] = replace(kept[-1], end_s=duration_s)
    return tuple(kept)


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
