"""The GPU backends. Triton also runs without a GPU, in its interpreter; the rest is marked gpu.

On a machine with a GPU: `pytest -m gpu tests/mas/test_mas_triton.py`.
"""

import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from search_cases import Batch, batches, random_batch

import mas
from mas import path
from mas.backends import cpu, reference

# Triton 3.6's interpreter reads a scalar out of an array of one element, which numpy deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Conversion of an array with ndim > 0:DeprecationWarning")

GPU_BACKENDS = [name for name in mas.available_backends("cuda") if name != "reference"]


def _search(batch: Batch, backend: str, **more) -> torch.Tensor:
    scores, text_lengths, speech_lengths, skippable = batch
    return mas.search(scores, text_lengths, speech_lengths, skippable=skippable, backend=backend, **more)


# Triton, on the GPU or in the interpreter.


@settings(max_examples=12, deadline=None)
@given(batches())
def test_triton_equals_the_reference(triton_device: str, batch: Batch) -> None:
    durations = _search(batch.to(triton_device), "triton")
    assert torch.equal(durations.cpu(), reference.durations(*batch))


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("skips", [False, True])
def test_triton_equals_the_reference_on_anything(triton_device: str, skips: bool) -> None:
    for seed in range(4):
        batch = random_batch(seed, 6, 1 + 3 * seed, 1 + 6 * seed, skips=skips, odd_values=True)
        found = _search(batch.to(triton_device), "triton", check=False)
        assert torch.equal(found.cpu(), reference.durations(*batch))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_triton_takes_any_type_and_strides(triton_device: str, dtype: torch.dtype) -> None:
    batch = random_batch(1, 2, 9, 20).to(triton_device)
    scores = batch.scores.to(dtype)
    expected = mas.search(scores.float(), *batch[1:3])
    views = {
        "as it is": scores,
        "turned": scores.mT.contiguous().mT,
        "sliced": scores.repeat(2, 2, 2)[:2, :9, :20],
    }
    for name, view in views.items():
        assert torch.equal(mas.search(view, *batch[1:3], backend="triton"), expected), name


@pytest.mark.parametrize("layout", ["BTS", "BST"])
def test_triton_dense_path_equals_the_plain_one(triton_device: str, layout: str) -> None:
    triton_path = pytest.importorskip("mas.backends.triton_path")
    for T, S in ((1, 1), (5, 33), (17, 40)):
        batch = random_batch(2, 2, T, S)
        durations = cpu.durations(*batch)
        durations[1] = -1
        for dtype in (torch.float32, torch.float16, torch.bool):
            expected = path._dense_path(durations, S, layout == "BST", dtype)
            found = triton_path.dense_path(durations.to(triton_device), S, layout == "BST", dtype)
            assert torch.equal(found.cpu(), expected)


