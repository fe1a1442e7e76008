"""The report of an evaluation: rows of text that the command line and the page share, and the HTML page."""

import html
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from aligner.formats.atomic import atomic_write

# Keys of `aligner.evaluate.boundary_figures` (bias: of `evaluate`), and their heads in a table.
FIGURES = {
    "n": "n",
    "mean_ms": "mean",
    "median_ms": "median",
    "within_10ms": "≤10",
    "within_20ms": "≤20",
    "within_25ms": "≤25",
    "within_50ms": "≤50",
    "within_100ms": "≤100",
    "beyond_100ms": ">100",
    "bias": "bias",
    "skipped": "skip",
}
LEGEND = "mean, median, bias in ms (words: starts/ends; + is late); ≤ and > in per cent within so many ms"
_EXAMPLES = 20  # of what was skipped for a reason, on the page


def figure_rows(summary: dict[str, Any], keys: Iterable[str] = tuple(FIGURES)) -> Iterator[list[str]]:
    """The rows of a table of boundary errors: words and phones, of all and then of each speaker.

    Args:
        summary: What `aligner.evaluate.evaluate` gave.
        keys: Which of `FIGURES` to show.

    Returns:
        Rows of text: a name, then a cell for each of `keys`. Speakers have rows only where there are several.
    """
    groups = [("", summary)]
    if len(summary["speakers"]) > 1:
        groups += [
            (f" {speaker or '(no speaker)'}", levels) for speaker, levels in summary["speakers"].items()
        ]
    for name, levels in groups:
        for level in ("words", "phones"):
            yield [f"{level}{name}", *(_cell(levels[level], key) for key in keys)]


def evaluation_page(summary: dict[str, Any], path: Path, title: str) -> None:
    """Write the report of an evaluation as a single HTML file.

    Args:
        summary: What `aligner.evaluate.evaluate` gave.
        path: The file to write.
        title: Of the page.
    """
    worst = ([w["id"], f"{w['mean_ms']:.1f}", f"{w['max_ms']:.1f}"] for w in summary["worst"])
    skipped = (
        [reason, str(len(what)), ", ".join(what[:_EXAMPLES])] for reason, what in summary["reasons"].items()
    )
    page = (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{html.escape(title)}</title>"
        "<style>body{font:15px sans-serif;margin:2em}table{border-collapse:collapse;margin:1em 0}"
        "td,th{border:1px solid #ccc;padding:.3em .6em;text-align:right}td:first-child{text-align:left}"
        f"</style><h1>{html.escape(title)}</h1><p>{summary['utterances']} utterances compared, "
        f"{summary['skipped']} not.</p>"
        + _table(["boundaries", *FIGURES.values()], figure_rows(summary))
        + f"<p>{html.escape(LEGEND)}</p>"
        + _table(["worst utterances", "mean ms", "max ms"], worst)
        + _table(["skipped because", "times", "such as"], skipped)
    )
    with atomic_write(path) as file:
        file.write(page.encode())


def _table(header: list[str], rows: Iterable[list[str]]) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(figures: dict[str, Any], key: str) -> str:
    if key == "bias":
        signed = [
            figures[k] for k in ("start_bias_ms", "end_bias_ms", "bias_ms") if figures.get(k) is not None
        ]
        return "/".join(f"{value:+.1f}" for value in signed) or "-"
    value = figures[key]
    return "-" if value is None else str(value) if isinstance(value, int) else f"{value:.1f}"
