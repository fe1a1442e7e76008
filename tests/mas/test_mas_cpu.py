"""The numba backend against the definition."""

import multiprocessing
import sys
from concurrent.futures import ThreadPoolExecutor

import numba
import pytest
import torch
from hypothesis import given, settings
from search_cases import Batch, batches, random_batch

from mas.backends import cpu, cpu_threads, reference


@settings(max_examples=300, deadline=None)
@given(batches())
def test_equals_the_reference(batch: Batch) -> None:
    assert torch.equal(cpu.durations(*batch), reference.durations(*batch))


@pytest.mark.parametrize("skips", [False, True])
@pytest.mark.parametrize("text_first", [False, True])
def test_equals_the_reference_on_anything(skips: bool, text_first: bool) -> None:
    paths = 0
    for seed in range(20):
        batch = random_batch(seed, 40, 1 + seed % 9, 1 + 2 * seed % 23, skips=skips, odd_values=True)
        scores = batch.scores.mT.contiguous().mT if text_first else batch.scores
        durations = cpu.durations(scores, *batch[1:])
        assert torch.equal(durations, reference.durations(*batch))
        paths += int((durations[:, 0] >= 0).sum())
    assert 200 < paths < 800  # both kinds of item were there


@pytest.mark.parametrize("shape", [(5, 128), (33, 127), (17, 129), (40, 300)])
def test_tile_edges(shape: tuple[int, int]) -> None:
    for skips in (False, True):
        batch = random_batch(7, 12, *shape, skips=skips)
        expected = reference.durations(*batch)
        assert torch.equal(cpu.durations(*batch), expected)
        scattered = torch.empty(12, shape[0], 2, shape[1] * 3)[:, :, 1, ::3].copy_(batch.scores)
        assert torch.equal(cpu.durations(scattered, *batch[1:]), expected)
        turned = batch.scores.mT.contiguous().mT
        assert torch.equal(cpu.durations(turned, *batch[1:]), expected)


def test_ties_move_where_asked() -> None:
    length = torch.tensor([3]), torch.tensor([6])
    assert cpu.durations(torch.zeros(1, 3, 6), *length).tolist() == [[1, 1, 4]]
    assert cpu.durations(torch.zeros(1, 3, 6), *length, ties_move=True).tolist() == [[4, 1, 1]]


def _big() -> tuple[Batch, torch.Tensor]:
    batch = random_batch(3, 24, 60, 400)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return batch, cpu.durations(*batch)
    finally:
        torch.set_num_threads(before)


def test_threads_change_nothing() -> None:
    batch, expected = _big()
    before = torch.get_num_threads()
    try:
        for n in (2, 5):
            torch.set_num_threads(n)
            assert torch.equal(cpu.durations(*batch), expected)
    finally:
        torch.set_num_threads(before)


def test_several_callers_at_once() -> None:
    batch, expected = _big()
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: cpu.durations(*batch), range(12)))
    assert all(torch.equal(r, expected) for r in results)


def _in_child(queue) -> None:
    batch, expected = _big()
    torch.set_num_threads(2)
    queue.put(torch.equal(cpu.durations(*batch), expected))


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_works_in_a_forked_process_after_threads_were_used() -> None:
    batch, _ = _big()
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    cpu.durations(*batch)
    torch.set_num_threads(before)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(queue,))
    child.start()
    assert queue.get(timeout=60)
    child.join(10)


def test_compiles_where_nothing_can_be_kept_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    njit = numba.njit

    def read_only(function, **options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return njit(function, **options)

    monkeypatch.setattr(numba, "njit", read_only)
    assert cpu_threads.compiled(lambda x: x + 1)(1) == 2
