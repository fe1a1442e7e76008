"""Replaces the module `monotonic_align` of VITS and its descendants: `[B, S, T]`."""

from torch import Tensor

from mas.compat import paths


def maximum_path(neg_cent: Tensor, mask: Tensor, *, check: paths.Check = "lengths") -> Tensor:
    """0/1 in neg_cent's type. neg_cent, mask: `[B, S, T]`. See `mas.maximum_path`."""
    return paths.maximum_path(neg_cent, mask, layout="BST", check=check)
