"""Writing files whole. Everything that this program writes goes through `atomic_write`."""

import contextlib
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from aligner.formats.lock import same_file, try_lock

_TEMPORARY = re.compile(r"\..+\.\d+\.\d+\.tmp")


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """Write a file atomically: readers see the old content or the whole new content, never a part.

    The content goes to a temporary file in the same folder, which takes the name `path` when the block ends
    and the content is on the disk. If the block raises, or the disk is full, the temporary file is deleted
    and `path` stays as it was; a killed process leaves it, and `folder.make_folder` deletes it. Several
    processes and threads may write the same path at the same time: the last one to finish wins.

    Args:
        path: The file to write. Its folder must exist (`folder.make_folder`).

    Returns:
        A context manager that gives a binary file, open for writing.
    """
    if os.path.exists(path) and not os.path.isfile(path):  # /dev/null, a pipe: no file to replace
        with errors_named(path), open(path, "wb") as device:
            yield device
        return
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}.{threading.get_native_id()}.tmp")
    try:
        with errors_named(path, temporary), _open_and_lock(temporary) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, path)  # before the lock ends, after which it may be deleted as a leftover
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


@contextlib.contextmanager
def errors_named(path: str | Path, instead_of: str | None = None) -> Iterator[None]:
    """Let an OSError that names no file, as a full disk's, name this one.

    Args:
        path: The file that a person knows.
        instead_of: A name that a person does not know, and that is replaced, too.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename not in (None, instead_of):
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def is_temporary(name: str) -> bool:
    """Whether a file's name is one that `atomic_write` gives until the file is whole."""
    return _TEMPORARY.fullmatch(name) is not None


def _open_and_lock(temporary: str) -> BinaryIO:
    """A new file whose lock says that its writer lives."""
    while True:
        file = open(temporary, "wb")  # noqa: SIM115
        try_lock(file.fileno())
        if same_file(file.fileno(), temporary):
            return file
        file.close()  # another process took it for a leftover, before it was locked


def _sync_folder(folder: str) -> None:
    """Bring a new name to the disk. File systems that do not allow it, over a network, do it themselves."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder or ".", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
