"""Kernels of attention for rows of unequal length that stand one behind the other: forward, and all gradients.

What a head adds to a product depends on the distance of key and query alone, so it is read from a vector a head and no
matrix of it exists; its gradient is summed over rows tile by tile, in a fixed order, so that the same input gives the
same bits. Weights that are dropped are a hash of seed, query, head and key, made again where they are needed. Only
`packed_attention` calls this; importing it needs triton.

A tile may reach beyond the end of its row: what is read there is 0, queries there have an infinite logarithm (`FAR`),
and keys there are ruled out. A tile's sizes divide `packed_attention.TILE`, so that distances within it are among the
2 · R that there are.

Notation: N queries and M keys, packed; H heads of D features; P rows, of which each has its own stretch of queries and
of keys; R distances each way.
"""
# ruff: noqa: ANN001, ANN201, ANN202, N803, N806, PLR0917 - triton reads names and places, and has types of its own
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import triton
import triton.language as tl

LOG2E = tl.constexpr(1.4426950408889634)
NEVER = tl.constexpr(-1e30)
FAR = tl.constexpr(1e30)


@triton.jit
def _mixed(bits):
    """A hash of 32 bits. Source: C. Wellons, Prospecting for Hash Functions, 2018 (lowbias32)."""
    bits = (bits ^ (bits >> 16)) * 0x7FEB352D
    bits = (bits ^ (bits >> 15)) * 0x846CA68B
    return bits ^ (bits >> 16)


@triton.jit
def _kept(drawn, key, least):
    """Whether weights stay, of what was drawn for their queries, and their keys' places: a hash is not below `least`.

    Shorter than `_mixed`, since `drawn` is mixed already.
    """
    bits = (drawn ^ (key.to(tl.uint32) * 0x9E3779B1)) * 0x7FEB352D
    return (bits ^ (bits >> 15)) * 0x846CA68B >= least


@triton.jit
def _begun(base, start, step, D: tl.constexpr):
    """Where this program's head begins in the first token of its row."""
    return base + start.to(tl.int64) * step + tl.program_id(1) * D


@triton.jit
def _tile(base, places, step, there, D: tl.constexpr):
    """Features of a row's tokens, [tokens, D]; 0 where there is none."""
    return tl.load(base + places[:, None] * step + tl.arange(0, D)[None, :], mask=there[:, None], other=0.0)


@triton.jit
def _turned(base, places, step, there, D: tl.constexpr):
    """Features of a row's tokens, [D, tokens]; 0 where there is none."""
    return tl.load(base + places[None, :] * step + tl.arange(0, D)[:, None], mask=there[None, :], other=0.0)


@triton.jit
def _put(base, values, places, step, there, D: tl.constexpr):
    at = base + places[:, None] * step + tl.arange(0, D)[None, :]
    tl.store(at, values.to(base.dtype.element_ty), mask=there[:, None])


@triton.jit
def _row(STARTS, SOURCES):
    """Where the row of this program begins among queries and keys, and how many it has of each."""
    row = tl.program_id(2)
    start, source = tl.load(STARTS + row), tl.load(SOURCES + row)
    return start, source, tl.load(STARTS + row + 1) - start, tl.load(SOURCES + row + 1) - source


@triton.jit
def _products(one, other, apart, bias, BIASED: tl.constexpr):
    """Products of queries and keys that lie so far apart, with what is added to them, as powers of two."""
    found = tl.dot(one, other) * LOG2E
    if BIASED:
        found += tl.load(bias + apart) * LOG2E
    return found


