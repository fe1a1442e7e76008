"""Lists: wav|text and the like, with any separator or as JSON lines; one utterance a line."""

import csv
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aligner.corpus.readers.columns import (
    FILE_LIST,
    METADATA,
    Columns,
    guess_columns,
)
from aligner.corpus.readers.files import AUDIO_SUFFIXES, Sound, SoundFiles, decoded_lines
from aligner.corpus.readers.header import columns_below, header_columns, is_header, known_names
from aligner.corpus.readers.raw import RawCorpus, RawUtterance, id_of_stem, with_distinct_ids
from aligner.corpus.readers.times import listed_times
from aligner.errors import AlignerError

JSON_SUFFIXES = (".jsonl", ".json", ".ndjson")
# A `|` with a space on each side stands between words in a text of tokens, and does not separate fields.
_TIGHT_BAR = re.compile(r"(?<! )\||\|(?! )")
_SPACED_BAR = re.compile(r"\s\|\s")
_FEW = 0.1  # lines with another number of fields than most are a slip if there are fewer than this share
_LINES_THAT_AGREE = 5
_LINES_OF_A_FIELD = 20  # more lines than a quoted text has
_SPLITS = frozenset({"train", "test", "dev", "eval", "val", "valid", "validation", "data"})  # no speakers
_SAY_COLUMNS = "say what they are with --columns, such as --columns wav,text,speaker"


@dataclass
class _Row:
    """One line of a list: its number, its fields, and why it cannot be used ("" if it can)."""

    number: int
    fields: list[Any]
    problem: str = ""
    columns: tuple[str, ...] = ()


@dataclass
class _Table:
    """The rows of a list and how it was read."""

    rows: list[_Row]
    separator: str
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


def read_table(
    path: Path, audio_root: Path, given: tuple[str, ...] | None = None, usual: str = FILE_LIST
) -> RawCorpus:
    """The utterances of a list.

    The id is the audio's name without suffix; where two files have one name, their folders come before it.

    Args:
        path: The list: fields separated by `|`, tabs, commas, semicolons or spaces, or JSON lines.
        audio_root: Where the paths of sound files start.
        given: What the columns are; None: the header, or else the values, say it.
        usual: The order of columns where the values leave a doubt.

    Raises:
        AlignerError: If it cannot be read, or no column can be the text.
    """
    sounds = SoundFiles(audio_root)
    if given or not (table := _json_table(path)):
        table = _split_table(path, given, lambda name: _is_audio(name, sounds), usual)
    shown = Counter(row.columns for row in table.rows if row.columns).most_common(1)
    layout = table.separator.join(shown[0][0] if shown else ())
    _check_rows(table, layout, path)
    folder = path.resolve().parent.name
    speaker = folder if usual == METADATA and folder.lower() not in _SPLITS else ""  # as LJSpeech has it
    found = [_utterance(row, sounds, path, speaker) for row in table.rows]
    found, notes = with_distinct_ids(found)
    return RawCorpus(
        found, f"{path.name}: {layout}", (*table.notes, *notes, *sounds.notes()), tuple(table.doubts)
    )


def _is_audio(name: str, sounds: SoundFiles) -> bool:
    found = sounds.find(name)
    return found.path is not None or bool(found.problem)


def _utterance(row: _Row, sounds: SoundFiles, path: Path, speaker: str) -> RawUtterance:
    """The utterance of a line, by the names of its columns; of `speaker`, if the line does not say whose."""
    values = {name: value for name, value in zip(row.columns, row.fields, strict=False) if name != "ignore"}
    text = _plain(values.get("normalized")) or _plain(values.get("text"))
    name = _plain(values.get("wav")) or _plain(values.get("id"))
    problem = row.problem
    if not row.columns:
        name = _plain(row.fields[0]) if row.fields else ""
    sound = sounds.find(name) if name else Sound(None)
    is_part = "start" in values
    own_id = _plain(values.get("id")) if values.get("wav") else ""
    if not name and not problem:
        problem = f"line {row.number} of {path.name} names no audio"
    start_s, duration_s, wrong = listed_times(values, f"line {row.number} of {path.name}")
    return RawUtterance(
        id=own_id or _id_of_name(name, sound.path is not None) or f"line-{row.number}",
        audio=sound.path,
        text=text,
        speaker=_plain(values.get("speaker")) or speaker,
        language=_plain(values.get("language")),
        start_s=start_s,
        duration_s=duration_s if is_part else None,
        listed_s=None if is_part else duration_s,
        if_missing=sound.advice,
        problem=problem or sound.problem or wrong,
    )


def _id_of_name(name: str, found: bool) -> str:
    """The id of an utterance whose audio has this name in a list: the file's own name.

    A name that is no sound file's stays as it is, to be refused if it is no id.
    """
    suffix = Path(name).suffix
    if not found and suffix.lower() not in AUDIO_SUFFIXES:
        return name
    return id_of_stem(
        (name.removesuffix(suffix) if suffix.lower() in AUDIO_SUFFIXES else name).replace("\\", "/")
    )


