"""The numbers of the forward sum in Triton: those of cpu_numbers.py, and logarithms in float64 (EXACT).

A number is a pair (m, e), m * 2^e: m a float32 from 1 to 2, or 0, and e an int32. EXACT: m is the logarithm,
a float64, and e is not used.
"""

import triton
import triton.language as tl

NOTHING = tl.constexpr(-(2**29))  # the exponent of 0
_LOG2_E, _LN2_HIGH, _LN2_LOW = (
    tl.constexpr(1.44269504),
    tl.constexpr(0.693359375),
    tl.constexpr(-2.12194440e-4),
)
_ROUNDER, _ROUNDER_BITS = tl.constexpr(12582912.0), tl.constexpr(0x4B400000)  # 1.5 * 2^23
_P0, _P1, _P2 = tl.constexpr(1.9875691500e-4), tl.constexpr(1.3981999507e-3), tl.constexpr(8.3334519073e-3)
_P3, _P4, _P5 = tl.constexpr(4.1665795894e-2), tl.constexpr(1.6666665459e-1), tl.constexpr(5.0000001201e-1)


@triton.jit
def zeros(BLOCK: tl.constexpr, EXACT: tl.constexpr):
    """A block of zeros."""
    e = tl.full([BLOCK], NOTHING, tl.int32)
    if EXACT:
        m = tl.full([BLOCK], float("-inf"), tl.float64)
    else:
        m = tl.zeros([BLOCK], tl.float32)
    return m, e


@triton.jit
def ones_where(condition, m, e, EXACT: tl.constexpr):
    """1 where the condition holds, else the number."""
    if EXACT:
        m = tl.where(condition, 0.0, m)
    else:
        m = tl.where(condition, 1.0, m)
    return m, tl.where(condition, 0, e)


@triton.jit
def zeros_where(condition, m, e, EXACT: tl.constexpr):
    """0 where the condition holds, else the number."""
    if EXACT:
        m = tl.where(condition, float("-inf"), m)
    else:
        m = tl.where(condition, 0.0, m)
    return m, tl.where(condition, NOTHING, e)


@triton.jit
def shifted(m, e, by: tl.constexpr, lane, BLOCK: tl.constexpr, EXACT: tl.constexpr):
    """For each lane, the number `by` lanes before it (behind it, for a negative `by`), or 0."""
    source = lane - by
    inside = (source >= 0) & (source < BLOCK)
    source = tl.minimum(tl.maximum(source, 0), BLOCK - 1)
    m = tl.gather(m, source, 0)
    if not EXACT:
        e = tl.gather(e, source, 0)
    return zeros_where(~inside, m, e, EXACT)


@triton.jit
def plus(m0, e0, m1, e1, EXACT: tl.constexpr):
    """The sum of two numbers; its m may be up to 4."""
    if EXACT:
        high, low = tl.maximum(m0, m1), tl.minimum(m0, m1)
        gap = tl.where(low == float("-inf"), 0.0, low - high)
        m = tl.where(low == float("-inf"), high, high + tl.log(1.0 + tl.exp(gap)))
        e = e0
    else:
        e = tl.maximum(e0, e1)
        m = _lowered(m0, e0 - e) + _lowered(m1, e1 - e)
    return m, e


@triton.jit
def times_power(m, e, x, EXACT: tl.constexpr):
    """The number times exp(x), its m again from 1 to 2. x: float32, or float64 if EXACT; -inf gives 0."""
    if EXACT:
        m += x
    else:
        rounded = x * _LOG2_E + _ROUNDER
        k = rounded - _ROUNDER
        r = tl.fma(k, -_LN2_LOW, tl.fma(k, -_LN2_HIGH, x))
        p = ((((_P0 * r + _P1) * r + _P2) * r + _P3) * r + _P4) * r + _P5
        m *= tl.where(x == float("-inf"), 0.0, p * (r * r) + r + 1.0)
        bits = m.to(tl.int32, bitcast=True)
        e += rounded.to(tl.int32, bitcast=True) - _ROUNDER_BITS + (bits >> 23) - 127
        e = tl.where(bits == 0, NOTHING, e)
        m = tl.where(bits == 0, 0.0, ((bits & 0x007FFFFF) | 0x3F800000).to(tl.float32, bitcast=True))
    return m, e


@triton.jit
def share(m0, e0, m1, e1, z_m, z_e, EXACT: tl.constexpr):
    """The product of two numbers over z, at most about 1, as a float32 or, if EXACT, float64."""
    if EXACT:
        p = tl.exp(m0 + m1 - z_m)
    else:
        e = tl.minimum(e0 + e1 - z_e - 1, 0)
        p = _lowered(m0 * m1 * (2.0 / z_m), e)
    return p


@triton.jit
def load(logs, at, mask, EXACT: tl.constexpr):
    """Numbers from memory, 8 bytes each; 0 where the mask is not set. logs: float64."""
    if EXACT:
        m = tl.load(logs + at, mask=mask, other=float("-inf"))
        e = tl.zeros(m.shape, tl.int32)
    else:
        both = tl.load(logs.to(tl.pointer_type(tl.int64)) + at, mask=mask, other=0)
        m = (both & 0xFFFFFFFF).to(tl.int32).to(tl.float32, bitcast=True)
        e = tl.where(mask, (both >> 32).to(tl.int32), NOTHING)
    return m, e


@triton.jit
def store(logs, at, m, e, mask, EXACT: tl.constexpr):
    """Numbers to memory, as `load` reads them."""
    if EXACT:
        tl.store(logs + at, m, mask=mask)
    else:
        low = m.to(tl.int32, bitcast=True).to(tl.int64) & 0xFFFFFFFF
        tl.store(logs.to(tl.pointer_type(tl.int64)) + at, low | (e.to(tl.int64) << 32), mask=mask)


@triton.jit
def _lowered(m, by):
    """m * 2^by, for a `by` of at most 0; 0 below 2^-126."""
    return m * ((tl.maximum(by, -127) + 127) << 23).to(tl.float32, bitcast=True)
