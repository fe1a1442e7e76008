"""Replaces the module `super_monotonic_align`: `[B, T, S]`. Leaves `value` as it is."""

import torch
from torch import Tensor

from mas.compat import paths


def maximum_path(
    value: Tensor, mask: Tensor, dtype: torch.dtype = torch.float32, *, check: paths.Check = "lengths"
) -> Tensor:
    """0/1 in `dtype`. value, mask: `[B, T, S]`. See `mas.maximum_path`."""
    return paths.maximum_path(value, mask, dtype=dtype, check=check)
