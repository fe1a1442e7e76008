"""What `search` adds to the scores as it reads them: a bias (a prior), and noise.

B batch, T text tokens, S speech frames; i counts tokens, j counts frames. A path is the best one by

    (x[i, j] + bias_scale * bias[i, j]) + noise_scale * noise(seed, b, i, j),

each operation rounded to float32: no backend may fuse a product with a sum. `noise` is made of integers that
count, and so is the same on every backend, for every layout and size of the batch:

    mix(x): x ^= x >> 16; x *= 0x21F0AAAD; x ^= x >> 15; x *= 0xD35A2D97; x ^= x >> 15    (32 bits, unsigned)
    key = mix(mix(mix(mix(low(seed) + 0x9E3779B9) ^ high(seed)) ^ b) ^ i)
    v = mix(key ^ j), w = mix(v + key), d = the sum of the eight bytes of v and w, - 1020
    noise = d * (STRETCH + CUBIC * (d * d))

d is a sum of eight, nearly normal; the cubic makes its variance 1 and its fourth moment 3, as a normal
distribution has them. The greatest noise is 5.65; the distribution function is off by 0.0014 at most.

Source: noise in the search is Kong et al., "VITS2", 2023, section 2.2. The constants of `mix` are those of
skeeto/hash-prospector. Normal numbers from a sum: Teichroew, in Knuth, TAOCP volume 2, section 3.4.1.
"""

import math
import numbers
from typing import NamedTuple

import torch
from torch import Tensor

from mas.checks import FLOATS, check_tensors

GOLDEN = 0x9E3779B9
FACTOR_1 = 0x21F0AAAD
FACTOR_2 = 0xD35A2D97
BYTES = 0x00FF00FF
CENTRE = 1020  # the mean of a sum of eight bytes
STRETCH = 0.004681181842715276
CUBIC = 8.221878086239541e-10
_WORD = 0xFFFFFFFF


class Added(NamedTuple):
    """Checked arguments of `search`, on the device of the scores."""

    bias: Tensor | None  # [B, T, S], any float type
    bias_scale: Tensor | None  # float32 [B]; None without a bias
    noise_scale: Tensor | None  # float32 [B]; None without noise
    seed: Tensor | None  # int64 [1]; None without noise

    def to_item(self, b: int, x: Tensor) -> Tensor:
        """Scores of item b with all that is added, float32 `[T, S]` on the CPU.

        Args:
            b: The item's place in the batch.
            x: Its scores `[T, S]`, of its first tokens and frames; any type and device.
        """
        x = x.float().cpu()
        if self.bias is not None and self.bias_scale is not None:
            x = x + self.bias_scale[b].cpu() * self.bias[b, : x.shape[0], : x.shape[1]].float().cpu()
        if self.noise_scale is not None and self.seed is not None:
            x = x + self.noise_scale[b].cpu() * noise(int(self.seed), b, *x.shape)
        return x


def check_added(
    scores: Tensor,
    bias: Tensor | None,
    bias_scale: float | Tensor,
    noise_scale: float | Tensor,
    seed: int | Tensor | None,
) -> Added | None:
    """Checked arguments of `search`; None if nothing is added.

    Args:
        scores: `[B, T, S]`.
        bias: `[B, T, S]` or None.
        bias_scale: A number, or floats of no axis or `[B]`.
        noise_scale: A number of at least 0, or floats of no axis or `[B]`. The number 0 is no noise.
        seed: An integer of up to 64 bits, an int64 tensor of one element, or None, which draws one.

    Raises:
        TypeError: Bias is no tensor, or a scale or the seed neither a number nor a tensor.
        ValueError: Wrong shapes, types or devices, numbers out of range, or a bias_scale without a bias.
    """
    B, device = scores.shape[0], scores.device
    if bias is not None:
        check_tensors(bias=bias)
        if bias.shape != scores.shape:
            raise ValueError(
                f"bias and scores differ in shape: {tuple(bias.shape)}, {tuple(scores.shape)} (batch, text, "
                "speech); bias has the scores' order of axes"
            )
        if bias.dtype not in FLOATS:
            raise ValueError(f"bias is {bias.dtype}; use float32, float16 or bfloat16")
        if bias.device != device:
            raise ValueError(f"bias is on {bias.device}, the scores are on {device}")
        bias = bias.detach()
    elif isinstance(bias_scale, Tensor) or bias_scale != 1:
        raise ValueError("bias_scale is given, but no bias")
    noisy = isinstance(noise_scale, Tensor) or noise_scale != 0
    if bias is None and not noisy:
        return None
    return Added(
        bias,
        None if bias is None else _scales("bias_scale", bias_scale, B, device),
        _scales("noise_scale", noise_scale, B, device, least=0) if noisy else None,
        _seed(seed, device) if noisy else None,
    )


def _scales(
    name: str, scale: float | Tensor, B: int, device: torch.device, least: float = -math.inf
) -> Tensor:
    """Float32 `[B]`, without waiting for the GPU."""
    if isinstance(scale, Tensor):
        if scale.shape not in ((), (B,)) or not scale.is_floating_point():
            raise ValueError(
                f"{name} is {scale.dtype} of shape {tuple(scale.shape)}; floats, () or ({B},), are needed"
            )
        return scale.detach().to(device, torch.float32).expand(B).contiguous()
    if isinstance(scale, bool) or not isinstance(scale, numbers.Real):
        raise TypeError(f"{name}: a number or a tensor is needed, not {type(scale).__name__}")
    if not least <= scale < math.inf or scale == -math.inf:
        raise ValueError(
            f"{name} is {scale}; a finite number{' of at least 0' if least == 0 else ''} is needed"
        )
    return torch.full((B,), float(scale), dtype=torch.float32, device=device)


def _seed(seed: int | Tensor | None, device: torch.device) -> Tensor:
    """Int64 `[1]`, without waiting for the GPU."""
    if seed is None:
        return torch.randint(2**63 - 1, (1,), device=device)
    if isinstance(seed, Tensor):
        if seed.numel() != 1 or seed.dtype != torch.int64:
            raise ValueError(f"seed is {seed.dtype} of shape {tuple(seed.shape)}; one int64 is needed")
        return seed.to(device).reshape(1)
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral):
        raise TypeError(f"seed: an integer or a tensor is needed, not {type(seed).__name__}")
    if not -(2**63) <= seed < 2**64:
        raise ValueError(f"seed is {seed}; it must fit in 64 bits")
    seed = int(seed)
    return torch.full((1,), seed - 2**64 if seed >= 2**63 else seed, dtype=torch.int64, device=device)


def noise(seed: int, b: int, T: int, S: int) -> Tensor:
    """Noise of the first tokens and frames of item b, float32 `[T, S]`, in 64-bit integers."""
    key = _mixed(torch.tensor((seed & _WORD) + GOLDEN & _WORD))
    key = _mixed(_mixed(key ^ (seed >> 32 & _WORD)) ^ b)
    keys = _mixed(key ^ torch.arange(T))[:, None]
    v = _mixed(keys ^ torch.arange(S))
    w = _mixed(v + keys & _WORD)
    pairs = (v & BYTES) + (v >> 8 & BYTES) + (w & BYTES) + (w >> 8 & BYTES)
    d = ((pairs & 0xFFFF) + (pairs >> 16) - CENTRE).float()
    return d * (STRETCH + CUBIC * (d * d))


def _mixed(x: Tensor) -> Tensor:
    x = (x ^ x >> 16) * FACTOR_1 & _WORD
    x = (x ^ x >> 15) * FACTOR_2 & _WORD
    return x ^ x >> 15
