"""Folders that are written: made, cleared of what killed processes left, and one run at a time."""

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

from aligner.errors import AlignerError
from aligner.formats.atomic import is_temporary
from aligner.formats.lock import lock_file, try_lock

LOCK = ".aligner.lock"
# The folders that the caller itself has locked: `aligner align` holds one and calls `align_corpus`, which
# locks it, too. Another thread has another context, and so no part in it.
_mine: ContextVar[frozenset[str]] = ContextVar("locked_folders", default=frozenset())


def make_folder(path: str | Path) -> Path:
    """Make a folder and those above it, where they are missing, and delete what killed processes left in it.

    Args:
        path: Of the folder.

    Raises:
        AlignerError: A file is in the way.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        check_folder(path)
        raise
    _delete_leftovers(path)
    return path


def check_folder(path: str | Path) -> None:
    """Look whether a folder is at a path or can be made there. Nothing is written.

    Args:
        path: Of the folder.

    Raises:
        AlignerError: A file is in the way.
    """
    path = Path(path)
    for own in (path, *path.parents):
        if own.exists() and not own.is_dir():
            raise AlignerError(f"{own} is a file, and a folder is to be written there: choose another")


@contextlib.contextmanager
def output_folder(path: str | Path, shard: str = "") -> Iterator[None]:
    """Make a folder and keep other runs from writing it while the block runs.

    If nothing is written, a folder that was not there before is not there afterwards, either.

    Args:
        path: Of the folder.
        shard: The name of the part of a run that this process does. Parts of different names do not exclude
            one another, but a whole run excludes them all.

    Raises:
        AlignerError: A file is in the way, or another run holds the folder; the error says which.
    """
    key = os.path.realpath(path)
    if key in _mine.get():
        yield
        return
    new = not Path(path).exists()
    make_folder(path)
    try:
        with contextlib.ExitStack() as held:
            held.enter_context(lock_file(os.path.join(path, LOCK), str(path), shared=bool(shard)))
            if shard:
                held.enter_context(lock_file(os.path.join(path, f"{LOCK}.{shard}"), f"{path}, {shard},"))
            else:
                _delete_shards(Path(path))
            token = _mine.set(_mine.get() | {key})
            try:
                yield
            finally:
                _mine.reset(token)
    finally:
        if new:
            with contextlib.suppress(OSError):  # it holds something
                os.rmdir(path)


def _delete_leftovers(folder: Path) -> None:
    """Delete temporary files whose writer is no more. Where the file system has no locks they stay."""
    with os.scandir(folder) as entries:
        found = [entry.path for entry in entries if is_temporary(entry.name)]
    for path in found:
        # over NFS only who may write can lock
        with contextlib.suppress(OSError), open(path, "r+b") as file:
            if try_lock(file.fileno()):
                os.unlink(path)


def _delete_shards(folder: Path) -> None:
    """Delete the locks of parts that were killed: while the whole is locked, nobody holds one."""
    for name in os.listdir(folder):
        if name.startswith(f"{LOCK}."):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, name))
