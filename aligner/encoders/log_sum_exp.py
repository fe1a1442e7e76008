"""The sum of exponentials on a CPU in one pass over memory, where PyTorch takes six.

F frames, K Gaussians, M states. Vectorised over states by numba's compiler.
"""

import numpy as np

from mas.backends.cpu_threads import fused

_LEAST = np.float32(-80.0)  # added to 1, its exponential changes nothing; below exp(-87) floats are denormal
# exp(x) = 2^k * exp(r), r from -0.35 to 0.35.
# Source: the constants of Cephes, expf (S. Moshier, public domain).
_LOG2_E, _LN2_HIGH, _LN2_LOW = np.float32(1.44269504), np.float32(0.693359375), np.float32(-2.12194440e-4)
_ROUNDER, _ROUNDER_BITS = np.float32(12582912.0), np.int32(0x4B400000)  # 1.5 * 2^23
_P0, _P1, _P2 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3), np.float32(8.3334519073e-3)
_P3, _P4, _P5 = np.float32(4.1665795894e-2), np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)
_ONE = np.float32(1)


@fused
def sum_exp_(values, largest):
    """Sums over K of exp(values - largest), into `values[:, 0]`; what else is in `values` is lost.

    Args:
        values: float32 `[F, K, M]`.
        largest: float32 `[F, M]`: the largest of each K is written to it.
    """
    frames, K, M = values.shape
    for f in range(frames):
        for m in range(M):
            largest[f, m] = values[f, 0, m]
        for k in range(1, K):
            for m in range(M):
                largest[f, m] = max(largest[f, m], values[f, k, m])
        for m in range(M):
            values[f, 0, m] = _exp(values[f, 0, m] - largest[f, m])
        for k in range(1, K):
            for m in range(M):
                values[f, 0, m] += _exp(values[f, k, m] - largest[f, m])


@fused
def _exp(x):
    x = max(x, _LEAST)
    rounded = x * _LOG2_E + _ROUNDER
    k = rounded - _ROUNDER
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    p = ((((_P0 * r + _P1) * r + _P2) * r + _P3) * r + _P4) * r + _P5
    bits = np.int32(np.float32(rounded).view(np.int32) - _ROUNDER_BITS)
    power = np.int32(np.int32(bits + np.int32(127)) << np.int32(23))
    return (p * (r * r) + r + _ONE) * np.int32(power).view(np.float32)
