"""Products with the weights of a quantised layer, NF4 with double quantisation, which one kernel unpacks.

bitsandbytes does the same in three, the first two for the scales of the blocks. To import this, triton is needed.
"""
# ruff: noqa: ANN001, ANN202, N803, PLR0917 - triton reads names and places, and has types of its own
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn.functional import linear

GROUP = 64
"""Weights that share a scale."""
OUTER = 256
"""Scales that share a scale of their own."""
AT_ONCE = 64
"""Blocks of weights that a program unpacks."""


@triton.jit
def _unpack(
    packed, scales, levels, outer_scales, outer_levels, offset, out, blocks,
    GROUP: tl.constexpr, OUTER: tl.constexpr, AT_ONCE: tl.constexpr,
):  # fmt: skip
    """A few blocks: scale from its own 8 bits, weights from 4 bits each, the first of a pair in the upper half."""
    block = tl.program_id(0).to(tl.int64) * AT_ONCE + tl.arange(0, AT_ONCE)
    there = block < blocks
    level = tl.load(scales + block, mask=there, other=0).to(tl.int32)
    outer = tl.load(outer_scales + block // OUTER, mask=there, other=0.0)
    scale = (tl.load(outer_levels + level) * outer + tl.load(offset))[:, None]
    pair = block[:, None] * (GROUP // 2) + tl.arange(0, GROUP // 2)[None, :]
    two = tl.load(packed + pair, mask=there[:, None], other=0).to(tl.int32)
    weights = tl.interleave(tl.load(levels + (two >> 4)) * scale, tl.load(levels + (two & 15)) * scale)
    place = block[:, None] * GROUP + tl.arange(0, GROUP)[None, :]
    tl.store(out + place, weights.to(out.dtype.element_ty), mask=there[:, None])


def launched(
    kernel, packed: Tensor, scales: Tensor, levels: Tensor, outer_scales: Tensor, outer_levels: Tensor,
    offset: Tensor, rows: int, columns: int, dtype: torch.dtype,
) -> Tensor:  # fmt: skip
    """Weights as bitsandbytes' `dequantize_4bit` has them, [rows, columns].

    Args:
        kernel: `_unpack`, as what is to launch it takes it.
        packed: [rows · columns / 2] bytes, two weights each.
        scales: [rows · columns / GROUP] bytes, the blocks' own.
        levels: [16] what 4 bits stand for.
        outer_scales: [blocks / OUTER], rounded up.
        outer_levels: [256] what 8 bits of a scale stand for.
        offset: a scalar that is added to each scale.
        rows, columns: of the weights.
        dtype: of the weights.
    """
    out = torch.empty(rows, columns, dtype=dtype, device=packed.device)
    blocks = scales.numel()
    kernel[(triton.cdiv(blocks, AT_ONCE),)](
        packed, scales, levels, outer_scales, outer_levels, offset, out, blocks,
        GROUP=GROUP, OUTER=OUTER, AT_ONCE=AT_ONCE, num_warps=4,
    )  # fmt: skip
    return out


def weights(*packed: Any) -> Tensor:
    """What `launched` gives, within an operator that a compiler looks into."""
    return launched(torch.library.wrap_triton(_unpack), *packed)


@torch.library.triton_op("sluicegate::nf4_product", mutates_args={})
def product(
    given: Tensor, packed: Tensor, scales: Tensor, levels: Tensor, outer_scales: Tensor, outer_levels: Tensor,
    offset: Tensor, rows: int, columns: int,
) -> Tensor:  # fmt: skip
    """`given Wᵀ`, [..., rows], of [..., columns]; W, as `launched` has it, is gone afterwards and gets no gradient."""
    return linear(
        given, weights(packed, scales, levels, outer_scales, outer_levels, offset, rows, columns, given.dtype)
    )


@torch.library.triton_op("sluicegate::nf4_sum", mutates_args={})
def summed(
    beside: Tensor, given: Tensor, packed: Tensor, scales: Tensor, levels: Tensor, outer_scales: Tensor,
    outer_levels: Tensor, offset: Tensor, rows: int, columns: int,
) -> Tensor:  # fmt: skip
    """`beside + given Wᵀ`, [..., rows], rounded once; of the same precision."""
    weight = weights(packed, scales, levels, outer_scales, outer_levels, offset, rows, columns, given.dtype)
    return torch.addmm(beside.flatten(0, -2), given.flatten(0, -2), weight.t()).view(*given.shape[:-1], rows)


@torch.library.triton_op("sluicegate::nf4_product_back", mutates_args={})
def _back(
    above: Tensor, packed: Tensor, scales: Tensor, levels: Tensor, outer_scales: Tensor, outer_levels: Tensor,
    offset: Tensor, rows: int, columns: int,
) -> Tensor:  # fmt: skip
    """`above W`, [..., columns], of [..., rows]."""
    return above @ weights(packed, scales, levels, outer_scales, outer_levels, offset, rows, columns, above.dtype)


def _keep(ctx, inputs, output) -> None:
    ctx.save_for_backward(*inputs[1:7])
    ctx.shape = inputs[7:]


def _gradient(ctx, above):
    return _back(above, *ctx.saved_tensors, *ctx.shape), *(None for _ in range(8))


def _keep_too(ctx, inputs, output) -> None:
    _keep(ctx, inputs[1:], output)


def _gradient_too(ctx, above):
    return above, *_gradient(ctx, above)


# Not a `torch.autograd.Function`: torch 2.11 keeps what such a function gives although it is to be computed again.
product.register_autograd(_gradient, setup_context=_keep)
summed.register_autograd(_gradient_too, setup_context=_keep_too)
