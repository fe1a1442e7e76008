"""Where libraries cache what they compile.

numba (librosa), matplotlib, Triton and torch write to the home folder. Where that cannot be, as in many
containers and on read-only or full disks, librosa cannot even be imported; so they get another folder.
"""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

_VARIABLES = {
    "NUMBA_CACHE_DIR": "numba",
    "MPLCONFIGDIR": "matplotlib",
    "TRITON_CACHE_DIR": "triton",
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "MAS_CACHE_DIR": "mas",
}
_TRIED_BYTES = 65536  # a disk that has no room for these has none for what is compiled


def find_place() -> None:
    """If the home folder cannot be written, set the variables that are not set to a folder for this process.

    Called when this package is imported, since numba looks at its variable when it is.
    """
    try:
        caches = Path.home() / ".cache"
        caches.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=caches) as trial:
            trial.write(bytes(_TRIED_BYTES))
        return
    except (OSError, RuntimeError):  # RuntimeError: nobody knows where the home is
        pass
    try:
        folder = tempfile.mkdtemp(
            prefix="aligner-cache-"
        )  # not one folder for all runs: others could write it
    except OSError:  # then nothing can be cached, and a library that needs to says so
        return
    maker = os.getpid()
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == maker else None)
    for name, part in _VARIABLES.items():
        os.environ.setdefault(name, os.path.join(folder, part))
    os.makedirs(os.environ["MPLCONFIGDIR"], exist_ok=True)
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"]
