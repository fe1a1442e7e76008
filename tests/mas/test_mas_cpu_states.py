"""The numba backend of `mas.search_states` against the definition."""

import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given, settings
from state_cases import StateBatch, random_state_batch, state_batches

from mas.backends import cpu_states

# Everything is cut up: columns are kept 6 frames apart, slices are 3 frames and 4 tokens.
TINY = cpu_states.Sizes(at_once=0, least_distance=6, block=3, slice=4)


@pytest.fixture(params=["at once", "in stretches", "in stretches by 3 threads"])
def ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Small items are searched in one go, if not made to be searched as long ones are."""
    before = torch.get_num_threads()
    if request.param != "at once":
        monkeypatch.setattr(cpu_states, "_SIZES", TINY)
        monkeypatch.setattr(cpu_states, "_CELLS_WORTH_A_THREAD", 1)
    torch.set_num_threads(3 if "threads" in request.param else 1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("ways")
@pytest.mark.parametrize("skips", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_equals_the_reference_on_anything(packed: bool, skips: bool) -> None:
    paths = 0
    for seed in range(12):
        T, S, M = 1 + seed % 9, 1 + 2 * seed % 23, 1 + seed % 5
        batch = random_state_batch(seed, 40, T, S, M, packed=packed, skips=skips, odd_values=True)
        durations = batch.search(backend="cpu", check=False)
        assert torch.equal(durations, batch.search(backend="reference", check=False)), seed
        paths += int((durations[:, 0] >= 0).sum())
    assert 120 < paths < 480  # both kinds of item were there


@settings(max_examples=100, deadline=None)
@given(batch=state_batches(max_tokens=30, max_frames=60))
def test_equals_the_reference_in_stretches(batch: StateBatch) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_states, "_SIZES", TINY)
        assert torch.equal(batch.search(backend="cpu"), batch.expected())


@pytest.mark.usefixtures("ways")
@pytest.mark.parametrize("skips", [False, True])
def test_longer_items(skips: bool) -> None:
    # Of 5, 6 and 7 frames: one less than the distance between kept columns, as many, one more; also twice it.
    for seed, (T, S) in enumerate([(1, 50), (5, 5), (5, 6), (5, 7), (9, 12), (50, 50), (40, 131), (97, 128)]):
        batch = random_state_batch(seed, 6, T, S, 7, skips=skips)
        assert torch.equal(batch.search(backend="cpu"), batch.expected())


@pytest.mark.parametrize("distance", [1, 2, 3, 7, 40])
def test_the_distance_between_kept_columns_changes_nothing(
    distance: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for skips in (False, True):
        batch = random_state_batch(3, 8, 30, 80, 7, skips=skips)
        expected = batch.search(backend="cpu")
        with monkeypatch.context() as patch:
            for block, slice_ in ((1, 1), (2, 100), (64, 5)):
                sizes = cpu_states.Sizes(at_once=0, least_distance=distance, block=block, slice=slice_)
                patch.setattr(cpu_states, "_SIZES", sizes)
                assert torch.equal(batch.search(backend="cpu"), expected)


def test_skippable_tokens_at_every_place(monkeypatch: pytest.MonkeyPatch) -> None:
    for sizes in (cpu_states.Sizes(), TINY):
        monkeypatch.setattr(cpu_states, "_SIZES", sizes)
        for tokens in range(1, 7):
            patterns = torch.cartesian_prod(*[torch.tensor([False, True])] * tokens).view(-1, tokens)
            for frames in (1, 3, 9):
                emissions = torch.randint(-2, 3, (frames, 3)).float()
                states = torch.randint(0, 3, patterns.shape)
                lengths = (torch.full((len(patterns),), n) for n in (tokens, frames))
                starts = torch.zeros(len(patterns), dtype=torch.int64)
                batch = StateBatch(emissions, states, *lengths, starts, patterns)
                found = batch.search(backend="cpu", check=False)
                assert torch.equal(found, batch.search(backend="reference", check=False))


def test_sums_are_float32_in_frame_order_in_long_items(monkeypatch: pytest.MonkeyPatch) -> None:
    # 2**24 + 1 is 2**24 in float32: behind the first frame, a score of 1 is lost and a score of 2 is not.
    emissions = torch.zeros(4_000, 2)
    emissions[0, 0], emissions[1:, 0], emissions[1:, 1] = 2.0**24, 1.0, 0.0
    states = torch.arange(64)[None] % 2
    length = torch.tensor([64]), torch.tensor([4_000])
    batch = StateBatch(emissions[None], states, *length, None, None)
    monkeypatch.setattr(cpu_states, "_SIZES", cpu_states.Sizes(at_once=0))
    assert torch.equal(batch.search(backend="cpu"), batch.expected())
    emissions[1:, 0] = 2.0
    assert torch.equal(batch.search(backend="cpu"), batch.expected())


def test_half_types_read_only_the_states_needed() -> None:
    emissions = torch.full((30, 400), float("nan"), dtype=torch.bfloat16)
    used = torch.tensor([3, 77, 380, 399])
    emissions[:, used] = torch.randn(30, 4).bfloat16()
    states, lengths = used[torch.tensor([[2, 0, 3, 1]])], (torch.tensor([4]), torch.tensor([30]))
    batch = StateBatch(emissions[None], states, *lengths, None, None)
    assert torch.equal(batch.search(backend="cpu"), batch.expected())
    states[0, 1] = 400
    assert (batch.search(backend="cpu", check=False) == -1).all()


def _big() -> tuple[StateBatch, torch.Tensor]:
    """Short and long items, of which the longest has tokens enough to be shared by all threads."""
    batch = random_state_batch(3, 12, 60, 400, 9)
    long = random_state_batch(5, 1, 2500, 9000, 9)
    emissions = torch.cat([batch.emissions.flatten(0, 1), long.emissions[0]])
    states = torch.zeros(14, 2500, dtype=torch.int64)
    states[:12, :60], states[12], states[13] = batch.states, long.states[0], long.states[0].flip(0)
    tokens, frames = (
        torch.cat([batch[n], torch.tensor(more)]) for n, more in ((2, [2500, 300]), (3, [9000, 8000]))
    )
    starts = torch.cat([400 * torch.arange(12), torch.tensor([4800, 4900])])
    whole = StateBatch(emissions, states, tokens, frames, starts, None)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return whole, whole.search(backend="cpu")
    finally:
        torch.set_num_threads(before)


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    batch, expected = _big()
    together = []
    align = cpu_states._align_together
    monkeypatch.setattr(cpu_states, "_align_together", lambda *a: (together.append(a[1]), align(*a)))
    before = torch.get_num_threads()
    try:
        for n in (2, 3):
            torch.set_num_threads(n)
            assert torch.equal(batch.search(backend="cpu"), expected)
    finally:
        torch.set_num_threads(before)
    assert together == [12, 12]


def test_several_callers_at_once() -> None:
    batch, expected = _big()
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: batch.search(backend="cpu"), range(8)))
    assert all(torch.equal(r, expected) for r in results)


def _in_child(queue, batch: StateBatch, expected: torch.Tensor) -> None:
    torch.set_num_threads(2)
    # Not torch.equal: torch's own threads do not survive a fork.
    queue.put(bool((batch.search(backend="cpu").numpy() == expected.numpy()).all()))


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_works_in_a_forked_process_after_threads_were_used() -> None:
    batch, expected = _big()
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    batch.search(backend="cpu")
    torch.set_num_threads(before)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(queue, batch, expected), daemon=True)
    child.start()
    assert queue.get(timeout=60)
    child.join(10)
