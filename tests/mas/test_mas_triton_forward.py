"""The forward sum in Triton, on the GPU or in Triton's interpreter (which takes seconds for a small batch).

On a machine with a GPU: `pytest -m "gpu or not gpu" tests/mas/test_mas_triton_forward.py`.
"""

import os
import subprocess
import sys

import pytest
import torch
from search_cases import Batch, random_batch
from state_cases import StateBatch, random_state_batch

import mas

pytestmark = [
    # Triton 3.6's interpreter reads a scalar out of an array of one element, which numpy deprecates.
    pytest.mark.filterwarnings("ignore:Conversion of an array with ndim > 0:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.* encountered:RuntimeWarning"),
]


def _compare(batch: Batch, device: str, backend: str) -> None:
    """Sums and gradients in Triton against another backend's."""
    weights = torch.linspace(-1, 2, len(batch.scores))
    found = []
    for own, name in ((batch.to(device), "triton"), (batch, backend)):
        scores, text, speech, skippable = own
        scores = scores.detach().requires_grad_()
        log_sums = mas.forward_sum(scores, text, speech, skippable=skippable, backend=name, check=False)
        (gradient,) = torch.autograd.grad(log_sums, scores, weights.to(log_sums))
        found.append((log_sums.detach().cpu(), gradient.cpu()))
    exact = batch.scores.dtype == torch.float64
    relative, absolute = (1e-9, 1e-9) if exact else (1e-5, 1e-5)
    # Sums near 1e12 are added up in float64, whose steps are then 1e-4. Only these items may differ by more.
    steps = 2e-15 * found[1][0].double().nan_to_num(0.0, 0.0, 0.0).abs()
    for left, right in zip(*found, strict=True):
        for own_left, own_right, step in zip(left, right, steps.tolist(), strict=True):
            torch.testing.assert_close(
                own_left, own_right, rtol=relative + step, atol=absolute, equal_nan=True
            )


def _compare_states(batch: StateBatch, device: str, backend: str) -> None:
    found = []
    for own, name in ((batch.to(device), "triton"), (batch, backend)):
        *tensors, starts, skippable = own
        options = {"starts": starts, "skippable": skippable, "scale": 0.7, "backend": name, "check": False}
        log_sums = mas.forward_sum_states(*tensors, **options)
        results = (
            log_sums,
            mas.state_posteriors(*tensors, **options),
            *mas.boundary_moments(*tensors, **options),
        )
        found.append([result.cpu() for result in results])
    for left, right in zip(*found, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-5, atol=2e-3, equal_nan=True)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-4, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("skips", [False, True])
def test_triton_equals_the_definition(triton_device: str, skips: bool, dtype: torch.dtype) -> None:
    batch = random_batch(5, 5, 3, 9, skips=skips)
    scores = batch.scores.clone()
    scores[1] *= 3e4  # added up in float64
    scores[2, 0, 0] = float("nan")
    scores[3, :, 0] = -float("inf")
    _compare(batch._replace(scores=scores.to(dtype)), triton_device, "reference")


@pytest.mark.parametrize("packed", [False, True])
def test_triton_equals_the_definition_for_states(triton_device: str, packed: bool) -> None:
    batch = random_state_batch(3, 3, 5, 12, 3, packed=packed, skips=packed)
    _compare_states(batch, triton_device, "reference")


def test_triton_cuts_long_texts_into_blocks(triton_device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    triton_forward = pytest.importorskip("mas.backends.triton_forward")
    monkeypatch.setattr(triton_forward, "_BLOCK", 16)
    monkeypatch.setattr(triton_forward, "_DISTANCE", 2)
    _compare_states(random_state_batch(4, 1, 20, 23, 3, packed=True, skips=True), triton_device, "reference")


def test_triton_compiles_ahead_of_time() -> None:
    pytest.importorskip("triton")
    code = """
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
import triton
from mas.backends import triton_forward_kernels as backend
items = dict(scores="*bf16", at="*i64", stride="i64", columns="*i64", scale="fp32", tokens_of="*i32",
             frames_of="*i32", before="*i32", after="*i32", skips_of="*i1", T="i32", kept="*fp64",
             n_kept="i32", distance="i32", totals="*fp64", log_sums="*fp64", status="*i32")
seen = dict(largest="*fp32", not_finite="*i32")
sums = {name: items[name] for name in "tokens_of frames_of skips_of T kept n_kept distance".split()}
sums |= {name: items[name] for name in "totals log_sums status".split()} | seen
more = dict(scratch="*fp64", target="*fp32", target_at="*i64", target_stride="i64", target_columns="*i64",
            weights="*fp32", moments="*fp64", B="i32", blocks="i32", halo="i32")
for arch, exact, moments in ((80, False, False), (90, True, True)):
    options = dict(target=GPUTarget("cuda", arch, 32), options=dict(num_warps=2))
    constants = dict(BLOCK=256, SKIPS=True, EXACT=exact)
    launch = seen | dict(first="i32", last="i32")
    triton.compile(ASTSource(backend.columns_kernel, items | launch, constants), **options)
    triton.compile(ASTSource(backend.sums_kernel, sums, dict(EXACT=exact)), **options)
    constants |= dict(MOMENTS=moments, SHARED=not moments)
    triton.compile(ASTSource(backend.stretches_kernel, items | more, constants), **options)
print("done")
"""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout == "done\n", done.stderr


# What only a GPU can show.


@pytest.mark.gpu
@pytest.mark.parametrize("skips", [False, True])
def test_gpu_equals_the_cpu(skips: bool) -> None:
    for seed, (T, S) in enumerate([(1, 1), (1, 40), (30, 30), (160, 800), (300, 301), (1000, 3000)]):
        for odd in (False, True):
            _compare(random_batch(seed, 16, T, S, skips=skips, odd_values=odd), "cuda", "cpu")
            batch = random_state_batch(seed, 8, T, S, 20, packed=odd, skips=skips)
            _compare_states(batch, "cuda", "cpu")


@pytest.mark.gpu
@pytest.mark.parametrize("skips", [False, True])
def test_gpu_cuts_long_texts_into_blocks(skips: bool) -> None:
    batch = random_state_batch(1, 1, 9_000, 20_000, 30, packed=True, skips=skips)
    tokens, frames = torch.tensor([9_000]), torch.tensor([20_000])
    batch = batch._replace(text_lengths=tokens, speech_lengths=frames, starts=torch.tensor([0]))
    _compare_states(batch, "cuda", "cpu")


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode:UserWarning")
def test_nothing_waits_without_check() -> None:
    scores, text, speech, _ = random_batch(1, 8, 60, 200).to("cuda")
    scores = scores.requires_grad_()
    torch.cuda.set_sync_debug_mode("error")
    try:
        mas.forward_sum(scores, text, speech, check=False).sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert scores.grad is not None
