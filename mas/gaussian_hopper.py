"""gaussian_search at `bf16x3` on cards with thread block clusters. The kernels: hopper.cu and gaussian.cu.

Scores that fit a fixed memory are written by one kernel, and `mas.hopper` searches. Longer texts' scores are
made while the search goes, by other warps of the same thread blocks, and never exist but for two tiles of 128
tokens and 128 frames for each 128 tokens.

B batch, T text tokens, S speech frames, C channels.
"""

import ctypes
import functools
import math

import torch
from torch import Tensor

from mas import hopper
from mas.cuda import Kernel, architecture, compile_source

_SIDE, _TEAM = 128, 256  # as in gaussian.cu: tokens and frames of a tile, threads that make it
_TILE_BYTES = 4 * _SIDE * 128 + 8 * _SIDE * 4
_FUSED = hopper.Shape(rows=4, warps=2, blocks=1, stages=4)
_FUSED_TOKENS = 256 * 16  # in a cluster of 16 thread blocks, the most there are
_MEMORY_BYTES = 40 << 20  # for scores; histories come on top
_FEW_TOKENS = 512  # so few thread blocks an item would leave most of the card idle


def durations(
    mean: Tensor, log_scale: Tensor | None, speech: Tensor, text_lengths: Tensor, speech_lengths: Tensor
) -> Tensor:
    """int64 `[B, T]`, a row of -1 for an item without a path; arguments as of `mas.gaussian_search`, all
    float32 on one card. Memory: 60 MB at 16 texts of 2048 tokens and 8192 frames.
    """
    B, T, _ = mean.shape
    S = speech.shape[1]
    text_lengths, speech_lengths = text_lengths.contiguous(), speech_lengths.contiguous()
    bytes_each = 4 * T * _padded(S)
    if B * bytes_each > _MEMORY_BYTES and _FEW_TOKENS < T <= _FUSED_TOKENS:
        search, items = _search_fused, max(1, hopper.processors(mean.device.index) // _blocks(T))
    else:
        search, items = _search_scores, max(1, _MEMORY_BYTES // bytes_each)
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
    what depends on the frame alone."""
    B, T, _ = mean.shape
    S = speech.shape[1]
    padded = torch.empty((B, T, _padded(S)), dtype=torch.float32, device=mean.device)
    arguments = _arguments(padded, text_lengths, speech_lengths, T, S)
    tiles = -(-T // _SIDE) * -(-S // _SIDE)
    kernel = _kernel(mean.device.index, "scores", log_scale is None, 1)
    kernel.launch(B * tiles, arguments, _gaussians(mean, log_scale, speech))
    return padded[:, :, :S]


def _search_scores(mean, log_scale, speech, text_lengths, speech_lengths) -> Tensor:
    made = scores(mean, log_scale, speech, text_lengths, speech_lengths)
    return hopper.durations(made, text_lengths, speech_lengths)


def _search_fused(mean, log_scale, speech, text_lengths, speech_lengths) -> Tensor:
    B, T, _ = mean.shape
    S, device = speech.shape[1], mean.device
    blocks = _blocks(T)
    words = hopper.history_words(T, S, _FUSED.rows)
    rings = torch.empty(B * blocks * 256 * 2 * _SIDE, dtype=torch.float32, device=device)
    histories = torch.empty(B * words, dtype=torch.int32, device=device)
    result = torch.empty((B, T), dtype=torch.int64, device=device)
    arguments = _arguments(rings, text_lengths, speech_lengths, T, S)
    arguments.durations, arguments.histories = result.data_ptr(), histories.data_ptr()
    arguments.history_words = words
    kernel = _kernel(device.index, "search", log_scale is None, blocks)
    kernel.launch(B * blocks, arguments, _gaussians(mean, log_scale, speech))
    return result


def _blocks(T: int) -> int:
    return -(-T // 256)


def _padded(S: int) -> int:
    return -(-S // 4) * 4  # rows that begin at 16 bytes are read faster


@functools.cache
def _kernel(index: int, name: str, unit_variance: bool, blocks: int) -> Kernel:
    code = compile_kernels(architecture(index), unit_variance)
    if name == "scores":
        return Kernel(index, code, name, _TEAM, _TILE_BYTES)
    shared_bytes = _FUSED._replace(blocks=blocks).shared_bytes + _TILE_BYTES
    return Kernel(index, code, name, 64 * _FUSED.warps + _TEAM, shared_bytes, blocks)


@functools.lru_cache(maxsize=4)
def compile_kernels(architecture: int, unit_variance: bool) -> bytes:
    """Machine code of both kernels for a card of compute capability `architecture`; see `compile_source`."""
    defines = [f"R={_FUSED.rows}", f"D={_FUSED.stages}", "SCORE_TYPE=0", "GAUSSIAN"]
    if unit_variance:
        defines.append("UNIT_VARIANCE")
    return compile_source(hopper.SOURCE, architecture, defines)


class _Gaussians(ctypes.Structure):
    """`struct Gaussians` of gaussian.cu."""

    _fields_ = [
        ("mean", ctypes.c_uint64),
        ("mean_strides", ctypes.c_int64 * 3),
        ("log_scale", ctypes.c_uint64),
        ("scale_strides", ctypes.c_int64 * 3),
        ("speech", ctypes.c_uint64),
        ("speech_strides", ctypes.c_int64 * 3),
        ("C", ctypes.c_int32),
        ("constant", ctypes.c_float),
        ("tokens_by_fours", ctypes.c_int32),
        ("frames_by_fours", ctypes.c_int32),
    ]


def _gaussians(mean: Tensor, log_scale: Tensor | None, speech: Tensor) -> _Gaussians:
    C = mean.shape[2]
    scale = mean if log_scale is None else log_scale
    return _Gaussians(
        mean.data_ptr(), mean.stride(), scale.data_ptr(), scale.stride(), speech.data_ptr(), speech.stride(),
        C, -0.5 * C * math.log(2 * math.pi), _by_fours(mean) and _by_fours(scale), _by_fours(speech),
    )  # fmt: skip


def _by_fours(vectors: Tensor) -> bool:
    """Whether every 4 channels from a multiple of 4 on can be read at once."""
    of_batch, of_row, of_channel = vectors.stride()
    return of_channel == 1 and of_row % 4 == of_batch % 4 == 0 and vectors.data_ptr() % 16 == 0


def _arguments(
    scores: Tensor, text_lengths: Tensor, speech_lengths: Tensor, T: int, S: int
) -> hopper.Arguments:
    strides = scores.stride() if scores.dim() == 3 else (0, 0, 0)
    return hopper.Arguments(
        scores.data_ptr(), *strides, text_lengths.data_ptr(), speech_lengths.data_ptr(), 0, 0, 0, T, S,
        text_lengths.dtype == torch.int64, speech_lengths.dtype == torch.int64, 0,
    )  # fmt: skip
