"""Inputs for the tests of the search, and the slowest, plainest way to the right answer.

B batch, T text tokens, S speech frames.
"""

from typing import NamedTuple

import hypothesis.extra.numpy as arrays
import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor


class Batch(NamedTuple):
    scores: Tensor  # [B, T, S]
    text_lengths: Tensor  # [B]
    speech_lengths: Tensor  # [B]
    skippable: Tensor | None  # [B, T]

    def to(self, device: str) -> "Batch":
        return Batch(*(None if t is None else t.to(device) for t in self))


def brute_force(x: Tensor, skippable: Tensor) -> list[int] | None:
    """Durations `[T]` from scores `[T, S]` by trying every path; None if there is none.

    Of equally good paths the one that, read from its end, stays in the later token for longer.
    """
    T, S = x.shape
    paths = [[0]] + ([[1]] if T > 1 and skippable[0] else [])
    for _ in range(S - 1):
        paths = [
            [*path, path[-1] + step]
            for path in paths
            for step in (0, 1, 2)
            if path[-1] + step < T and (step < 2 or skippable[path[-1] + 1])
        ]
    ends = {T - 1, T - 2} if T > 1 and skippable[-1] else {T - 1}
    rows = x.tolist()
    scored = [(sum(rows[i][j] for j, i in enumerate(p)), p[::-1]) for p in paths if p[-1] in ends]
    best = max(scored, default=None)
    return None if best is None else [best[1].count(i) for i in range(T)]


def without_neighbours(skippable: np.ndarray) -> np.ndarray:
    """[..., T] with every skippable token dropped that follows another one."""
    kept = skippable.copy()
    for i in range(1, kept.shape[-1]):
        kept[..., i] &= ~kept[..., i - 1]
    return kept


@st.composite
def batches(draw, max_tokens: int = 6, max_frames: int = 14, max_items: int = 3) -> Batch:
    """Ragged batches whose items all have a path. Scores are small integers: sums are exact, ties many."""
    B = draw(st.integers(1, max_items))
    tokens = draw(st.lists(st.integers(1, max_tokens), min_size=B, max_size=B))
    frames = [draw(st.integers(t, max(t, max_frames))) for t in tokens]
    T = max(tokens) + draw(st.integers(0, 2))
    S = max(frames) + draw(st.integers(0, 2))
    scores = draw(arrays.arrays(np.int8, (B, T, S), elements=st.integers(-3, 3)))
    skippable = None
    if draw(st.booleans()):
        skippable = torch.from_numpy(without_neighbours(draw(arrays.arrays(np.bool_, (B, T)))))
        needed = [t - int(s[:t].sum()) for t, s in zip(tokens, skippable, strict=True)]
        frames = [draw(st.integers(max(1, n), f)) for n, f in zip(needed, frames, strict=True)]
    return Batch(torch.from_numpy(scores).float(), torch.tensor(tokens), torch.tensor(frames), skippable)


def random_batch(
    seed: int, B: int, T: int, S: int, *, skips: bool = False, odd_values: bool = False, device: str = "cpu"
) -> Batch:
    """Ragged; some items full size, some with one token, one frame or as many tokens as frames.

    odd_values: also scores with ties, of extreme size, NaN and infinite, and items without a path.
    """
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((B, T, S)).astype(np.float32)
    frames = rng.integers(1, S + 1, B)
    tokens = rng.integers(1, np.minimum(T, frames) + 1)
    tokens[::5] = np.minimum(T, frames[::5])
    frames[::7], tokens[::7] = S, min(T, S)
    frames[3::11] = np.minimum(tokens[3::11], S)
    if odd_values:
        kind = rng.integers(0, 8, B)
        scores[kind == 0] = rng.integers(-2, 3, scores[kind == 0].shape)
        scores[kind == 1] *= 1e30
        scores[kind == 2] *= 1e-38
        scores[kind == 3] -= 1e9
        some = rng.random(scores.shape) < 0.02
        scores[(kind == 4)[:, None, None] & some] = -np.inf
        scores[(kind == 5)[:, None, None] & some & (rng.random(scores.shape) < 0.3)] = np.nan
        scores[(kind == 6)[:, None, None] & some & (rng.random(scores.shape) < 0.3)] = np.inf
        lost = kind == 7
        tokens[lost] = rng.integers(-1, T + 3, lost.sum())
        frames[lost] = rng.integers(-1, S + 3, lost.sum())
    skippable = None
    if skips:
        some = rng.random((B, T)) < 0.4
        skippable = torch.from_numpy(some if odd_values and seed % 5 == 0 else without_neighbours(some))
    batch = Batch(
        torch.from_numpy(scores),
        torch.from_numpy(tokens),
        torch.from_numpy(frames.astype(np.int64)),
        skippable,
    )
    return batch.to(device)
