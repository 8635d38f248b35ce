"""The kernels of `packed_attention` beside the formula, on a few random rows."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch

from sluicegate.models.packed_attention import DRAWS, cross, own, reach

NOTHING = 0.01 / DRAWS
"""A share of which nothing is dropped, by the kernels that drop."""


def error(device: torch.device, dtype: torch.dtype, width: int) -> float:
    """The largest relative error of the kernels' outputs and gradients, beside the formula in float64; NaN counts as 1.

    With the kernels for dropout, told to drop nothing, of two heads and rows that end within a tile.
    """
    lengths, heads = (70, 1, 130), 2
    draw = torch.Generator().manual_seed(0)
    count, longest = sum(lengths), max(lengths)
    starts = torch.tensor([0, *itertools.accumulate(lengths)], dtype=torch.int32, device=device)

    def random(*shape: int) -> torch.Tensor:
        return (torch.randn(*shape, generator=draw) * 0.7).to(device, dtype)

    fused, query, other = random(count, 3 * heads * width), random(count, heads * width), random(count, heads * width)
    by_distance = random(heads, 2 * reach(longest)).float()
    ends = (starts, longest)

    def formula(query: Any, fused: Any, add: Any, *, causal: bool) -> torch.Tensor:
        """Row by row, [N, H · D]."""
        found = []
        for row in itertools.starmap(slice, itertools.pairwise(starts.tolist())):
            parts = (query[row], *fused[row].chunk(2, -1))
            asked, keys, values = (part.unflatten(-1, (heads, width)).transpose(0, 1) for part in parts)
            places = torch.arange(len(query[row]), device=device)
            distances = places - places[:, None]
            products = asked @ keys.mT + (0.0 if add is None else add[:, distances + reach(longest)])
            products = products.masked_fill(distances > 0, -math.inf) if causal else products
            found.append((products.softmax(-1) @ values).transpose(0, 1).flatten(1))
        return torch.cat(found)

    def gradients(work: Any, parts: Sequence[Any], *, exact: bool) -> list[Any]:
        leaves = [(part.double() if exact else part.clone()).requires_grad_() for part in parts]
        out = work(*leaves)
        return [out.detach(), *torch.autograd.grad(out, leaves, other.to(out.dtype))]

    def by_formula(fused: Any, add: Any, *, causal: bool) -> torch.Tensor:
        return formula(fused[:, : heads * width], fused[:, heads * width :], add, causal=causal)

    pairs: list[tuple[Any, Any, tuple[Any, ...]]] = [
        (
            lambda fused, add, causal=causal: own(fused, add, *ends, 2, dropped=NOTHING, causal=causal),
            functools.partial(by_formula, causal=causal),
            (fused, by_distance),
        )
        for causal in (False, True)
    ]
    pairs.append(
        (
            lambda query, fused: cross(query, fused, ends, ends, 2, heads=heads, dropped=NOTHING),
            functools.partial(formula, add=None, causal=False),
            (query, fused[:, heads * width :].contiguous()),
        )
    )
    apart = [
        float((seen.double() - wanted).norm() / wanted.norm())
        for kernels, exactly, parts in pairs
        for seen, wanted in zip(
            gradients(kernels, parts, exact=False), gradients(exactly, parts, exact=True), strict=True
        )
    ]
    return max(1.0 if math.isnan(one) else one for one in apart)
