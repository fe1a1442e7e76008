"""The search where tokens may be skipped, scores are states' emissions, or texts are long, in CUDA C++.

Compiles and launches the kernels in lockstep.cu. The result is that of the reference; nothing waits for the
GPU. How often something is launched depends on shapes only.

B batch, T text tokens, S speech frames, F packed frames, M states.
"""

import ctypes
import enum
import functools
import pathlib
from typing import NamedTuple

import torch
from torch import Tensor

from mas.backends.hopper.cuda_driver import FLOAT_TYPES, SCORE_TYPES, Kernel, architecture, compile_source
from mas.backends.hopper.lockstep_arguments import Arguments

SOURCE = pathlib.Path(__file__).with_suffix(".cu")

# Sizes that lockstep.cu gets with -D. It has static assertions for those that follow from others.
_COLUMNS = 16  # of a tile
_ROWS = 4  # of a lane
_SLOT_BYTES = 4 * (_COLUMNS + 4)
_INBOX = 8
_MOST_WARPS = 4  # one for each scheduler of a multiprocessor
_MOST_STAGES = 8
_SHARED_STEP = 4096  # a kernel is loaded once for each size of shared memory: let there be few
_MOST_BLOCKS = 16  # thread blocks of a cluster
_SEGMENT = 128
_FOLLOW_ROWS = 256
_COUNT_THREADS = 128
_PREPARE_THREADS = 1024

_TILES_BYTES = 100 * 1024  # two thread blocks then share a multiprocessor
_MOST_TOKENS = 4096  # of an item that is searched in one launch
_MEMORY_BYTES = 64 << 20  # for decisions of items searched in one launch; items share it if there are more
_COLUMNS_BYTES = 256 << 20  # for columns of Q, likewise
_STRETCH = 1024  # columns between two columns of Q that are kept


class Mode(enum.IntEnum):
    """What a launch of `search` does."""

    WHOLE = 0  # whole items, with decisions
    SLICES = 1  # some columns of items, without decisions
    WINDOW = 2  # some columns of the rows in which the path can be, with decisions


class Shape(NamedTuple):
    """How rows are spread over the GPU."""

    warps: int  # that search, in each thread block
    blocks: int  # thread blocks of a cluster

    def rows(self, own: int) -> int:
        """How many rows a cluster holds, if a warp has `own` of them."""
        return self.warps * self.blocks * own


class Scores(NamedTuple):
    """Where the score of a token and frame lies."""

    values: Tensor  # [B, T, S]; with `states` [B, S, M], with `starts`, too, [F, M]
    states: Tensor | None  # [B, T]
    starts: Tensor | None  # [B]
    most_frames: int  # of an item

    def items(self, which: slice) -> "Scores":
        """The same for some items."""
        return self._replace(
            values=self.values[which] if self.starts is None else self.values,
            states=None if self.states is None else self.states[which],
            starts=None if self.starts is None else self.starts[which],
        )


def durations(
    scores: Tensor, text_lengths: Tensor, speech_lengths: Tensor, skippable: Tensor | None = None
) -> Tensor:
    """Durations int64 `[B, T]`, as `reference.durations`. Never waits for the GPU.

    Args:
        scores: `[B, T, S]`, any float type and strides.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        skippable: Bool `[B, T]` or None.
    """
    return _durations(Scores(scores, None, None, scores.shape[2]), text_lengths, speech_lengths, skippable)


def state_durations(
    emissions: Tensor,
    starts: Tensor | None,
    states: Tensor,
    text_lengths: Tensor,
    speech_lengths: Tensor,
    skippable: Tensor | None = None,
    most_frames: int | None = None,
) -> Tensor:
    """Durations int64 `[B, T]`, as `reference.state_durations`. Never waits for the GPU.

    Memory: two bits for each token and frame; for long items a column of Q every 1024 frames.

    Args:
        emissions: `[F, M]`, or `[B, S, M]` without starts; any float type and strides.
        starts: `[B]`, or None.
        states: `[B, T]`.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        skippable: Bool `[B, T]` or None.
        most_frames: An item with more has no path; by default F. Memory depends on it.
    """
    F = emissions.shape[-2]
    starts = None if starts is None else starts.long().contiguous()
    most_frames = F if most_frames is None else max(1, min(F, most_frames))
    scores = Scores(emissions, states.contiguous(), starts, most_frames)
    return _durations(scores, text_lengths, speech_lengths, skippable)


