"""The CUDA backend: what only it has. test_mas_triton.py compares it, like every backend, with the reference.

On a machine with a GPU: `pytest -m gpu tests/mas/test_mas_hopper.py`.
"""

import pytest
import torch
from search_cases import random_batch
from torch import Tensor

from mas.backends import cpu
from mas.backends.hopper import search as hopper
from mas.backends.hopper.search import Loader, Shape

# Every way of spreading the tokens: one warp, several in a block, several blocks, both, and 2 or 4 a lane.
SHAPES = [
    Shape(rows=2, warps=1, blocks=1, stages=4),
    Shape(rows=2, warps=4, blocks=1, stages=4),
    Shape(rows=2, warps=1, blocks=8, stages=4),
    Shape(rows=2, warps=2, blocks=4, stages=3),
    Shape(rows=2, warps=3, blocks=3, stages=6),
    Shape(rows=4, warps=1, blocks=2, stages=4),
    Shape(rows=4, warps=4, blocks=1, stages=3),
    Shape(rows=4, warps=2, blocks=8, stages=3),
    Shape(rows=4, warps=3, blocks=6, stages=4),
]
# B, T, S for each way of reading scores.
SIZES = [
    (33, 1, 1),
    (40, 37, 61),
    (24, 64, 64),
    (24, 65, 201),
    (16, 128, 512),
    (16, 131, 400),
    (9, 259, 999),
    (9, 512, 1030),
    (6, 1100, 1303),
    (4, 2047, 2500),
    (3, 4095, 4200),
]


@pytest.mark.parametrize(
    ("architecture", "score_type", "rows"), [(90, 0, 2), (90, 0, 4), (90, 2, 2), (100, 0, 4), (100, 1, 2)]
)
def test_compiles_ahead_of_time(architecture: int, score_type: int, rows: int) -> None:
    pytest.importorskip("cuda.bindings.nvrtc", reason="cuda-bindings is not installed")
    code = hopper.compile_kernel(architecture, Shape(rows, warps=4, blocks=1, stages=3), score_type)
    assert code[:4] == b"\x7fELF"


def test_what_does_not_compile_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cuda.bindings.nvrtc", reason="cuda-bindings is not installed")
    with pytest.raises(RuntimeError, match=r"search\.cu"):
        hopper.compile_kernel(90, Shape(rows=3, warps=1, blocks=1, stages=4), 0)


def test_sizes_that_disagree_do_not_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cuda.bindings.nvrtc", reason="cuda-bindings is not installed")
    monkeypatch.setattr(hopper, "_INBOX_BYTES", hopper._INBOX_BYTES - 256)
    with pytest.raises(RuntimeError, match="allots an inbox"):
        hopper.compile_kernel(90, Shape(rows=2, warps=1, blocks=1, stages=4), 0)


def test_every_text_length_finds_room() -> None:
    for T in range(1, 4097):
        for B in (1, 16, 1000):
            shape = hopper._choose_shape(T, B, 132)
            assert 32 * shape.rows * shape.warps * shape.blocks >= T
            assert shape.blocks <= 8
            assert shape.shared_bytes <= hopper._SHARED_BYTES - 2048  # less the barriers


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_histories_of_every_item_find_room(rows: int) -> None:
    for S in (1, 2, 5, 31, 33, 100, 511, 2048):
        for T in range(1, S + 1, 1 + S // 60):
            most = max((t + 3) // 4 * 4 * ((S - t) // 32 + rows + 1) for t in range(1, T + 1))
            words = hopper.history_words(T, S, rows)
            assert words >= most, (T, S)
            assert words % 4 == 0  # copied 16 bytes at a time


def test_how_scores_are_read() -> None:
    scores = torch.zeros(3, 8, 12)
    assert hopper._loader(scores) == Loader.ALIGNED_ROWS
    assert hopper._loader(scores[:, :, :11]) == Loader.ALIGNED_ROWS
    assert hopper._loader(scores[:, :, 1:]) == Loader.ROWS_ONE_BY_ONE
    assert hopper._loader(scores[:, :, ::2]) == Loader.ROWS_ONE_BY_ONE
    assert hopper._loader(torch.zeros(3, 8, 11)) == Loader.ROWS_ONE_BY_ONE
    assert hopper._loader(torch.zeros(3, 12, 8).mT) == Loader.ALIGNED_COLUMNS
    assert hopper._loader(torch.zeros(3, 12, 8).mT[:, 4:7]) == Loader.ALIGNED_COLUMNS
    assert hopper._loader(torch.zeros(3, 12, 8).mT[:, 1:]) == Loader.COLUMNS_ONE_BY_ONE
    assert hopper._loader(torch.zeros(3, 12, 7).mT) == Loader.COLUMNS_ONE_BY_ONE


def _laid_out(scores: Tensor, loader: Loader) -> Tensor:
    """The same scores, in memory as `loader` reads them. All around them is NaN."""
    B, T, S = scores.shape
    by_rows = loader in (Loader.ALIGNED_ROWS, Loader.ROWS_ONE_BY_ONE)
    outer, inner = (T, S) if by_rows else (S, T)
    aligned = loader in (Loader.ALIGNED_ROWS, Loader.ALIGNED_COLUMNS)
    before, pitch = (4, inner + 4 + -inner % 4) if aligned else (3, inner + 4 + inner % 2)
    room = torch.full((B, outer + 3, pitch), float("nan"), dtype=scores.dtype, device=scores.device)
    view = room[:, 2 : outer + 2, before : inner + before]
    view = view if by_rows else view.mT
    view.copy_(scores)
    assert hopper._loader(view) == loader
    return view


@pytest.mark.gpu
@pytest.mark.parametrize("loader", list(Loader), ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_every_way_of_reading_equals_the_cpu(loader: Loader, dtype: torch.dtype) -> None:
    if not hopper.serves(torch.device("cuda")):
        pytest.skip("this GPU is not served")
    for seed, (B, T, S) in enumerate(SIZES):
        batch = random_batch(seed, B, T, S, odd_values=seed % 2 == 1)
        batch = batch._replace(scores=batch.scores.to(dtype))
        there = batch.to("cuda")
        found = hopper.durations(*there._replace(scores=_laid_out(there.scores, loader)))
        assert torch.equal(found.cpu(), cpu.durations(*batch)), (T, S)


@pytest.mark.gpu
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_shape_equals_the_reference(monkeypatch: pytest.MonkeyPatch, shape: Shape) -> None:
    if not hopper.serves(torch.device("cuda")):
        pytest.skip("this GPU is not served")
    monkeypatch.setattr(hopper, "_choose_shape", lambda T, B, processors: shape)
    most = 32 * shape.rows * shape.warps * shape.blocks
    for seed, (T, S) in enumerate([(most, 2 * most + 5), (most - 1, most), (1, 40), (min(most, 70), 2049)]):
        batch = random_batch(seed, 9, T, S, odd_values=True)
        found = hopper.durations(*batch.to("cuda"))
        assert torch.equal(found.cpu(), cpu.durations(*batch)), (T, S)


@pytest.mark.gpu
def test_a_device_that_is_not_the_current_one() -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    batch = random_batch(1, 4, 50, 200)
    assert torch.equal(hopper.durations(*batch.to("cuda:1")).cpu(), cpu.durations(*batch))
