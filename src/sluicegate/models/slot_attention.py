"""Attention of one query a row over its own slot, in a kernel: each row reads as far as its place and no further.

A row's result depends on nothing but that row, and how far rows have come is read on the device, so one captured graph
serves all lengths. Sums are kept under a running maximum (Milakov and Gimelshein, arXiv:1805.02867). To import this,
triton is needed.
"""
# ruff: noqa: ANN001, ANN202, N803, PLR0917 - triton reads names and places, and has types of its own
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import functools
from typing import Any

import torch
import triton
import triton.language as tl

COLUMNS = 64
"""Keys that a program looks at together."""
LEAST = 16
"""Rows of the smallest product of matrices."""


LOG2_E = 1.4426950408889634


@triton.jit
def _attend(
    query, keys, values, out, places, scale, row_step, head_step, column_step, heads, window,
    GROUP: tl.constexpr, PADDED: tl.constexpr, WIDTH: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """A row's query heads that share a head of keys, over the columns up to the row's place."""
    row = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1)
    place = tl.load(places + row).to(tl.int32)
    member = tl.arange(0, PADDED)
    feature = tl.arange(0, WIDTH)
    mine = ((row * heads + head) * GROUP + member)[:, None] * WIDTH + feature[None, :]
    asked = tl.load(query + mine, mask=(member < GROUP)[:, None], other=0.0)
    base = row * row_step + head * head_step
    highest = tl.full([PADDED], float("-inf"), tl.float32)
    total = tl.zeros([PADDED], tl.float32)
    mixed = tl.zeros([PADDED, WIDTH], tl.float32)
    first = tl.maximum(place - window + 1, 0)
    for start in range(first // COLUMNS * COLUMNS, place + 1, COLUMNS):
        column = start + tl.arange(0, COLUMNS)
        there = (column <= place) & (column >= first)
        spot = base + column.to(tl.int64)[:, None] * column_step + feature[None, :]
        key = tl.load(keys + spot, mask=there[:, None], other=0.0)
        value = tl.load(values + spot, mask=there[:, None], other=0.0)
        product = tl.dot(asked, tl.trans(key), input_precision="ieee") * scale
        product = tl.where(there[None, :], product, float("-inf"))
        higher = tl.maximum(highest, tl.max(product, 1))
        weight = tl.exp2(product - higher[:, None])
        kept = tl.exp2(highest - higher)
        total = total * kept + tl.sum(weight, 1)
        mixed = mixed * kept[:, None] + tl.dot(weight.to(value.dtype), value, input_precision="ieee")
        highest = higher
    tl.store(out + mine, (mixed / total[:, None]).to(out.dtype.element_ty), mask=(member < GROUP)[:, None])


def attend(query: Any, keys: Any, values: Any, places: Any, *, scale: float, window: int | None) -> Any:
    """Each row's attention over its slot up to its place.

    Args:
        query: [rows, H, G, D], contiguous: G query heads share a head of keys.
        keys: [slots, H, L, D], as `values`, both laid out alike with D innermost; the first slots are the rows'.
        values: likewise.
        places: [rows] integers, each row's last column.
        scale: of the products.
        window: columns that a row looks back on, its own counted; None for all.

    Returns:
        [rows, H, G, D].
    """
    rows, heads, group, width = query.shape
    out = torch.empty_like(query)
    _attend[rows, heads](
        query, keys, values, out, places, scale * LOG2_E, *keys.stride()[:3], heads,
        window or keys.shape[2], GROUP=group, PADDED=max(LEAST, triton.next_power_of_2(group)), WIDTH=width,
        COLUMNS=COLUMNS, num_warps=4,
    )  # fmt: skip
    return out


@functools.cache
def fits(device: torch.device, dtype: torch.dtype, width: int) -> bool:
    """Whether the kernel runs here for keys of this width; a trial says so."""
    if dtype not in {torch.bfloat16, torch.float16} or width & (width - 1) or not LEAST <= width <= 256:
        return False
    one = torch.ones(1, 1, 1, width, dtype=dtype, device=device)
    try:
        seen = attend(one, one, one, torch.zeros(1, dtype=torch.long, device=device), scale=1.0, window=None)
        return bool((seen == one).all())
    except (RuntimeError, ImportError, OSError, AttributeError, triton.TritonError):
        return False
