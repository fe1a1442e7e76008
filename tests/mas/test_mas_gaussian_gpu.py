"""gaussian_search on a GPU: `pytest -m gpu tests/mas/test_mas_gaussian_gpu.py`. Elsewhere it compiles."""

import os
import subprocess
import sys

import pytest
import torch

import mas
from mas.backends.hopper import gaussian as hopper_gaussian


def test_compiles_ahead_of_time() -> None:
    pytest.importorskip("triton")
    code = """
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
import triton
from mas.backends import triton_gaussian
types = dict.fromkeys(triton_gaussian._gaussian_scores_kernel.arg_names[:-5], "i64")
types |= dict.fromkeys(["mean", "log_scale", "speech", "scores"], "*fp32") | dict(constant="fp32")
types |= dict.fromkeys(["text_lengths", "speech_lengths"], "*i64") | dict.fromkeys("TSC", "i32")
for arch, precision in (80, "tf32"), (90, "tf32x3"), (100, "ieee"):
    constants = dict(HAS_SCALE=True, PRECISION=precision, TOKENS=64, FRAMES=128, CHANNELS=32)
    target = GPUTarget("cuda", arch, 32)
    triton.compile(ASTSource(triton_gaussian._gaussian_scores_kernel, types, constants), target=target)
print("done")
"""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout == "done\n", done.stderr


def test_the_cuda_kernels_compile_ahead_of_time() -> None:
    pytest.importorskip("cuda.bindings.nvrtc", reason="cuda-bindings is not installed")
    for warps, stages, *layout in (2, 4, False, True, True), (3, 3, True, False, True):
        code = hopper_gaussian.compile_kernels(90, warps, stages, hopper_gaussian.MemoryLayout(*layout))
        assert code[:4] == b"\x7fELF"


@pytest.mark.gpu
@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("precision", ["ieee", "tf32x3", "bf16x3"])
@pytest.mark.parametrize(
    "shape", [(32, 160, 800, 80), (5, 333, 1777, 192), (3, 1, 50, 7), (6, 1300, 5001, 20)]
)
def test_paths_are_those_of_exact_scores(
    scaled: bool, precision: mas.gaussian.Precision, shape: tuple[int, int, int, int]
) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA GPU")
    B, T, S, C = shape
    torch.manual_seed(1)
    mean = torch.randn(B, T, C, device="cuda")
    speech = mean.repeat_interleave(S // T + 1, 1)[:, :S] + torch.randn(B, S, C, device="cuda")
    log_scale = 0.3 * torch.randn(B, T, C, device="cuda") if scaled else None
    text = torch.randint(1, T + 1, (B,))
    frames = (text + (S - text) * torch.rand(B)).long()
    scale64 = None if log_scale is None else log_scale.double()
    exact = mas.search(mas.log_likelihood(mean.double(), scale64, speech.double()).float(), text, frames)
    found = mas.gaussian_search(mean, log_scale, speech, text, frames, precision=precision)
    frame = torch.arange(S, device="cuda").expand(B, S).contiguous()
    tokens = [torch.searchsorted(d.cumsum(1), frame, right=True) for d in (exact, found)]
    spoken = frame < frames.cuda()[:, None]
    assert (tokens[0] != tokens[1])[spoken].float().mean() <= 1e-3
    assert torch.equal(found.sum(1).cpu(), frames)


def _inputs(B: int, T: int, S: int, C: int) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(B + T + S + C)
    lengths = torch.randint(1, T + 1, (B,))
    frames = (lengths + (S - lengths) * torch.rand(B)).long().clamp(max=S)
    lengths[0], frames[0] = T, S
    mean, log_scale = torch.randn(B, T, C), 0.3 * torch.randn(B, T, C)
    return tuple(t.cuda() for t in (mean, log_scale, torch.randn(B, S, C), lengths, frames))


on_hopper = pytest.mark.skipif(
    not (torch.cuda.is_available() and torch.cuda.get_device_capability() == (9, 0)), reason="no Hopper GPU"
)


@pytest.mark.gpu
@on_hopper
@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 200, 200, 17), (3, 130, 1001, 80), (2, 300, 700, 192)])
def test_scores_are_off_by_less_than_two_bfloat16_allow(unit: bool, shape: tuple[int, ...]) -> None:
    mean, log_scale, speech, text, frames = _inputs(*shape)
    T, S, C = shape[1:]
    views = [  # read four channels at once, and one by one along each axis
        (mean, log_scale, speech),
        (mean.mT.contiguous().mT, log_scale.mT.contiguous().mT, speech.mT.contiguous().mT),
        tuple(torch.nn.functional.pad(t, (0, 1))[:, :, :C] for t in (mean, log_scale, speech)),
    ]
    exact = mas.log_likelihood(mean.double(), None if unit else log_scale.double(), speech.double())
    if unit:
        exact += 0.5 * speech.double().square().sum(2)[:, None, :]
    w = torch.ones_like(mean) if unit else torch.exp(-2 * log_scale)
    largest = torch.matmul((w * mean).abs(), speech.abs().mT)
    largest += 0 if unit else torch.matmul(0.5 * w, speech.square().mT)
    i, j = torch.arange(T, device="cuda")[:, None], torch.arange(S, device="cuda")
    visited = (j >= i) & (j <= (frames - text)[:, None, None] + i) & (i < text[:, None, None])
    for view in views:
        found = hopper_gaussian.gaussian_scores(view[0], None if unit else view[1], view[2], text, frames)
        error = ((found - exact).abs() / (largest + 1))[visited]
        assert error.max() < 2**-15


@pytest.mark.gpu
@on_hopper
@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize(
    "shape",
    [(9, 2048, 4101, 40), (5, 257, 3000, 80), (3, 513, 514, 33), (4, 3000, 7000, 16), (2, 700, 40000, 8)],
)
def test_fused_paths_are_those_of_the_scores(unit: bool, shape: tuple[int, ...]) -> None:
    mean, log_scale, speech, text, frames = _inputs(*shape)
    scale = None if unit else log_scale
    scores = hopper_gaussian.gaussian_scores(mean, scale, speech, text, frames)
    expected = mas.search(scores, text, frames)
    for warps in 2, 3:
        fused = hopper_gaussian._fused_shape(shape[1], warps)
        for helpers in 0, 1, 0, 2, 0:
            helped = fused._replace(blocks=min(16, fused.blocks + helpers))
            found = hopper_gaussian._search_fused(helped, mean, scale, speech, text, frames)
            assert torch.equal(found, expected)


@pytest.mark.gpu
@on_hopper
def test_fused_names_items_without_a_path_in_little_memory() -> None:
    mean, log_scale, speech, text, frames = _inputs(16, 2048, 8192, 80)
    speech[3, 4000] = float("nan")
    frames[5], text[5], frames[3] = 7, 8, 8192
    inputs = mean, log_scale, speech, text, frames
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    durations = mas.gaussian_search(*inputs, precision="bf16x3", check=False)
    assert torch.cuda.max_memory_allocated() - before < 64e6
    assert ((durations == -1).all(1).nonzero()[:, 0].tolist()) == [3, 5]
    with pytest.raises(ValueError, match=r"item 3: .*NaN.*item 5: "):
        mas.gaussian_search(*inputs, precision="bf16x3")
