"""gaussian_search on a card: `pytest -m gpu tests/test_gaussian_gpu.py`. Without one: its kernel compiles."""

import os
import subprocess
import sys

import pytest
import torch

import mas


def test_compiles_ahead_of_time() -> None:
    pytest.importorskip("triton")
    code = """
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
import triton
from mas import gaussian_gpu
types = dict.fromkeys(gaussian_gpu._scores.arg_names[:-5], "i64")
types |= dict.fromkeys(["mean", "log_scale", "speech", "scores"], "*fp32") | dict(constant="fp32")
types |= dict.fromkeys(["text_lengths", "speech_lengths"], "*i64") | dict.fromkeys("TSC", "i32")
for arch, precision in (80, "tf32"), (90, "tf32x3"), (100, "ieee"):
    constants = dict(HAS_SCALE=True, PRECISION=precision, TOKENS=64, FRAMES=128, CHANNELS=32)
    target = GPUTarget("cuda", arch, 32)
    triton.compile(ASTSource(gaussian_gpu._scores, types, constants), target=target)
print("done")
"""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout == "done\n", done.stderr


@pytest.mark.gpu
@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("precision", ["ieee", "tf32x3"])
@pytest.mark.parametrize("shape", [(32, 160, 800, 80), (5, 333, 1777, 192), (3, 1, 50, 7)])
def test_paths_are_those_of_exact_scores(
    scaled: bool, precision: mas.gaussian.Precision, shape: tuple[int, int, int, int]
) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA card")
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
