"""Adapted 4-bit layers as training runs them on a GPU: `x Wᵀ + s · (x Aᵀ) Bᵀ`, W unpacked whenever it is needed.

They compute what peft's layers over bitsandbytes' do, with a kernel of ours that unpacks W (`nf4`) and little for the
host to look at: in a compiled layer the kernel is part of the graph. One that is not compiled rounds the sum once: of
an adapter's part that is smaller than the last digit of a rounded `x Wᵀ` nothing would be left. Parameters, their names
and what is saved stay peft's. Whatever is not of this plain kind is left to peft.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import linear

from sluicegate.models.lean import only_adapter

BLOCKS = (64, 256)
"""Weights that share a scale and scales that share one, as bitsandbytes has them unless told otherwise."""
ROUNDING = 2.0**-8
"""Of a bfloat16, relative."""
TRIED = 128
"""Columns of a layer's weights that are looked at before the kernel is used."""


def _product(given: Any, packed: tuple[Any, ...]) -> Any:
    from sluicegate.models.nf4 import product

    return product(given, *packed)


def _sum(beside: Any, given: Any, packed: tuple[Any, ...]) -> Any:
    from sluicegate.models.nf4 import summed

    return summed(beside, given, *packed)


@functools.cache
def _kind() -> Any:
    """Peft's class with a forward of ours.

    An instance has `packed` and `one`, the adapter's name, besides; and `sums`, whether `_sum` was seen to work.
    """
    from peft.tuners.lora.bnb import Linear4bit

    class Adapted(Linear4bit):  # type: ignore[misc]
        def forward(self, x: Any, *args: Any, **named: Any) -> Any:
            if self.disable_adapters or self.merged or not torch.is_autocast_enabled(x.device.type):
                return super().forward(x, *args, **named)
            base, name = self.base_layer, self.one
            given, bias = x.to(base.compute_dtype), base.bias
            seen = linear(self.lora_dropout[name](x), self.lora_A[name].weight)
            # The weight is scaled, which is one with its cast: scaled activations would be kept and written once more.
            part = linear(seen, self.lora_B[name].weight * self.scaling[name])
            if self.sums and not torch.compiler.is_compiling():
                part = part if bias is None else part + bias.to(part.dtype)
                return _sum(part.to(given.dtype), given, self.packed).to(x.dtype)
            out = _product(given, self.packed)
            return (out if bias is None else out + bias.to(out.dtype)).to(x.dtype) + part

    return Adapted


def adopt(model: Any) -> int:
    """Let all layers of the plain kind run so; returns how many they are.

    None where triton is missing, or where the kernel is not seen to unpack what bitsandbytes does.
    """
    parts = [part for part in model.modules() if _is_plain(part)]
    if not parts or not _agrees(parts[0].base_layer):
        return 0
    sums = _adds(parts[0].base_layer)
    for part in parts:
        part.packed, part.one, part.sums = packed_of(part.base_layer), only_adapter(part), sums
        part.__class__ = _kind()
    return len(parts)


def adopted(model: Any) -> list[Any]:
    """The layers that run so."""
    return [part for part in model.modules() if "packed" in vars(part)]


def leave(model: Any) -> int:
    """Take back `adopt`; returns how many layers run as peft has them again."""
    parts = adopted(model)
    for part in parts:
        part.__class__ = _kind().__bases__[0]
        del part.packed, part.one, part.sums
    return len(parts)


def packed_of(base: Any) -> tuple[Any, ...]:
    """What `nf4.product` takes behind the activations, of a bitsandbytes layer."""
    state = base.weight.quant_state
    outer = state.state2
    return base.weight.data, state.absmax, state.code, outer.absmax, outer.code, state.offset, *state.shape


def _is_plain(part: Any) -> bool:
    if type(part).__name__ != "Linear4bit" or only_adapter(part) is None:
        return False
    base = part.base_layer
    state = getattr(base.weight, "quant_state", None)
    return (
        state is not None
        and state.nested
        and state.quant_type == "nf4"
        and (state.blocksize, state.state2.blocksize) == BLOCKS
        and base.weight.dtype == torch.uint8
        and base.compute_dtype is not None
        and state.shape.numel() % BLOCKS[0] == 0
    )


def is_on_gpu(base: Any) -> bool:
    """Whether a layer's weights lie on a CUDA device."""
    return bool(base.weight.is_cuda)


def _agrees(base: Any) -> bool:
    """Whether the kernel runs here and unpacks what bitsandbytes unpacks, to a rounding; a trial says so."""
    return is_on_gpu(base) and _unpacks(base, _product)


def _adds(base: Any) -> bool:
    """Whether it does within a sum."""

    def work(some: Any, packed: tuple[Any, ...]) -> Any:
        return _sum(some.new_zeros(some.shape[0], packed[-2]), some, packed)

    return _unpacks(base, work)


def _unpacks(base: Any, work: Callable[[Any, tuple[Any, ...]], Any]) -> bool:
    from bitsandbytes.functional import dequantize_4bit

    wanted = dequantize_4bit(base.weight.data, base.weight.quant_state).to(torch.bfloat16)
    some = torch.eye(wanted.shape[1], dtype=torch.bfloat16, device=wanted.device)[:TRIED]
    try:
        seen = work(some, packed_of(base))
    except Exception as fault:  # of a compiler or of a driver, of any kind
        if isinstance(fault, torch.OutOfMemoryError):
            raise
        return False
    return bool(torch.allclose(seen.float(), wanted.T[:TRIED].float(), rtol=ROUNDING, atol=0.0))
