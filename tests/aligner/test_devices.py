"""What a process does with the machine's memory."""

import subprocess
import sys

import pytest

# glibc writes of every heap of a process that it is there; other C libraries have no such function.
_COUNT = """
import ctypes, sys, threading
from aligner.devices import few_heaps
if sys.argv[1] == "few": few_heaps()
c = ctypes.CDLL(None)
c.malloc.restype = ctypes.c_void_p
together = threading.Barrier(8)
def allocate():
    c.malloc(100_000)
    together.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
c.malloc_info(0, ctypes.c_void_p.in_dll(c, "stdout"))
c.fflush(None)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="heaps of glibc")
def test_threads_share_few_heaps() -> None:
    def heaps(how: str) -> int:
        run = [sys.executable, "-c", _COUNT, how]
        return subprocess.run(run, capture_output=True, text=True, check=True).stdout.count("<heap nr=")

    assert heaps("few") <= 2 < heaps("as usual")
