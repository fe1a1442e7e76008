"""The search in CUDA C++: compiles and launches the kernel in search.cu.

NVRTC, which comes with PyTorch's wheels, compiles it for the GPU at hand when it is first needed, so no
compiler has to be installed. Where something is missing, `serves` returns False, and the `triton` backend
does the work.

B batch, T text tokens, S speech frames.
"""

import ctypes
import enum
import functools
import pathlib
from typing import NamedTuple

import torch
from torch import Tensor

from mas.backends.hopper import lockstep
from mas.backends.hopper.cuda_driver import FLOAT_TYPES, SCORE_TYPES, Kernel, architecture, compile_source

SOURCE = pathlib.Path(__file__).with_suffix(".cu")
_MAX_TOKENS = 4096
_SHARED_BYTES = 227 * 1024  # of a thread block on Hopper and on Blackwell for servers; smaller GPUs have less

# Sizes that search.cu gets with -D. It has static assertions for those that follow from others.
_FRAMES = 32  # of a stage
_INBOX = 8  # stages of boundary values that a warp can be ahead of the next
_INBOX_BYTES = _INBOX * 256
_THREADS_OF_THREE = 384  # of a thread block with three warps that search (search.cu)
_TILE = 8  # blocks of 32 columns in a tile of the way back
_WINDOW = _TILE * 96 + 4  # rows that the path can be in during a tile and the two before it


class Loader(enum.IntEnum):
    """How the kernel reads scores."""

    ALIGNED_ROWS = 0  # four frames of a token at once
    ROWS_ONE_BY_ONE = 1  # one frame at a time
    COLUMNS_ONE_BY_ONE = 2  # one token at a time
    ALIGNED_COLUMNS = 3  # four tokens of a frame at once


class Shape(NamedTuple):
    """How the tokens of an item are spread over the GPU."""

    rows: int  # tokens of a lane; a warp has 32 lanes
    warps: int  # that search, in each thread block
    blocks: int  # thread blocks of the item's cluster
    stages: int  # of 32 frames, in the ring buffer of scores

    @property
    def threads(self) -> int:
        """Threads of a thread block."""
        return _THREADS_OF_THREE if self.warps == 3 else 64 * self.warps

    @property
    def ring_bytes(self) -> int:
        """Size of the ring buffer of one warp."""
        return 32 * self.rows * self.stages * _FRAMES * 4

    @property
    def shared_bytes(self) -> int:
        """Dynamic shared memory of a thread block: rings and inboxes, later three windows of the way back."""
        forward = self.warps * (self.ring_bytes + _INBOX_BYTES) + _INBOX_BYTES
        tokens = 32 * self.rows * self.warps * self.blocks
        return max(forward, 3 * _TILE * 4 * min(_WINDOW, tokens) + 4 * tokens)


def serves(device: torch.device) -> bool:
    """Whether this backend runs on a device."""
    if not torch.cuda.is_available():
        return False
    return _serves(device.index if device.index is not None else torch.cuda.current_device())


@functools.cache
def _serves(index: int) -> bool:
    properties = torch.cuda.get_device_properties(index)
    if torch.version.hip is not None or (properties.major, properties.minor) < (9, 0):
        return False
    if properties.shared_memory_per_block_optin < _SHARED_BYTES:  # type: ignore[attr-defined]
        return False
    try:
        _kernel(index, _choose_shape(64, 1, 1), SCORE_TYPES[torch.float32])
    except (ImportError, OSError, RuntimeError):
        return False
    return True


def durations(
    scores: Tensor, text_lengths: Tensor, speech_lengths: Tensor, skippable: Tensor | None = None
) -> Tensor:
    """Durations int64 `[B, T]`, as `reference.durations`. Never waits for the GPU.

    Memory: one bit for each score that a path can visit. `lockstep` serves texts of more than 4096 tokens and
    skippable tokens.

    Args:
        scores: `[B, T, S]`, any float type and strides.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
        skippable: Bool `[B, T]` or None.
    """
    B, T, S = scores.shape
    if skippable is not None or T > _MAX_TOKENS:
        return lockstep.durations(scores, text_lengths, speech_lengths, skippable)
    if scores.dtype == torch.float64:
        scores = scores.float()
    device = scores.device
    shape = _choose_shape(T, B, _processors(device.index))
    result = torch.empty((B, T), dtype=torch.int64, device=device)
    words = history_words(T, S, shape.rows)
    histories = torch.empty(B * words, dtype=torch.int32, device=device)
    text_lengths, speech_lengths = text_lengths.contiguous(), speech_lengths.contiguous()
    arguments = Arguments(
        scores.data_ptr(), *scores.stride(), text_lengths.data_ptr(), speech_lengths.data_ptr(),
        result.data_ptr(), histories.data_ptr(), words, T, S, text_lengths.dtype == torch.int64,
        speech_lengths.dtype == torch.int64, _loader(scores),
    )  # fmt: skip
    _kernel(device.index, shape, SCORE_TYPES[scores.dtype]).launch(B * shape.blocks, arguments)
    return result


