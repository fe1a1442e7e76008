"""The header of a list, and the keys of a manifest: which column they name as what.

Names are compared without case, spaces and other marks. A name that is not known is that of a column that is
not read, unless the audio or the text is not named otherwise.
"""

import re
from collections.abc import Callable, Sequence

from aligner.corpus.readers.columns import Columns, audio_place, text_place
from aligner.errors import AlignerError

# Common Voice, Hugging Face, NeMo, Coqui, DeepSpeech, and what people call them.
_NAMES = {
    "id": "id utt_id uttid utterance_id basename name key",
    "wav": "wav wavs audio audio_file audio_filepath audio_path audio_name path file filename file_name "
    "filepath file_path wav_file wav_path wav_filename sound_file sound_path",
    "text": "text transcript transcription sentence raw_text transcripts transcription_text transcript_text "
    "sentences transcribed_text spoken_text",
    "normalized": "normalized normalised normalized_text normalised_text text_normalized text_normalised "
    "normalized_transcription normalised_transcription normalized_transcript norm_text clean_text",
    "speaker": "speaker speaker_id speaker_name spk spk_id client_id speakerid narrator reader",
    "start": "start offset start_s begin start_time",
    "end": "end end_s end_time stop",
    "duration": "duration duration_s length dur seconds audio_duration",
    "language": "language lang locale lang_id",
}
# What may also be something else, where another column has a name that is clear.
_VAGUE_NAMES = {
    "wav": "recording clip sound",
    "text": "label labels utterance phrase content caption prompt word words",
    "speaker": "voice actor person",
}
_KINDS = {name: kind for kind, names in _NAMES.items() for name in names.split()}
_VAGUE_KINDS = {name: kind for kind, names in _VAGUE_NAMES.items() for name in names.split()}
_SOUNDS = {"wav", "id"}
_TEXTS = {"text", "normalized"}


def known_names() -> list[str]:
    """The names of audio and of text, sorted."""
    return sorted(name for name, kind in _KINDS.items() if kind in ("wav", "text"))


def header_columns(fields: Sequence[object]) -> Columns | None:
    """The columns that a header names; None if it names no audio or no text.

    Args:
        fields: The first line's, or the keys of a manifest's line.
    """
    kinds = _kinds(fields)
    if not _SOUNDS & set(kinds) or not _TEXTS & set(kinds):
        return None
    return Columns(tuple(kind or "ignore" for kind in kinds), _unused(fields, kinds))


def is_header(fields: Sequence[str], is_audio: Callable[[str], bool]) -> bool:
    """Whether the first line of a list names its columns, if not all of them by names that are known.

    Args:
        fields: The line's.
        is_audio: Whether a value names a sound file.
    """
    if header_columns(fields) is not None:
        return True
    kinds = _kinds(fields)
    known = set(kinds) - {""}
    nameless = kinds.count("")
    if any(is_audio(field) for field in fields if field):
        return False
    if len(known) > 1 and not nameless and "wav" in known:
        return True  # of a list without texts
    enough = len(known) > 1 or "wav" in known
    to_find = (not _SOUNDS & known) + (not _TEXTS & known)
    return enough and nameless >= to_find


def columns_below(
    header: Sequence[str], rows: Sequence[Sequence[str]], usual: str, is_audio: Callable[[str], bool]
) -> Columns:
    """The columns of a list with a header; audio and text by their values, where it does not name them.

    Args:
        header: The fields of the first line, after `is_header`.
        rows: The fields of the others.
        usual: What the column of the audio is called where only the values tell it.
        is_audio: Whether a value names a sound file.

    Raises:
        AlignerError: If no column can be the text.
    """
    kinds = _kinds(header)
    width = len(header)
    values = [[row[place] for row in rows if len(row) >= width] for place in range(width)]
    notes = []
    for wanted, kind in ((_SOUNDS, usual), (_TEXTS, "text")):
        free = [place for place, known in enumerate(kinds) if not known]
        if not wanted & set(kinds) and values[0]:
            if not free:
                names = ", ".join(header)
                raise AlignerError(f"its header names the columns {names}, and none for the {kind}")
            if kind == "text":
                place = free[0] if len(free) == 1 else text_place(free, values, usual)[0]
            else:
                place = free[audio_place([values[place] for place in free], is_audio)]
            kinds[place] = kind
            what = "text" if kind == "text" else "audio"
            notes.append(f"the header names no {what}: column {_shown(header, place)} is taken for it")
    return Columns(tuple(kind or "ignore" for kind in kinds), (*notes, *_unused(header, kinds)))


def _kinds(fields: Sequence[object]) -> list[str]:
    """What each field of a header names; "" for a name that is not known or is there a second time."""
    names = [re.sub(r"\W+", "_", str(field).casefold()).strip("_") for field in fields]
    kinds = [_KINDS.get(name, "") for name in names]
    for place, name in enumerate(names):
        if (vague := _VAGUE_KINDS.get(name, "")) and vague not in kinds:
            kinds[place] = vague
    return [kind if kind and kinds.index(kind) == place else "" for place, kind in enumerate(kinds)]


def _unused(header: Sequence[object], kinds: Sequence[str]) -> tuple[str, ...]:
    unused = [_shown(header, place) for place, kind in enumerate(kinds) if not kind]
    if not unused:
        return ()
    return (f"not used: column{'s' * (len(unused) > 1)} {', '.join(unused)}",)


def _shown(header: Sequence[object], place: int) -> str:
    return str(header[place]).strip()[:40] or str(place + 1)
