"""Files that appear whole or not at all, under names that cannot lead out of their folder."""

import contextlib
import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from aligner.errors import AlignerError

_LONGEST_NAME_BYTES = 200  # file systems allow 255, and writers add a prefix and a suffix


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[BinaryIO]:
    """A binary file to write, which takes its name only when the block ends without an exception."""
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def safe_name(id: str) -> str:
    """A file name made of `id`: letters, digits, "_", "-" and "."; everything else becomes "_".

    Raises AlignerError where nothing is left of it or too much.
    """
    name = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", id)).lstrip(".")
    if not name.strip("_.-"):
        raise AlignerError(f"utterance id {id!r} gives no file name; use letters or digits")
    if len(name.encode()) > _LONGEST_NAME_BYTES:
        raise AlignerError(
            f"utterance id {id[:40]!r}... is longer than {_LONGEST_NAME_BYTES} bytes; shorten it"
        )
    return name


class OutputFolder:
    """A folder that a writer fills. It makes names of ids and refuses two ids that would share a file."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        self.files = 0
        self._made: set[str] = set()
        self._owners: dict[tuple[str, str], str] = {}
        self._named: set[tuple[str, str]] = set()

    def name(self, id: str, group: str = "") -> str:
        """The file name for utterance `id`, alone in its `group` (a speaker where files are kept by speaker).

        Raises AlignerError if an utterance of the group had this name before.
        """
        name = safe_name(id)
        owner = self._owners.setdefault((group, name), id)
        if (group, name) in self._named:
            raise AlignerError(
                f"utterances {owner!r} and {id!r} would both be written as {name!r}; rename one"
            )
        self._named.add((group, name))
        return name

    def name_of(self, shared: str) -> str:
        """The name for what many files share (a speaker). Raises AlignerError if another has it."""
        name = safe_name(shared)
        owner = self._owners.setdefault(("/", name), shared)
        if owner != shared:
            raise AlignerError(f"{owner!r} and {shared!r} both make {name!r}; rename one")
        return name

    @contextlib.contextmanager
    def file(self, *parts: str) -> Iterator[BinaryIO]:
        """A binary file at `root/parts...`, whole or not at all. The parts are names, not paths."""
        folder = os.path.join(self.root, *parts[:-1])
        if folder not in self._made:
            os.makedirs(folder, exist_ok=True)
            self._made.add(folder)
        with whole_file(os.path.join(folder, parts[-1])) as file:
            yield file
        self.files += 1

    def text(self, content: str, *parts: str) -> None:
        """Write a UTF-8 text file with Unix line ends."""
        with self.file(*parts) as file:
            file.write(content.encode())
