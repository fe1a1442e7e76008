"""Batches made ready by threads while the one before is worked on."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Ready = TypeVar("Ready")

_AHEAD = 4  # batches; one is being worked on, and decoding takes longer for some than for others


def read_ahead(
    batches: Iterable[Sequence[Item]],
    load: Callable[[Item], Ready],
    threads: int | None = None,
) -> Iterator[tuple[Sequence[Item], list[Ready]]]:
    """Each batch with what `load` makes of its items, in order.

    Threads, not processes: decoding and resampling leave Python's lock free, nothing has to be copied from
    one process to another, and a GPU in use is no obstacle.

    Args:
        batches: Drawn from as needed, a few ahead.
        load: Called by the threads. What it raises, this raises when the batch's turn comes.
        threads: 0 loads a batch when its turn comes; None: as many as this process has processors.
    """
    if threads is None:
        threads = available_processors()
    if threads == 0:
        for batch in batches:
            yield batch, [load(item) for item in batch]
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="read-ahead")
    waiting: deque[tuple[Sequence[Item], list[Future[Ready]]]] = deque()
    try:
        for batch in batches:
            waiting.append((batch, [pool.submit(load, item) for item in batch]))
            if len(waiting) > _AHEAD:
                yield _finished(waiting)
        while waiting:
            yield _finished(waiting)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def available_processors() -> int:
    """Processors that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _finished(
    waiting: deque[tuple[Sequence[Item], list[Future[Ready]]]],
) -> tuple[Sequence[Item], list[Ready]]:
    batch, futures = waiting.popleft()
    return batch, [future.result() for future in futures]
