"""Bias and noise for the CPU backend, as `mas/added.py` defines them.

i counts tokens, j counts frames. A tile holds the scores of some frames, [frame, token].
"""

import numpy as np

from mas.added import BYTES, CENTRE, CUBIC, FACTOR_1, FACTOR_2, GOLDEN, STRETCH
from mas.backends.cpu_threads import compiled

_FACTOR_1, _FACTOR_2, _GOLDEN = np.uint32(FACTOR_1), np.uint32(FACTOR_2), np.uint32(GOLDEN)
_BYTES, _CENTRE = np.uint32(BYTES), np.int32(CENTRE)
_STRETCH, _CUBIC = np.float32(STRETCH), np.float32(CUBIC)
_8, _15, _16 = np.uint32(8), np.uint32(15), np.uint32(16)


@compiled
def add_scaled(tile, bias_tile, scale, low, high, width):
    """tile += scale * bias_tile, for tokens from low to high."""
    low, high = np.uint64(low), np.uint64(high)
    for k in range(np.uint64(width)):
        for i in range(low, high):
            tile[k, i] += scale * bias_tile[k, i]


@compiled
def add_noise(tile, keys, scale, j0, low, high, width):
    """tile += scale * noise, for tokens from low to high and frames from j0 on. keys: of each token."""
    low, high = np.uint64(low), np.uint64(high)
    for k in range(np.uint64(width)):
        j = np.uint32(j0 + k)
        for i in range(low, high):
            key = keys[i]
            v = _mixed(key ^ j)
            w = _mixed(v + key)
            pairs = (v & _BYTES) + ((v >> _8) & _BYTES) + (w & _BYTES) + ((w >> _8) & _BYTES)
            d = np.float32(np.int32((pairs & np.uint32(0xFFFF)) + (pairs >> _16)) - _CENTRE)
            tile[k, i] += scale * (d * (_STRETCH + _CUBIC * (d * d)))


@compiled
def row_key(seed, b, i):
    """The key of token i of item b, uint32."""
    seed = np.uint64(seed)
    key = _mixed(np.uint32(seed & np.uint64(0xFFFFFFFF)) + _GOLDEN)
    key = _mixed(key ^ np.uint32(seed >> np.uint64(32)))
    return _mixed(_mixed(key ^ np.uint32(b)) ^ np.uint32(i))


@compiled
def _mixed(x):
    """32 bits of x, mixed. Each step is cast: numba adds and multiplies 32-bit integers in 64 bits."""
    x = np.uint32(np.uint32(x) ^ (np.uint32(x) >> _16))
    x = np.uint32(x * _FACTOR_1)
    x = np.uint32(x ^ (x >> _15))
    x = np.uint32(x * _FACTOR_2)
    return np.uint32(x ^ (x >> _15))
