"""Atomic file writes."""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """Write a file atomically: readers see the old content or the whole new content, never a part.

    The content goes to a temporary file in the same folder, which takes the name `path` when the block ends.
    If the block raises, the temporary file is deleted and `path` stays as it was. Several processes and
    threads may write the same path at the same time: the last one to finish wins.

    Args:
        path: The file to write. Its folder must exist.

    Returns:
        A context manager that gives a binary file, open for writing.
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}.{threading.get_native_id()}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
