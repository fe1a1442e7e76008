"""Locks on files. They end with the process that holds them, however it ends.

It is `flock`, which also holds between machines where the file system passes it on (NFS does, since Linux
2.6.12).
"""

import contextlib
import fcntl
import os
import socket
import time
import warnings
from collections.abc import Iterator

from aligner.errors import AlignerError

_held: set[int] = set()  # descriptors


def try_lock(descriptor: int, *, shared: bool = False) -> bool | None:
    """Lock an open file until it is closed; True: done, False: another holds it, None: there are no locks.

    Args:
        descriptor: Of the file.
        shared: Others may hold it shared, too.
    """
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # NFS without its lock daemon, Lustre mounted without `flock`, ...
        return None
    return True


def same_file(descriptor: int, path: str) -> bool:
    """Whether an open file still is the one of that name."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def lock_file(path: str, what: str, *, shared: bool = False) -> Iterator[None]:
    """Hold a lock while the block runs. Where there are no locks, a warning says so.

    Args:
        path: A file that is there for the lock alone. It says who holds it, and is deleted in the end. One
            that a killed process has left is locked again.
        what: What it keeps others from, for errors.
        shared: Others may hold it shared, too.

    Raises:
        AlignerError: Another process or thread holds it; the error says which.
    """
    descriptor = _opened_and_locked(path, what, shared)
    _held.add(descriptor)
    try:
        with contextlib.suppress(OSError):  # a full disk must not end what may need no more room
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, _this_process().encode(), 0)
        yield
    finally:
        # Only who holds it alone may delete it. Who has opened it before sees that it has no name any more.
        if not shared or try_lock(descriptor):
            with contextlib.suppress(OSError):
                os.unlink(path)
        _held.discard(descriptor)
        os.close(descriptor)


def _opened_and_locked(path: str, what: str, shared: bool) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        got = try_lock(descriptor, shared=shared)
        if got is False:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace") or "another run"
            os.close(descriptor)
            raise AlignerError(f"{what} is being written by {holder}: wait for it, or choose another folder")
        if got is None:
            warnings.warn(f"{what} cannot be locked here: let no other run write it", stacklevel=2)
        if got is None or same_file(descriptor, path):
            return descriptor
        os.close(descriptor)  # deleted by the run that held it before


def _this_process() -> str:
    return f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}"


def _after_fork() -> None:
    """A child would hold the locks on when its parent is killed."""
    for descriptor in _held:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_after_fork)
