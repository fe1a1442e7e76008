"""Batches made ready by threads while the one before is worked on."""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Full, Queue
from typing import TypeVar

Item = TypeVar("Item")
Ready = TypeVar("Ready")

_LOOK_S = 0.2  # how often a thread looks whether it is still wanted
_THREADS = 6  # at most: of more each waits for Python's lock, and 16 read LJSpeech a third slower than 4
_AHEAD = 4  # batches; one is being worked on, and decoding takes longer for some than for others
_ITEMS_AHEAD = 1000  # at most, but for one batch: those of a large GPU are half a gigabyte of audio each


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
        threads: 0 loads a batch when its turn comes; None: as many as this process has processors, up to 6.
    """
    if threads is None:
        threads = min(_THREADS, available_processors())
    if threads == 0:
        for batch in batches:
            yield batch, [load(item) for item in batch]
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="read-ahead")
    waiting: deque[tuple[Sequence[Item], list[Future[Ready]]]] = deque()
    try:
        for batch in batches:
            waiting.append((batch, [pool.submit(load, item) for item in batch]))
            while len(waiting) > 1 and (
                len(waiting) > _AHEAD or sum(len(own) for own, _ in waiting) > _ITEMS_AHEAD
            ):
                yield _finished(waiting)
        while waiting:
            yield _finished(waiting)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def in_background(items: Iterable[Item]) -> Iterator[Item]:
    """The items, each drawn by a thread while the one before is worked on.

    Args:
        items: What drawing one raises, this raises in its place. Closed when this is.
    """
    ready: Queue[tuple[Item | None, BaseException | None]] = Queue(maxsize=1)
    end = threading.Event()

    def put(item: Item | None, error: BaseException | None = None) -> None:
        while not end.is_set():
            with contextlib.suppress(Full):
                return ready.put((item, error), timeout=_LOOK_S)

    def draw() -> None:
        source = iter(items)
        try:
            for item in source:
                put(item)
                if end.is_set():
                    break
            put(None, StopIteration())
        except BaseException as error:
            put(None, error)
        finally:
            if isinstance(source, Generator):
                source.close()

    thread = threading.Thread(target=draw, name="in-background", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]
    finally:
        end.set()
        thread.join()


def available_processors() -> int:
    """Processors that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _finished(
    waiting: deque[tuple[Sequence[Item], list[Future[Ready]]]],
) -> tuple[Sequence[Item], list[Ready]]:
    batch, futures = waiting.popleft()
    return batch, [future.result() for future in futures]
