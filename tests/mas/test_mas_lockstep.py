"""The CUDA search in lockstep: what only it has. Like every backend it is compared with the reference in
test_mas_triton.py (skippable tokens) and test_mas_triton_states.py (states).

On a machine with a GPU: `pytest -m gpu tests/mas/test_mas_lockstep.py`.
"""

import pytest
import torch
from search_cases import random_batch
from state_cases import random_state_batch

from mas.backends import cpu, hopper, triton
from mas.backends.hopper import lockstep
from mas.backends.hopper.lockstep import Shape, Variant

# One warp, several in a thread block, several thread blocks, both.
SHAPES = [Shape(1, 1), Shape(3, 1), Shape(4, 1), Shape(1, 7), Shape(2, 3), Shape(4, 4), Shape(3, 8)]


@pytest.mark.parametrize(
    "variant", [Variant(True, 0), Variant(False, 0), Variant(True, 1), Variant(False, 2)]
)
@pytest.mark.parametrize("architecture", [90, 100])
def test_compiles_ahead_of_time(architecture: int, variant: Variant) -> None:
    pytest.importorskip("cuda.bindings.nvrtc", reason="cuda-bindings is not installed")
    assert lockstep.compile_kernels(architecture, variant)[:4] == b"\x7fELF"


@pytest.mark.parametrize(
    ("name", "says"), [("_ROWS", "four numbers at once"), ("_COLUMNS", "two halves"), ("_SLOT_BYTES", "bank")]
)
def test_sizes_that_disagree_do_not_compile(monkeypatch: pytest.MonkeyPatch, name: str, says: str) -> None:
    pytest.importorskip("cuda.bindings.nvrtc", reason="cuda-bindings is not installed")
    monkeypatch.setattr(lockstep, name, 2 * getattr(lockstep, name))
    with pytest.raises(RuntimeError, match=says):
        lockstep.compile_kernels.__wrapped__(90, Variant(True, 0))


