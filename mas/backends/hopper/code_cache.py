"""Machine code kept from one process to the next, in files: NVRTC takes seconds for each kernel.

The folder is `MAS_CACHE_DIR`, or `mas` in the user's folder for caches. Where it cannot be written, nothing
is kept. As with Triton's cache, whoever can write there can run code: so it is only read where nobody but the
user can.
"""

import contextlib
import hashlib
import os
import pathlib
import tempfile
from collections.abc import Callable, Sequence


def kept(parts: Sequence[bytes], make: Callable[[], bytes]) -> bytes:
    """What `make` returned for the same parts before, here or in another process; or else what it returns.

    Args:
        parts: All that the result depends on.
        make: Makes the result.
    """
    try:
        file = _folder() / hashlib.sha256(b"".join(b"%d:" % len(part) + part for part in parts)).hexdigest()
        if _own(file.parent) and _own(file):
            return file.read_bytes()
    except (OSError, RuntimeError):  # RuntimeError: nobody knows where the home is
        return make()
    made = make()
    with contextlib.suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, unfinished = tempfile.mkstemp(dir=file.parent)
        try:
            with os.fdopen(descriptor, "wb") as target:
                target.write(made)
            os.replace(unfinished, file)  # whole or not at all, whoever else writes it
        except OSError:
            os.unlink(unfinished)
    return made


def _folder() -> pathlib.Path:
    if stated := os.environ.get("MAS_CACHE_DIR"):
        return pathlib.Path(stated)
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "mas"


def _own(path: pathlib.Path) -> bool:
    """Whether it exists and nobody else can have written it."""
    if not path.exists():
        return False
    status = path.stat()
    return not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o022)
