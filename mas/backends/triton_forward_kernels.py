"""The kernels of the forward sum in Triton.

i counts tokens, j counts frames. alpha, u and gamma as in reference_forward.py; numbers as in
triton_numbers.py.

One kernel goes through all frames of an item: a program forwards with alpha and, where posteriors are wanted,
another one backwards with u. Each keeps a column every `distance` frames. A second kernel adds up the last
column. A third one then has all stretches between the columns at once: it makes alpha of a stretch again and
keeps it, goes back through it with u, and gives the posteriors. So the longest chain is one item's frames,
and `[B, T, S]` is never held.

A text of more than BLOCK tokens is cut into blocks, which begin and end `distance` tokens (twice as many with
skips) before and behind what they give, so that they need each other's numbers only from stretch to stretch:
the first kernel is launched for one stretch after the other. A block of a stretch without a posterior above
2^-64 is left out.

Items whose scores are too large for the numbers of the first launch (cpu_numbers.py has why), and float64
scores, are left to a second one, EXACT; its programs end at once where there are none.
"""

import triton
import triton.language as tl

from mas.backends.triton_numbers import (
    load,
    ones_where,
    plus,
    share,
    shifted,
    store,
    times_power,
    zeros_where,
)

_LARGEST_SCORE, _LARGEST_SUM = tl.constexpr(float(2**17)), tl.constexpr(2.0**28 / 1.4427)
_TOO_WIDE = tl.constexpr(1)  # the status of an item for EXACT

# Not compiled anew for numbers and addresses that are multiples of 16, or for strides of 1.
_ITEMS = [
    "scores", "at", "stride", "columns", "scale", "tokens_of", "frames_of", "before", "after", "skips_of",
    "T", "kept", "n_kept", "distance", "totals", "log_sums", "status",
]  # fmt: skip


@triton.jit(do_not_specialize=[*_ITEMS, "largest", "not_finite", "first", "last"])
def columns_kernel(
    scores, at, stride, columns, scale, tokens_of, frames_of, before, after, skips_of, T, kept, n_kept,
    distance, totals, log_sums, status, largest, not_finite, first, last, BLOCK: tl.constexpr,
    SKIPS: tl.constexpr, EXACT: tl.constexpr,
):  # fmt: skip
    """Fills stretches `first` to `last` of `kept`, counted from the end backwards.

    Several blocks of a text have programs of their own, and then a launch has one stretch. `largest` and
    `not_finite` `[B]`, 0 before, get what the forward direction sees of the scores.
    """
    B, blocks = tl.num_programs(0), tl.num_programs(2)
    b, backwards, block = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.program_id(2)
    REACH: tl.constexpr = 2 if SKIPS else 1
    if EXACT:  # noqa: SIM102  (`and` would make a branch of the constant)
        if tl.load(status + b) != _TOO_WIDE:
            return
    T64 = tl.full([], 1, tl.int64) * T
    stride = tl.full([], 1, tl.int64) * stride
    tokens, frames = tl.load(tokens_of + b), tl.load(frames_of + b)
    scores += tl.load(at + b)
    columns, before, after, skips_of = (
        columns + b * T64,
        before + b * T64,
        after + b * T64,
        skips_of + b * (T64 + 2),
    )
    lane = tl.arange(0, BLOCK)
    halo = tl.where(blocks > 1, REACH * distance, 0)
    stretches = (frames + distance - 1) // distance
    end = tl.where(block * (BLOCK - halo) < tokens, tl.minimum(last, stretches), 0)
    if backwards == 0:
        kept += b * n_kept * T64
        base = block * (BLOCK - halo) - halo
        token = base + lane
        for n in range(first, end):
            m, e, most, bad = _alpha_stretch(
                scores, stride, columns, scale, before, after, skips_of, tokens, frames, kept, T64, n,
                distance, base, kept, BLOCK, SKIPS, EXACT, False,
            )  # fmt: skip
            tl.atomic_max(largest + b, most, sem="relaxed")
            tl.atomic_max(not_finite + b, bad, sem="relaxed")
            store(kept + n * T64, token, m, e, (lane >= halo) & (token >= 0) & (token < tokens), EXACT)
            tl.debug_barrier()
    else:
        kept += (B + b) * n_kept * T64
        base = block * (BLOCK - halo)
        token = base + lane
        for back in range(first, end):
            n = stretches - 1 - back
            m, e = _u_at_end(kept, tokens, frames, T64, n, distance, base, BLOCK, EXACT)
            m, e = _u_stretch(
                scores, stride, columns, scale, before, after, skips_of, tokens, frames, n, distance,
                base, m, e, BLOCK, SKIPS, EXACT,
            )  # fmt: skip
            store(kept + n * T64, token, m, e, (lane < BLOCK - halo) & (token < tokens), EXACT)
            tl.debug_barrier()


