"""What the programs of the search by rows (triton_rows.py) tell each other: Q of their last rows.

It goes through memory. A place that holds NOTHING_YET has not been written; so a value is its own signal, and
no order of two writes matters.
"""

import triton
import triton.language as tl

from mas.backends.triton_row_scores import LANES

NOTHING_YET = tl.constexpr(-1)


@triton.jit
def from_above(q, above, column: tl.constexpr, lane, SEVERAL: tl.constexpr):
    """For each lane q of the one before, for lane 0 that of the program above; in lane 0, q of the last."""
    around = tl.gather(q, (lane - 1) & (LANES - 1), 0)
    if SEVERAL:
        return tl.where(lane == 0, tl.gather(above, lane * 0 + column, 0), around), around
    else:
        return tl.where(lane == 0, float("-inf"), around), around


@triton.jit
def give(to, q, gives, lane, ATOMIC: tl.constexpr):
    """Writes four columns from lane 0."""
    four = tl.reshape(tl.join(tl.join(q[0], q[2]), tl.join(q[1], q[3])), [LANES, 4])
    bits = tl.minimum(four.to(tl.uint32, bitcast=True), 0xFFFFFFFE).to(tl.int32, bitcast=True)
    at = to + (lane * 0)[:, None] + tl.arange(0, 4)[None, :]
    at = tl.max_contiguous(tl.multiple_of(at, (1, 16)), (1, 4))
    mask = (gives & (lane == 0))[:, None]
    if ATOMIC:
        tl.atomic_xchg(at, bits, mask=mask, sem="relaxed")
    else:
        tl.store(at, bits, mask=mask, cache_modifier=".cg")


@triton.jit
def take(inbox, block, until, lane, K: tl.constexpr, ATOMIC: tl.constexpr):
    """The message for a block, column k in lane k: bits of floats, or `NOTHING_YET`; -inf if none comes."""
    mask = (lane < K) & (block < until)
    at = inbox + block * K + lane
    if ATOMIC:
        bits = tl.where(mask, tl.atomic_or(at, 0, mask=mask, sem="relaxed"), -8388608)
    else:
        bits = tl.load(at, mask=mask, other=-8388608, volatile=True)
    return bits