@triton.jit(do_not_specialize=["seed", "dropped", "scale", "reach", "total"])
def forward(
    Q, K, V, OUT, LOG, BIAS, STARTS, SOURCES, DRAWN, seed, dropped, scale, reach, total,
    q_step, k_step, v_step, out_step,
    D: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    BIASED: tl.constexpr, CAUSAL: tl.constexpr, DROPS: tl.constexpr,
):  # fmt: skip
    """For a tile of queries what it attends to, the logarithm of its sums, [H, N], and what was drawn for it."""
    head = tl.program_id(1)
    start, source, queries, keys = _row(STARTS, SOURCES)
    first = tl.program_id(0) * ROWS
    if first >= queries:
        return
    rows = first + tl.arange(0, ROWS)
    there = rows < queries
    sides = head.to(tl.int64) * total + start + rows
    q = _tile(_begun(Q, start, q_step, D), rows, q_step, there, D)
    K, V = _begun(K, source, k_step, D), _begun(V, source, v_step, D)
    bias = BIAS + head * 2 * reach + reach
    least = dropped.to(tl.uint32) << 8
    if DROPS:
        drawn = _mixed(_mixed(((start + rows) * tl.num_programs(1) + head).to(tl.uint32)) ^ seed.to(tl.uint32))
        tl.store(DRAWN + sides, drawn.to(tl.int32, bitcast=True), mask=there)
    top = tl.full([ROWS], NEVER, tl.float32)
    whole = tl.zeros([ROWS], tl.float32)
    sums = tl.zeros([ROWS, D], tl.float32)
    end = tl.minimum(keys, first + ROWS) if CAUSAL else keys
    for begun in range(0, end, COLUMNS):
        columns = begun + tl.arange(0, COLUMNS)
        some = columns < keys
        k, v = _turned(K, columns, k_step, some, D), _tile(V, columns, v_step, some, D)
        apart = columns[None, :] - rows[:, None]
        found = _products(q, k, apart, bias, BIASED)
        found = tl.where(some[None, :] & (apart <= 0) if CAUSAL else some[None, :], found, NEVER)
        higher = tl.maximum(top, tl.max(found, 1))
        weights = tl.exp2(found - higher[:, None])
        shrunk = tl.exp2(top - higher)
        whole = whole * shrunk + tl.sum(weights, 1)
        if DROPS:
            weights = tl.where(_kept(drawn[:, None], columns[None, :], least), weights, 0.0)
        sums = sums * shrunk[:, None] + tl.dot(weights.to(v.dtype), v)
        top = higher
    whole = tl.where(whole == 0.0, 1.0, whole)
    _put(_begun(OUT, start, out_step, D), sums * (scale / whole)[:, None], rows, out_step, there, D)
    tl.store(LOG + sides, top + tl.log2(whole), mask=there)


@triton.jit(do_not_specialize=["dropped", "scale", "reach", "total"])
def to_queries(
    Q, K, V, OUT, ABOVE, LOG, DELTA, BIAS, STARTS, SOURCES, DRAWN, TO_Q, dropped, scale, reach, total,
    q_step, k_step, v_step, out_step, above_step, to_q_step,
    D: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    BIASED: tl.constexpr, CAUSAL: tl.constexpr, DROPS: tl.constexpr,
):  # fmt: skip
    """The gradient of a tile of queries, and what all gradients of its products have in common, [H, N]."""
    head = tl.program_id(1)
    start, source, queries, keys = _row(STARTS, SOURCES)
    first = tl.program_id(0) * ROWS
    if first >= queries:
        return
    rows = first + tl.arange(0, ROWS)
    there = rows < queries
    sides = head.to(tl.int64) * total + start + rows
    q = _tile(_begun(Q, start, q_step, D), rows, q_step, there, D)
    above = _tile(_begun(ABOVE, start, above_step, D), rows, above_step, there, D)
    out = _tile(_begun(OUT, start, out_step, D), rows, out_step, there, D)
    K, V = _begun(K, source, k_step, D), _begun(V, source, v_step, D)
    delta = tl.sum(out.to(tl.float32) * above.to(tl.float32), 1)
    tl.store(DELTA + sides, delta, mask=there)
    log = tl.load(LOG + sides, mask=there, other=FAR)
    bias = BIAS + head * 2 * reach + reach
    least = dropped.to(tl.uint32) << 8
    if DROPS:
        drawn = tl.load(DRAWN + sides, mask=there, other=0).to(tl.uint32, bitcast=True)
    sums = tl.zeros([ROWS, D], tl.float32)
    end = tl.minimum(keys, first + ROWS) if CAUSAL else keys
    for begun in range(0, end, COLUMNS):
        columns = begun + tl.arange(0, COLUMNS)
        some = columns < keys
        k, v = _turned(K, columns, k_step, some, D), _turned(V, columns, v_step, some, D)
        apart = columns[None, :] - rows[:, None]
        found = _products(q, k, apart, bias, BIASED)
        found = tl.where(some[None, :] & (apart <= 0) if CAUSAL else some[None, :], found, NEVER)
        slopes = tl.dot(above, v) * scale
        if DROPS:
            slopes = tl.where(_kept(drawn[:, None], columns[None, :], least), slopes, 0.0)
        slopes = tl.exp2(found - log[:, None]) * (slopes - delta[:, None])
        sums += tl.dot(slopes.to(k.dtype), tl.trans(k))
    _put(_begun(TO_Q, start, to_q_step, D), sums, rows, to_q_step, there, D)


