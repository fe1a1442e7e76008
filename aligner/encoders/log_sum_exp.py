"""The sum of exponentials on a CPU in one pass over memory, where PyTorch takes six.

F frames, K Gaussians, M states. Vectorised over states by numba's compiler.
"""

import numpy as np

from mas.backends.cpu_numbers import exponential, lowered
from mas.backends.cpu_threads import fused

_LEAST = np.float32(-80.0)  # added to 1, its exponential changes nothing; below exp(-87) floats are denormal


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
    m, e = exponential(max(x, _LEAST))
    return lowered(m, e)
