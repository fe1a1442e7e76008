"""The numbers of the forward sum on a CPU, and the loops over tokens that compute with them.

i counts tokens, j counts frames. alpha, beta, u and gamma as in reference_forward.py.

A sum over paths is far outside float32, and that of one token may be e^5000 times that of the next. So a
number is m * 2^e: m, a float32 from 1 to 2, and e, a 32-bit integer of its own. Nothing underflows, errors
are relative (6e-8 an addition), no logarithm is needed, and one exponential a score: all of it is vectorised
by the compiler. Scores beyond 8192, or that add up to 9e7, would not fit; those of such an item, and float64
ones, are computed as logarithms in float64 ("exact"), some twenty times slower.

A column has 8 bytes a token in either form: `logs` views them as float64 `[rows, width]`; `m` and `e` view
the same memory as float32 and int32 `[rows, 2 * width]`, in which e begins at `width`. Token i is at i + 2:
before the first token and behind the last are two places.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mas.backends.cpu_threads import compiled, fused

LARGEST_SCORE = 8192.0  # the exponential of no larger one is exact to float32
LARGEST_SUM = 2.0**27 / 1.4427  # of the largest scores of all frames: far from the ends of int32
NOTHING = np.int32(-(2**29))  # the exponent of 0
_FINITE = np.int32(0x7F800000)  # no bits of the absolute value of a finite float32 are this or more
_NEG_INF = np.float32(-np.inf)
_NO_LOG = -np.inf

# exp(x) = 2^k * exp(r), r from -0.35 to 0.35. k * _LN2_HIGH is exact up to LARGEST_SCORE.
# Source: the constants of Cephes, expf (S. Moshier, public domain).
_LOG2_E, _LN2_HIGH, _LN2_LOW = np.float32(1.44269504), np.float32(0.693359375), np.float32(-2.12194440e-4)
_ROUNDER, _ROUNDER_BITS = np.float32(12582912.0), np.int32(0x4B400000)  # 1.5 * 2^23
_P0, _P1, _P2 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3), np.float32(8.3334519073e-3)
_P3, _P4, _P5 = np.float32(4.1665795894e-2), np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)
_ZERO, _ONE = np.float32(0), np.float32(1)
_LN2 = 0.6931471805599453


class Columns(NamedTuple):
    """Rows of numbers, one a token: the same memory in both forms.

    What is done for each frame takes the arrays: to take one out of this counts references.
    """

    logs: NDArray[np.float64]  # [rows, width]
    m: NDArray[np.float32]  # [rows, 2 * width]
    e: NDArray[np.int32]  # [rows, 2 * width]


@compiled
def columns(rows, width, exact):
    """Columns: the first row is 0, and so are the two places before the first token. The rest is not set.

    It is never read: a step that a path may take leads to no token that cannot reach the end (from one that
    can), and from none that cannot be reached, but for the next three, which `clear` sets.
    """
    logs = np.empty((rows, width), np.float64)
    own = Columns(logs, logs.view(np.float32), logs.view(np.int32))
    for row in range(rows):
        clear(own, row, 0, width if row == 0 else 2, exact)
    return own


@compiled
def clear(own, row, begin, end, exact):
    """Sets places to 0."""
    width = own.logs.shape[1]
    for i in range(max(0, begin), min(end, width)):
        if exact:
            own.logs[row, i] = _NO_LOG
        else:
            own.m[row, i] = _ZERO
            own.e[row, width + i] = NOTHING


@compiled
def set_one(own, row, i, exact):
    """Sets a place to 1."""
    if exact:
        own.logs[row, i] = 0.0
    else:
        own.m[row, i] = _ONE
        own.e[row, own.logs.shape[1] + i] = 0


@compiled
def copy(source, row, to, to_row, begin, end, shift, exact):
    """Copies places begin to end - 1 of one row to places `shift` lower of another."""
    width, to_width = source.logs.shape[1], to.logs.shape[1]
    for i in range(begin, end):
        if exact:
            to.logs[to_row, i - shift] = source.logs[row, i]
        else:
            to.m[to_row, i - shift] = source.m[row, i]
            to.e[to_row, to_width + i - shift] = source.e[row, width + i]


@compiled
def logarithm(own, row, i, exact):
    """The natural logarithm of a place, float64."""
    if exact:
        return own.logs[row, i]
    m = own.m[row, i]
    return _NO_LOG if m == 0 else np.log(m) + own.e[row, own.logs.shape[1] + i] * _LN2


@compiled
def log_add(a, b):
    """log(exp(a) + exp(b))."""
    high, low = max(a, b), min(a, b)
    return high if low == _NO_LOG else high + np.log1p(np.exp(low - high))


# One number. numba makes 64-bit integers of sums of 32-bit ones; the casts undo that.


@fused
def exponential(x):
    """exp(x) as m, from 0.7 to 1.5, and e; 0 for -inf."""
    rounded = x * _LOG2_E + _ROUNDER
    k = rounded - _ROUNDER
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    p = ((((_P0 * r + _P1) * r + _P2) * r + _P3) * r + _P4) * r + _P5
    m = _ZERO if x == _NEG_INF else p * (r * r) + r + _ONE
    return m, np.int32(np.float32(rounded).view(np.int32) - _ROUNDER_BITS)


@fused
def lowered(m, by):
    """m * 2^by, for a `by` of at most 0; 0 below 2^-126."""
    power = np.int32(np.int32(max(by, np.int32(-127)) + np.int32(127)) << np.int32(23))
    return m * np.int32(power).view(np.float32)


@fused
def _plus(m0, e0, m1, e1):
    """The sum of two numbers; its m is from 1 to 4."""
    e = max(e0, e1)
    return lowered(m0, np.int32(e0 - e)) + lowered(m1, np.int32(e1 - e)), e


@fused
def _normal(m, e):
    """The same number with an m from 1 to 2; the m given is at least 2^-126, or 0."""
    bits = np.float32(m).view(np.int32)
    own = np.int32(np.int32(bits & np.int32(0x007FFFFF)) | np.int32(0x3F800000))
    e = np.int32(e + np.int32(np.int32(bits >> np.int32(23)) - np.int32(127)))
    return (_ZERO, NOTHING) if bits == 0 else (np.int32(own).view(np.float32), e)


@fused
def _share(m, e):
    """m * 2^e as a float32, where it is at most about 1."""
    return lowered(m * np.float32(2), np.int32(min(np.int32(e - np.int32(1)), np.int32(0))))


# The loops over the frames of a stretch and its tokens. They are functions of many frames, since a call with
# so many arrays takes as long as a hundred tokens. Unsigned indices spare the check for negative ones, which
# would keep the compiler from vectorising. Tokens count from `base`, and end with `last`, which counts from
# 0; frames of x, gamma and of rows from `j0`. A frame has the tokens low[j] to high[j] - 1.


@fused
def largest_bits(x, k, begin, end):
    """The bits of the largest absolute value among scores but -inf; from 0x7F800000: one is NaN or +inf."""
    most = np.int32(0)
    for i in range(np.uint64(begin), np.uint64(end)):
        own = np.float32(x[k, i])
        bits = np.int32(np.float32(own).view(np.int32) & np.int32(0x7FFFFFFF))
        most = max(most, np.int32(0) if own == _NEG_INF else bits)
    return most


@fused
def _clear_three(m, e, row, begin, width):
    for i in range(max(0, begin), min(begin + 3, width)):
        m[row, i] = _ZERO
        e[row, width + i] = NOTHING


@fused
def grow(x, m, e, width, rolling, skips, may_skip, low, high, j0, j1, base, last):
    """alpha of the frames j0 to j1 - 1, each from that of the one before.

    rolling: in two rows, that of an even frame in row 1; otherwise in row k + 1 for the k-th frame.
    """
    one, two, w, first = np.uint64(1), np.uint64(2), np.uint64(width), np.uint64(base)
    for j in range(j0, j1):
        k = np.uint64(j - j0)
        old, new = (np.uint64(j & 1), np.uint64(1 - (j & 1))) if rolling else (k, k + one)
        begin = max(base, low[j]) - base
        end = max(begin, min(last + 1, high[j]) - base)
        if may_skip:
            for i in range(np.uint64(begin), np.uint64(end)):
                power, k2 = exponential(np.float32(x[k, i]))
                sum_, e2 = _plus(m[old, i + two], e[old, w + i + two], m[old, i + one], e[old, w + i + one])
                m3, e3 = (m[old, i], e[old, w + i]) if skips[first + i] else (_ZERO, NOTHING)
                sum_, e2 = _plus(sum_, e2, m3, e3)
                m[new, i + two], e[new, w + i + two] = _normal(sum_ * power, np.int32(e2 + k2))
        else:
            for i in range(np.uint64(begin), np.uint64(end)):
                power, k2 = exponential(np.float32(x[k, i]))
                sum_, e2 = _plus(m[old, i + two], e[old, w + i + two], m[old, i + one], e[old, w + i + one])
                m[new, i + two], e[new, w + i + two] = _normal(sum_ * power, np.int32(e2 + k2))
        _clear_three(m, e, new, begin - 1, width)
        _clear_three(m, e, new, end + 2, width)
        if rolling and j == 0:  # the token before the first
            m[0, 1], e[0, width + 1] = _ZERO, NOTHING


@fused
def shrink(x, m, e, um, ue, width, skips, may_skip, low, high, j0, n, base, first, last, z_m, z_e, gamma):
    """gamma of n frames from j0 on, and u of each in row k, from that behind them in row n.

    At the last frame, only the tokens from `first` on matter. m, e: alpha, as from `grow`. z_m, z_e: the sum
    over all paths. Returns the first token of the first frame, counted from `base`.
    """
    one, two, w, from_ = np.uint64(1), np.uint64(2), np.uint64(width), np.uint64(base)
    inverse, reach, begin = _ONE / z_m, 2 if may_skip else 1, 0
    for back in range(1, n + 1):
        k = np.uint64(n - back)
        j, next_ = j0 + n - back, k + one
        begin = max(low[j], first - reach * (back - 1), base) - base
        end = max(begin, min(last + 1, high[j]) - base)
        if may_skip:
            for i in range(np.uint64(begin), np.uint64(end)):
                power, k2 = exponential(np.float32(x[k, i]))
                at = w + i + two
                sum_, e2 = _plus(
                    um[next_, i + two], ue[next_, at], um[next_, i + two + one], ue[next_, at + one]
                )
                m3, e3 = _ZERO, NOTHING
                if skips[from_ + i + two]:
                    m3, e3 = um[next_, i + two + two], ue[next_, at + two]
                sum_, e2 = _plus(sum_, e2, m3, e3)
                product = m[next_, i + two] * sum_ * inverse
                gamma[k, i] = _share(product, np.int32(np.int32(e[next_, at] + e2) - z_e))
                um[k, i + two], ue[k, at] = _normal(sum_ * power, np.int32(e2 + k2))
        else:
            for i in range(np.uint64(begin), np.uint64(end)):
                power, k2 = exponential(np.float32(x[k, i]))
                at = w + i + two
                sum_, e2 = _plus(
                    um[next_, i + two], ue[next_, at], um[next_, i + two + one], ue[next_, at + one]
                )
                product = m[next_, i + two] * sum_ * inverse
                gamma[k, i] = _share(product, np.int32(np.int32(e[next_, at] + e2) - z_e))
                um[k, i + two], ue[k, at] = _normal(sum_ * power, np.int32(e2 + k2))
        _clear_three(um, ue, k, begin - 1, width)
        _clear_three(um, ue, k, end + 2, width)
    return begin


@compiled
def moved(low, high, j0, k, n, reach, base, first, last, tokens):
    """The first token that a path to frame j0 + k may leave or skip, from `base`, and one more than the last.

    Before the first frame of all, it may skip the first token.
    """
    before = j0 + k - 1
    if before < 0:
        return 0, 1
    begin = max(low[before], first - reach * (n - k), base) - base
    return begin, max(begin, min(min(last + 1, high[before]) + 1, tokens) - base)


@fused
def add_moments(m, e, um, ue, width, skips, may_skip, low, high, j0, n, base, first, last, z_m, z_e, moments):
    """Adds what the paths to frames j0 + 1 to j0 + n (for a j0 of 0, from 0) say of the boundaries they pass.

    moments: `[3, tokens]`: the sums over j of the probability that token i ends at frame j, times 1, j, j^2.
    """
    one, two, w, from_ = np.uint64(1), np.uint64(2), np.uint64(width), np.uint64(base)
    inverse, reach = _ONE / z_m, 2 if may_skip else 1
    for frame in range(0 if j0 == 0 else 1, n + 1):
        k, j = np.uint64(frame), np.float64(j0 + frame)
        begin, end = moved(low, high, j0, frame, n, reach, base, first, last, moments.shape[1])
        for i in range(np.uint64(begin), np.uint64(end)):
            at = w + i + two
            m1, e1 = um[k, i + two + one], ue[k, at + one]
            m_here, e_here = m[k, i + two] * inverse, np.int32(e[k, at] - z_e)
            share = _share(m_here * m1, np.int32(e_here + e1))
            if may_skip:
                e2 = ue[k, at + two] if skips[from_ + i + two] else NOTHING
                e0 = np.int32(e[k, at - one] - z_e) if skips[from_ + i + one] else NOTHING
                share += _share(m_here * um[k, i + two + two], np.int32(e_here + e2))
                share += _share(m[k, i + one] * inverse * m1, np.int32(e0 + e1))
            p = np.float64(share)
            moments[0, from_ + i] += p
            moments[1, from_ + i] += p * j
            moments[2, from_ + i] += p * j * j


@fused
def posterior(m, e, width, row, um, ue, u_width, skips, i, z_m, z_e):
    """gamma of one token, from alpha in `row` and u of the next frame in row 0."""
    sum_, e2 = _plus(um[0, i + 2], ue[0, u_width + i + 2], um[0, i + 3], ue[0, u_width + i + 3])
    if skips[i + 2]:
        sum_, e2 = _plus(sum_, e2, um[0, i + 4], ue[0, u_width + i + 4])
    return _share(m[row, i + 2] * sum_ / z_m, np.int32(np.int32(e[row, width + i + 2] + e2) - z_e))


# The same with logarithms in float64.


@compiled
def _clear_three_exact(logs, row, begin):
    for i in range(max(0, begin), min(begin + 3, logs.shape[1])):
        logs[row, i] = _NO_LOG


@compiled
def grow_exact(x, logs, rolling, skips, low, high, j0, j1, base, last):
    """As `grow`. True if a NaN or +inf occurred."""
    not_finite = False
    for j in range(j0, j1):
        k = j - j0
        old, new = (j & 1, 1 - (j & 1)) if rolling else (k, k + 1)
        begin = max(base, low[j]) - base
        end = max(begin, min(last + 1, high[j]) - base)
        for i in range(begin, end):
            log = log_add(logs[old, i + 2], logs[old, i + 1])
            if skips[base + i]:
                log = log_add(log, logs[old, i])
            own = np.float64(x[k, i])
            logs[new, i + 2] = log + own
            not_finite |= not own < np.inf
        _clear_three_exact(logs, new, begin - 1)
        _clear_three_exact(logs, new, end + 2)
        if rolling and j == 0:
            logs[0, 1] = _NO_LOG
    return not_finite


@compiled
def shrink_exact(x, logs, u, skips, may_skip, low, high, j0, n, base, first, last, log_z, gamma):
    """As `shrink`."""
    reach, begin = 2 if may_skip else 1, 0
    for k in range(n - 1, -1, -1):
        begin = max(low[j0 + k], first - reach * (n - 1 - k), base) - base
        end = max(begin, min(last + 1, high[j0 + k]) - base)
        for i in range(begin, end):
            log = log_add(u[k + 1, i + 2], u[k + 1, i + 3])
            if skips[base + i + 2]:
                log = log_add(log, u[k + 1, i + 4])
            gamma[k, i] = np.exp(logs[k + 1, i + 2] + log - log_z)
            u[k, i + 2] = log + x[k, i]
        _clear_three_exact(u, k, begin - 1)
        _clear_three_exact(u, k, end + 2)
    return begin


@compiled
def add_moments_exact(logs, u, skips, may_skip, low, high, j0, n, base, first, last, log_z, moments):
    """As `add_moments`."""
    for k in range(0 if j0 == 0 else 1, n + 1):
        j = j0 + k
        begin, end = moved(low, high, j0, k, n, 2 if may_skip else 1, base, first, last, moments.shape[1])
        for i in range(begin, end):
            p = np.exp(logs[k, i + 2] + u[k, i + 3] - log_z)
            if skips[base + i + 2]:
                p += np.exp(logs[k, i + 2] + u[k, i + 4] - log_z)
            if skips[base + i + 1]:
                p += np.exp(logs[k, i + 1] + u[k, i + 3] - log_z)
            moments[0, base + i] += p
            moments[1, base + i] += p * j
            moments[2, base + i] += p * j * j


@compiled
def posterior_exact(logs, row, u, skips, i, log_z):
    """As `posterior`."""
    log = log_add(u[0, i + 2], u[0, i + 3])
    if skips[i + 2]:
        log = log_add(log, u[0, i + 4])
    return np.exp(logs[row, i + 2] + log - log_z)
