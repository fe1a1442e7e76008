"""gaussian_search at `bf16x3` on Hopper cards, whose tensor cores it programs. Kernels: hopper.cu and
gaussian.cu.

Scores that fit a fixed memory are written by one kernel, and `mas.hopper` searches. Longer texts' scores are
made while the search goes, by other warps of the same cluster of thread blocks, and never exist but for 288
frames at a time for each 128 tokens.

B batch, T text tokens, S speech frames, C channels.
"""

import ctypes
import functools
import math
from typing import NamedTuple

import torch
from torch import Tensor

from mas import hopper
from mas.cuda import Kernel, architecture, compile_source

_SIDE, _TEAM = 128, 256  # as in gaussian.cu: tokens and frames of a tile, threads that make it
_TILE_BYTES = 4 * _SIDE * 128 + 8 * _SIDE * 4
_RING_FLOATS = 9 * _SIDE * 32  # of a search warp: nine quarters of tiles
_HOPPER = 90  # compute capability: later cards have other instructions for this
_MAX_CLUSTER = 16  # thread blocks
_FUSED_TOKENS = _MAX_CLUSTER * 256
_MEMORY_BYTES = 40 << 20  # for scores; histories come on top
_FEW_TOKENS = 512  # so few thread blocks an item would leave most of the card idle


def serves(mean: Tensor, speech: Tensor) -> bool:
    """Of a card that the `hopper` backend serves: whether it runs these kernels and they can count so far."""
    elements = max(mean.shape[1], speech.shape[1]) * (mean.shape[2] + 32)
    return architecture(mean.device.index) == _HOPPER and elements < 2**31


