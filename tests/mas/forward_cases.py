"""The forward sum by trying every path, for its tests.

T text tokens, S speech frames.
"""

import torch
from torch import Tensor


def every_path(T: int, S: int, skippable: Tensor) -> Tensor:
    """All paths, `[paths, S]`: the token of each frame."""
    paths = [[0]] + ([[1]] if T > 1 and skippable[0] else [])
    for _ in range(S - 1):
        paths = [
            [*path, path[-1] + step]
            for path in paths
            for step in (0, 1, 2)
            if path[-1] + step < T and (step < 2 or skippable[path[-1] + 1])
        ]
    ends = {T - 1, T - 2} if T > 1 and skippable[-1] else {T - 1}
    return torch.tensor([path for path in paths if path[-1] in ends], dtype=torch.int64).view(-1, S)


def by_every_path(x: Tensor, skippable: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """log_sum, gamma `[T, S]`, and mean and spread `[T]` of the end of each token, from float64 `[T, S]`."""
    T, S = x.shape
    paths = every_path(T, S, skippable)
    scores = x[paths, torch.arange(S)].sum(1)
    share = scores.softmax(0)
    in_token = torch.nn.functional.one_hot(paths, T).double()  # [paths, S, T]
    ends = (paths[:, :, None] <= torch.arange(T)).double().sum(1)  # [paths, T]
    mean = share @ ends
    spread = (share @ (ends - mean).square()).sqrt()
    return scores.logsumexp(0), torch.einsum("p,pst->ts", share, in_token), mean, spread
