"""The search in Triton by rows: layouts, messages between programs, compilation.

test_mas_triton.py and test_mas_triton_states.py compare it, like every backend, with the reference.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from search_cases import Batch, random_batch
from state_cases import random_state_batch
from torch import Tensor

import mas
from mas.backends import cpu

triton_rows = pytest.importorskip("mas.backends.triton_rows")

# Triton 3.6's interpreter reads a scalar out of an array of one element, which numpy deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Conversion of an array with ndim > 0:DeprecationWarning")

LAYOUTS = ["FRAMES", "SHIFTED", "TOKENS", "ANY"]
SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def _laid_out(scores: Tensor, layout: str) -> Tensor:
    """The same scores, in memory as `layout` says. All around them is NaN."""
    B, T, S = scores.shape
    room = torch.full((B, T + 9, S + 12), float("nan"), dtype=scores.dtype, device=scores.device)
    if layout == "FRAMES":
        room = torch.nn.functional.pad(room, (0, -(S + 12) % 4), value=float("nan"))
        view = room[:, 2 : T + 2, 4 : S + 4]
    elif layout == "SHIFTED":
        room = torch.nn.functional.pad(room, (0, 1 - (S + 12) % 2), value=float("nan"))  # an odd pitch
        view = room[:, 1 : T + 1, 3 : S + 3]
    elif layout == "TOKENS":
        room = torch.full((B, S + 3, T + 4 + T % 2), float("nan"), dtype=scores.dtype, device=scores.device)
        view = room[:, 1 : S + 1, 2 : T + 2].mT
    else:
        room = torch.full((B, T + 1, S + 1, 3), float("nan"), dtype=scores.dtype, device=scores.device)
        view = room[:, 1:, 1:, 1]
    view.copy_(scores)
    assert triton_rows.layout_of(view) == getattr(triton_rows, layout).value
    return view


def _search(batch: Batch, **options) -> Tensor:
    scores, text_lengths, speech_lengths, skippable = batch
    options = {"backend": "triton", "check": False} | options
    return mas.search(scores, text_lengths, speech_lengths, skippable=skippable, **options)


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("skips", [False, True])
def test_every_layout_of_scores(triton_device: str, layout: str, skips: bool) -> None:
    sizes = (3, 7, 39) if skips else (1, 65, 66)  # several programs, and messages, where there are 65 tokens
    batch = random_batch(4, *sizes, skips=skips, odd_values=skips)
    there = batch.to(triton_device)
    found = _search(there._replace(scores=_laid_out(there.scores, layout)))
    assert torch.equal(found.cpu(), cpu.durations(*batch))


def test_messages_with_skippable_tokens(triton_device: str) -> None:
    batch = random_batch(5, 1, 66, 58, skips=True)
    assert torch.equal(_search(batch.to(triton_device)).cpu(), cpu.durations(*batch))


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_a_nan_that_looks_like_no_message_does_not_stop_the_search(triton_device: str) -> None:
    batch = random_batch(6, 1, 65, 66)
    batch.scores[0, 63, 63] = torch.tensor(-1, dtype=torch.int32).view(torch.float32)
    assert (_search(batch.to(triton_device)) == -1).all()


@pytest.mark.parametrize("packed", [False, True])
def test_an_item_with_more_than_the_most_frames_has_no_path(triton_device: str, packed: bool) -> None:
    batch = random_state_batch(7, 3, 5, 40, 4, packed=packed)
    most = int(batch.speech_lengths.sort().values[1])
    expected = batch.search(backend="reference", check=False, most_frames=most)
    assert (expected == -1).all(1).any()
    found = batch.to(triton_device).search(backend="triton", check=False, most_frames=most)
    assert torch.equal(found.cpu(), expected)


def test_states_are_searched_by_rows_up_to_a_bound_of_memory() -> None:
    triton_states = pytest.importorskip("mas.backends.triton_states")
    bound = triton_states._BY_ROWS_BYTES
    for sizes in ((32, 300, 800), (1, 4000, 12400)):
        assert triton_rows.memory_bytes(*sizes, skips=True) < bound
    assert triton_rows.memory_bytes(1, 58_000, 180_000, skips=False) > bound
    assert triton_rows.memory_bytes(16, 512, 2048, skips=False) == 16 * 512 * 2048 * 3 // 16
    assert triton_rows.memory_bytes(16, 512, 2048, skips=True) == 16 * 512 * 2048 * 3 // 8


@pytest.mark.slow
@pytest.mark.parametrize("gpu", ["80", "90", "gfx942"])
def test_compiles_ahead_of_time_without_spills(gpu: str) -> None:
    command = [sys.executable, SCRIPTS / "compile_triton.py", "--gpu", gpu, "--only"]
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    for kernel in ("rows SHIFTED", "rows states", "rows way back"):
        done = subprocess.run([*command, kernel], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        lines = done.stdout.splitlines()[1:]
        assert lines
        for line in lines:
            _, _, spilled, seconds = line.split()[-4:]
            assert int(spilled) == 0, line
            assert float(seconds) < 15, line


# What only a GPU can show.


@pytest.mark.gpu
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("skips", [False, True])
def test_layouts_and_types_on_a_gpu(layout: str, dtype: torch.dtype, skips: bool) -> None:
    sizes = [
        (33, 1, 1),
        (40, 37, 61),
        (24, 64, 64),
        (24, 65, 201),
        (16, 128, 257),
        (16, 131, 400),
        (6, 1100, 1303),
    ]
    for seed, (B, T, S) in enumerate(sizes):
        batch = random_batch(seed, B, T, S, skips=skips, odd_values=True)
        batch = batch._replace(scores=batch.scores.to(dtype))
        there = batch.to("cuda")
        found = _search(there._replace(scores=_laid_out(there.scores, layout)))
        assert torch.equal(found.cpu(), cpu.durations(*batch._replace(scores=batch.scores.float()))), (T, S)


@pytest.mark.gpu
@pytest.mark.parametrize("states", [False, True])
@pytest.mark.parametrize("skips", [False, True])
def test_a_thousand_replays_of_a_cuda_graph(states: bool, skips: bool) -> None:
    if states:
        batch = random_state_batch(8, 32, 300, 401, 20, packed=True, skips=skips)
        expected, there = batch.search(backend="cpu").cuda(), batch.to("cuda")
    else:
        batch = random_batch(8, 32, 300, 401, skips=skips)
        expected, there = cpu.durations(*batch).cuda(), batch.to("cuda")

    def search() -> Tensor:
        return there.search(backend="triton", check=False) if states else _search(there)

    search()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = search()
    different = torch.zeros((), dtype=torch.int64, device="cuda")
    for _ in range(1000):
        found.fill_(7)
        graph.replay()
        different += (found != expected).sum()
    assert different.item() == 0


@pytest.mark.gpu
def test_more_programs_than_a_gpu_can_hold_at_once() -> None:
    lengths = torch.full((120,), 2048), torch.full((120,), 2100)
    scores = torch.randn(120, 2048, 2100, dtype=torch.bfloat16, device="cuda")
    found = mas.search(scores, *lengths, backend="triton", check=False).cpu()
    for b in (0, 60, 119):
        assert torch.equal(
            found[b : b + 1], cpu.durations(scores[b : b + 1].cpu(), *(n[:1] for n in lengths))
        )
    assert (found.sum(1) == 2100).all()
