"""Columns of a list: which one is the audio, the text, the speaker.

A header says it, or the person (`--columns`). Otherwise the values do, where they leave no doubt; where they
do, the usual order of such lists is taken, and the doubt is reported.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from aligner.errors import AlignerError

COLUMNS = ("id", "wav", "text", "normalized", "speaker", "start", "end", "duration", "language", "ignore")
FILE_LIST = "wav"  # usual order: wav|text, wav|speaker|text
METADATA = "id"  # LJSpeech's metadata.csv: id|text|normalised text

_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?(?:s|ms)?")
_WRITTEN_WITHOUT_SPACES = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_LANGUAGE = re.compile(  # ISO 639, with a country: en, en-US, zh_CN
    "(?:a[frz]|b[egn]|c[asy]|d[ae]|e[lnstu]|f[air]|ga|gl|h[eiruy]|i[dst]|ja|jp|k[ako]|l[btv]|m[klnrst]|n[lo]|"
    "p[alt]|r[ou]|s[klqrvw]|t[aehlr]|u[krz]|vi|zh|yue|eng|deu|fra|spa|rus|jpn|kor|zho|cmn)(?:[-_][a-z]{2,4})?",
    re.IGNORECASE,
)
_SAMPLED_ROWS = 1000
_SURELY_MORE = 1.5  # a column is the text if it looks it this many times more than any other
_SAME_WORDS = 0.3  # share of words that a text and its normalised form have in common, at least
_REPEATS = 0.5  # a column with this share of different values, or more, does not name speakers
_WORDS_OF_A_NAME = 3  # at most, on average
_FEW_ROWS = 5  # so few that repetition says nothing


@dataclass(frozen=True)
class Columns:
    """What the columns of a list are.

    Args:
        names: One of `COLUMNS` each.
        notes: What is not used, a sentence each.
        doubts: What was taken though it may be otherwise, a sentence each.
    """

    names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ",".join(self.names)


def parse_columns(given: str) -> tuple[str, ...]:
    """The columns that a person gave as `wav,text,speaker`.

    Raises:
        AlignerError: For an unknown name, one given twice, or if audio or text is missing.
    """
    names = tuple(name.strip().lower() for name in given.replace("|", ",").split(","))
    where = f"--columns {given}"
    if unknown := [name for name in names if name not in COLUMNS]:
        raise AlignerError(f"{where}: no column is called {unknown[0]!r}; use {', '.join(COLUMNS)}")
    if twice := [name for name in names if name != "ignore" and names.count(name) > 1]:
        raise AlignerError(
            f"{where}: {twice[0]} is there twice; write ignore for a column that is not to be read"
        )
    if not {"id", "wav"} & set(names) or not {"text", "normalized"} & set(names):
        raise AlignerError(f"{where}: one column must be wav (or id), and one text")
    return names


def guess_columns(rows: Sequence[Sequence[str]], usual: str, is_audio: Callable[[str], bool]) -> Columns:
    """The columns of rows that all have the same number of fields.

    Args:
        rows: The fields of each line.
        usual: `FILE_LIST` or `METADATA`, for where the values leave a doubt.
        is_audio: Whether a value names a sound file.

    Raises:
        AlignerError: If no column can be the text.
    """
    width = len(rows[0])
    sample = rows[:: max(1, len(rows) // _SAMPLED_ROWS)]
    values = [[row[place] for row in sample] for place in range(width)]
    sounds_place = audio_place(values, is_audio)
    names = ["ignore"] * width
    names[sounds_place] = usual
    rest = [place for place in range(width) if place != sounds_place]
    notes: list[str] = []
    doubts: list[str] = []
    if width > 2:
        texts_place, doubt = text_place(rest, values, usual)
        doubts += [doubt] if doubt else []
    else:
        texts_place = rest[0]
    names[texts_place] = "text"
    if sounds_place and texts_place and _all_differ(values[0]) and usual == FILE_LIST:
        names[0] = "id"
    for place in (place for place in rest if names[place] == "ignore"):
        names[place] = _name_of(values[place], values[texts_place], names, usual)
        if names[place] == "ignore" and any(values[place]):
            notes.append(f"column {place + 1} is not used ({_shown(values[place])})")
    return Columns(tuple(names), tuple(notes), tuple(doubts))


def audio_place(values: list[list[str]], is_audio: Callable[[str], bool]) -> int:
    """The column with most names of sound files: the first, unless another clearly has more."""
    few = [column[:: max(1, len(column) // 20)][:20] for column in values]
    shares = [fmean(map(is_audio, column)) for column in few]
    best = max(range(len(shares)), key=lambda place: (shares[place], -place))
    return best if shares[best] > shares[0] + 0.5 else 0


def text_place(rest: list[int], values: list[list[str]], usual: str) -> tuple[int, str]:
    """The column of the text, and what is doubtful about that ("" if nothing is)."""
    looks = {place: _looks_like_text(values[place]) for place in rest}
    ranked = sorted(rest, key=lambda place: (-looks[place], place))
    if not looks[ranked[0]]:
        shown = "; ".join(f"column {place + 1}: {_shown(values[place])}" for place in rest)
        raise AlignerError(f"none of its columns looks like a text ({shown})")
    alike = [place for place in rest if looks[place] * _SURELY_MORE >= looks[ranked[0]] and looks[place]]
    if len(alike) == 1:
        return ranked[0], ""
    if len(alike) == 2 and _same_words(*(values[place] for place in alike)):
        return alike[0], ""  # a text and its normalised form
    if len(values) == 3:
        usual_place = rest[0] if usual == METADATA else rest[1]
        order = "id|text|normalized" if usual == METADATA else "wav|speaker|text"
        if len(values[0]) < _FEW_ROWS and len(alike) == 2:
            return usual_place, ""
        return usual_place, f"both columns could be the text; read as {order}"
    return alike[0], f"column {alike[0] + 1} was taken for the text, but others could be"


def _all_differ(values: list[str]) -> bool:
    """Whether a column may be that of the ids: a word in each line, and each another."""
    return len(set(values)) == len(values) and all(len(value.split()) == 1 for value in values)


def _name_of(values: list[str], texts: list[str], taken: list[str], usual: str) -> str:
    """What a column is that is neither audio nor text."""
    given = [value for value in values if value]
    if not given:
        return "ignore"
    if all(map(_LANGUAGE.fullmatch, given)) and len(set(given)) <= 3:
        return "language" if "language" not in taken else "ignore"
    if "normalized" not in taken and _same_words(texts, values):
        return "normalized"
    numbers = _all_numbers(given)
    if "speaker" in taken or (numbers and any(not value.isdigit() for value in given)):
        return "ignore"  # seconds; what the file has is taken instead
    repeats = len(given) < _FEW_ROWS or len(set(given)) / len(given) < _REPEATS
    named = fmean(len(value.split()) for value in given) <= _WORDS_OF_A_NAME
    # In lists of files a word is a speaker even if it is another one in each line, which is reported later.
    return "speaker" if named and (repeats or (usual == FILE_LIST and not numbers)) else "ignore"


def _looks_like_text(values: list[str]) -> float:
    """How much a column looks like texts: words a value, less where values repeat; 0 for numbers."""
    given = [value for value in values if value]
    if not given or _all_numbers(given):
        return 0.0
    words = fmean(max(len(v.split()), len(_WRITTEN_WITHOUT_SPACES.findall(v)) / 2) for v in given)
    differing = len(set(given)) / len(given) if len(given) >= _FEW_ROWS else 1.0
    return words * differing * (len(given) / len(values))


def _same_words(texts: Sequence[str], others: Sequence[str]) -> bool:
    """Whether two columns have the same sentences, written differently."""
    shares = []
    for text, other in zip(texts, others, strict=True):
        a, b = (set(re.findall(r"\w+", value.lower())) for value in (text, other))
        if a and b:
            shares.append(len(a & b) / len(a | b))
    return bool(shares) and fmean(shares) >= _SAME_WORDS


def _all_numbers(values: Sequence[str]) -> bool:
    return all(_NUMBER.fullmatch(value) for value in values if value)


def _shown(values: Sequence[str]) -> str:
    different = list(dict.fromkeys(value for value in values if value))[:2]
    return ", ".join(repr(value[:40]) for value in different) or "empty"
