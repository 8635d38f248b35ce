"""Two-layer models of T5's shape, a batch for them, and what transformers' own forward makes of it."""

from __future__ import annotations

from typing import Any

import torch
from transformers import T5Config, T5ForConditionalGeneration

from sluicegate.models.dual_config import DualEncoderConfig
from sluicegate.models.dual_encoder import DualEncoderForConditionalGeneration

SIZES: dict[str, Any] = {
    "vocab_size": 300, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4,
    "decoder_start_token_id": 0, "relative_attention_max_distance": 20, "dropout_rate": 0.0,
}  # fmt: skip
ROWS, WIDTH, TARGETS = 5, 70, 33


def plain(**changed: Any) -> Any:
    torch.manual_seed(0)
    return T5ForConditionalGeneration(T5Config(**(SIZES | changed)))


def gated(**changed: Any) -> Any:
    """As T5 1.1: gated, its logits not scaled."""
    return plain(feed_forward_proj="gated-gelu", tie_word_embeddings=False, **changed)


def dual(**changed: Any) -> Any:
    torch.manual_seed(0)
    return DualEncoderForConditionalGeneration(DualEncoderConfig(**(SIZES | {"fusion_dropout": 0.0} | changed)))


def given(model: Any) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(1)
    found = {}
    for name, width, least in (("", WIDTH, 3), ("pattern_", 40, 0)):
        lengths = torch.linspace(width, least, ROWS).long()
        found[f"{name}input_ids"] = torch.randint(2, 300, (ROWS, width), generator=generator)
        found[f"{name}attention_mask"] = (torch.arange(width) < lengths[:, None]).long()
    return found if model.config.model_type != "t5" else {name: found[name] for name in ("input_ids", "attention_mask")}


def labels() -> Any:
    made = torch.randint(2, 300, (ROWS, TARGETS), generator=torch.Generator().manual_seed(2))
    return made.masked_fill(torch.arange(TARGETS) >= torch.tensor([33, 20, 1, 33, 7])[:, None], -100)


def batch(model: Any) -> dict[str, Any]:
    wanted = labels()
    rows = (wanted.flatten() >= 0).nonzero()[:, 0]
    before = model._shift_right(wanted)
    return {**given(model), "decoder_input_ids": before, "rows": rows, "targets": wanted.flatten()[rows]}


def reference(model: Any) -> tuple[float, dict[str, Any]]:
    """The sum of the losses and all gradients, by the forward of transformers."""
    loss = model(**given(model), labels=labels()).loss * (labels() >= 0).sum()
    loss.backward()
    return float(loss.detach()), {name: part.grad for name, part in model.named_parameters()}


def apart(model: Any, wanted: dict[str, Any]) -> float:
    """The largest relative difference of any parameter's gradient; one that is 0 but for rounding is left out."""
    norms = {name: float(one.norm()) for name, one in wanted.items()}
    zero = 1e-6 * max(norms.values())
    left_out = {name for name, norm in norms.items() if norm < zero}
    assert all(name.endswith("k.bias") for name in left_out), "a softmax does not see what all its products share"
    return max(
        float((part.grad - wanted[name]).norm()) / norms[name]
        for name, part in model.named_parameters()
        if name not in left_out
    )
