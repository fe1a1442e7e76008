"""gaussian_search at `bf16x3`, on the tensor cores of Hopper GPUs. Kernels: search.cu and gaussian.cu.

Scores that fit into a fixed memory are written by one kernel, and then searched. For longer texts one kernel
does both: some warps of a thread block cluster compute scores, others search them. Then only 288 frames of
scores exist at a time, for each 128 tokens.

B batch, T text tokens, S speech frames, C channels.
"""

import ctypes
import functools
import math
from typing import NamedTuple

import torch
from torch import Tensor

from mas.backends.hopper import search
from mas.backends.hopper.cuda_driver import Kernel, architecture, compile_source

# Sizes that gaussian.cu gets with -D. It has static assertions for those that follow from others.
_SIDE = 128  # tokens and frames of a tile
_TEAM = 256  # threads that compute a tile
_TILE_BYTES = (
    4 * _SIDE * 128 + 8 * _SIDE * 4
)  # shared memory: two slices of both factors, constants of two tiles
_QUARTERS = 9  # quarter tiles in the ring of a search warp
_RING_FLOATS = _QUARTERS * _SIDE * (_SIDE // 4)
_MAX_CLUSTER = 16  # thread blocks
_FUSED_TOKENS = _MAX_CLUSTER * 256

_HOPPER = 90  # compute capability: later GPUs have other instructions for this
_MEMORY_BYTES = 40 << 20  # for scores; histories need more
_FEW_TOKENS = 512  # for fewer tokens an item has so few thread blocks that most of the GPU would be idle


def serves(mean: Tensor, speech: Tensor) -> bool:
    """Whether these kernels run on a GPU that the `hopper` backend serves, and can index these inputs.

    Args:
        mean: `[B, T, C]`.
        speech: `[B, S, C]`.
    """
    elements = max(mean.shape[1], speech.shape[1]) * (mean.shape[2] + 32)
    return architecture(mean.device.index) == _HOPPER and elements < 2**31


def gaussian_durations(
    mean: Tensor, log_scale: Tensor | None, speech: Tensor, text_lengths: Tensor, speech_lengths: Tensor
) -> Tensor:
    """Durations int64 `[B, T]`, with a row of -1 for an item without a path.

    Memory: 64 MB for 16 texts of 2048 tokens and 8192 frames.

    Args:
        mean: float32 `[B, T, C]`, on a GPU, as all others.
        log_scale: float32 `[B, T, C]`, natural log of the standard deviation; None is unit variance.
        speech: float32 `[B, S, C]`.
        text_lengths: `[B]`.
        speech_lengths: `[B]`.
    """
    B, T, _ = mean.shape
    S = speech.shape[1]
    text_lengths, speech_lengths = text_lengths.contiguous(), speech_lengths.contiguous()
    mean, log_scale, speech = _countable(mean, log_scale, speech)
    bytes_each = 4 * T * _padded(S)
    shape, items = None, max(1, _MEMORY_BYTES // bytes_each)
    if items < B and _FEW_TOKENS < T <= _FUSED_TOKENS:
        shape, items = _best_shape(mean.device.index, T, B, MemoryLayout.of(mean, log_scale, speech))

    def search_group(*inputs: Tensor | None) -> Tensor:
        return _search_fused(shape, *inputs) if shape else _search_scores(*inputs)

    if items >= B:
        return search_group(mean, log_scale, speech, text_lengths, speech_lengths)
    found = []
    for b in range(0, B, items):
        group = slice(b, b + items)
        scale = None if log_scale is None else log_scale[group]
        found.append(
            search_group(mean[group], scale, speech[group], text_lengths[group], speech_lengths[group])
        )
    return torch.cat(found)


def gaussian_scores(
    mean: Tensor, log_scale: Tensor | None, speech: Tensor, text_lengths: Tensor, speech_lengths: Tensor
) -> Tensor:
    """`mas.log_likelihood` `[B, T, S]` where a path can pass; undefined elsewhere.

    Without scales, the terms that depend on the frame alone are left out.

    Args:
        mean: As in `gaussian_durations`.
        log_scale: As in `gaussian_durations`, with the strides of `mean` (see `_countable`).
        speech: As in `gaussian_durations`.
        text_lengths: As in `gaussian_durations`.
        speech_lengths: As in `gaussian_durations`.
    """
    B, T, _ = mean.shape
    S = speech.shape[1]
    padded = torch.empty((B, T, _padded(S)), dtype=torch.float32, device=mean.device)
    arguments = _arguments(padded, text_lengths, speech_lengths, T, S)
    tiles = -(-T // _SIDE) * -(-S // _SIDE)
    layout = MemoryLayout.of(mean, log_scale, speech)
    kernel = _kernel(mean.device.index, "scores", _fused_shape(T, 3), layout)
    kernel.launch(B * tiles, arguments, _gaussians(mean, log_scale, speech))
    return padded[:, :, :S]


def _search_scores(mean, log_scale, speech, text_lengths, speech_lengths) -> Tensor:
    scores = gaussian_scores(mean, log_scale, speech, text_lengths, speech_lengths)
    return search.durations(scores, text_lengths, speech_lengths)


def _search_fused(shape, mean, log_scale, speech, text_lengths, speech_lengths) -> Tensor:
    B, T, _ = mean.shape
    S, device = speech.shape[1], mean.device
    words = search.history_words(T, S, shape.rows)
    rings = torch.empty((B, -(-T // _SIDE) * _RING_FLOATS), dtype=torch.float32, device=device)
    histories = torch.empty(B * words, dtype=torch.int32, device=device)
    result = torch.empty((B, T), dtype=torch.int64, device=device)
    arguments = _arguments(rings[:, None], text_lengths, speech_lengths, T, S)
    arguments.durations, arguments.histories = result.data_ptr(), histories.data_ptr()
    arguments.history_words = words
    kernel = _kernel(device.index, "search", shape, MemoryLayout.of(mean, log_scale, speech))
    kernel.launch(B * shape.blocks, arguments, _gaussians(mean, log_scale, speech))
    return result


def _fused_shape(T: int, warps: int) -> search.Shape:
    return search.Shape(rows=4, warps=warps, blocks=-(-T // (128 * warps)), stages={2: 4, 3: 3}[warps])


@functools.lru_cache(maxsize=4096)
def _best_shape(index: int, T: int, B: int, layout: "MemoryLayout") -> tuple[search.Shape, int]:
    """How the tokens of an item are spread, and how many items to search at once: all of them if possible.

    With two search warps in a thread block more of the GPU computes scores; with three, more items fit. Where
    the GPU has room for thread blocks without search warps, those also compute scores.
    """
    for shape in _fused_shape(T, 2), _fused_shape(T, 3):
        at_once = _kernel(index, "search", shape, layout).clusters_at_once
        if at_once(shape.blocks) >= B:
            blocks = max(n for n in range(shape.blocks, _MAX_CLUSTER + 1) if at_once(n) >= B)
            return shape._replace(blocks=blocks), B
    return shape, max(1, at_once(shape.blocks))


def _padded(S: int) -> int:
    return -(-S // 4) * 4  # rows that begin at 16 bytes are read faster


class MemoryLayout(NamedTuple):
    """How the inputs lie in memory: the kernels are compiled for it."""

    unit_variance: bool
    tokens_by_fours: bool  # whether 4 channels of a token can be read at once, from each multiple of 4
    frames_by_fours: bool  # likewise of a frame

    @classmethod
    def of(cls, mean: Tensor, log_scale: Tensor | None, speech: Tensor) -> "MemoryLayout":
        by_fours = _by_fours(mean) and (log_scale is None or _by_fours(log_scale))
        return cls(log_scale is None, by_fours, _by_fours(speech))


@functools.cache
def _kernel(index: int, name: str, shape: search.Shape, layout: MemoryLayout) -> Kernel:
    code = compile_kernels(architecture(index), shape.warps, shape.stages, layout)
    if name == "scores":
        return Kernel(index, code, name, _TEAM, _TILE_BYTES)
    shared_bytes = shape.shared_bytes + _TILE_BYTES
    return Kernel(index, code, name, 64 * shape.warps + _TEAM, shared_bytes, shape.blocks)


@functools.lru_cache(maxsize=16)
def compile_kernels(architecture: int, warps: int, stages: int, layout: MemoryLayout) -> bytes:
    """Machine code of both kernels, `scores` and `search`.

    Args:
        architecture: The compute capability of the GPU, as in `compile_source`.
        warps: That search, in each thread block.
        stages: Of 32 frames, in the ring buffer of a search warp.
        layout: Of the inputs.
    """
    shape = search.Shape(rows=4, warps=warps, blocks=1, stages=stages)
    defines = {
        **search.sizes(shape, score_type=0),
        **{name.upper(): int(value) for name, value in layout._asdict().items()},
        "GAUSSIAN": warps,
        "SIDE": _SIDE,
        "TEAM": _TEAM,
        "TILE_BYTES": _TILE_BYTES,
        "QUARTERS": _QUARTERS,
        "RING_FLOATS": _RING_FLOATS,
        "MOST_TOKENS": _FUSED_TOKENS,
        "GAUSSIANS_BYTES": ctypes.sizeof(_Gaussians),
    }
    return compile_source(search.SOURCE, architecture, defines)


class _Gaussians(ctypes.Structure):
    """`struct Gaussians` of gaussian.cu."""

    _fields_ = [
        ("mean", ctypes.c_uint64),
        ("mean_b", ctypes.c_int64),
        ("mean_i", ctypes.c_int32),
        ("mean_c", ctypes.c_int32),
        ("log_scale", ctypes.c_uint64),
        ("scale_b", ctypes.c_int64),
        ("speech", ctypes.c_uint64),
        ("speech_b", ctypes.c_int64),
        ("speech_j", ctypes.c_int32),
        ("speech_c", ctypes.c_int32),
        ("C", ctypes.c_int32),
        ("constant", ctypes.c_float),
    ]


def _gaussians(mean: Tensor, log_scale: Tensor | None, speech: Tensor) -> _Gaussians:
    scale, C = mean if log_scale is None else log_scale, mean.shape[2]
    return _Gaussians(
        mean.data_ptr(), *mean.stride(), scale.data_ptr(), scale.stride(0), speech.data_ptr(),
        *speech.stride(), C, -0.5 * C * math.log(2 * math.pi),
    )  # fmt: skip


def _countable(
    mean: Tensor, log_scale: Tensor | None, speech: Tensor
) -> tuple[Tensor, Tensor | None, Tensor]:
    """The same tensors, copied where the kernels cannot index them.

    They index in 31 bits, and with the same strides for `mean` and `log_scale`.
    """
    alike = log_scale is None or mean.stride()[1:] == log_scale.stride()[1:]
    if not alike or not _near(mean):
        mean, log_scale = mean.contiguous(), None if log_scale is None else log_scale.contiguous()
    return mean, log_scale, speech if _near(speech) else speech.contiguous()


def _near(vectors: Tensor) -> bool:
    """Whether the elements of an item can be indexed in 31 bits."""
    _, rows, channels = vectors.shape
    _, of_row, of_channel = vectors.stride()
    return (rows - 1) * abs(of_row) + (channels + 32) * abs(of_channel) < 2**31


def _by_fours(vectors: Tensor) -> bool:
    of_batch, of_row, of_channel = vectors.stride()
    return of_channel == 1 and of_row % 4 == of_batch % 4 == 0 and vectors.data_ptr() % 16 == 0


def _arguments(
    scores: Tensor, text_lengths: Tensor, speech_lengths: Tensor, T: int, S: int
) -> search.Arguments:
    return search.Arguments(
        scores.data_ptr(), *scores.stride(), text_lengths.data_ptr(), speech_lengths.data_ptr(), 0, 0, 0,
        T, S, text_lengths.dtype == torch.int64, speech_lengths.dtype == torch.int64, 0,
    )  # fmt: skip
