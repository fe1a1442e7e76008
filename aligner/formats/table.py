"""Tables of what was refused, guessed or unsure."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from aligner.formats.atomic import atomic_write


def write_tsv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a tab-separated table. Tabs and line ends inside a field become spaces.

    Args:
        path: The file.
        header: Names of the columns.
        rows: One field a column.
    """
    with atomic_write(path) as file:
        for row in (header, *rows):
            file.write("\t".join(" ".join(str(field).split()) for field in row).encode() + b"\n")
