"""The numba backend of the forward sum: how it cuts items up, and threads."""

import multiprocessing
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from state_cases import StateBatch, random_state_batch

import mas
from mas.backends import cpu_forward


def _all(batch: StateBatch, **options) -> list[torch.Tensor]:
    *tensors, starts, skippable = batch
    options |= {"starts": starts, "skippable": skippable}
    posteriors = mas.state_posteriors(*tensors, **options)
    return [posteriors, *mas.boundary_moments(*tensors, **options)]


@pytest.mark.parametrize("distance", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("skips", [False, True])
def test_the_distance_between_kept_columns_changes_nothing(
    distance: int, skips: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, (T, S) in enumerate([(1, 9), (9, 9), (6, 12), (30, 80), (97, 128)]):
        batch = random_state_batch(seed, 6, T, S, 5, packed=True, skips=skips)
        for scale in (1.0, 1e5):  # one is computed in float32, the other in float64
            expected = _all(batch, scale=scale, backend="reference", check=False)
            with monkeypatch.context() as patch:
                patch.setattr(cpu_forward, "_LEAST_DISTANCE", distance)
                found = _all(batch, scale=scale, check=False)
            for own, right in zip(found, expected, strict=True):
                torch.testing.assert_close(own, right, rtol=1e-5, atol=5e-3)


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_forward, "_CELLS_WORTH_A_THREAD", 1)
    before = torch.get_num_threads()
    # Packed items overlap: two threads must not add to one frame.
    for packed in (False, True):
        batch = random_state_batch(1, 12, 30, 200, 9, packed=packed)
        try:
            torch.set_num_threads(1)
            expected = _all(batch)
            torch.set_num_threads(3)
            for _ in range(5):
                for own, right in zip(_all(batch), expected, strict=True):
                    torch.testing.assert_close(own, right, rtol=1e-6, atol=1e-6)
        finally:
            torch.set_num_threads(before)


def test_several_callers_at_once() -> None:
    batch = random_state_batch(2, 12, 60, 400, 9)
    expected = _all(batch)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: _all(batch), range(8)):
            assert all(torch.equal(own, right) for own, right in zip(found, expected, strict=True))


def _in_child(queue, batch: StateBatch, expected: torch.Tensor) -> None:
    torch.set_num_threads(2)
    *tensors, starts, skippable = batch
    found = mas.forward_sum_states(*tensors, starts=starts, skippable=skippable)
    # Not torch.equal: torch's own threads do not survive a fork.
    queue.put(bool((found.numpy() == expected.numpy()).all()))


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_works_in_a_forked_process_after_threads_were_used() -> None:
    batch = random_state_batch(3, 12, 60, 400, 9)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    *tensors, starts, skippable = batch
    expected = mas.forward_sum_states(*tensors, starts=starts, skippable=skippable)
    torch.set_num_threads(before)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(queue, batch, expected), daemon=True)
    child.start()
    assert queue.get(timeout=60)
    child.join(10)