@triton.jit(do_not_specialize=["dropped", "scale", "reach", "total"])
def to_keys(
    Q, K, V, ABOVE, LOG, DELTA, BIAS, STARTS, SOURCES, DRAWN, TO_K, TO_V, dropped, scale, reach, total,
    q_step, k_step, v_step, above_step, to_k_step, to_v_step,
    D: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    BIASED: tl.constexpr, CAUSAL: tl.constexpr, DROPS: tl.constexpr,
):  # fmt: skip
    """The gradients of a tile of keys and their values; everything lies the other way round here, [keys, queries]."""
    head = tl.program_id(1)
    start, source, queries, keys = _row(STARTS, SOURCES)
    first = tl.program_id(0) * COLUMNS
    if first >= keys:
        return
    columns = first + tl.arange(0, COLUMNS)
    some = columns < keys
    k = _tile(_begun(K, source, k_step, D), columns, k_step, some, D)
    v = _tile(_begun(V, source, v_step, D), columns, v_step, some, D)
    Q, ABOVE, side = _begun(Q, start, q_step, D), _begun(ABOVE, start, above_step, D), head.to(tl.int64) * total + start
    bias = BIAS + head * 2 * reach + reach
    least = dropped.to(tl.uint32) << 8
    to_k = tl.zeros([COLUMNS, D], tl.float32)
    to_v = tl.zeros([COLUMNS, D], tl.float32)
    for begun in range((first // ROWS) * ROWS if CAUSAL else 0, queries, ROWS):
        rows = begun + tl.arange(0, ROWS)
        there = rows < queries
        q, above = _turned(Q, rows, q_step, there, D), _tile(ABOVE, rows, above_step, there, D)
        log = tl.load(LOG + side + rows, mask=there, other=FAR)
        delta = tl.load(DELTA + side + rows, mask=there, other=0.0)
        apart = columns[:, None] - rows[None, :]
        found = _products(k, q, apart, bias, BIASED)
        found = tl.where(some[:, None] & (apart <= 0) if CAUSAL else some[:, None], found, NEVER)
        weights = tl.exp2(found - log[None, :])
        slopes = tl.dot(v, tl.trans(above)) * scale
        if DROPS:
            drawn = tl.load(DRAWN + side + rows, mask=there, other=0).to(tl.uint32, bitcast=True)
            kept = _kept(drawn[None, :], columns[:, None], least)
            slopes = tl.where(kept, slopes, 0.0)
            to_v += tl.dot(tl.where(kept, weights, 0.0).to(above.dtype), above)
        else:
            to_v += tl.dot(weights.to(above.dtype), above)
        slopes = weights * (slopes - delta[None, :])
        to_k += tl.dot(slopes.to(q.dtype), tl.trans(q))
    _put(_begun(TO_K, source, to_k_step, D), to_k, columns, to_k_step, some, D)
    _put(_begun(TO_V, source, to_v_step, D), to_v * scale, columns, to_v_step, some, D)


@triton.jit(do_not_specialize=["dropped", "scale", "reach", "total", "count", "lowest"])
def to_tiles(
    Q, K, V, ABOVE, LOG, DELTA, BIAS, STARTS, DRAWN, TILES, dropped, scale, reach, total, count, lowest,
    q_step, k_step, v_step, above_step,
    D: tl.constexpr, ROWS: tl.constexpr, CAUSAL: tl.constexpr, DROPS: tl.constexpr,
):  # fmt: skip
    """Gradients of the products, summed over all tiles of a head that lie as far from the diagonal: [parts, H, tiles,
    ROWS, ROWS]. Tile t lies `lowest` + t away; part p is of rows p, p + parts, … of `count`.
    """  # noqa: D205
    away, head, part = lowest + tl.program_id(0), tl.program_id(1), tl.program_id(2)
    steps = tl.arange(0, ROWS)
    bias = BIAS + head * 2 * reach + reach
    least = dropped.to(tl.uint32) << 8
    apart = away * ROWS + steps[None, :] - steps[:, None]
    sums = tl.zeros([ROWS, ROWS], tl.float32)
    for row in range(part, count, tl.num_programs(2)):
        start = tl.load(STARTS + row)
        tokens = tl.load(STARTS + row + 1) - start
        tiles = tl.cdiv(tokens, ROWS)
        queries, keys, values = _begun(Q, start, q_step, D), _begun(K, start, k_step, D), _begun(V, start, v_step, D)
        slope, side = _begun(ABOVE, start, above_step, D), head.to(tl.int64) * total + start
        for tile in range(tl.maximum(0, -away), tl.minimum(tiles, tiles - away)):
            rows, columns = tile * ROWS + steps, (tile + away) * ROWS + steps
            there, some = rows < tokens, columns < tokens
            q, k = _tile(queries, rows, q_step, there, D), _turned(keys, columns, k_step, some, D)
            v, above = _turned(values, columns, v_step, some, D), _tile(slope, rows, above_step, there, D)
            log = tl.load(LOG + side + rows, mask=there, other=FAR)
            delta = tl.load(DELTA + side + rows, mask=there, other=0.0)
            found = _products(q, k, apart, bias, True)
            found = tl.where(some[None, :] & (apart <= 0) if CAUSAL else some[None, :], found, NEVER)
            slopes = tl.dot(above, v) * scale
            if DROPS:
                drawn = tl.load(DRAWN + side + rows, mask=there, other=0).to(tl.uint32, bitcast=True)
                slopes = tl.where(_kept(drawn[:, None], columns[None, :], least), slopes, 0.0)
            sums += tl.exp2(found - log[:, None]) * (slopes - delta[:, None])
    place = (part * tl.num_programs(1) + head) * tl.num_programs(0) + tl.program_id(0)
    tl.store(TILES + place.to(tl.int64) * ROWS * ROWS + steps[:, None] * ROWS + steps[None, :], sums)


@triton.jit(do_not_specialize=["tiles", "parts", "lowest", "reach"])
def to_distances(TILES, TO_BIAS, tiles, parts, lowest, reach, ROWS: tl.constexpr):
    """The sums of `to_tiles` along their diagonals: the gradient of what is added for each distance, [H, 2 · R]."""
    steps = tl.arange(0, ROWS)
    head, first = tl.program_id(1), tl.program_id(0) * ROWS
    # A query's place in its tile and a distance give the key's place, counted from R before the query's tile.
    key = steps[:, None] + (first + steps)[None, :]
    tile, column = key // ROWS - reach // ROWS - lowest, key % ROWS
    within = (tile >= 0) & (tile < tiles)
    sums = tl.zeros([ROWS], tl.float32)
    for part in range(parts):
        place = ((part * tl.num_programs(1) + head) * tiles + tile).to(tl.int64)
        found = tl.load(TILES + place * ROWS * ROWS + steps[:, None] * ROWS + column, mask=within, other=0.0)
        sums += tl.sum(found, 0)
    tl.store(TO_BIAS + head * 2 * reach + first + steps, sums)
