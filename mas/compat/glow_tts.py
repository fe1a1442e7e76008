"""Replaces the module `monotonic_align` of Glow-TTS and its descendants: `[B, T, S]`."""

from torch import Tensor

from mas.compat import paths


def maximum_path(value: Tensor, mask: Tensor, *, check: paths.Check = "lengths") -> Tensor:
    """0/1 in the type of `value * mask`. value, mask: `[B, T, S]`. See `mas.maximum_path`."""
    return paths.maximum_path(value, mask, check=check)
