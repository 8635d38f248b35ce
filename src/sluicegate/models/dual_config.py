"""The shape of a dual encoder, as its `config.json` says it."""

from __future__ import annotations

from typing import Any

from transformers.models.t5.configuration_t5 import T5Config

MODEL_TYPE = "sluicegate-dual"


class DualEncoderConfig(T5Config):  # type: ignore[misc]
    """All of T5's fields, for each of both encoders and the decoder, and how the encoders come together.

    Args:
        shared_embeddings: one embedding table for all; False: the pattern encoder has one of its own.
        shared_encoders: one stack of layers reads both inputs.
        fusion: `one`: the intent attends to the pattern. `two`: before that, the pattern attends to the intent.
        fusion_heads: attention heads of a fusion; they divide d_model.
        fusion_dropout: of a fusion's attention weights and of what it adds.
        memory: what the decoder attends to: `both` inputs one behind the other, or the `intent` alone, which then
            carries what it took from the pattern.
        gated: a fusion's last projection starts at zero, so that it adds nothing before it has learnt to.
    """

    model_type = MODEL_TYPE

    shared_embeddings: bool = True
    shared_encoders: bool = False
    fusion: str = "two"
    fusion_heads: int = 8
    fusion_dropout: float | int = 0.1
    memory: str = "both"
    gated: bool = False
    initializer_range: float = 0.02

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.fusion not in {"one", "two"}:
            raise ValueError(f"fusion: one or two, not {self.fusion!r}")
        if self.memory not in {"both", "intent"}:
            raise ValueError(f"memory: both or intent, not {self.memory!r}")
        if self.fusion_heads < 1 or self.d_model % self.fusion_heads:
            raise ValueError(f"fusion_heads: {self.fusion_heads} do not divide d_model {self.d_model}")
