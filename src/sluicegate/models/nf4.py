"""Weights of a quantised layer, NF4 with double quantisation, unpacked by one kernel.

bitsandbytes does the same in three, the first two for the scales of the blocks. To import this, triton is needed.
"""
# ruff: noqa: ANN001, ANN202, N803, PLR0917 - triton reads names and places, and has types of its own
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import torch
import triton
import triton.language as tl
from torch import Tensor

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
    """The weights that `kernel` writes; see `unpack`."""
    out = torch.empty(rows, columns, dtype=dtype, device=packed.device)
    blocks = scales.numel()
    kernel[(triton.cdiv(blocks, AT_ONCE),)](
        packed, scales, levels, outer_scales, outer_levels, offset, out, blocks,
        GROUP=GROUP, OUTER=OUTER, AT_ONCE=AT_ONCE, num_warps=4,
    )  # fmt: skip
    return out


@torch.library.triton_op("sluicegate::unpack_nf4", mutates_args={})
def unpack(
    packed: Tensor, scales: Tensor, levels: Tensor, outer_scales: Tensor, outer_levels: Tensor, offset: Tensor,
    rows: int, columns: int, dtype: torch.dtype,
) -> Tensor:  # fmt: skip
    """Weights as bitsandbytes' `dequantize_4bit` has them.

    Args:
        packed: [rows · columns / 2] bytes, two weights each.
        scales: [rows · columns / GROUP] bytes, the blocks' own.
        levels: [16] what 4 bits stand for.
        outer_scales: [blocks / OUTER], rounded up.
        outer_levels: [256] what 8 bits of a scale stand for.
        offset: a scalar that is added to each scale.
        rows, columns: of the weights.
        dtype: of the weights.

    Returns:
        [rows, columns].
    """
    kernel = torch.library.wrap_triton(_unpack)
    return launched(kernel, packed, scales, levels, outer_scales, outer_levels, offset, rows, columns, dtype)
