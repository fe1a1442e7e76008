"""What several commands print and write: progress bars, tables, lists of failed utterances."""

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

SHOWN = 10  # failed utterances listed on the terminal; the file beside the output has all
Item = TypeVar("Item")


def progress(items: Iterable[Item], what: str, total: int | None = None) -> Iterable[Item]:
    """`items`, with a progress bar on stderr while they are iterated, if stderr is a terminal.

    Args:
        items: What to iterate.
        what: The text beside the bar.
        total: How many items there are, where `len(items)` does not say.
    """
    with _bar() as bar:
        yield from bar.track(items, total, description=what)


@contextlib.contextmanager
def progress_bar(what: str) -> Iterator[Callable[[float, float], None]]:
    """A progress bar on stderr, if stderr is a terminal, moved by calling `update(done, total)`."""
    with _bar() as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class _Rate(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        """As of every column."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.3g}/s" if speed else "")


def _bar() -> Progress:
    """A bar with how many of how many, how many a second, and the time left."""
    console = Console(stderr=True)
    columns = (
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate()),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)


def write_tsv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """As `aligner.formats.table.write_tsv`, which imports numpy, and --help does not need that."""
    from aligner.formats import table

    table.write_tsv(path, header, rows)


def print_record(title: str, rows: Iterable[tuple[str, str]], show_lines: bool = False) -> None:
    """Print a table of names and values under a title."""
    table = Table(title=title, show_header=False, title_justify="left", show_lines=show_lines)
    for row in rows:
        table.add_row(*map(escape, row))
    Console().print(table)


def print_table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    title: str | None = None,
    caption: str | None = None,
    figures: bool = False,
) -> None:
    """Print a table with a header.

    Args:
        header: Names of the columns.
        rows: One text a column.
        title: Printed above.
        caption: Printed below.
        figures: No borders; columns after the first are right-aligned, and nothing wraps.
    """
    table = Table(title=title, caption=caption, title_justify="left", box=box.HEAVY_HEAD)
    if figures:
        table.box, table.padding = box.SIMPLE, 0
    for index, name in enumerate(header):
        table.add_column(name, justify="right" if figures and index else "left", no_wrap=figures)
    for row in rows:
        table.add_row(*map(escape, row))
    Console().print(table)


def by_reason(failed: Mapping[str, str]) -> list[str]:
    """A line for each reason, so that what is wrong with many is said once.

    Args:
        failed: Reasons by utterance id.
    """
    ids: dict[str, list[str]] = {}
    for id, reason in failed.items():
        ids.setdefault(reason, []).append(id)
    return [
        f"{own[0]}{f' and {len(own) - 1} more' if len(own) > 1 else ''}: {reason}"
        for reason, own in ids.items()
    ]


def print_failures(what: str, reasons: Sequence[str], listing: Path | None = None) -> None:
    """List on stderr the first reasons why utterances were left out, and where the others are listed.

    Args:
        what: What was not done, the start of every line.
        reasons: One an utterance.
        listing: The file that has all reasons.
    """
    for reason in reasons[:SHOWN]:
        print(f"{what}: {reason}", file=sys.stderr)
    if listing is not None and len(reasons) > SHOWN:
        print(f"... {len(reasons)} in all: {listing}", file=sys.stderr)
