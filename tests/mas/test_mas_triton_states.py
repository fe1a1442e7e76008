"""The GPU backends of `mas.search_states`. Triton also runs without a GPU, in its interpreter.

On a machine with a GPU: `pytest -m gpu tests/mas/test_mas_triton_states.py`.
"""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from state_cases import StateBatch, random_state_batch, state_batches

import mas

# Triton 3.6's interpreter reads a scalar out of an array of one element, which numpy deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Conversion of an array with ndim > 0:DeprecationWarning")

GPU_BACKENDS = [name for name in mas.available_backends("cuda") if name != "reference"]


# Triton, on the GPU or in the interpreter.


@pytest.fixture(scope="module", params=["by rows", "in stretches"])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """Both ways of the search, whatever memory the first one takes."""
    triton_states = pytest.importorskip("mas.backends.triton_states")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(triton_states, "_BY_ROWS_BYTES", 1 << 40 if request.param == "by rows" else 0)
        yield request.param


@settings(max_examples=8, deadline=None)
@given(batch=state_batches())
def test_triton_equals_the_reference(triton_device: str, way: str, batch: StateBatch) -> None:
    assert torch.equal(batch.to(triton_device).search(backend="triton").cpu(), batch.expected())


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("skips", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_triton_equals_the_reference_on_anything(
    triton_device: str, way: str, packed: bool, skips: bool
) -> None:
    for seed in range(4):
        T, S = 1 + 3 * seed, 1 + 5 * seed
        batch = random_state_batch(seed, 5, T, S, 1 + seed, packed=packed, skips=skips, odd_values=True)
        found = batch.to(triton_device).search(backend="triton", check=False)
        assert torch.equal(found.cpu(), batch.search(backend="reference", check=False)), seed


@pytest.mark.parametrize("skips", [False, True])
def test_triton_cuts_long_texts_into_blocks(
    triton_device: str, skips: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    triton_states = pytest.importorskip("mas.backends.triton_states")
    monkeypatch.setattr(triton_states, "_BY_ROWS_BYTES", 0)
    monkeypatch.setattr(triton_states, "_BLOCK", 64)
    monkeypatch.setattr(triton_states, "_DISTANCE", 16)
    batch = random_state_batch(1, 1, 140, 150, 7, skips=skips)
    assert torch.equal(batch.to(triton_device).search(backend="triton").cpu(), batch.expected())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_triton_takes_any_type_and_strides(triton_device: str, dtype: torch.dtype) -> None:
    batch = random_state_batch(2, 2, 9, 20, 5)
    batch = batch._replace(emissions=batch.emissions.to(dtype))
    expected = batch._replace(emissions=batch.emissions.float()).expected()
    emissions = batch.emissions.to(triton_device)
    views = {
        "as it is": emissions,
        "turned": emissions.permute(2, 1, 0).contiguous().permute(2, 1, 0),
        "sliced": emissions.repeat(2, 2, 2)[:2, :20, :5],
    }
    for name, view in views.items():
        found = batch.to(triton_device)._replace(emissions=view).search(backend="triton")
        assert torch.equal(found.cpu(), expected), name


def test_triton_compiles_ahead_of_time() -> None:
    pytest.importorskip("triton")
    code = """
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
import triton
from mas.backends import triton_states as backend
types = dict(stride_f="i64", stride_m="i32", starts="*i64", states="*i32", text_lengths="*i64",
             frames_of="*i32", before="*i32", after="*i32", skippable="*i1", T="i32", kept="*fp32",
             n_kept="i32", distance="i32", steps="*i32", result="*i64")
for arch, skips, emissions in (80, False, "*fp32"), (90, True, "*bf16"), (100, True, "*fp16"):
    for block, warps in (128, 1), (4096, 16):
        constants = dict(SKIPS=skips, WORD=16, BLOCK=block)
        source = ASTSource(backend._search_states_kernel, dict(emissions=emissions) | types, constants)
        triton.compile(source, target=GPUTarget("cuda", arch, 32), options=dict(num_warps=warps))
print("done")
"""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout == "done\n", done.stderr


# What only a GPU can show. Every backend.

on_gpu = pytest.mark.gpu
every_backend = pytest.mark.parametrize("backend", GPU_BACKENDS)


@pytest.fixture(scope="session")
def gpu() -> str:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA GPU")
    return "cuda"


@on_gpu
@every_backend
@pytest.mark.parametrize("packed", [False, True])
def test_many_cases_are_the_same_on_every_backend(gpu: str, backend: str, packed: bool) -> None:
    for seed in range(100):
        T, S, M = 1 + seed % 40, 1 + (seed * 7) % 90, 1 + seed % 13
        batch = random_state_batch(seed, 50, T, S, M, packed=packed, skips=seed % 2 == 1, odd_values=True)
        expected = batch.search(backend="reference", check=False)
        assert torch.equal(batch.search(backend="cpu", check=False), expected), seed
        assert torch.equal(batch.to(gpu).search(backend=backend, check=False).cpu(), expected), seed


@on_gpu
@every_backend
@pytest.mark.parametrize("skips", [False, True])
@pytest.mark.parametrize(
    "sizes",
    [(64, 31, 100, 5), (33, 160, 800, 123), (9, 500, 1600, 40), (5, 2000, 5000, 123), (3, 4097, 9001, 300)],
)
def test_larger_shapes(gpu: str, backend: str, sizes: tuple[int, int, int, int], skips: bool) -> None:
    batch = random_state_batch(1, *sizes, skips=skips)
    found = batch.to(gpu).search(backend=backend)
    assert torch.equal(found.cpu(), batch.search(backend="cpu"))
    assert torch.equal(batch.to(gpu).search(backend=backend), found)


@on_gpu
@every_backend
@pytest.mark.parametrize("skips", [False, True])
def test_a_text_of_several_blocks(gpu: str, backend: str, skips: bool) -> None:
    batch = random_state_batch(2, 2, 13_000, 30_000, 123, packed=True, skips=skips)
    assert torch.equal(batch.to(gpu).search(backend=backend).cpu(), batch.search(backend="cpu"))


@on_gpu
@every_backend
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types(gpu: str, backend: str, dtype: torch.dtype) -> None:
    batch = random_state_batch(3, 8, 130, 900, 20)
    batch = batch._replace(emissions=batch.emissions.to(dtype))
    assert torch.equal(batch.to(gpu).search(backend=backend).cpu(), batch.search(backend="cpu"))


@on_gpu
@every_backend
def test_views_of_any_kind(gpu: str, backend: str) -> None:
    batch = random_state_batch(4, 4, 65, 333, 20)
    expected = batch.search(backend="cpu")
    there = batch.to(gpu)
    room = torch.full((9, 1000, 61), float("nan"), device=gpu)
    for view in (room[::2, ::3, ::3], room[1::2, 1::2, 1::2], room[:4, 1:334, 1:21]):
        view = view[:4, :333, :20]
        view.copy_(batch.emissions)
        assert torch.equal(there._replace(emissions=view).search(backend=backend).cpu(), expected)
    turned = there.emissions.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    assert torch.equal(there._replace(emissions=turned).search(backend=backend).cpu(), expected)
    wide = torch.full((4, 130), -1, dtype=torch.int32, device=gpu)
    wide[:, ::2] = there.states.int()
    strided = there._replace(states=wide[:, ::2], text_lengths=there.text_lengths.int())
    assert torch.equal(strided.search(backend=backend).cpu(), expected)


@on_gpu
@every_backend
def test_the_same_result_1000_times(gpu: str, backend: str) -> None:
    batch = random_state_batch(5, 8, 200, 801, 50, skips=True).to(gpu)
    first = batch.search(backend=backend)
    different = torch.zeros((), dtype=torch.int64, device=gpu)
    for _ in range(1000):
        different += (batch.search(backend=backend, check=False) != first).sum()
    assert different.item() == 0


@on_gpu
@every_backend
def test_padding_may_be_anything(gpu: str, backend: str) -> None:
    batch = random_state_batch(6, 12, 90, 400, 30)
    expected = batch.search(backend="cpu")
    emissions, states = batch.emissions.clone(), batch.states.clone()
    emissions[torch.arange(400) >= batch.speech_lengths[:, None]] = float("nan")
    states[torch.arange(90) >= batch.text_lengths[:, None]] = 2**40
    poisoned = batch._replace(emissions=emissions, states=states).to(gpu)
    assert torch.equal(poisoned.search(backend=backend).cpu(), expected)


@on_gpu
@every_backend
def test_nothing_the_size_of_the_scores_is_allocated(gpu: str, backend: str) -> None:
    batch = random_state_batch(7, 8, 512, 2048, 20).to(gpu)
    batch.search(backend=backend)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    batch.search(backend=backend, check=False)
    assert torch.cuda.max_memory_allocated() - before < 8 * 512 * 2048 / 2


@on_gpu
@every_backend
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@pytest.mark.parametrize("packed", [False, True])
def test_nothing_waits_for_the_gpu_without_checks(gpu: str, backend: str, packed: bool) -> None:
    batch = random_state_batch(8, 8, 100, 300, 20, packed=packed, skips=True).to(gpu)
    batch.search(backend=backend)
    try:
        torch.cuda.set_sync_debug_mode("error")
        batch.search(backend=backend, check=False)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@on_gpu
@every_backend
@pytest.mark.parametrize("packed", [False, True])
def test_cuda_graph(gpu: str, backend: str, packed: bool) -> None:
    batches = [random_state_batch(9 + n, 8, 100, 300, 20, packed=packed) for n in range(3)]
    static = batches[0].to(gpu)
    static.search(backend=backend, check=False)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        durations = static.search(backend=backend, check=False)
    for batch in batches:
        for own, new in zip(static, batch, strict=True):
            if own is not None:
                own.copy_(new)
        for _ in range(3):
            graph.replay()
        assert torch.equal(durations.cpu(), batch.search(backend="cpu"))


@on_gpu
@pytest.mark.filterwarnings("ignore:The CUDA Graph is empty:UserWarning")
def test_checks_refuse_cuda_graphs(gpu: str) -> None:
    batch = random_state_batch(10, 2, 10, 30, 4).to(gpu)
    with pytest.raises(ValueError, match="pass check=False"), torch.cuda.graph(torch.cuda.CUDAGraph()):
        batch.search()


@on_gpu
@every_backend
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_torch_compile(gpu: str, backend: str) -> None:
    batch = random_state_batch(11, 8, 100, 300, 20, packed=True).to(gpu)

    @torch.compile(fullgraph=True)
    def aligned(batch: StateBatch) -> torch.Tensor:
        louder = batch._replace(emissions=batch.emissions + 1)
        return mas.dense_path(louder.search(backend=backend, check=False), 300) * 2

    durations = batch._replace(emissions=batch.emissions + 1).search(backend=backend)
    assert torch.equal(aligned(batch), 2 * mas.dense_path(durations, 300))


@on_gpu
@every_backend
def test_items_without_a_path_are_named(gpu: str, backend: str) -> None:
    batch = random_state_batch(12, 4, 10, 30, 4)
    batch.emissions[2, 0] = float("nan")
    batch.states[3, 0] = 4
    with pytest.raises(
        ValueError, match=r"2 of 4 items .* item 2: scores hold NaN; item 3: state 4 of token 0"
    ):
        batch.to(gpu).search(backend=backend)
    durations = batch.to(gpu).search(backend=backend, check=False).cpu()
    assert (durations[2:] == -1).all()
    assert torch.equal(durations[:2].sum(1), batch.speech_lengths[:2])


@on_gpu
def test_lengths_and_starts_may_lie_on_the_cpu(gpu: str) -> None:
    batch = random_state_batch(13, 4, 10, 30, 4, packed=True)
    there = batch._replace(emissions=batch.emissions.cuda(), states=batch.states.cuda())
    assert torch.equal(there.search().cpu(), batch.search())
