"""The search over states' emissions on a CPU: tensors, and what each thread does (`cpu_stretches.py`).

F packed frames, M states, T text tokens; i counts tokens, j counts an item's frames. Q as in reference.py.
"""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mas.backends.cpu_stretches import (
    Batch,
    Item,
    Sizes,
    advance,
    align_items,
    distance_of,
    follow_back,
    prepared,
    room_for_columns,
)
from mas.backends.cpu_threads import threads
from mas.backends.packed_emissions import packed

_CELLS_WORTH_A_THREAD = 30_000  # below this, starting a thread costs more than its work
_SIZES = Sizes()

_Result = TypeVar("_Result")


def state_durations(
    emissions: Tensor,
    starts: Tensor | None,
    states: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None = None,
    most_frames: int | None = None,
) -> Tensor:
    """Durations int64 `[B, T]`, as `reference.state_durations`, by at most `torch.get_num_threads()` threads.

    Memory, for each thread: a byte for each score of an item of up to a million; for a longer one 8 bytes
    times the number of its scores to the power of 2/3 (a chapter: 40 MB).

    Args:
        emissions: `[F, M]`, or `[B, S, M]` without starts; any float type and strides, on the CPU.
        starts: `[B]`, or None.
        states: `[B, T]`.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        skippable: Bool `[B, T]` or None.
        most_frames: An item with more has no path; by default F.
    """
    emissions, starts = packed(emissions, starts)
    if most_frames is not None:
        starts = starts.where(speech_lengths <= most_frames, -1)
    B, T = states.shape
    emissions, states = _as_float32(emissions, states.long())
    (F, M), (stride_f, stride_m) = emissions.shape, emissions.stride()
    batch = Batch(
        flat=emissions.as_strided((1 + (F - 1) * stride_f + (M - 1) * stride_m,), (1,)).numpy(),
        strides=(stride_f, stride_m),
        shape=(F, M),
        starts=starts.long().contiguous().numpy(),
        states=states.contiguous().numpy(),
        text_lengths=text_lengths.long().contiguous().numpy(),
        speech_lengths=speech_lengths.long().contiguous().numpy(),
        skippable=np.empty((0, 0), np.bool_) if skippable is None else skippable.contiguous().numpy(),
    )
    result = np.empty((B, T), np.int64)
    cells = batch.text_lengths.clip(0, T) * batch.speech_lengths.clip(0, F)
    n_threads = min(torch.get_num_threads(), 1 + int(cells.sum()) // _CELLS_WORTH_A_THREAD)
    longest_first = np.argsort(-cells, kind="stable")
    together = np.zeros(B, np.bool_)
    if n_threads > 1:
        together = _worth_sharing(batch, n_threads, cells)
        for b in together.nonzero()[0].tolist():
            _align_together(batch, b, n_threads, result[b])
    alone = longest_first[~together[longest_first]]
    _in_threads(n_threads, lambda n: align_items(batch, alone[n::n_threads], _SIZES, result))
    return torch.from_numpy(result)


def _worth_sharing(batch: Batch, n_threads: int, cells: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which items all threads search together: those of so many tokens that shares overlap little."""
    reach = 2 if len(batch.skippable) else 1
    distance = np.maximum(_SIZES.least_distance, 0.5 * np.cbrt(cells))
    return (cells > _SIZES.at_once) & (batch.text_lengths >= 2 * n_threads * reach * distance)


def _as_float32(emissions: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
    """Emissions as float32, and the column of each state in them: of other types only the needed columns."""
    if emissions.dtype == torch.float32:
        return emissions, states
    M = emissions.shape[1]
    valid = (states >= 0) & (states < M)
    used = states[valid].unique()
    if 2 * len(used) >= M:
        return emissions.float(), states
    return emissions.index_select(1, used).float(), torch.searchsorted(used, states).where(valid, -1)


def _in_threads(n: int, work: Callable[[int], _Result]) -> list[_Result]:
    """Results of work(0) to work(n - 1), each in a thread, the first in this one."""
    others = threads(n - 1).map(work, range(1, n)) if n > 1 else ()
    return [work(0), *others]


def _align_together(batch: Batch, b: int, n_threads: int, durations: NDArray[np.int64]) -> None:
    """As `align_items` for one long item, by all threads."""
    fits, item = prepared(batch, b)
    distance = distance_of(len(item.columns), len(item.low), _SIZES)
    kept = room_for_columns(item, distance)
    for n in range(1, len(kept)):
        fits = fits and not _advance_together(item, kept, n, distance, n_threads)
    durations[:] = 0
    if not fits or not follow_back(item, kept, distance, durations):
        durations[:] = -1


def _advance_together(item: Item, kept: NDArray[np.float32], n: int, distance: int, n_threads: int) -> bool:
    """kept[n] from kept[n - 1]. True if a NaN or +inf occurred."""
    j1 = n * distance
    edges = np.linspace(item.low[j1 - 1], item.high[j1 - 1], n_threads + 1).astype(int).tolist()

    def advance_share(share: int) -> bool:
        i0, i1 = edges[share], edges[share + 1]
        return advance(item, kept[n - 1], kept[n], j1 - distance, j1, i0, i1, _SIZES)

    return any(_in_threads(n_threads, advance_share))