def _plain(value: Any) -> str:
    """A field as text; Hugging Face's audio is a dictionary with a path."""
    if isinstance(value, dict):
        value = value.get("path")
    if value is None or isinstance(value, list | dict):
        return ""
    return " ".join(str(value).split("\n")).strip()


def _check_rows(table: _Table, layout: str, path: Path) -> None:
    """Note in each row that has too few or too many fields what is wrong with it."""
    for row in table.rows:
        if not row.problem and (not row.columns or len(row.fields) < _needed(row.columns)):
            n = len(row.fields)
            row.problem = f"line {row.number} of {path.name} has {n} field{'s' * (n > 1)}, not {layout}"


def _needed(columns: tuple[str, ...]) -> int:
    """Fields that a line must have: up to its audio and its first text, as far as there are such columns."""
    return 1 + max(
        min((columns.index(name) for name in names if name in columns), default=0)
        for names in (("wav", "id"), ("text", "normalized"))
    )


def _json_table(path: Path) -> _Table | None:
    """The rows of JSON lines, or of a JSON list of objects; None if the file is neither."""
    if not path.name.lower().endswith(JSON_SUFFIXES):
        return None
    rows = []
    for number, item, problem in json_items(path):
        columns = header_columns(list(item)) if isinstance(item, dict) else None
        if columns is None:
            problem = (
                problem
                or f"line {number} of {path.name} has no audio and text (such as audio_filepath, text)"
            )
            rows.append(_Row(number, [], problem))
        else:
            rows.append(_Row(number, list(item.values()), problem, columns.names))
    if not any(row.columns for row in rows):
        raise AlignerError(
            f"{path}: a manifest without known names of audio and text; it needs one of each of: "
            + " ".join(known_names())
        )
    return _Table(rows, ", ")


def json_items(path: Path) -> Iterator[tuple[int, Any, str]]:
    """The items of JSON lines or of one JSON list: number, item, and why it cannot be read.

    Raises:
        AlignerError: If the file is no text.
    """
    lines = list(decoded_lines(path))
    first = next((line for _, line, _ in lines if line.strip()), "")
    if first.lstrip().startswith("["):
        try:
            items = json.loads("\n".join(line for _, line, _ in lines))
        except (ValueError, RecursionError) as error:
            raise AlignerError(f"{path}: not JSON ({error})") from error
        yield from ((number, item, "") for number, item in enumerate(items, 1))
        return
    for number, line, problem in lines:
        if line.strip():
            try:
                yield number, None if problem else json.loads(line), problem
            except (ValueError, RecursionError) as error:
                yield number, None, f"line {number} of {path.name} is not JSON ({error})"


def _split_table(
    path: Path, given: tuple[str, ...] | None, is_audio: Callable[[str], bool], usual: str
) -> _Table:
    """The rows of a list of separated fields."""
    lines = [_Row(number, [line], problem) for number, line, problem in decoded_lines(path) if line.strip()]
    good = [row.fields[0] for row in lines if not row.problem]
    separator = _separator(good, given, is_audio)
    if not separator:
        raise AlignerError(
            f"{path}: not a list of wav|text lines: they have no |, tab or comma; give a folder of audio "
            "with .txt or .lab beside it, a list, or a manifest"
        )
    table = _Table(_split(lines, separator, given, is_audio), "|" if separator == " | " else separator)
    for row in table.rows:
        row.fields = [str(value).strip() for value in row.fields]
    _strip_quotes(table.rows)
    header = table.rows[0].fields if table.rows and not table.rows[0].problem else []
    header = header if is_header(header, is_audio) else []
    if header:
        del table.rows[0]
    if given:
        for row in table.rows:
            row.columns = given
    elif header:
        _name_by_header(table, header, path, is_audio, usual)
    else:
        _name_columns(table, path, is_audio, usual)
    return table