def _durations(
    scores: Scores, text_lengths: Tensor, speech_lengths: Tensor, skippable: Tensor | None
) -> Tensor:
    if scores.values.dtype == torch.float64:
        scores = scores._replace(values=scores.values.float())
    B, T = scores.values.shape[:2] if scores.states is None else scores.states.shape
    device = scores.values.device
    result = torch.empty((B, T), dtype=torch.int64, device=device)
    text_lengths, speech_lengths = text_lengths.contiguous(), speech_lengths.contiguous()
    skippable = None if skippable is None else skippable.contiguous()
    words_each = 4 * _pitch(T) * -(-scores.most_frames // _COLUMNS)
    whole = T <= _MOST_TOKENS and words_each <= _MEMORY_BYTES
    kept_each = 4 * T * -(-scores.most_frames // _STRETCH)
    items = max(1, _MEMORY_BYTES // words_each if whole else _COLUMNS_BYTES // kept_each)
    for b in range(0, B, items):
        if items >= B:  # slices take time
            search = _Search(scores, text_lengths, speech_lengths, skippable, result)
        else:
            own = slice(b, b + items)
            may_skip = None if skippable is None else skippable[own]
            search = _Search(scores.items(own), text_lengths[own], speech_lengths[own], may_skip, result[own])
        if whole:
            search.whole()
        else:
            search.in_stretches()
    return result


def _pitch(rows: int) -> int:
    return -(-rows // _ROWS) * _ROWS  # words are stored four at a time


class _Search:
    """Some items, and the launches that search them. Writes to `result`."""

    def __init__(
        self,
        scores: Scores,
        text_lengths: Tensor,
        speech_lengths: Tensor,
        skippable: Tensor | None,
        result: Tensor,
    ) -> None:
        self._B, self._T = result.shape
        self._device, self._index = result.device, result.device.index
        self._most_frames = scores.most_frames
        self._variant = Variant(skippable is not None, SCORE_TYPES[scores.values.dtype])
        self._own = 32 * _ROWS - self._variant.reach * _COLUMNS
        if scores.states is None:
            stride_b, stride_slot, stride_j = scores.values.stride()
            S, M = scores.most_frames, 0
        else:
            *first, stride_j, stride_slot = scores.values.stride()
            stride_b = first[0] if first else 0
            S, M = scores.values.shape[-2:]
        self._states = M
        self._arguments = Arguments(
            scores=scores.values.data_ptr(), stride_b=stride_b, stride_j=stride_j, stride_slot=stride_slot,
            starts=_address(scores.starts), states=_address(scores.states), skippable=_address(skippable),
            text_lengths=text_lengths.data_ptr(), speech_lengths=speech_lengths.data_ptr(),
            durations=result.data_ptr(), T=self._T, S=S, M=M, most_columns=self._most_frames,
            states_are_int64=scores.states is not None and scores.states.dtype == torch.int64,
            text_lengths_are_int64=text_lengths.dtype == torch.int64,
            speech_lengths_are_int64=speech_lengths.dtype == torch.int64, slices=1,
        )  # fmt: skip

    def whole(self) -> None:
        """Searches each item in one launch, and goes back in two."""
        shape = self._shape_for(self._T)
        memory = self._set_memory(self._T, self._most_frames)
        self._search(Mode.WHOLE, shape, self._B)
        self._go_back()
        del memory

    def in_stretches(self) -> None:
        """Keeps a column of Q now and then; then, from the last, searches again between two of them."""
        B, T, arguments, reach = self._B, self._T, self._arguments, self._variant.reach
        stretches = -(-self._most_frames // _STRETCH)
        columns = self._empty((stretches, B, T), torch.float32)
        plan = self._empty((B, T + 1), torch.int32)
        needed, rows = self._empty((B,), torch.int32), self._empty((2, B), torch.int32)
        window = reach * _STRETCH + 1
        memory = self._set_memory(window, _STRETCH)
        arguments.before, arguments.needed = plan.data_ptr(), needed.data_ptr()
        _kernel(self._index, self._variant, "prepare", _PREPARE_THREADS).launch(B, arguments)

        shape = self._shape_for(T)
        arguments.slices, arguments.slice_rows, arguments.slice_halo = 1, T, 0
        if T > _MOST_TOKENS:
            shape = Shape(_MOST_WARPS, _largest_cluster(self._index, self._variant))
            arguments.slice_halo = reach * _STRETCH
            arguments.slice_rows = shape.rows(self._own) - arguments.slice_halo
            arguments.slices = -(-T // arguments.slice_rows)
        for n in range(stretches):
            arguments.first_column = n * _STRETCH
            arguments.column_in = columns[n - 1].data_ptr() if n > 0 else 0
            arguments.column_out = columns[n].data_ptr()
            self._search(Mode.SLICES, shape, B * arguments.slices)
        shape = self._shape_for(window)
        arguments.slices = 1
        for n in reversed(range(stretches)):
            arguments.first_column = n * _STRETCH
            arguments.column_in = columns[n - 1].data_ptr() if n > 0 else 0
            arguments.row_in, arguments.row_out = rows[n % 2].data_ptr(), rows[(n + 1) % 2].data_ptr()
            self._search(Mode.WINDOW, shape, B)
            self._go_back()
        del memory

    def _empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return torch.empty(shape, dtype=dtype, device=self._device)

    def _set_memory(self, rows: int, columns: int) -> Tensor:
        """Memory for decisions about so many rows and columns, and for the way back. Keep it until used."""
        arguments, B = self._arguments, self._B
        self._pitch, self._segments = pitch, segments = _pitch(rows), -(-columns // _SEGMENT)
        blocks = -(-columns // _COLUMNS)
        arguments.n_columns, arguments.pitch = columns, pitch
        arguments.n_blocks, arguments.n_segments = blocks, segments
        memory = self._empty((B * (pitch * (blocks + segments) + 2),), torch.int32)
        arguments.words = words = memory.data_ptr()
        arguments.entries = entries = words + 4 * B * blocks * pitch
        arguments.ends = entries + 4 * B * segments * pitch
        return memory

    def _shape_for(self, rows: int) -> Shape:
        return choose_shape(-(-rows // self._own), self._B, _processors(self._index))

    def _search(self, mode: Mode, shape: Shape, clusters: int) -> None:
        arguments = self._arguments
        whole = mode == Mode.WHOLE
        ring = choose_ring(shape.warps, self._variant.reach, self._states, self._T if whole else None)
        arguments.mode = mode
        arguments.by_state, arguments.slots, arguments.stages, shared_bytes = ring
        threads = 64 * shape.warps
        kernel = _kernel(self._index, self._variant, "search", threads, shared_bytes, shape.blocks)
        kernel.launch(clusters * shape.blocks, arguments, overlap=not whole)

    def _go_back(self) -> None:
        arguments, index, segments = self._arguments, self._index, self._segments
        if segments > 1:
            tiles = self._B * -(-self._pitch // _FOLLOW_ROWS)
            groups = min(segments - 1, max(1, 1024 // tiles))
            kernel = _kernel(index, self._variant, "follow", _FOLLOW_ROWS)
            kernel.launch(tiles * groups, arguments, ctypes.c_int32(groups), overlap=True)
        groups = min(segments, max(1, 2048 // self._B))
        kernel = _kernel(index, self._variant, "count", _COUNT_THREADS)
        kernel.launch(self._B * groups, arguments, ctypes.c_int32(groups), overlap=True)


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


@functools.lru_cache(maxsize=4096)
def choose_shape(warps: int, clusters: int, processors: int) -> Shape:
    """For so many warps of rows in each cluster: few in a thread block if each block gets a multiprocessor.

    Two are faster than one, though: each brings its own loader.
    """
    for most in range(2, _MOST_WARPS + 1):
        blocks = -(-warps // most)
        if blocks <= _MOST_BLOCKS and clusters * blocks <= processors:
            break
    return Shape(-(-warps // blocks), blocks)


class Ring(NamedTuple):
    """The tiles of a thread block."""

    by_state: bool  # whether a slot is a state, else it is a row
    slots: int  # of a tile
    stages: int  # how many tiles
    shared_bytes: int  # dynamic shared memory of the thread block


@functools.lru_cache(maxsize=4096)
def choose_ring(warps: int, reach: int, states: int, tokens: int | None) -> Ring:
    """What the shared memory of a thread block holds.

    Args:
        warps: Of rows.
        reach: As `Variant.reach`.
        states: How many there are; 0 if scores are those of tokens.
        tokens: If whole items are searched, how many they have at most: no more rows are needed, and the
            kernel's plan needs room, too.
    """
    halo = reach * _COLUMNS
    rows = warps * (32 * _ROWS - halo)
    rows = halo + (rows if tokens is None else min(rows, tokens))
    by_state = 0 < states <= rows
    slots = states if by_state else rows
    tile = (slots + 1) * _SLOT_BYTES
    stages = min(_MOST_STAGES, max(2, _TILES_BYTES // tile))
    shared_bytes = stages * tile + warps * _INBOX * 4 * halo + 4 * slots
    if tokens is not None:
        shared_bytes = max(shared_bytes, 4 * (tokens + 1))
    return Ring(by_state, slots, stages, -(-shared_bytes // _SHARED_STEP) * _SHARED_STEP)


@functools.cache
def _processors(index: int) -> int:
    return torch.cuda.get_device_properties(index).multi_processor_count


class Variant(NamedTuple):
    """What the kernels are compiled for."""

    skips: bool
    score_type: int  # a value of `search.FLOAT_TYPES`

    @property
    def reach(self) -> int:
        """Rows that a path moves down at most from one frame to the next."""
        return 2 if self.skips else 1


@functools.cache
def _largest_cluster(index: int, variant: Variant) -> int:
    """Thread blocks of a cluster: 16 where the GPU has room for that, else 8, which every one has."""
    kernel = _kernel(index, variant, "search", 64 * _MOST_WARPS, _TILES_BYTES, _MOST_BLOCKS)
    return _MOST_BLOCKS if kernel.clusters_at_once(_MOST_BLOCKS) > 0 else _MOST_BLOCKS // 2


@functools.cache
def _kernel(
    index: int, variant: Variant, name: str, threads: int, shared_bytes: int = 0, cluster: int = 1
) -> Kernel:
    return Kernel(index, compile_kernels(architecture(index), variant), name, threads, shared_bytes, cluster)


@functools.lru_cache(maxsize=16)
def compile_kernels(architecture: int, variant: Variant) -> bytes:
    """Machine code of all kernels in lockstep.cu.

    Args:
        architecture: The compute capability of the GPU, as in `compile_source`.
        variant: What they are compiled for.
    """
    return compile_source(SOURCE, architecture, sizes(variant))


def sizes(variant: Variant) -> dict[str, int]:
    """What lockstep.cu is compiled for, and the sizes that it shares with this file."""
    return {
        "SKIPS": int(variant.skips),
        "SCORE_TYPE": variant.score_type,
        **FLOAT_TYPES,
        **{mode.name: mode.value for mode in Mode},
        "K": _COLUMNS,
        "R": _ROWS,
        "OWN": 32 * _ROWS - variant.reach * _COLUMNS,
        "SLOT_BYTES": _SLOT_BYTES,
        "INBOX": _INBOX,
        "MOST_WARPS": _MOST_WARPS,
        "MOST_STAGES": _MOST_STAGES,
        "SEGMENT": _SEGMENT,
        "FOLLOW_ROWS": _FOLLOW_ROWS,
        "COUNT_THREADS": _COUNT_THREADS,
        "ARGUMENTS_BYTES": ctypes.sizeof(Arguments),
    }
