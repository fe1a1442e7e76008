"""The search in CUDA C++ for cards with thread block clusters: Hopper and later. The kernel is hopper.cu.

NVRTC, which comes with PyTorch's wheels, compiles it for the card at hand when it is first needed; no
compiler has to be installed. Where anything of that is missing, `serves` says no and plain Triton (gpu.py)
does the work.

B batch, T text tokens, S speech frames.
"""

import ctypes
import functools
import pathlib
from typing import NamedTuple

import torch
from torch import Tensor

from mas.cuda import Kernel, architecture, compile_source

SOURCE = pathlib.Path(__file__).with_suffix(".cu")
_SCORE_TYPES = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}
_MAX_TOKENS = 4096
_INBOX_BYTES = 8 * 256  # as in hopper.cu
_WINDOW = 8 * 96 + 4  # as in hopper.cu
_SHARED_BYTES = 227 * 1024  # a block's share on Hopper and on Blackwell for servers; smaller cards have less


class Shape(NamedTuple):
    """How an item's tokens are spread: `blocks` thread blocks, `warps` each, 32 * `rows` tokens a warp;
    `stages` of 32 frames are buffered."""

    rows: int
    warps: int
    blocks: int
    stages: int

    @property
    def shared_bytes(self) -> int:
        rings = self.warps * (32 * self.rows * self.stages * 128 + _INBOX_BYTES) + _INBOX_BYTES
        tokens = 32 * self.rows * self.warps * self.blocks
        return max(rings, 3 * 8 * 4 * min(_WINDOW, tokens) + 4 * tokens)


def serves(device: torch.device) -> bool:
    """Whether this backend runs on `device`."""
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
        _kernel(index, _shape(64, 1, 1), 0)
    except (ImportError, OSError, RuntimeError):
        return False
    return True


def durations(
    scores: Tensor, text_lengths: Tensor, speech_lengths: Tensor, skippable: Tensor | None = None
) -> Tensor:
    """Scores `[B, T, S]` of any strides -> int64 `[B, T]`, as `mas.reference.durations`; waits for nothing.

    Memory: one bit a score that a path can visit. Longer texts than 4096 tokens and skippable tokens are
    served by plain Triton.
    """
    B, T, S = scores.shape
    if skippable is not None or T > _MAX_TOKENS:
        from mas import gpu

        return gpu.durations(scores, text_lengths, speech_lengths, skippable)
    if scores.dtype == torch.float64:
        scores = scores.float()
    device = scores.device
    shape = _shape(T, B, _processors(device.index))
    result = torch.empty((B, T), dtype=torch.int64, device=device)
    words = history_words(T, S, shape.rows)
    histories = torch.empty(B * words, dtype=torch.int32, device=device)
    text_lengths, speech_lengths = text_lengths.contiguous(), speech_lengths.contiguous()
    arguments = Arguments(
        scores.data_ptr(), *scores.stride(), text_lengths.data_ptr(), speech_lengths.data_ptr(),
        result.data_ptr(), histories.data_ptr(), words, T, S, text_lengths.dtype == torch.int64,
        speech_lengths.dtype == torch.int64, _loader(scores),
    )  # fmt: skip
    _kernel(device.index, shape, _SCORE_TYPES[scores.dtype]).launch(B * shape.blocks, arguments)
    return result


@functools.lru_cache(maxsize=4096)
def history_words(T: int, S: int, rows: int) -> int:
    """32-bit words that the histories of an item of at most T tokens and S frames can take (see hopper.cu).

    An item of t tokens and s frames takes at most (t + 3) * ((s - t) / 32 + rows + 1); this is the most of
    it over t.
    """
    columns = S + 32 * (rows + 1)
    t = min(T, (columns - 3) // 2)
    return ((t + 4) * (columns - t + 1) // 32 + 4) // 4 * 4


@functools.lru_cache(maxsize=4096)
def _shape(T: int, B: int, processors: int) -> Shape:
    """Two tokens a lane finish one item sooner, four do less work for each score; measured on an H100.

    Where there are processors to spare, deeper buffers let each block have its processor for itself.
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


def _loader(scores: Tensor) -> int:
    """How the kernel reads: 0 four frames of a token at once, 1 one frame at a time, 2 token after token."""
    stride_b, stride_i, stride_j = scores.stride()
    aligned = scores.data_ptr() % (4 * scores.element_size()) == 0
    if aligned and stride_j == 1 and stride_i % 4 == 0 and stride_b % 4 == 0:
        return 0
    return 2 if abs(stride_i) < abs(stride_j) else 1


@functools.cache
def _kernel(index: int, shape: Shape, score_type: int) -> Kernel:
    code = compile_kernel(architecture(index), shape, score_type)
    return Kernel(index, code, "search", 64 * shape.warps, shape.shared_bytes, shape.blocks)


def compile_kernel(architecture: int, shape: Shape, score_type: int) -> bytes:
    """Machine code of the search for a card of compute capability `architecture`; see `compile_source`."""
    defines = f"R={shape.rows}", f"D={shape.stages}", f"SCORE_TYPE={score_type}"
    return compile_source(SOURCE, architecture, defines)


class Arguments(ctypes.Structure):
    """`struct Arguments` of hopper.cu."""

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