def _separator(lines: Sequence[str], given: tuple[str, ...] | None, is_audio: Callable[[str], bool]) -> str:
    """What separates the fields of most lines; "" if nothing does."""
    sample = lines[:: max(1, len(lines) // 200)]
    if not sample:
        return "|"
    wanted = len(given) - 1 if given else 1
    for separator, pattern in (("|", _TIGHT_BAR), (" | ", _SPACED_BAR), ("\t", "\t"), (";", ";"), (",", ",")):
        having = sum(len(re.findall(pattern, line)) >= wanted for line in sample)
        if having * 2 > len(sample):
            return separator
    if any(_TIGHT_BAR.search(line) for line in lines):
        return "|"
    for separator in (" ", ":"):  # where what comes before the first one is a sound file
        parts = [line.strip().split(separator, 1) for line in sample[:20]]
        if sum(len(part) == 2 and is_audio(part[0]) for part in parts) * 2 > len(parts):
            return separator
    return ""


def _split(
    rows: list[_Row], separator: str, given: tuple[str, ...] | None, is_audio: Callable[[str], bool]
) -> list[_Row]:
    """The rows, each line split into fields. The text may have the separator in it where it comes last."""
    if separator in "\t,;" and any('"' in row.fields[0] for row in rows):
        return _split_quoted(rows, separator)
    pattern = {"|": _TIGHT_BAR, " | ": _SPACED_BAR, " ": re.compile(r"\s+")}.get(separator)
    pattern = pattern or re.compile(re.escape(separator))
    counts = [len(pattern.findall(row.fields[0])) for row in rows if not row.problem]
    most = 0  # as many as there are
    if given and given[-1] in ("text", "normalized"):
        most = len(given) - 1
    elif separator in (" ", ":", " | "):
        # A text of tokens has a ` | ` between its words, as many as it happens to have.
        same = separator == " | " and len(set(counts)) == 1 and len(counts) >= _LINES_THAT_AGREE
        most = counts[0] if same else 1
    elif separator in ",;" and counts:
        header = is_header(pattern.split(rows[0].fields[0]), is_audio)
        most = counts[0] if header else max(1, min(count for count in counts if count) if any(counts) else 1)
    for row in rows:
        row.fields = pattern.split(row.fields[0], maxsplit=most)
    return rows


def _split_quoted(rows: list[_Row], separator: str) -> list[_Row]:
    """Rows of a file in which fields are quoted, where a field may go over several lines.

    Of a quotation mark that is not closed, only its own line is split as if it were none.
    """
    width = len(_quoted_fields([rows[0].fields[0]], separator))
    result: list[_Row] = []
    place = 0
    while place < len(rows):
        used = 1
        while sum(row.fields[0].count('"') for row in rows[place : place + used]) % 2:
            used += 1
            if used > _LINES_OF_A_FIELD or place + used > len(rows):
                used = 0
                break
        part = rows[place : place + max(used, 1)]
        fields = _quoted_fields([row.fields[0] for row in part], separator) if used else []
        if used != 1 and len(fields) != width:
            part = rows[place : place + 1]
            fields = part[0].fields[0].split(separator)
        problem = next((row.problem for row in part if row.problem), "")
        result.append(_Row(part[0].number, fields, problem))
        place += len(part)
    return result


def _quoted_fields(lines: list[str], separator: str) -> list[str]:
    try:
        return next(csv.reader(["\n".join(lines)], delimiter=separator), [])
    except csv.Error:  # a field longer than csv takes
        return lines[0].split(separator)


def _strip_quotes(rows: list[_Row]) -> None:
    """Take off the quotation marks of a column in which every value has them; others belong to the text."""
    good = [row for row in rows if not row.problem]
    for place in range(max((len(row.fields) for row in good), default=0)):
        values = [row.fields[place] for row in good if len(row.fields) > place and row.fields[place]]
        if values and all(len(v) > 1 and v[0] == v[-1] == '"' for v in values):
            for row in rows:
                if len(row.fields) > place and len(row.fields[place]) > 1 and row.fields[place][0] == '"':
                    row.fields[place] = row.fields[place][1:-1].replace('""', '"').strip()


def _name_by_header(
    table: _Table, header: list[str], path: Path, is_audio: Callable[[str], bool], usual: str
) -> None:
    """Give every row the names of its columns that the header says."""
    good = [row.fields for row in table.rows if not row.problem]
    try:
        columns = columns_below(header, good, usual, is_audio)
    except AlignerError as error:
        raise AlignerError(f"{path}: {error}; {_SAY_COLUMNS}") from error
    for row in table.rows:
        row.columns = columns.names
    table.notes += [f"{path.name}: {note}" for note in columns.notes]


def _name_columns(table: _Table, path: Path, is_audio: Callable[[str], bool], usual: str) -> None:
    """Give every row the names of its columns, as its like in the list are read."""
    by_width: dict[int, list[_Row]] = defaultdict(list)
    for row in table.rows:
        if not row.problem:
            by_width[len(row.fields)].append(row)
    by_width.pop(1, None)
    main: Columns | None = None
    n_main = 0
    total = sum(map(len, by_width.values()))
    for width, rows in sorted(by_width.items(), key=lambda item: (-len(item[1]), item[0])):
        if (
            main is not None
            and width < len(main.names)
            and _needed(main.names) <= width
            and usual == METADATA
        ):
            named = Columns(main.names[:width])
        elif main is not None and (_is_slip(len(rows), n_main, total) or width > 4):
            continue  # a slip in a few lines
        else:
            try:
                named = guess_columns([row.fields for row in rows], usual, is_audio)
            except AlignerError as error:
                raise AlignerError(f"{path}: {error}; {_SAY_COLUMNS}") from error
        if main is not None and width > len(main.names):
            what = (
                f"{len(rows)} of {total} lines have {width} fields and were read as {named}, others as {main}"
            )
            table.doubts.append(f"{path.name}: {what}; if that is wrong, {_SAY_COLUMNS}")
        main, n_main = main or named, n_main or len(rows)
        for row in rows:
            row.columns = named.names
        table.notes += [f"{path.name}: {note}" for note in named.notes]
        table.doubts += [f"{path.name}: {doubt}; if that is wrong, {_SAY_COLUMNS}" for doubt in named.doubts]


def _is_slip(n_rows: int, n_main: int, total: int) -> bool:
    """Whether lines with another number of fields are so few that they are no kind of their own."""
    return n_rows < total * _FEW or (n_rows < _LINES_THAT_AGREE and 2 * n_rows < n_main)