def test_triton_compiles_ahead_of_time() -> None:
    pytest.importorskip("triton")
    code = """
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
import triton
from mas.backends import triton as backend
from mas.backends import triton_path as paths
cases = (80, False, "*fp32"), (90, True, "*bf16"), (100, True, "*fp16"), (100, False, "*fp32")
for arch, skips, scores in cases:
    constants = dict(SKIPS=skips, WORD=16 if skips else 32)
    added = dict(BIAS=arch > 80, NOISE=skips)
    types = dict(scores=scores, stride_b="i64", stride_i="i32", stride_j="i32", text_lengths="*i64",
                 speech_lengths="*i32", skippable="*i1", T="i32", S="i32", steps="*i32", words="i32",
                 last="*i32", result="*i64", bias="*bf16", bias_stride_b="i64", bias_stride_i="i32",
                 bias_stride_j="i32", bias_scales="*fp32", noise_scales="*fp32", seed="*i64")
    options = dict(target=GPUTarget("cuda", arch, 32), options=dict(num_warps=4, enable_fp_fusion=False))
    source = ASTSource(backend._search_forward_kernel, types, constants | added | dict(BLOCK=512))
    assert "fma" not in triton.compile(source, **options).asm["ptx"]  # products are rounded first
    types = {name: types[name] for name in ("steps", "words", "last", "speech_lengths", "T", "result")}
    triton.compile(ASTSource(backend._search_backward_kernel, types, constants), **options)
    types = dict(durations="*i64", path="*fp32", T="i32", S="i32")
    sizes = dict(ALL=512, TOKENS=4, FRAMES=1024)
    triton.compile(ASTSource(paths._dense_path_bts_kernel, types, sizes), **options)
    triton.compile(ASTSource(paths._dense_path_bst_kernel, types, dict(FRAMES=16, TOKENS=256)), **options)
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
def test_20000_cases_are_the_same_on_every_backend(gpu: str, backend: str) -> None:
    cases = 0
    for seed in range(200):
        T, S = 1 + seed % 40, 1 + (seed * 7) % 90
        batch = random_batch(seed, 100, T, S, skips=seed % 2 == 1, odd_values=True)
        expected = reference.durations(*batch)
        assert torch.equal(cpu.durations(*batch), expected), seed
        assert torch.equal(_search(batch.to(gpu), backend, check=False).cpu(), expected), seed
        cases += 100
    assert cases == 20_000


@on_gpu
@every_backend
@settings(max_examples=300, deadline=None)
@given(batch=batches(max_tokens=40, max_frames=60))
def test_equals_the_reference(gpu: str, backend: str, batch: Batch) -> None:
    assert torch.equal(_search(batch.to(gpu), backend).cpu(), cpu.durations(*batch))


@on_gpu
@every_backend
@pytest.mark.parametrize("skips", [False, True])
@pytest.mark.parametrize(
    "shape",
    [
        (16, 128, 512),
        (5, 333, 1777),
        (7, 1000, 1001),
        (3, 511, 2047),
        (4, 1025, 4099),
        (2, 4096, 9001),
        (64, 1, 3000),
    ],
)
def test_sizes_and_layouts(gpu: str, backend: str, shape: tuple[int, int, int], skips: bool) -> None:
    batch = random_batch(11, *shape, skips=skips)
    expected = cpu.durations(*batch)
    there = batch.to(gpu)
    assert torch.equal(_search(there, backend).cpu(), expected)
    turned = there._replace(scores=there.scores.mT.contiguous())
    assert torch.equal(_search(turned, backend, layout="BST").cpu(), expected)
    batch = random_batch(12, *shape, skips=skips)
    small_integers = batch._replace(scores=batch.scores.round())
    assert torch.equal(_search(small_integers.to(gpu), backend).cpu(), cpu.durations(*small_integers))


@on_gpu
@every_backend
def test_a_thousand_ragged_utterances(gpu: str, backend: str) -> None:
    batch = random_batch(13, 1000, 180, 700)
    assert torch.equal(_search(batch.to(gpu), backend).cpu(), cpu.durations(*batch))


@on_gpu
@every_backend
def test_10000_launches_are_identical(gpu: str, backend: str) -> None:
    batch = random_batch(14, 8, 200, 801).to(gpu)
    first = _search(batch, backend)
    assert torch.equal(first.cpu(), cpu.durations(*batch.to("cpu")))
    different = torch.zeros((), dtype=torch.int64, device=gpu)
    for _ in range(10_000):
        different += (_search(batch, backend, check=False) != first).sum()
    assert different.item() == 0


@on_gpu
@every_backend
def test_two_streams_under_load(gpu: str, backend: str) -> None:
    jobs = [random_batch(15 + n, 16, 300, 1500).to(gpu) for n in range(2)]
    expected = [_search(job, backend) for job in jobs]
    streams = [torch.cuda.Stream() for _ in jobs]
    torch.cuda.synchronize()
    different = torch.zeros(2, dtype=torch.int64, device=gpu)
    load = torch.randn(2048, 2048, device=gpu)
    busy = torch.cuda.Stream()
    for _ in range(200):
        with torch.cuda.stream(busy):
            load = (load @ load).clamp(-1, 1)
        for n, stream in enumerate(streams):
            with torch.cuda.stream(stream):
                different[n] += (_search(jobs[n], backend, check=False) != expected[n]).sum()
    torch.cuda.synchronize()
    assert different.tolist() == [0, 0]


@on_gpu
@every_backend
def test_views_of_any_kind(gpu: str, backend: str) -> None:
    batch = random_batch(17, 4, 65, 333).to(gpu)
    expected = _search(batch, backend)
    room = torch.full((9, 131, 1000), float("nan"), device=gpu)
    for view in (room[::2, ::2, ::3], room[1::2, 1::2, 1::3], room[:, :, :666].mT.mT[:4, 1:66, 1:334]):
        view = view[:4, :65, :333]
        view.copy_(batch.scores)
        assert torch.equal(_search(batch._replace(scores=view), backend), expected)
    lengths = torch.stack([batch.text_lengths, batch.speech_lengths], 1)
    strided = batch._replace(text_lengths=lengths[:, 0], speech_lengths=lengths[:, 1].int())
    assert torch.equal(_search(strided, backend), expected)
    one = Batch(batch.scores[:1].expand(4, -1, -1), *(t[:1].expand(4) for t in batch[1:3]), None)
    assert torch.equal(_search(one, backend), expected[:1].expand(4, -1))


@on_gpu
@every_backend
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_offsets_beyond_2_to_the_31(gpu: str, backend: str, axis: int) -> None:
    batch = random_batch(18, 3, 40, 500)
    strides = [500 * 40, 500, 1]
    strides[axis] = 2**31 // (batch.scores.shape[axis] - 1) + 7
    if axis == 2:
        strides[:2] = [40, 1]
    room = torch.empty(2**31 + 2**20, dtype=torch.float16, device=gpu)
    scores = room.as_strided(batch.scores.shape, strides)
    scores.copy_(batch.scores)
    batch = batch._replace(scores=batch.scores.half())
    assert torch.equal(_search(batch.to(gpu)._replace(scores=scores), backend).cpu(), cpu.durations(*batch))


@on_gpu
@every_backend
def test_more_than_2_to_the_31_elements(gpu: str, backend: str) -> None:
    B, T, S = 17, 4096, 32768
    scores = torch.randn(B, T, S, dtype=torch.float16, device=gpu)
    lengths = torch.full((B,), T), torch.full((B,), S)
    durations = mas.search(scores, *lengths, backend=backend)
    for b in (0, B - 1):
        assert torch.equal(
            durations[b].cpu(), cpu.durations(scores[b : b + 1].cpu(), *(t[:1] for t in lengths))[0]
        )


@on_gpu
@every_backend
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types(gpu: str, backend: str, dtype: torch.dtype) -> None:
    batch = random_batch(19, 8, 130, 900)
    batch = batch._replace(scores=batch.scores.to(dtype))
    assert torch.equal(_search(batch.to(gpu), backend).cpu(), cpu.durations(*batch))


@on_gpu
@every_backend
def test_inputs_are_left_alone_and_old_memory_does_not_matter(
    monkeypatch: pytest.MonkeyPatch, gpu: str, backend: str
) -> None:
    for name in ("empty", "empty_strided"):  # memory as it is, not as conftest.py fills it
        monkeypatch.setattr(torch, name, getattr(torch, name).__wrapped__)
    batch = random_batch(20, 9, 120, 640, skips=True).to(gpu)
    copies = [t.clone() for t in batch]  # type: ignore[union-attr]
    expected = cpu.durations(*batch.to("cpu"))
    for poison in (0, 0x7F, 0xFF):
        sizes = [2**n for n in range(9, 26)]
        blocks = [
            torch.full((size,), poison, dtype=torch.uint8, device=gpu) for size in sizes for _ in range(3)
        ]
        del blocks  # the allocator hands the same memory to the search
        assert torch.equal(_search(batch, backend, check=False).cpu(), expected)
    assert all(torch.equal(a, b) for a, b in zip(batch, copies, strict=True))


@on_gpu
@every_backend
def test_padding_may_be_anything(gpu: str, backend: str) -> None:
    batch = random_batch(21, 12, 90, 400).to(gpu)
    token, frame = torch.arange(90, device=gpu)[:, None], torch.arange(400, device=gpu)
    tokens, frames = batch.text_lengths[:, None, None], batch.speech_lengths[:, None, None]
    on_some_path = (token <= frame) & (tokens - token <= frames - frame) & (token < tokens) & (frame < frames)
    poisoned = batch._replace(scores=batch.scores.masked_fill(~on_some_path, float("nan")))
    assert torch.equal(_search(poisoned, backend), _search(batch, backend))


@on_gpu
@every_backend
def test_nothing_the_size_of_the_scores_is_allocated(gpu: str, backend: str) -> None:
    batch = random_batch(22, 8, 512, 2048).to(gpu)
    _search(batch, backend)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    _search(batch, backend, check=False)
    assert torch.cuda.max_memory_allocated() - before < batch.scores.nbytes / 16


@on_gpu
@every_backend
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_nothing_waits_for_the_gpu_without_checks(gpu: str, backend: str) -> None:
    batch = random_batch(23, 8, 100, 300).to(gpu)
    _search(batch, backend)
    try:
        torch.cuda.set_sync_debug_mode("error")
        durations = _search(batch, backend, check=False)
        mas.dense_path(durations, 300)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@on_gpu
@every_backend
def test_cuda_graph(gpu: str, backend: str) -> None:
    batches = [random_batch(24 + n, 8, 100, 300).to(gpu) for n in range(3)]
    static = Batch(*(None if t is None else t.clone() for t in batches[0]))
    _search(static, backend, check=False)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        durations = _search(static, backend, check=False)
        dense = mas.dense_path(durations, 300)
    for batch in batches:
        for own, new in zip(static, batch, strict=True):
            if own is not None:
                own.copy_(new)
        for _ in range(3):
            graph.replay()
        expected = cpu.durations(*batch.to("cpu"))
        assert torch.equal(durations.cpu(), expected)
        assert torch.equal(dense.cpu(), mas.dense_path(expected, 300))


@on_gpu
@pytest.mark.filterwarnings("ignore:The CUDA Graph is empty:UserWarning")
def test_checks_refuse_cuda_graphs(gpu: str) -> None:
    batch = random_batch(27, 2, 10, 30).to(gpu)
    with pytest.raises(ValueError, match="pass check=False"), torch.cuda.graph(torch.cuda.CUDAGraph()):
        mas.search(*batch[:3])


@on_gpu
@pytest.mark.filterwarnings(
    "ignore:`torch.jit:DeprecationWarning", "ignore:The CUDA Graph is empty"
)  # torch.compile's
@every_backend
@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
def test_torch_compile(gpu: str, backend: str, mode: str) -> None:
    batch = random_batch(28, 8, 100, 300).to(gpu)

    @torch.compile(fullgraph=True, mode=mode)
    def aligned(scores, text_lengths, speech_lengths):
        durations = mas.search(scores + 1, text_lengths, speech_lengths, backend=backend, check=False)
        return mas.dense_path(durations, 300) * 2

    expected = 2 * mas.dense_path(mas.search(batch.scores + 1, *batch[1:3]), 300)
    for _ in range(4):
        assert torch.equal(aligned(*batch[:3]), expected)


@on_gpu
@every_backend
def test_items_without_a_path_are_named(gpu: str, backend: str) -> None:
    batch = random_batch(29, 4, 10, 30).to(gpu)
    batch.scores[2, 0, 0] = float("nan")
    batch.speech_lengths[3] = 0
    with pytest.raises(ValueError, match=r"2 of 4 items .* item 2: scores hold NaN; item 3: speech length 0"):
        _search(batch, backend)
    durations = _search(batch, backend, check=False)
    assert (durations[2:] == -1).all()
    assert torch.equal(durations[:2].sum(1), batch.speech_lengths[:2])


@on_gpu
def test_lengths_may_lie_on_the_cpu(gpu: str) -> None:
    batch = random_batch(30, 4, 10, 30)
    assert torch.equal(mas.search(batch.scores.cuda(), *batch[1:3]).cpu(), cpu.durations(*batch))


@on_gpu
@every_backend
def test_a_gpu_that_is_not_the_current_one(gpu: str, backend: str) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("one GPU only")
    batch = random_batch(31, 4, 10, 30)
    durations = _search(batch.to("cuda:1"), backend)
    assert durations.device == torch.device("cuda:1")
    assert torch.equal(durations.cpu(), cpu.durations(*batch))
    assert torch.equal(mas.dense_path(durations, 30).cpu(), mas.dense_path(durations.cpu(), 30))


@on_gpu
@pytest.mark.parametrize("precision", ["ieee", "tf32x3", "tf32"])
def test_gaussian_search_finds_paths_as_good_as_the_cpus(gpu: str, precision: str) -> None:
    batch = random_batch(32, 8, 60, 400)
    generator = torch.Generator().manual_seed(0)
    mean, log_scale = (
        torch.randn(8, 60, 80, generator=generator),
        0.1 * torch.randn(8, 60, 80, generator=generator),
    )
    speech = torch.randn(8, 400, 80, generator=generator)
    for scale in (log_scale, None):
        best = mas.gaussian_search(mean, scale, speech, *batch[1:3], return_scores=True)
        there = (t if t is None else t.cuda() for t in (mean, scale, speech, *batch[1:3]))
        found = mas.gaussian_search(*there, precision=precision, return_scores=True)  # type: ignore[misc]
        assert isinstance(best, mas.GaussianAlignment)
        assert isinstance(found, mas.GaussianAlignment)
        # Frames add up to some -110 each; float32 keeps 7 digits of a product, tf32 three.
        worst = {"ieee": 1e-6, "tf32x3": 1e-6, "tf32": 1e-4}[precision]
        assert (found.score.cpu() >= best.score * (1 + worst)).all()
        assert torch.equal(found.durations.sum(1).cpu(), batch.speech_lengths)
