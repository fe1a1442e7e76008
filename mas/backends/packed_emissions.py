"""Emissions of whole batches as packed ones.

B items, S speech frames, F packed frames, M states.
"""

import torch
from torch import Tensor


def packed(emissions: Tensor, starts: Tensor | None) -> tuple[Tensor, Tensor]:
    """Emissions as rows `[F, M]`, and the row of each item's first frame, int64 `[B]`.

    Emissions `[B, S, M]` are copied only if their strides allow no such view.

    Args:
        emissions: As in `search_states`.
        starts: As in `search_states`.
    """
    if starts is not None:
        return emissions, starts.long()
    B, S, M = emissions.shape
    stride_b, stride_s, stride_m = emissions.stride()
    if stride_s == 0 or stride_b % stride_s or stride_b // stride_s > 2**31:
        emissions = emissions.contiguous()
        stride_b, stride_s, stride_m = emissions.stride()
    step = stride_b // max(1, stride_s)
    rows = emissions.as_strided(((B - 1) * step + S, M), (stride_s, stride_m))
    return rows, torch.arange(B, device=emissions.device) * step