def test_every_text_finds_room() -> None:
    for warps in range(1, 1 + 4096 // 96 + 1):
        for clusters in (1, 4, 40, 1000):
            shape = lockstep.choose_shape(warps, clusters, 132)
            assert shape.warps * shape.blocks >= warps
            assert shape.warps <= 4
            assert shape.blocks <= 16
            for states in (0, 1, 50, 123, 300, 5000):
                for tokens in (None, 1, 96 * warps):
                    ring = lockstep.choose_ring(shape.warps, 2, states, tokens)
                    assert ring.shared_bytes <= 113 * 1024 - 4096  # two thread blocks share a multiprocessor
                    assert ring.stages >= 2


@pytest.fixture(scope="session")
def gpu() -> str:
    if not hopper.serves(torch.device("cuda")):
        pytest.skip("this GPU is not served")
    return "cuda"


@pytest.mark.gpu
@pytest.mark.parametrize("skips", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_shape_equals_the_reference(
    monkeypatch: pytest.MonkeyPatch, gpu: str, shape: Shape, skips: bool
) -> None:
    monkeypatch.setattr(lockstep, "choose_shape", lambda warps, clusters, processors: shape)
    own = 32 * 4 - (2 if skips else 1) * 16
    most = shape.warps * shape.blocks * own
    for seed, (T, S) in enumerate([(most, 2 * most + 5), (most - 1, most), (1, 40), (min(most, 70), 2049)]):
        batch = random_batch(seed, 7, T, S, skips=skips, odd_values=True)
        found = lockstep.durations(*batch.to(gpu))
        assert torch.equal(found.cpu(), cpu.durations(*batch)), (T, S)
        for M in (11, 3 * most):  # a slot for each state, or for each row
            states = random_state_batch(seed, 7, T, S, M, packed=True, skips=skips, odd_values=True)
            expected = states.search(backend="cpu", check=False)
            assert torch.equal(states.to(gpu).search(backend="hopper", check=False).cpu(), expected), (
                T,
                S,
                M,
            )


@pytest.mark.gpu
@pytest.mark.parametrize("skips", [False, True])
@pytest.mark.parametrize("blocks", [2, 8, 16])
def test_stretches_and_slices(monkeypatch: pytest.MonkeyPatch, gpu: str, blocks: int, skips: bool) -> None:
    monkeypatch.setattr(lockstep, "_MOST_TOKENS", 60)
    monkeypatch.setattr(lockstep, "_STRETCH", 128)
    monkeypatch.setattr(lockstep, "_largest_cluster", lambda index, variant: blocks)
    for seed, (T, S) in enumerate([(61, 128), (500, 900), (1900, 2600), (1500, 1501), (7, 4000)]):
        batch = random_state_batch(seed, 9, T, S, 50, packed=seed % 2 == 0, skips=skips, odd_values=seed > 0)
        expected = batch.search(backend="cpu", check=False)
        assert torch.equal(batch.to(gpu).search(backend="hopper", check=False).cpu(), expected), (T, S)
        dense = random_batch(seed, 3, T, S, skips=skips)
        assert torch.equal(lockstep.durations(*dense.to(gpu)).cpu(), cpu.durations(*dense)), (T, S)


@pytest.mark.gpu
@pytest.mark.parametrize("skips", [False, True])
def test_short_texts_in_stretches(monkeypatch: pytest.MonkeyPatch, gpu: str, skips: bool) -> None:
    """There the first row that a cluster holds may be far above the text's first."""
    monkeypatch.setattr(lockstep, "_STRETCH", 128)
    monkeypatch.setattr(lockstep, "_MEMORY_BYTES", 1000)
    for T, S in ((1, 300), (61, 700), (300, 1000)):
        batch = random_batch(5, 3, T, S, skips=skips)
        assert torch.equal(lockstep.durations(*batch.to(gpu)).cpu(), cpu.durations(*batch)), (T, S)


@pytest.mark.gpu
@pytest.mark.parametrize("whole", [False, True])
def test_items_share_memory_if_there_is_little(
    monkeypatch: pytest.MonkeyPatch, gpu: str, whole: bool
) -> None:
    monkeypatch.setattr(lockstep, "_MOST_TOKENS", 4096 if whole else 1)
    monkeypatch.setattr(lockstep, "_MEMORY_BYTES", 400_000)
    monkeypatch.setattr(lockstep, "_COLUMNS_BYTES", 5000)
    batch = random_state_batch(1, 70, 60, 400, 30, packed=True, skips=True, odd_values=True)
    expected = batch.search(backend="cpu", check=False)
    for most in (None, 400):
        found = batch.to(gpu).search(backend="hopper", check=False, most_frames=most)
        assert torch.equal(found.cpu(), expected)


@pytest.mark.gpu
def test_packed_memory_depends_on_the_longest_item(gpu: str) -> None:
    batch = random_state_batch(2, 64, 100, 300, 20, packed=True, skips=True)
    room = torch.zeros(200_000, 20)
    room[: len(batch.emissions)] = batch.emissions
    there = batch._replace(emissions=room).to(gpu)
    expected = batch.search(backend="cpu")
    assert torch.equal(there.search(backend="hopper", most_frames=300).cpu(), expected)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    there.search(backend="hopper", most_frames=300, check=False)
    assert torch.cuda.max_memory_allocated() - before < 64 * 100 * 300 / 2


@pytest.mark.gpu
def test_triton_is_not_needed(monkeypatch: pytest.MonkeyPatch, gpu: str) -> None:
    for name in ("durations", "state_durations"):
        monkeypatch.delattr(triton, name)
    for T, skips in ((100, True), (4200, True), (4200, False)):
        batch = random_batch(3, 2, T, T + 700, skips=skips)
        assert torch.equal(hopper.durations(*batch.to(gpu)).cpu(), cpu.durations(*batch))
    states = random_state_batch(3, 2, 100, 400, 9, skips=True)
    assert torch.equal(states.to(gpu).search(backend="hopper").cpu(), states.search(backend="cpu"))
