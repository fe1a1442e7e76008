"""Batches made ready by threads."""

import threading
import time
from collections.abc import Iterator

import pytest

from aligner.corpus.read_ahead import in_background, read_ahead


@pytest.mark.parametrize("threads", [0, 1, 3, None])
def test_batches_and_items_keep_their_order(threads: int | None) -> None:
    def load(item: int) -> int:
        time.sleep(0.001 * (item % 3))
        return item * item

    batches = [[3, 1, 2], [], [7], [5, 4]]
    assert list(read_ahead(batches, load, threads)) == [
        ([3, 1, 2], [9, 1, 4]),
        ([], []),
        ([7], [49]),
        ([5, 4], [25, 16]),
    ]


def test_only_a_few_batches_are_read_ahead() -> None:
    drawn = []

    def endless() -> Iterator[list[int]]:
        while True:
            drawn.append(len(drawn))
            yield [drawn[-1]]

    ready = read_ahead(endless(), lambda item: item, 2)
    assert [next(ready)[1] for _ in range(3)] == [[0], [1], [2]]
    assert len(drawn) < 12
    ready.close()


def test_of_large_batches_one_is_read_ahead() -> None:
    drawn = []

    def endless() -> Iterator[list[int]]:
        while True:
            drawn.append(len(drawn))
            yield [drawn[-1]] * 900

    ready = read_ahead(endless(), lambda item: item, 2)
    for n in range(5):
        assert next(ready)[1] == [n] * 900
        assert len(drawn) == n + 2
    ready.close()


@pytest.mark.parametrize("threads", [0, 2])
def test_an_error_is_raised_when_its_batch_is_due(threads: int) -> None:
    def load(item: int) -> int:
        if item == 2:
            raise OSError("unreadable")
        return item

    ready = read_ahead([[0], [1], [2]], load, threads)
    assert [next(ready)[1], next(ready)[1]] == [[0], [1]]
    with pytest.raises(OSError, match="unreadable"):
        next(ready)


def test_no_thread_is_left_behind() -> None:
    before = threading.active_count()
    ready = read_ahead([[n] for n in range(100)], lambda item: item, 3)
    next(ready)
    ready.close()
    assert threading.active_count() == before


def test_items_come_from_the_background_in_order() -> None:
    assert list(in_background(range(20))) == list(range(20))
    assert list(in_background([])) == []


def test_an_error_in_the_background_is_raised_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("unreadable")

    ready = in_background(items())
    assert next(ready) == 1
    with pytest.raises(OSError, match="unreadable"):
        next(ready)


def test_what_is_drawn_in_the_background_ends_with_its_reader() -> None:
    before, closed = threading.active_count(), []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield len(closed)
        finally:
            closed.append(True)

    ready = in_background(endless())
    next(ready)
    ready.close()
    assert closed == [True]
    assert threading.active_count() == before
