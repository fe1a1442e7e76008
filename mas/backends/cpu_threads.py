"""What the CPU backend's files share: compilation by numba, and threads."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba

_pool: ThreadPoolExecutor | None = None
_pool_size = 0


def threads(n: int) -> ThreadPoolExecutor:
    """At least `n` threads, kept between calls.

    Not numba's own threads: those break after a fork, and with two callers at once.
    """
    global _pool, _pool_size
    if _pool is None or _pool_size < n:
        _pool, _pool_size = ThreadPoolExecutor(n, thread_name_prefix="mas"), n
    return _pool


def _forget_threads() -> None:
    """Threads do not exist in a forked process."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled on first use and kept on disk; if no folder can be written, only in memory."""
    try:
        return numba.njit(function, nogil=True, cache=True, error_model="numpy")
    except RuntimeError:
        return numba.njit(function, nogil=True, error_model="numpy")


def fused(function: Callable[..., Any]) -> Callable[..., Any]:
    """As `compiled`, where a product and a sum may become one instruction, rounded once.

    Results then differ in the last bit from machine to machine: not for the search, whose sums are exact.
    """
    try:
        return numba.njit(function, nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
    except RuntimeError:
        return numba.njit(function, nogil=True, error_model="numpy", fastmath={"contract"})