def durations(
    mean: Tensor, log_scale: Tensor | None, speech: Tensor, text_lengths: Tensor, speech_lengths: Tensor
) -> Tensor:
    """int64 `[B, T]`, a row of -1 for an item without a path; arguments as of `mas.gaussian_search`, all
    float32 on one card. Memory: 64 MB at 16 texts of 2048 tokens and 8192 frames.
    """
    B, T, _ = mean.shape
    S = speech.shape[1]
    text_lengths, speech_lengths = text_lengths.contiguous(), speech_lengths.contiguous()
    mean, log_scale, speech = _countable(mean, log_scale, speech)
    bytes_each = 4 * T * _padded(S)
    shape, items = None, max(1, _MEMORY_BYTES // bytes_each)
    if items < B and _FEW_TOKENS < T <= _FUSED_TOKENS:
        shape, items = _best_shape(mean.device.index, T, B, Layout.of(mean, log_scale, speech))

    def search(*inputs: Tensor | None) -> Tensor:
        return _search_fused(shape, *inputs) if shape else _search_scores(*inputs)

    if items >= B:
        return search(mean, log_scale, speech, text_lengths, speech_lengths)
    found = []
    for b in range(0, B, items):
        group = slice(b, b + items)
        scale = None if log_scale is None else log_scale[group]
        found.append(search(mean[group], scale, speech[group], text_lengths[group], speech_lengths[group]))
    return torch.cat(found)


def scores(
    mean: Tensor, log_scale: Tensor | None, speech: Tensor, text_lengths: Tensor, speech_lengths: Tensor
) -> Tensor:
    """`[B, T, S]`: `mas.log_likelihood` wherever some path can pass, undefined elsewhere. Without scales less
    what depends on the frame alone. Means and scales lie alike in memory (`_countable`)."""
    B, T, _ = mean.shape
    S = speech.shape[1]
    padded = torch.empty((B, T, _padded(S)), dtype=torch.float32, device=mean.device)
    arguments = _arguments(padded, text_lengths, speech_lengths, T, S)
    tiles = -(-T // _SIDE) * -(-S // _SIDE)
    layout = Layout.of(mean, log_scale, speech)
    kernel = _kernel(mean.device.index, "scores", _shape(T, 3), layout)
    kernel.launch(B * tiles, arguments, _gaussians(mean, log_scale, speech))
    return padded[:, :, :S]


def _search_scores(mean, log_scale, speech, text_lengths, speech_lengths) -> Tensor:
    made = scores(mean, log_scale, speech, text_lengths, speech_lengths)
    return hopper.durations(made, text_lengths, speech_lengths)


def _search_fused(shape, mean, log_scale, speech, text_lengths, speech_lengths) -> Tensor:
    B, T, _ = mean.shape
    S, device = speech.shape[1], mean.device
    words = hopper.history_words(T, S, shape.rows)
    rings = torch.empty((B, -(-T // _SIDE) * _RING_FLOATS), dtype=torch.float32, device=device)
    histories = torch.empty(B * words, dtype=torch.int32, device=device)
    result = torch.empty((B, T), dtype=torch.int64, device=device)
    arguments = _arguments(rings[:, None], text_lengths, speech_lengths, T, S)
    arguments.durations, arguments.histories = result.data_ptr(), histories.data_ptr()
    arguments.history_words = words
    kernel = _kernel(device.index, "search", shape, Layout.of(mean, log_scale, speech))
    kernel.launch(B * shape.blocks, arguments, _gaussians(mean, log_scale, speech))
    return result


def _shape(T: int, warps: int) -> hopper.Shape:
    return hopper.Shape(rows=4, warps=warps, blocks=-(-T // (128 * warps)), stages={2: 4, 3: 3}[warps])


@functools.lru_cache(maxsize=4096)
def _best_shape(index: int, T: int, B: int, layout: "Layout") -> tuple[hopper.Shape, int]:
    """How an item is spread, and how many items to search at once: all, if there is a way.

    Two search warps in a thread block leave more of the card to make scores, three fit more items. Where it
    has room for thread blocks without search warps, those help to make scores.
    """
    for shape in _shape(T, 2), _shape(T, 3):
        at_once = _kernel(index, "search", shape, layout).clusters_at_once
        if at_once(shape.blocks) >= B:
            blocks = max(n for n in range(shape.blocks, _MAX_CLUSTER + 1) if at_once(n) >= B)
            return shape._replace(blocks=blocks), B
    return shape, max(1, at_once(shape.blocks))


def _padded(S: int) -> int:
    return -(-S // 4) * 4  # rows that begin at 16 bytes are read faster


class Layout(NamedTuple):
    """What the kernels are compiled for."""

    unit_variance: bool
    tokens_by_fours: bool  # whether every 4 channels from a multiple of 4 on can be read at once
    frames_by_fours: bool

    @classmethod
    def of(cls, mean: Tensor, log_scale: Tensor | None, speech: Tensor) -> "Layout":
        by_fours = _by_fours(mean) and (log_scale is None or _by_fours(log_scale))
        return cls(log_scale is None, by_fours, _by_fours(speech))


@functools.cache
def _kernel(index: int, name: str, shape: hopper.Shape, layout: Layout) -> Kernel:
    code = compile_kernels(architecture(index), shape.warps, shape.stages, layout)
    if name == "scores":
        return Kernel(index, code, name, _TEAM, _TILE_BYTES)
    shared_bytes = shape.shared_bytes + _TILE_BYTES
    return Kernel(index, code, name, 64 * shape.warps + _TEAM, shared_bytes, shape.blocks)


@functools.lru_cache(maxsize=16)
def compile_kernels(architecture: int, warps: int, stages: int, layout: Layout) -> bytes:
    """Machine code of both kernels for a card of compute capability `architecture`; see `compile_source`."""
    defines = ["R=4", f"D={stages}", "SCORE_TYPE=0", f"GAUSSIAN={warps}"]
    defines += [f"{name.upper()}={int(value)}" for name, value in layout._asdict().items()]
    return compile_source(hopper.SOURCE, architecture, defines)


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
    """The same, copied where the kernels could not count in 31 bits or by one pair of strides for both."""
    alike = log_scale is None or mean.stride()[1:] == log_scale.stride()[1:]
    if not alike or not _near(mean):
        mean, log_scale = mean.contiguous(), None if log_scale is None else log_scale.contiguous()
    return mean, log_scale, speech if _near(speech) else speech.contiguous()


def _near(vectors: Tensor) -> bool:
    """Whether the elements of an item can be counted in 31 bits."""
    _, rows, channels = vectors.shape
    _, of_row, of_channel = vectors.stride()
    return (rows - 1) * abs(of_row) + (channels + 32) * abs(of_channel) < 2**31


def _by_fours(vectors: Tensor) -> bool:
    of_batch, of_row, of_channel = vectors.stride()
    return of_channel == 1 and of_row % 4 == of_batch % 4 == 0 and vectors.data_ptr() % 16 == 0


def _arguments(
    scores: Tensor, text_lengths: Tensor, speech_lengths: Tensor, T: int, S: int
) -> hopper.Arguments:
    return hopper.Arguments(
        scores.data_ptr(), *scores.stride(), text_lengths.data_ptr(), speech_lengths.data_ptr(), 0, 0, 0,
        T, S, text_lengths.dtype == torch.int64, speech_lengths.dtype == torch.int64, 0,
    )  # fmt: skip
