# mypy: disable-error-code="assignment"
# (in kernels, tuples grow in loops)

"""How the search by rows (triton_rows.py) reads scores, whatever lies side by side in memory.

A lane has ROWS_A_LANE neighbouring tokens, and reads 4 * G frames of each at a time: a block. Four frames
of a token, or all tokens of a lane, are one load where they are neighbours. Fours are aligned (16 bytes of
float32), and the last one of all may reach beyond the scores: to the end of bytes that every allocator hands
out together.
"""

import triton
import triton.language as tl
from torch import Tensor

FRAMES = tl.constexpr(0)  # frames are neighbours; each row begins at a multiple of four elements
SHIFTED = tl.constexpr(1)  # frames are neighbours; rows begin anywhere: aligned fours are read and moved
TOKENS = tl.constexpr(2)  # tokens are neighbours, and those of a lane begin at a multiple of their number
ANY = tl.constexpr(3)  # every score is a load of its own
LANES = tl.constexpr(32)
ROWS_A_LANE = tl.constexpr(2)


def layout_of(scores: Tensor) -> int:
    """What is neighbours in memory: FRAMES, SHIFTED, TOKENS or ANY.

    Args:
        scores: `[B, T, S]`, any strides.
    """
    stride_b, stride_i, stride_j = scores.stride()
    address, R = scores.data_ptr() // scores.element_size(), ROWS_A_LANE.value
    if stride_j == 1:
        aligned = all(n % 4 == 0 for n in (stride_b, stride_i, address))
        return FRAMES.value if aligned else SHIFTED.value
    if stride_i == 1 and all(n % R == 0 for n in (stride_b, stride_j, address)):
        return TOKENS.value
    return ANY.value


@triton.jit
def fetch(
    cells, shifts, j, step, frames, row, tokens, G: tl.constexpr, LAYOUT: tl.constexpr,
):  # fmt: skip
    """Scores of 4 * G columns from j on, as `four_columns` takes them."""
    size: tl.constexpr = cells[0].dtype.element_ty.primitive_bitwidth // 8
    tiles = ()
    if LAYOUT == FRAMES:
        for r in tl.static_range(ROWS_A_LANE):
            for g in tl.static_range(G):
                at = cells[r] + (j + 4 * g)
                at = tl.max_contiguous(tl.multiple_of(at, (1, 4 * size)), (1, 4))  # lost if in a function
                tiles = tiles + (tl.load(at, mask=j + 4 * g < frames, other=0.0),)
    elif LAYOUT == SHIFTED:
        for r in tl.static_range(ROWS_A_LANE):
            for g in tl.static_range(G + 1):
                at = cells[r] + (j + 4 * g)
                at = tl.max_contiguous(tl.multiple_of(at, (1, 4 * size)), (1, 4))
                some = (j + 4 * g < frames + shifts[r])[:, None]
                tiles = tiles + (tl.load(at, mask=some, other=0.0),)
    elif LAYOUT == TOKENS:
        inside = (row[0] < tokens)[:, None]
        for k in tl.static_range(4 * G):
            at = cells[0] + (j + k) * step
            at = tl.max_contiguous(tl.multiple_of(at, (1, ROWS_A_LANE * size)), (1, ROWS_A_LANE))
            tiles = tiles + (tl.load(at, mask=inside & (j + k < frames), other=0.0),)
    else:
        for r in tl.static_range(ROWS_A_LANE):
            for k in tl.static_range(4 * G):
                tiles = tiles + (tl.load(cells[r] + (j + k) * step, mask=j + k < frames, other=0.0),)
    return tiles


@triton.jit
def nothing_fetched(scores, G: tl.constexpr, LAYOUT: tl.constexpr):
    """What `fetch` returns, of zeros."""
    tiles = ()
    if LAYOUT == FRAMES or LAYOUT == SHIFTED:  # noqa: SIM109
        for _ in tl.static_range(ROWS_A_LANE * (G + (1 if LAYOUT == SHIFTED else 0))):
            tiles = tiles + (tl.zeros([LANES, 4], scores.dtype.element_ty),)
    elif LAYOUT == TOKENS:
        for _ in tl.static_range(4 * G):
            tiles = tiles + (tl.zeros([LANES, ROWS_A_LANE], scores.dtype.element_ty),)
    else:
        for _ in tl.static_range(4 * G * ROWS_A_LANE):
            tiles = tiles + (tl.zeros([LANES], scores.dtype.element_ty),)
    return tiles


@triton.jit
def four_columns(tiles, shifts, g: tl.constexpr, G: tl.constexpr, LAYOUT: tl.constexpr):
    """Of four columns, one after the other, the scores of the rows of each lane."""
    scores = ()
    if LAYOUT == FRAMES:
        fours = ()
        for r in tl.static_range(ROWS_A_LANE):
            fours = fours + (_split4(tiles[r * G + g]),)
        for k in tl.static_range(4):
            for r in tl.static_range(ROWS_A_LANE):
                scores = scores + (fours[r][k].to(tl.float32),)
    elif LAYOUT == SHIFTED:
        rows = ()
        for r in tl.static_range(ROWS_A_LANE):
            v = _split4(tiles[r * (G + 1) + g]) + _split4(tiles[r * (G + 1) + g + 1])
            t = ()
            for k in tl.static_range(5):
                t = t + (tl.where((shifts[r] & 2) != 0, v[k + 2], v[k]),)
            for k in tl.static_range(4):
                rows = rows + (tl.where((shifts[r] & 1) != 0, t[k + 1], t[k]),)
        for k in tl.static_range(4):
            for r in tl.static_range(ROWS_A_LANE):
                scores = scores + (rows[4 * r + k].to(tl.float32),)
    elif LAYOUT == TOKENS:
        for k in tl.static_range(4):
            column = tl.split(tiles[4 * g + k])
            for r in tl.static_range(ROWS_A_LANE):
                scores = scores + (column[r].to(tl.float32),)
    else:
        for k in tl.static_range(4):
            for r in tl.static_range(ROWS_A_LANE):
                scores = scores + (tiles[(r * G + g) * 4 + k].to(tl.float32),)
    return scores


@triton.jit
def _split4(tile):
    even, odd = tl.split(tl.reshape(tile, [LANES, 2, 2]))
    x0, x2 = tl.split(even)
    x1, x3 = tl.split(odd)
    return x0, x1, x2, x3
