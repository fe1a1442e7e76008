"""Inputs for the tests of the search over states, and their scores token by token.

B items, T text tokens, S speech frames, F packed frames, M states.
"""

from typing import NamedTuple

import hypothesis.extra.numpy as arrays
import numpy as np
import torch
from hypothesis import strategies as st
from search_cases import Batch, batches, random_batch
from torch import Tensor

import mas
from mas.backends import reference


class StateBatch(NamedTuple):
    emissions: Tensor  # [B, S, M], or packed [F, M]
    states: Tensor  # [B, T]
    text_lengths: Tensor  # [B]
    speech_lengths: Tensor  # [B]
    starts: Tensor | None  # [B]
    skippable: Tensor | None  # [B, T]

    def to(self, device: str) -> "StateBatch":
        return StateBatch(*(None if t is None else t.to(device) for t in self))

    def search(self, **options) -> Tensor:
        """Durations by `mas.search_states`."""
        *tensors, starts, skippable = self
        return mas.search_states(*tensors, starts=starts, skippable=skippable, **options)

    def scores(self) -> Batch:
        """The scores `[B, T, S]` that the search must never hold. All items must lie within the emissions."""
        emissions = self.emissions
        if self.starts is not None:
            frame = torch.arange(int(self.speech_lengths.max()))
            emissions = emissions[(self.starts[:, None] + frame).clamp(max=len(emissions) - 1)]
        states = self.states.long().clamp(0, emissions.shape[2] - 1)
        scores = emissions.gather(2, states[:, None].expand(-1, emissions.shape[1], -1)).mT
        return Batch(scores, self.text_lengths, self.speech_lengths, self.skippable)

    def expected(self) -> Tensor:
        """Durations by the definition of `mas.search`."""
        return reference.durations(*self.scores())


@st.composite
def state_batches(draw, **sizes: int) -> StateBatch:
    """Ragged, all with a path, scores small integers, as `search_cases.batches`; padded or packed."""
    _, tokens, frames, skippable = batch = draw(batches(**sizes))
    (B, T, S), M = batch.scores.shape, draw(st.integers(1, 4))
    states = torch.from_numpy(draw(arrays.arrays(np.int64, (B, T), elements=st.integers(0, M - 1))))
    packed = draw(st.booleans())
    shape = (S, M) if packed else (B, S, M)
    emissions = torch.from_numpy(draw(arrays.arrays(np.int8, shape, elements=st.integers(-3, 3)))).float()
    starts = torch.tensor([draw(st.integers(0, S - k)) for k in frames.tolist()]) if packed else None
    return StateBatch(emissions, states, tokens, frames, starts, skippable)


def random_state_batch(
    seed: int,
    B: int,
    T: int,
    S: int,
    M: int,
    *,
    packed: bool = False,
    skips: bool = False,
    odd_values: bool = False,
) -> StateBatch:
    """Lengths as of `search_cases.random_batch`; packed items overlap.

    odd_values: also emissions with ties, of extreme size, NaN and infinite, and items without a path, among
    them such whose states are no columns or whose frames are not there.
    """
    _, tokens, frames, skippable = random_batch(seed, B, T, S, skips=skips, odd_values=odd_values)
    rng = np.random.default_rng(seed)
    states = rng.integers(0, M, (B, T))
    emissions = rng.standard_normal((2 * S, M) if packed else (B, S, M)).astype(np.float32)
    starts = rng.integers(0, 2 * S - frames.numpy().clip(0, 2 * S) + 1)
    if odd_values:
        if seed % 3 == 0:
            emissions = rng.integers(-2, 3, emissions.shape).astype(np.float32)
        if seed % 4 == 1:
            emissions *= 1e30
        some = rng.random(emissions.shape)
        emissions[some < 0.02] = -np.inf
        if seed % 2:
            emissions[(some > 0.02) & (some < 0.021)] = np.nan
            emissions[(some > 0.03) & (some < 0.031)] = np.inf
        kind = rng.integers(0, 16, B)
        states[kind == 0, 0] = M
        states[kind == 1, -1] = -1  # often in the padding, where it is none of our business
        starts[kind == 2] = -1
        starts[kind == 3] = 2 * S - frames[kind == 3] + 1
    return StateBatch(
        torch.from_numpy(emissions),
        torch.from_numpy(states),
        tokens,
        frames,
        torch.from_numpy(starts) if packed else None,
        skippable,
    )
