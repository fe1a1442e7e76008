"""Bias and noise for the Triton backend, as `mas/added.py` defines them.

i counts tokens, j counts frames. Kernels that use these functions are launched with `enable_fp_fusion=False`:
a product fused with a sum is not rounded in between.
"""

import triton
import triton.language as tl

from mas import added

_GOLDEN = tl.constexpr(added.GOLDEN)
_FACTOR_1 = tl.constexpr(added.FACTOR_1)
_FACTOR_2 = tl.constexpr(added.FACTOR_2)
_BYTES = tl.constexpr(added.BYTES)
_CENTRE = tl.constexpr(added.CENTRE)
_STRETCH = tl.constexpr(added.STRETCH)
_CUBIC = tl.constexpr(added.CUBIC)


@triton.jit
def read_scores(
    cell, bias_cell, mask, bias_scale, noise_scale, keys, j, BIAS: tl.constexpr, NOISE: tl.constexpr
):  # fmt: skip
    """Scores of frame j with all that is added, float32; -inf outside of `mask`.

    cell, bias_cell: where the scores and the bias of each token are. keys: of each token, uint32.
    """
    x = tl.load(cell, mask=mask, other=float("-inf")).to(tl.float32)
    if BIAS:
        x += bias_scale * tl.load(bias_cell, mask=mask, other=0.0).to(tl.float32)
    if NOISE:
        x += noise_scale * _noise(keys, j)
    if BIAS or NOISE:  # the sum is NaN there, where a scale is not finite
        x = tl.where(mask, x, float("-inf"))
    return x


@triton.jit
def row_keys(seed, b, i):
    """The key of each token of item b, uint32. seed: int64. i: the tokens, int32."""
    key = _mixed((seed & 0xFFFFFFFF).to(tl.uint32) + _GOLDEN)
    key = _mixed(key ^ ((seed >> 32) & 0xFFFFFFFF).to(tl.uint32))
    key = _mixed(key ^ b.to(tl.uint32))
    return _mixed(key ^ i.to(tl.uint32))


@triton.jit
def _noise(keys, j):
    v = _mixed(keys ^ j)
    w = _mixed(v + keys)
    pairs = (v & _BYTES) + ((v >> 8) & _BYTES) + (w & _BYTES) + ((w >> 8) & _BYTES)
    d = (((pairs & 0xFFFF) + (pairs >> 16)).to(tl.int32) - _CENTRE).to(tl.float32)
    return d * (_STRETCH + _CUBIC * (d * d))


@triton.jit
def _mixed(x):
    x = (x ^ (x >> 16)) * _FACTOR_1
    x = (x ^ (x >> 15)) * _FACTOR_2
    return x ^ (x >> 15)
