"""A backend against the reference on this very hardware, for as long as one likes.

The tests of the repository do this thoroughly. This is for machines that nobody has tried: drivers, GPUs and
compilers differ, and a wrong path looks like any other.

B batch, T text tokens, S speech frames, F packed frames, M states.
"""

import time
from typing import NamedTuple

import torch
from torch import Tensor

from mas.search import Backend, search
from mas.states import search_states

_MOST_ITEMS, _MOST_TOKENS, _MOST_FRAMES, _MOST_STATES = 6, 60, 160, 40
_TYPES = (torch.float32, torch.float16, torch.bfloat16)
_KINDS = 2 * len(
    _TYPES
)  # of each type one with and one without skippable tokens, which compiles their kernels


class SelfTest(NamedTuple):
    """What came of a self-test.

    Args:
        batches: How many were searched, each by `search` and by `search_states`.
        seconds: How long that took, the reference included.
        first_seconds: How much of it the first batch of each kind took, which compiles kernels.
        wrong: What differed first, so that it can be made again; "" if nothing did.
    """

    batches: int
    seconds: float
    first_seconds: float
    wrong: str


def self_test(device: torch.device | str, backend: Backend, seconds: float, seed: int = 0) -> SelfTest:
    """Search random batches with a backend and with the reference, bit for bit.

    Args:
        device: Where the scores are.
        backend: One that serves the device.
        seconds: How long, after a batch of each kind. The first difference ends it.
        seed: Of the first batch; the next have the next ones.

    Raises:
        Whatever a backend raises that cannot run.
    """
    device, started_s = torch.device(device), time.perf_counter()
    batches, first_s = 0, 0.0
    while True:
        wrong = _differs(device, backend, seed + batches)
        batches += 1
        took_s = time.perf_counter() - started_s
        if batches <= _KINDS:
            first_s = took_s
        if wrong or (batches >= _KINDS and took_s - first_s >= seconds):
            return SelfTest(batches, took_s, first_s, wrong)


def _differs(device: torch.device, backend: Backend, seed: int) -> str:
    """What differs in the batch of a seed; "" if nothing does."""
    draw = torch.Generator().manual_seed(seed)

    def number(least: int, most: int) -> int:
        return int(torch.randint(least, most + 1, (), generator=draw))

    B, T, M = number(1, _MOST_ITEMS), number(1, _MOST_TOKENS), number(1, _MOST_STATES)
    S, dtype = number(T, _MOST_FRAMES), _TYPES[seed % len(_TYPES)]
    text = torch.randint(1, T + 1, (B,), generator=draw)
    speech = text + (torch.rand(B, generator=draw) * (S - text + 1)).long()
    skippable = None if seed % 2 else _no_neighbours(torch.rand(B, T, generator=draw) < 0.3)
    scores = _scores((B, T, S), draw, seed).to(dtype)
    emissions = _scores((2 * S, M), draw, seed).to(dtype)  # packed; items overlap
    states = torch.randint(0, M, (B, T), generator=draw)
    starts = (torch.rand(B, generator=draw) * (2 * S - speech + 1)).long()
    shape = f"seed {seed}, {str(dtype).removeprefix('torch.')}, B {B}, T {T}, S {S}, M {M}"

    def on(device: torch.device, name: Backend) -> tuple[Tensor, Tensor]:
        may_skip = None if skippable is None else skippable.to(device)
        lengths = text.to(device), speech.to(device)
        by_scores = search(scores.to(device), *lengths, skippable=may_skip, backend=name)
        by_states = search_states(
            emissions.to(device), states.to(device), *lengths, starts=starts.to(device), skippable=may_skip,
            backend=name,
        )  # fmt: skip
        return by_scores.cpu(), by_states.cpu()

    found, expected = on(device, backend), on(torch.device("cpu"), "reference")
    for name, own, right in zip(("search", "search_states"), found, expected, strict=True):
        if not torch.equal(own, right):
            items = (own != right).any(1).nonzero().flatten().tolist()
            skips = "" if skippable is None else ", skippable"
            return f"{name}, {shape}{skips}: items {items} differ from the reference"
    return ""


def _scores(shape: tuple[int, ...], draw: torch.Generator, seed: int) -> Tensor:
    """Normal, or every third time small whole numbers, of which many paths are equally good."""
    if seed % 3 == 2:
        return torch.randint(-2, 3, shape, generator=draw).float()
    return torch.randn(shape, generator=draw)


def _no_neighbours(may_skip: Tensor) -> Tensor:
    """`[B, T]` with each skippable token dropped that follows another one."""
    kept = may_skip.clone()
    for i in range(1, kept.shape[1]):
        kept[:, i] &= ~kept[:, i - 1]
    return kept
