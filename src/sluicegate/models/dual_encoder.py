"""The dual encoder: a T5 encoder reads the intent, another the pattern, attention joins them, one decoder writes.

It is an ordinary encoder-decoder of transformers: `self.encoder` holds everything that reads, so `generate`,
`save_pretrained`, adapters and gradient checkpointing are transformers' own. The decoder is T5's, unchanged.

Parameters at the shape of CodeT5-base (vocabulary 32,100): a single T5 has 222,882,048. A second encoder without its
table adds 84,954,240, a fusion 2,362,368: 312,561,024 with one table and two fusions. A second table adds
32,100 x 768 = 24,652,800: 337,213,824.

Source: T5, arXiv 1910.10683; encoders side by side and a decoder that sees all they say, arXiv 2007.01282.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import GenerationMixin, T5PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput
from transformers.models.t5.modeling_t5 import T5Stack

from sluicegate.models.dual_config import DualEncoderConfig


@dataclass
class DualOutput(BaseModelOutput):  # type: ignore[misc]
    """What the decoder attends to: `last_hidden_state` [B, M, H], and which of it counts.

    Args:
        memory_mask: [B, M], 1 where it does.
    """

    memory_mask: torch.Tensor | None = None


class Fusion(nn.Module):  # type: ignore[misc]
    """Multi-head attention of one sequence to another, added to the first.

    A row whose other sequence is empty gets nothing added, and no NaN.

    Args:
        config: d_model, fusion_heads, fusion_dropout and gated are read.
    """

    def __init__(self, config: DualEncoderConfig) -> None:
        super().__init__()
        self.heads, self.chance = config.fusion_heads, float(config.fusion_dropout)
        self.q, self.k, self.v, self.o = (nn.Linear(config.d_model, config.d_model) for _ in range(4))
        # Told to each part: transformers' initialisation passes by a module of ours that has no weight of its own.
        for part in (self.q, self.k, self.v, self.o):
            part.begins_with = config.d_model**-0.5
        if config.gated:
            self.o.begins_with = 0.0

    def forward(self, states: torch.Tensor, other: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The first sequence with what it took from the other.

        Args:
            states: [B, S, H].
            other: [B, P, H].
            mask: [B, P], 1 where the other sequence has a token.
        """
        seen = mask.bool()
        some = seen.any(1)
        # Where there is nothing to see, a softmax over nothing is NaN: all is seen there, and what comes of it is 0.
        allowed = (seen | ~some[:, None])[:, None, None, :]
        taken = functional.scaled_dot_product_attention(
            self._split(self.q(states)), self._split(self.k(other)), self._split(self.v(other)),
            attn_mask=allowed, dropout_p=self.chance if self.training else 0.0,
        )  # fmt: skip
        added = self.o(taken.transpose(1, 2).flatten(2))
        return states + functional.dropout(added, self.chance, self.training) * some[:, None, None]

    def _split(self, states: torch.Tensor) -> torch.Tensor:
        """[B, S, H] → [B, heads, S, H / heads]."""
        return states.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class DualEncoder(nn.Module):  # type: ignore[misc]
    """Everything that reads: both encoders, and the attention between what they say."""

    main_input_name = "input_ids"

    def __init__(self, config: DualEncoderConfig) -> None:
        super().__init__()
        stack = copy.deepcopy(config)
        stack.is_decoder, stack.use_cache = False, False
        stack.initializer_range = config.initializer_factor  # T5's for a table of tokens
        self.both = config.memory == "both"
        self.intent = T5Stack(stack)
        self.pattern = None if config.shared_encoders else T5Stack(copy.deepcopy(stack))
        own_table = config.shared_encoders and not config.shared_embeddings
        self.pattern_embedding = nn.Embedding(config.vocab_size, config.d_model) if own_table else None
        self.to_pattern = Fusion(config)
        self.to_intent = Fusion(config) if config.fusion == "two" else None

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        pattern_input_ids: torch.Tensor | None = None,
        pattern_attention_mask: torch.Tensor | None = None,
        *,
        return_dict: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
    ) -> DualOutput:
        """Read both inputs.

        Notation: B rows, S and P tokens of intent and pattern, H features; M is S + P, or S where the decoder sees the
        intent alone.

        Args:
            input_ids: [B, S].
            attention_mask: [B, S]; None: all ones.
            pattern_input_ids: [B, P]; None: no pattern.
            pattern_attention_mask: [B, P]; a row of zeros has no pattern. None: all ones.
            return_dict: is taken and not looked at, as are the next two: a `DualOutput` without hidden states and
                attentions is returned.
            output_attentions: see there.
            output_hidden_states: see there.

        Returns:
            `last_hidden_state` [B, M, H] and `memory_mask` [B, M].
        """
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        intent = self.intent(input_ids=input_ids, attention_mask=mask).last_hidden_state
        if pattern_input_ids is None or pattern_input_ids.shape[1] == 0:
            return DualOutput(last_hidden_state=intent, memory_mask=mask)
        if pattern_attention_mask is None:
            pattern_attention_mask = torch.ones_like(pattern_input_ids)
        pattern = self._read_pattern(pattern_input_ids, pattern_attention_mask)
        return self.fused(intent, mask, pattern, pattern_attention_mask)

    def _read_pattern(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        # A row without a token sees its padding instead of nothing; whoever looks at it is told by the mask not to.
        seen = mask.bool() | ~mask.bool().any(1, keepdim=True)
        given: dict[str, Any] = {"input_ids": ids}
        if self.pattern_embedding is not None:
            given = {"inputs_embeds": self.pattern_embedding(ids)}
        reader = self.intent if self.pattern is None else self.pattern
        states: torch.Tensor = reader(attention_mask=seen.to(mask.dtype), **given).last_hidden_state
        return states

    def fused(
        self, intent: torch.Tensor, mask: torch.Tensor, pattern: torch.Tensor, pattern_mask: torch.Tensor
    ) -> DualOutput:
        """What the decoder attends to, of both encoders' states [B, S, H] and [B, P, H] and their masks."""
        if self.to_intent is not None:
            pattern = self.to_intent(pattern, intent, mask)
        intent = self.to_pattern(intent, pattern, pattern_mask)
        if not self.both:
            return DualOutput(last_hidden_state=intent, memory_mask=mask)
        whole = torch.cat([mask, pattern_mask.to(mask.dtype)], dim=1)
        return DualOutput(last_hidden_state=torch.cat([intent, pattern.to(intent.dtype)], dim=1), memory_mask=whole)


class DualEncoderForConditionalGeneration(T5PreTrainedModel, GenerationMixin):  # type: ignore[misc]
    """A dual encoder with a T5 decoder and a language model head that shares the table of tokens."""

    config_class = DualEncoderConfig

    def __init__(self, config: DualEncoderConfig) -> None:
        super().__init__(config)
        self.model_dim = config.d_model
        self.shared = nn.Embedding(config.vocab_size, config.d_model)
        self.encoder = DualEncoder(config)
        decoder = copy.deepcopy(config)
        decoder.is_decoder, decoder.num_layers = True, config.num_decoder_layers
        self.decoder = T5Stack(decoder)
        self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        tied = ["encoder.intent.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"]
        if config.shared_embeddings and not config.shared_encoders:
            tied.append("encoder.pattern.embed_tokens.weight")
        self._tied_weights_keys = dict.fromkeys(tied, "shared.weight")
        self.post_init()

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _init_weights(self, module: Any) -> None:
        super()._init_weights(module)
        factor = self.config.initializer_factor
        if hasattr(module, "begins_with"):
            init.normal_(module.weight, mean=0.0, std=factor * module.begins_with)
            init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding) and module.num_embeddings == self.config.vocab_size:
            init.normal_(module.weight, mean=0.0, std=factor)

    def get_input_embeddings(self) -> nn.Embedding:
        """The table of tokens."""
        return self.shared

    def set_input_embeddings(self, new_embeddings: nn.Embedding) -> None:
        """Put another table in every place where this one is; the pattern encoder's own stays."""
        if self.encoder.pattern is not None and self.encoder.pattern.embed_tokens.weight is self.shared.weight:
            self.encoder.pattern.set_input_embeddings(new_embeddings)
        self.shared = new_embeddings
        self.encoder.intent.set_input_embeddings(new_embeddings)
        self.decoder.set_input_embeddings(new_embeddings)

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        pattern_input_ids: torch.Tensor | None = None,
        pattern_attention_mask: torch.Tensor | None = None,
        *,
        decoder_input_ids: torch.Tensor | None = None,
        decoder_attention_mask: torch.Tensor | None = None,
        encoder_outputs: Any = None,
        past_key_values: Any = None,
        labels: torch.Tensor | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> Seq2SeqLMOutput:
        """Logits of the decoder's tokens.

        Notation: B rows, S, P and T tokens of intent, pattern and target, V vocabulary.

        Args:
            input_ids: [B, S] intent.
            attention_mask: [B, S].
            pattern_input_ids: [B, P] pattern; None: none.
            pattern_attention_mask: [B, P]; a row of zeros has no pattern.
            decoder_input_ids: [B, T]; None: the labels, moved by one.
            decoder_attention_mask: [B, T].
            encoder_outputs: what `encoder` returned for these inputs.
            past_key_values: of the decoder.
            labels: [B, T], -100 where no loss is taken.
            use_cache: whether the decoder's keys and values are returned.
            kwargs: for the decoder.

        Returns:
            `logits` [B, T, V] and, with labels, `loss`: the mean over the labels that count.
        """
        if encoder_outputs is None:
            encoder_outputs = self.encoder(input_ids, attention_mask, pattern_input_ids, pattern_attention_mask)
        if labels is not None and decoder_input_ids is None:
            decoder_input_ids = self._shift_right(labels)
        out = self.decoder(
            input_ids=decoder_input_ids,
            attention_mask=decoder_attention_mask,
            past_key_values=past_key_values,
            encoder_hidden_states=encoder_outputs[0],
            encoder_attention_mask=self._memory_mask(encoder_outputs, attention_mask, pattern_attention_mask),
            use_cache=use_cache,
            **{name: value for name, value in kwargs.items() if name != "return_dict"},
        )
        scale = self.model_dim**-0.5 if self.config.scale_decoder_outputs else 1.0
        logits = self.lm_head(out.last_hidden_state * scale)
        loss = None if labels is None else functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        return Seq2SeqLMOutput(
            loss=loss,
            logits=logits,
            past_key_values=out.past_key_values,
            decoder_hidden_states=out.hidden_states,
            decoder_attentions=out.attentions,
            cross_attentions=out.cross_attentions,
            encoder_last_hidden_state=encoder_outputs[0],
        )

    def _memory_mask(
        self, memory: Any, mask: torch.Tensor | None, pattern_mask: torch.Tensor | None
    ) -> torch.Tensor | None:
        """Which of the memory counts; made of the inputs' masks where the memory came without."""
        known: torch.Tensor | None = getattr(memory, "memory_mask", None)
        if known is not None or mask is None or mask.shape[1] == memory[0].shape[1] or pattern_mask is None:
            return mask if known is None else known
        return torch.cat([mask, pattern_mask.to(mask.dtype)], dim=1)

    def prepare_decoder_input_ids_from_labels(self, labels: torch.Tensor) -> torch.Tensor:
        """The labels moved by one."""
        return self._shift_right(labels)
