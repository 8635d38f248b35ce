"""How a frozen model's linear layers compute while it only reads and answers: in fewer steps, from the same weights.

An adapter's two products are added into what its layer gives, in the model's precision, as training under autocast has
them; peft's own way is several passes over the activations in float32. Where memory allows, 4-bit weights are unpacked
once instead of in every step: each value is what bitsandbytes would have unpacked it to. Nothing is merged, and no
weight is changed.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch.nn.functional import linear


def packed_parts(model: Any) -> list[Any]:
    """The linear layers whose weights lie in 4 bits; not peft's around them, which are named alike."""
    named = (part for part in model.modules() if type(part).__name__ == "Linear4bit")
    return [part for part in named if not hasattr(part, "base_layer")]


def unpacked_bytes(model: Any) -> int:
    """What the 4-bit weights take when they are unpacked beside the packed ones."""
    return sum(part.in_features * part.out_features * _precision(part).itemsize for part in packed_parts(model))


def unpack(model: Any) -> None:
    """Let all 4-bit layers compute from weights that are unpacked once, here."""
    from bitsandbytes.functional import dequantize_4bit

    for part in packed_parts(model):
        weight = dequantize_4bit(part.weight.data, part.weight.quant_state).to(_precision(part))
        part.forward = partial(_unpacked, weight, part.bias)


def shorten(model: Any) -> None:
    """Let LoRA layers of the plain kind add their products in place; others are left as they are."""
    dtype = model.get_input_embeddings().weight.dtype
    for part in model.modules():
        name = only_adapter(part)
        if name is not None:
            down, up = part.lora_A[name].weight, part.lora_B[name].weight * part.scaling[name]
            part.forward = partial(_adapted, part.base_layer, down.detach().to(dtype), up.detach().T.to(dtype))


def restore(model: Any) -> None:
    """Take back `unpack` and `shorten`, and free what they hold."""
    for part in model.modules():
        if isinstance(part.__dict__.get("forward"), partial) and part.forward.func in {_unpacked, _adapted}:
            del part.forward


def _precision(part: Any) -> torch.dtype:
    found: torch.dtype = part.compute_dtype or part.weight.quant_state.dtype
    return found


def only_adapter(part: Any) -> str | None:
    """The name of a layer's adapter where it has one, and that is `x → x + scaling · B A x`."""
    if not (hasattr(part, "lora_A") and hasattr(part, "base_layer")) or part.disable_adapters or part.merged:
        return None
    active = [name for name in part.active_adapters if name in part.lora_A]
    if len(active) != 1 or active[0] in part.lora_variant:
        return None
    both = part.lora_A[active[0]], part.lora_B[active[0]]
    plain = all(type(one) is torch.nn.Linear and one.bias is None for one in both)
    return active[0] if plain else None


def _unpacked(weight: Any, bias: Any, given: Any) -> Any:
    return linear(given.to(weight.dtype), weight, bias).to(given.dtype)


def _adapted(base: Any, down: Any, up: Any, given: Any) -> Any:
    out = base(given)
    flat = given.reshape(-1, given.shape[-1]).to(down.dtype)
    if out.dtype != down.dtype:
        return out + (linear(flat, down) @ up).view(out.shape).to(out.dtype)
    out.view(-1, out.shape[-1]).addmm_(linear(flat, down), up)
    return out