@triton.jit(do_not_specialize=["skips_of", "T", "n_kept", "distance"])
def sums_kernel(
    tokens_of, frames_of, skips_of, T, kept, n_kept, distance, totals, log_sums, status, largest, not_finite,
    EXACT: tl.constexpr,
):  # fmt: skip
    """Fills `totals`, `log_sums` and `status`: the sum over all paths, from alpha of the last frame."""
    B, b = tl.num_programs(0), tl.program_id(0).to(tl.int64)
    if EXACT:  # noqa: SIM102  (`and` would make a branch of the constant)
        if tl.load(status + b) != _TOO_WIDE:
            return
    T64 = tl.full([], 1, tl.int64) * T
    tokens, frames = tl.load(tokens_of + b), tl.load(frames_of + b)
    last = kept + (b * n_kept + (frames + distance - 1) // distance - 1) * T64
    most_of, bad = tl.load(largest + b), tl.load(not_finite + b)
    lane = tl.arange(0, 2)
    token = tokens - 1 - lane
    skips_last = tl.load(skips_of + b * (T64 + 2) + tokens, mask=frames > 0, other=0) != 0
    ends = (frames > 0) & ((lane == 0) | ((token >= 0) & skips_last))
    m, e = load(last, token, ends, EXACT)
    if EXACT:
        most = tl.max(m)
        gap = tl.where(most == float("-inf"), m, m - most)
        log = most + tl.log(tl.sum(tl.exp(gap)))
        log = tl.where(most == float("-inf"), most, log)
        tl.store(totals + B + b, log)
    else:
        most = tl.max(e)
        sum_ = tl.sum(share(m, e, 1.0, 1, 1.0, most + 1, False))
        log = tl.log(sum_.to(tl.float64)) + most.to(tl.float64) * 0.6931471805599453
        log = tl.where(sum_ == 0.0, float("-inf"), log)
        one = tl.arange(0, 1)
        store(
            totals + b, one, sum_ + tl.zeros([1], tl.float32), most + tl.zeros([1], tl.int32), one == 0, False
        )
        wide = (most_of > _LARGEST_SCORE) | (most_of * frames > _LARGEST_SUM)
        tl.store(status + b, tl.where(wide & (bad == 0), _TOO_WIDE, 0))
    tl.store(log_sums + b, tl.where(bad != 0, float("nan"), log))


@triton.jit
def _score(scores, j, stride, column, scale, before, after, inside, frames, EXACT: tl.constexpr):
    """The scores of frame j: -inf where no path can be."""
    visitable = inside & (before <= j) & (after <= frames - 1 - j)
    x = tl.load(scores + j * stride + column, mask=visitable, other=float("-inf"))
    return x.to(tl.float64 if EXACT else tl.float32) * scale


@triton.jit
def _alpha_stretch(
    scores, stride, columns, scale, before, after, skips_of, tokens, frames, kept, T64, n, distance, base,
    scratch, BLOCK: tl.constexpr, SKIPS: tl.constexpr, EXACT: tl.constexpr, KEEP: tl.constexpr,
):  # fmt: skip
    """alpha of the tokens from `base` on at the last frame of stretch n; also the largest score, and whether
    one is NaN or +inf.

    KEEP: alpha before each frame goes to `scratch` `[distance, BLOCK]`.
    """
    lane = tl.arange(0, BLOCK)
    token = base + lane
    inside = (token >= 0) & (token < tokens)
    column = tl.load(columns + token, mask=inside, other=0)
    own_before = tl.load(before + token, mask=inside, other=0)
    own_after = tl.load(after + token, mask=inside, other=0)
    skips = tl.load(skips_of + token, mask=inside, other=0) != 0
    j0 = n * distance
    j1 = tl.minimum(j0 + distance, frames)
    visited = inside & (own_before < j0) & (own_after <= frames - j0)
    m, e = load(kept + (n - 1) * T64, token, visited, EXACT)
    begins = (token == 0) | (skips & (token == 1))
    largest = tl.zeros([BLOCK], tl.float32)
    not_finite = tl.zeros([BLOCK], tl.int32)
    x0 = _score(scores, j0, stride, column, scale, own_before, own_after, inside, frames, EXACT)
    x1 = _score(scores, j0 + 1, stride, column, scale, own_before, own_after, inside, frames, EXACT)
    x2 = _score(scores, j0 + 2, stride, column, scale, own_before, own_after, inside, frames, EXACT)
    for j in range(j0, j1):
        x = x0
        x0, x1 = x1, x2
        x2 = _score(scores, j + 3, stride, column, scale, own_before, own_after, inside, frames, EXACT)
        not_finite |= (~(x < float("inf"))).to(tl.int32)
        largest = tl.maximum(largest, tl.where(x == float("-inf"), 0.0, tl.abs(x)).to(tl.float32))
        if KEEP:
            store(scratch + (j - j0) * BLOCK, lane, m, e, lane >= 0, EXACT)
        m1, e1 = shifted(m, e, 1, lane, BLOCK, EXACT)
        sum_m, sum_e = plus(m, e, m1, e1, EXACT)
        if SKIPS:
            m2, e2 = shifted(m, e, 2, lane, BLOCK, EXACT)
            m2, e2 = zeros_where(~skips, m2, e2, EXACT)
            sum_m, sum_e = plus(sum_m, sum_e, m2, e2, EXACT)
        sum_m, sum_e = ones_where((j == 0) & begins, sum_m, sum_e, EXACT)
        m, e = times_power(sum_m, sum_e, x, EXACT)
    return m, e, tl.max(largest), tl.max(not_finite)


@triton.jit
def _u_at_end(kept, tokens, frames, T64, n, distance, base, BLOCK: tl.constexpr, EXACT: tl.constexpr):
    """u behind the last frame of stretch n; 0 behind the last of all."""
    token = base + tl.arange(0, BLOCK)
    inside = (token >= 0) & (token < tokens) & ((n + 1) * distance < frames)
    return load(kept + (n + 1) * T64, token, inside, EXACT)


@triton.jit
def _beta(m, e, leaps, at_end, token, tokens, BLOCK: tl.constexpr, SKIPS: tl.constexpr, EXACT: tl.constexpr):
    """From u of the next frame: that of the next token, what goes on to other tokens, and beta.

    at_end: whether the frame is the last. Then u of the token behind the last is 1, all else 0.
    """
    lane = tl.arange(0, BLOCK)
    next_m, next_e = shifted(m, e, -1, lane, BLOCK, EXACT)
    next_m, next_e = ones_where(at_end & (token == tokens - 1), next_m, next_e, EXACT)
    on_m, on_e = next_m, next_e
    if SKIPS:
        m2, e2 = shifted(m, e, -2, lane, BLOCK, EXACT)
        m2, e2 = ones_where(at_end & (token == tokens - 2), m2, e2, EXACT)
        m2, e2 = zeros_where(~leaps, m2, e2, EXACT)
        on_m, on_e = plus(on_m, on_e, m2, e2, EXACT)
    beta_m, beta_e = plus(m, e, on_m, on_e, EXACT)
    return next_m, next_e, on_m, on_e, beta_m, beta_e


@triton.jit
def _u_stretch(
    scores, stride, columns, scale, before, after, skips_of, tokens, frames, n, distance, base, m, e,
    BLOCK: tl.constexpr, SKIPS: tl.constexpr, EXACT: tl.constexpr,
):  # fmt: skip
    """u of the tokens from `base` on at the first frame of stretch n, from that behind it."""
    lane = tl.arange(0, BLOCK)
    token = base + lane
    inside = (token >= 0) & (token < tokens)
    column = tl.load(columns + token, mask=inside, other=0)
    own_before = tl.load(before + token, mask=inside, other=0)
    own_after = tl.load(after + token, mask=inside, other=0)
    leaps = tl.load(skips_of + token + 2, mask=inside, other=0) != 0
    j0 = n * distance
    j1 = tl.minimum(j0 + distance, frames)
    x0 = _score(
        scores, j1 - 1, stride, column, scale, own_before, own_after, inside & (j1 > j0), frames, EXACT
    )
    x1 = _score(
        scores, j1 - 2, stride, column, scale, own_before, own_after, inside & (j1 > j0 + 1), frames, EXACT
    )
    x2 = _score(
        scores, j1 - 3, stride, column, scale, own_before, own_after, inside & (j1 > j0 + 2), frames, EXACT
    )
    for back in range(j1 - j0):
        j = j1 - 1 - back
        x = x0
        x0, x1 = x1, x2
        x2 = _score(
            scores, j - 3, stride, column, scale, own_before, own_after, inside & (j - 3 >= j0), frames, EXACT
        )
        next_m, next_e, on_m, on_e, beta_m, beta_e = _beta(
            m, e, leaps, j == frames - 1, token, tokens, BLOCK, SKIPS, EXACT
        )
        m, e = times_power(beta_m, beta_e, x, EXACT)
    return m, e


_STRETCHES = ["scratch", "target", "target_at", "target_stride", "target_columns", "weights", "moments"]


@triton.jit(do_not_specialize=[*_ITEMS, *_STRETCHES, "B", "blocks", "halo"])
def stretches_kernel(
    scores, at, stride, columns, scale, tokens_of, frames_of, before, after, skips_of, T, kept, n_kept,
    distance, totals, log_sums, status, scratch, target, target_at, target_stride, target_columns, weights,
    moments, B, blocks, halo, BLOCK: tl.constexpr, SKIPS: tl.constexpr, EXACT: tl.constexpr,
    MOMENTS: tl.constexpr, SHARED: tl.constexpr,
):  # fmt: skip
    """Adds the posteriors to the target, or to `moments` `[B, 3, T]` what they say of boundaries.

    Each program takes one block of one stretch of one item after the other. scratch: `[programs, distance,
    BLOCK]`.
    """
    T64 = tl.full([], 1, tl.int64) * T
    stride = tl.full([], 1, tl.int64) * stride
    target_stride = tl.full([], 1, tl.int64) * target_stride
    scratch += tl.program_id(0).to(tl.int64) * distance * BLOCK
    for work in range(tl.program_id(0), B * n_kept * blocks, tl.num_programs(0)):
        n = work // blocks % n_kept
        b = (work // blocks // n_kept).to(tl.int64)
        base = work % blocks * (BLOCK - 2 * halo) - halo
        tokens, frames = tl.load(tokens_of + b), tl.load(frames_of + b)
        log_sum = tl.load(log_sums + b)
        some = (n * distance < frames) & (base + halo < tokens) & (log_sum != float("-inf"))
        some = some & ((tl.load(status + b) == _TOO_WIDE) == EXACT)
        if some & (log_sum != log_sum):
            if not MOMENTS:
                _spoil(
                    tokens, frames, n, distance, base, halo, target + tl.load(target_at + b), target_stride,
                    target_columns + b * T64, BLOCK,
                )  # fmt: skip
        elif some:
            _stretch(
                scores + tl.load(at + b), stride, columns + b * T64, scale, before + b * T64, after + b * T64,
                skips_of + b * (T64 + 2), tokens, frames, kept + b * n_kept * T64,
                kept + (B + b) * n_kept * T64, T64, n, distance, base, halo, totals, b, B, scratch, target,
                target_at, target_stride, target_columns + b * T64, weights, moments + b * 3 * T64, BLOCK,
                SKIPS, EXACT, MOMENTS, SHARED,
            )  # fmt: skip


@triton.jit
def _spoil(
    tokens, frames, n, distance, base, halo, target, target_stride, target_columns, BLOCK: tl.constexpr
):
    """NaN for the posteriors of an item that has one."""
    lane = tl.arange(0, BLOCK)
    token = base + lane
    own = (lane >= halo) & (lane < BLOCK - halo) & (token < tokens)
    column = tl.load(target_columns + token, mask=own, other=0)
    for j in range(n * distance, tl.minimum((n + 1) * distance, frames)):
        tl.store(target + j * target_stride + column, float("nan"), mask=own)


@triton.jit
def _stretch(
    scores, stride, columns, scale, before, after, skips_of, tokens, frames, kept_alpha, kept_u, T64, n,
    distance, base, halo, totals, b, B, scratch, target, target_at, target_stride, target_columns, weights,
    moments, BLOCK: tl.constexpr, SKIPS: tl.constexpr, EXACT: tl.constexpr, MOMENTS: tl.constexpr,
    SHARED: tl.constexpr,
):  # fmt: skip
    """One block of one stretch; see `stretches_kernel`."""
    lane = tl.arange(0, BLOCK)
    token = base + lane
    inside = (token >= 0) & (token < tokens)
    leaps = tl.load(skips_of + token + 2, mask=inside, other=0) != 0
    j0 = n * distance
    j1 = tl.minimum(j0 + distance, frames)
    if EXACT:
        z_m, z_e = tl.load(totals + B + b), 0
    else:
        z = tl.load((totals + b).to(tl.pointer_type(tl.int64)))
        z_m, z_e = (z & 0xFFFFFFFF).to(tl.int32).to(tl.float32, bitcast=True), (z >> 32).to(tl.int32)
    m, e = _u_at_end(kept_u, tokens, frames, T64, n, distance, base, BLOCK, EXACT)
    next_m, next_e, on_m, on_e, beta_m, beta_e = _beta(
        m, e, leaps, j1 == frames, token, tokens, BLOCK, SKIPS, EXACT
    )
    alpha_m, alpha_e = load(kept_alpha + n * T64, token, inside, EXACT)
    p = share(alpha_m, alpha_e, beta_m, beta_e, z_m, z_e, EXACT)
    if tl.max(tl.where(lane >= halo, p, 0.0)) > 5.421010862427522e-20:
        own = inside & (lane >= halo) & (lane < BLOCK - halo)
        column = tl.load(columns + token, mask=inside, other=0)
        own_before = tl.load(before + token, mask=inside, other=0)
        own_after = tl.load(after + token, mask=inside, other=0)
        tl.debug_barrier()  # after the last stretch was read
        alpha_m, alpha_e, largest, not_finite = _alpha_stretch(
            scores, stride, columns, scale, before, after, skips_of, tokens, frames, kept_alpha, T64, n,
            distance, base, scratch, BLOCK, SKIPS, EXACT, True,
        )  # fmt: skip
        tl.debug_barrier()  # before alpha is read back, maybe by other threads
        if MOMENTS:
            skippable = tl.load(skips_of + token + 1, mask=inside, other=0) != 0
            w0 = tl.zeros([BLOCK], tl.float64)
            w1, w2, zero = w0, w0, tl.full([], 0.0, tl.float64)
        else:
            place = tl.load(target_at + b) + tl.load(target_columns + token, mask=own, other=0)
            common = tl.load(target_at + b) + tl.load(target_columns)
            weight = tl.load(weights + b).to(p.dtype)
        for back in range(j1 - j0):
            j = j1 - 1 - back
            x = _score(scores, j, stride, column, scale, own_before, own_after, inside, frames, EXACT)
            next_m, next_e, on_m, on_e, beta_m, beta_e = _beta(
                m, e, leaps, j == frames - 1, token, tokens, BLOCK, SKIPS, EXACT
            )
            if MOMENTS:
                p = share(alpha_m, alpha_e, on_m, on_e, z_m, z_e, EXACT)
                if SKIPS:
                    m1, e1 = shifted(alpha_m, alpha_e, 1, lane, BLOCK, EXACT)
                    m1, e1 = zeros_where(~skippable, m1, e1, EXACT)
                    p += share(m1, e1, next_m, next_e, z_m, z_e, EXACT)
                share_ = p.to(tl.float64)
                end = zero + (j + 1)
                w0 += share_
                w1 += share_ * end
                w2 += share_ * end * end
            else:
                p = weight * share(alpha_m, alpha_e, beta_m, beta_e, z_m, z_e, EXACT)
                to = target + j * target_stride
                if SHARED:
                    # Many tokens may have the state of the first one (a blank): these are added up here.
                    is_common = own & (place == common)
                    tl.atomic_add(to + common, tl.sum(tl.where(is_common, p, 0.0)), sem="relaxed")
                    tl.atomic_add(to + place, p, mask=own & ~is_common & (p != 0.0), sem="relaxed")
                else:
                    tl.store(to + place, p, mask=own & (p != 0.0))
            m, e = times_power(beta_m, beta_e, x, EXACT)
            alpha_m, alpha_e = load(scratch + (j - j0) * BLOCK, lane, lane >= 0, EXACT)
        if MOMENTS:
            if SKIPS:
                # The first token may end before the first frame.
                m1, e1 = shifted(m, e, -1, lane, BLOCK, EXACT)
                one_m, one_e = ones_where(lane >= 0, m1, e1, EXACT)
                p = share(m1, e1, one_m, one_e, z_m, z_e, EXACT)
                w0 += tl.where((n == 0) & (token == 0) & skippable, p, 0.0).to(tl.float64)
            tl.atomic_add(moments + token, w0, mask=own & (w0 != 0.0), sem="relaxed")
            tl.atomic_add(moments + T64 + token, w1, mask=own & (w0 != 0.0), sem="relaxed")
            tl.atomic_add(moments + 2 * T64 + token, w2, mask=own & (w0 != 0.0), sem="relaxed")
