"""The report as a folder: a page that opens from disk, and a script for each utterance, loaded on demand.

Names of files are numbers, never ids; what people wrote is only ever in JSON, and the page shows it as text.
"""

import json
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from aligner.alignment import Alignment, Interval
from aligner.errors import AlignerError, reason
from aligner.formats.atomic import atomic_write
from aligner.formats.folder import make_folder, output_folder
from aligner.formats.lookup import AlignmentLookup, NoMatch
from aligner.report.overview import Overview, Row, refused_data
from aligner.report.sound import Sounds, sound_data

PAGE = "index.html"
_INDEX = "index.js"  # names a folder as a report, too
_DATA = "data"
_VENDORED = "vendor"
_TITLE = "{{title}}"  # in the page's own source
_TIME_DIGITS = 8  # as many as a manifest has


@dataclass
class Report:
    """What was written.

    Args:
        utterances: How many the table has.
        of: How many there are.
        silent: Why an utterance has no sound and no spectrogram, by id.
    """

    utterances: int = 0
    of: int = 0
    silent: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Selection:
    """Which utterances a report shows; all, if nothing is said.

    Args:
        ids: Only these.
        worst: Only so many, those with the largest difference, the largest error or the lowest score.
        limit: Only so many, the first.
    """

    ids: Collection[str] | None = None
    worst: int | None = None
    limit: int | None = None

    def of(self, overview: Overview) -> list[Row]:
        """The rows in the order of the table: of two runs, and of the worst, the worst first.

        Args:
            overview: Of all utterances.

        Raises:
            AlignerError: An id is not among them.
        """
        known = {row.id: row for row in overview.rows}
        for id in self.ids or ():
            if id not in known:
                raise AlignerError(f"{id}: no such utterance in these alignments")
        worst_first = self.worst is not None or overview.other is not None
        rows = overview.worst_first() if worst_first else overview.rows
        if self.ids is not None:
            rows = [row for row in rows if row.id in self.ids]
        return rows[: self.worst][: self.limit]


def write_report(
    out: Path,
    title: str,
    overview: Overview,
    selection: Selection,
    alignments: Callable[[], Iterable[Alignment]],
    sounds: Sounds,
    refused: dict[str, str],
    on_progress: Callable[[float, float], None] | None = None,
) -> Report:
    """Write a report. An utterance whose recording cannot be had is shown without it.

    Args:
        out: The folder, which is made. One that holds an earlier report is written anew.
        title: Of the page.
        overview: Of all utterances.
        selection: Which of them to show.
        alignments: Gives the utterances, each time anew: they are not held in memory.
        sounds: Their recordings.
        refused: Why utterances were left out of the alignments, by id.
        on_progress: Called after every utterance with how many are done and how many there are.

    Raises:
        AlignerError: The folder holds something else, or an id of the selection is unknown.
    """
    rows = selection.of(overview)
    _check_folder(out)
    report = Report(len(rows), len(overview.rows))
    numbers = {row.id: number for number, row in enumerate(rows)}
    with output_folder(out):
        (out / PAGE).unlink(missing_ok=True)  # there again when everything is
        shutil.rmtree(out / _DATA, ignore_errors=True)
        data = make_folder(out / _DATA)
        done = 0
        for alignment in alignments():
            number = numbers.pop(alignment.id, None)
            if number is None:
                continue
            content = _utterance(alignment, overview, sounds, report.silent)
            _write_script(data / f"{number}.js", f"Report.receive({number}, ", content)
            done += 1
            if on_progress is not None:
                on_progress(done, len(rows))
        index = {
            "key": overview.fingerprint,
            "title": title,
            "order": overview.ordered_by,
            "rows": [_row(row) for row in rows],
            "figures": overview.figures(),
            "refused": refused_data(refused),
            "suspicious": sum(bool(row.suspicion) for row in overview.rows),
            "silent": refused_data(report.silent),
        }
        _write_script(out / _INDEX, "Report.index(", index)
        _write_page(out, title)
    return report


def _check_folder(out: Path) -> None:
    if out.is_dir() and not (out / _INDEX).exists():
        others = [path.name for path in out.iterdir() if not path.name.startswith(".") and path.name != _DATA]
        if others:
            raise AlignerError(f"{out} holds something else, such as {others[0]}: choose another folder")


def _write_page(out: Path, title: str) -> None:
    """Copy the page and what it is made of; the page itself last."""
    source = files("aligner.report") / "page"
    for name, content in _files_in(source):
        if name != PAGE:
            make_folder((out / name).parent)
            with atomic_write(out / name) as file:
                file.write(content)
    page = (source / PAGE).read_text(encoding="utf-8").replace(_TITLE, escape(title))
    with atomic_write(out / PAGE) as file:
        file.write(page.encode(errors="replace"))


def _files_in(folder: Any, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _files_in(entry, f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", entry.read_bytes()


def _write_script(path: Path, call: str, content: Any) -> None:
    """A script that hands the page data; escaped to ASCII, so that no encoding can change what it says."""
    with atomic_write(path) as file:
        file.write(f"{call}{json.dumps(content, separators=(',', ':'))});\n".encode("ascii"))


def _row(row: Row) -> list[Any]:
    mean_ms, largest_ms = row.error_ms or (None, None)
    mean_difference_ms, largest_difference_ms = row.difference_ms or (None, None)
    score = None if row.score is None else round(row.score, 4)
    return [
        row.id,
        row.speaker,
        row.text,
        round(row.duration_s, 3),
        score,
        mean_ms,
        largest_ms,
        mean_difference_ms,
        largest_difference_ms,
        row.suspicion,
    ]


def _utterance(
    alignment: Alignment, overview: Overview, sounds: Sounds, silent: dict[str, str]
) -> dict[str, Any]:
    content: dict[str, Any] = {
        "alignment": {
            **_tiers(alignment),
            "by_hand": [round(time_s, _TIME_DIGITS) for time_s in alignment.by_hand_s or ()],
            "wrong": list(alignment.wrong_words),
            "spreads": [(round(time_s, _TIME_DIGITS), spread_s) for time_s, spread_s in alignment.spreads_s],
        },
        "duration_s": alignment.duration_s,
        "reference": _found(overview.reference, alignment.id),
        "other": _found(overview.other, alignment.id),
        "audio": alignment.audio,
        "sound": None,
    }
    try:
        content["sound"] = sound_data(*sounds.read(alignment))
    except Exception as error:  # whatever keeps a recording from being read or drawn
        silent[alignment.id] = content["no_sound"] = reason(error)
    return content


def _found(lookup: AlignmentLookup | None, id: str) -> dict[str, Any] | None:
    try:
        return _tiers(lookup.find(id)) if lookup is not None else None
    except NoMatch:
        return None


def _tiers(alignment: Alignment) -> dict[str, Any]:
    return {
        "tokens": [[*_interval(token), token.word, token.added] for token in alignment.tokens],
        "words": [_interval(word) for word in alignment.words],
    }


def _interval(interval: Interval) -> list[Any]:
    score = None if interval.score is None else round(interval.score, 4)
    start_s, end_s = round(interval.start_s, _TIME_DIGITS), round(interval.end_s, _TIME_DIGITS)
    return [interval.symbol, start_s, end_s, score]
