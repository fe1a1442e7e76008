"""Tables of what was refused, guessed or unsure."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from aligner.formats.atomic import atomic_write


def write_tsv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    r"""Write a tab-separated table. Tabs and line ends inside a field become spaces.

    What is no Unicode, such as bytes of a file name in another encoding, is written escaped (`\udcff`).

    Args:
        path: The file.
        header: Names of the columns.
        rows: One field a column.
    """
    with atomic_write(path) as file:
        for row in (header, *rows):
            line = "\t".join(" ".join(str(field).split()) for field in row) + "\n"
            file.write(line.encode(errors="backslashreplace"))