@functools.lru_cache(maxsize=4096)
def history_words(T: int, S: int, rows: int) -> int:
    """The largest number of 32-bit words that the histories of an item can take (see search.cu).

    An item of t tokens and s frames takes at most (t + 3) * ((s - t) / 32 + rows + 1) words. This is the
    maximum over t.

    Args:
        T: The largest number of tokens.
        S: The largest number of frames.
        rows: Tokens of a lane.
    """
    columns = S + 32 * (rows + 1)
    t = min(T, (columns - 3) // 2)
    return ((t + 4) * (columns - t + 1) // 32 + 4) // 4 * 4


@functools.lru_cache(maxsize=4096)
def _choose_shape(T: int, B: int, processors: int) -> Shape:
    """Two tokens a lane finish one item sooner, four do less work for each score; measured on an H100.

    Where there are enough multiprocessors, deeper rings give each thread block a multiprocessor of its own.
    """
    if T <= 256:
        return Shape(rows=2, warps=-(-T // 64), blocks=1, stages=4 if processors < B else 6)
    if T <= 1024:
        return Shape(rows=4, warps=2, blocks=-(-T // 256), stages=4 if processors < 4 * B else 6)
    if T <= 3072:
        return Shape(rows=4, warps=3, blocks=-(-T // 384), stages=4)
    return Shape(rows=4, warps=4, blocks=-(-T // 512), stages=3)


@functools.cache
def _processors(index: int) -> int:
    return torch.cuda.get_device_properties(index).multi_processor_count


def reads_by_fours(scores: Tensor) -> bool:
    """Whether four neighbouring scores are one read, without which half types are slow.

    Args:
        scores: `[B, T, S]`.
    """
    return _loader(scores) in (Loader.ALIGNED_ROWS, Loader.ALIGNED_COLUMNS)


def _loader(scores: Tensor) -> Loader:
    stride_b, stride_i, stride_j = scores.stride()
    if stride_b % 4 == 0 and scores.data_ptr() % (4 * scores.element_size()) == 0:
        if stride_j == 1 and stride_i % 4 == 0:
            return Loader.ALIGNED_ROWS
        if stride_i == 1 and stride_j % 4 == 0:
            return Loader.ALIGNED_COLUMNS
    return Loader.COLUMNS_ONE_BY_ONE if abs(stride_i) < abs(stride_j) else Loader.ROWS_ONE_BY_ONE


@functools.cache
def _kernel(index: int, shape: Shape, score_type: int) -> Kernel:
    code = compile_kernel(architecture(index), shape, score_type)
    return Kernel(index, code, "search", shape.threads, shape.shared_bytes, shape.blocks)


def compile_kernel(architecture: int, shape: Shape, score_type: int) -> bytes:
    """Machine code of the search.

    Args:
        architecture: The compute capability of the GPU, as in `compile_source`.
        shape: Only its rows and stages are compiled in.
        score_type: 0 float32, 1 float16, 2 bfloat16.
    """
    return compile_source(SOURCE, architecture, sizes(shape, score_type))


def sizes(shape: Shape, score_type: int) -> dict[str, int]:
    """What search.cu is compiled for, and the sizes that it shares with this file."""
    return {
        "R": shape.rows,
        "D": shape.stages,
        "SCORE_TYPE": score_type,
        **FLOAT_TYPES,
        **{loader.name: loader.value for loader in Loader},
        "THREADS_OF_THREE": _THREADS_OF_THREE,
        "INBOX": _INBOX,
        "INBOX_BYTES": _INBOX_BYTES,
        "RING_BYTES": shape.ring_bytes,
        "TILE": _TILE,
        "WINDOW": _WINDOW,
        "ARGUMENTS_BYTES": ctypes.sizeof(Arguments),
    }


class Arguments(ctypes.Structure):
    """`struct Arguments` of search.cu."""

    _fields_ = [
        ("scores", ctypes.c_uint64),
        ("stride_b", ctypes.c_int64),
        ("stride_i", ctypes.c_int64),
        ("stride_j", ctypes.c_int64),
        ("text_lengths", ctypes.c_uint64),
        ("speech_lengths", ctypes.c_uint64),
        ("durations", ctypes.c_uint64),
        ("histories", ctypes.c_uint64),
        ("history_words", ctypes.c_int64),
        ("T", ctypes.c_int32),
        ("S", ctypes.c_int32),
        ("text_lengths_are_int64", ctypes.c_int32),
        ("speech_lengths_are_int64", ctypes.c_int32),
        ("loader", ctypes.c_int32),
    ]
