"""T5 stacks as training runs them: the same modules and weights, in fewer and larger kernels.

`quicken` turns the T5Stacks of a model into `FastStack`s, wherever they sit; whatever holds them, `generate` and saving
do not notice. Queries, keys and values are one product, relative positions are looked up by distance and added in the
attention kernel, and what lies between two attentions is one compiled graph for all layers, widths and batches. The
residual stream is float32 under autocast, as it is in transformers. `Seq2SeqLoss` never holds all logits.

Notation: B rows, T tokens, N = B · T, P sources of S tokens, F features, H heads, D features a head, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import Linear, Module
from torch.nn.attention import sdpa_kernel
from torch.nn.functional import linear, pad, rms_norm, scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions
from transformers.models.t5.modeling_t5 import T5Stack

from sluicegate.models.choosing import ATTENTION, NEVER
from sluicegate.models.graphs import Run, compiled, plain
from sluicegate.models.head import head_loss, head_scores

ALIGNMENT = 16
"""Numbers that rows of what is added to products begin at multiples of."""


class FastStack(T5Stack):  # type: ignore[misc]
    """A T5Stack with another forward; a cache, or anything else that training does not need, takes the old one.

    Attributes:
        compiled: whether what lies between two attentions is compiled.
    """

    compiled = False

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        *,
        encoder_hidden_states: torch.Tensor | None = None,
        encoder_attention_mask: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        past_key_values: Any = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """The states behind the last layer, [B, T, F], as `last_hidden_state`.

        Args:
            input_ids: [B, T], or in its place `inputs_embeds`, [B, T, F].
            attention_mask: [B, T], 1 for a token that may be seen; None for all.
            encoder_hidden_states: [P, S, F], for a decoder; each is what B / P neighbouring rows answer.
            encoder_attention_mask: [P, S].
            inputs_embeds: see there.
            past_key_values: given or asked for by `use_cache`, T5Stack's own forward is taken.
            use_cache: see there.
            kwargs: as T5Stack's; with any of weight, its own forward is taken.
        """
        given = {
            "input_ids": input_ids, "attention_mask": attention_mask, "encoder_hidden_states": encoder_hidden_states,
            "encoder_attention_mask": encoder_attention_mask, "inputs_embeds": inputs_embeds,
        }  # fmt: skip
        masks = (attention_mask, encoder_attention_mask)
        own = (
            (past_key_values is not None or bool(use_cache))
            or any(value is not None and value is not False for value in kwargs.values())
            or any(mask is not None and mask.ndim != 2 for mask in masks)
            or self.is_decoder == (encoder_hidden_states is None)
        )
        if own:
            return super().forward(**given, past_key_values=past_key_values, use_cache=use_cache, **kwargs)
        hidden = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        return BaseModelOutputWithPastAndCrossAttentions(
            last_hidden_state=self._through(hidden, attention_mask, encoder_hidden_states, encoder_attention_mask)
        )

    def _through(self, embedded: Any, mask: Any, source: Any, source_mask: Any) -> Any:
        rows, tokens, features = embedded.shape
        kind = embedded.device.type
        exact = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else embedded.dtype
        by_distance, source_bias = self._by_distance(tokens), None
        with torch.no_grad():
            # Summed in the precision of the products: in float32 the sum alone, [B, H, T, T], would be most of a peak.
            whole = _widened(by_distance.to(exact))
            whole = whole if mask is None else whole + _widened(_ruled_out(mask).to(exact))
            bias = whole[..., :tokens].expand(rows, -1, -1, -1)
        if source_mask is not None:
            heads = self.block[0].layer[0].SelfAttention.n_heads
            seeing = rows // len(source_mask) * tokens
            unseen = _ruled_out(source_mask).to(exact)
            source_bias = _widened(unseen)[..., : source_mask.shape[1]].expand(-1, heads, seeing, -1)
        sides = (by_distance, bias, source, source_bias)
        run = compiled if self.compiled else plain
        hidden = self.dropout(embedded).float().reshape(-1, features)
        for block in self.block:
            # Also in evaluation mode: learning by reward has dropout off.
            if block.gradient_checkpointing and torch.is_grad_enabled():
                hidden = checkpoint(_block, block, hidden, rows, sides, run, use_reentrant=False)
            else:
                hidden = _block(block, hidden, rows, sides, run)
        hidden = self.dropout(_normed(self.final_layer_norm, hidden))
        return hidden.view(rows, tokens, features).to(embedded.dtype)

    def _by_distance(self, tokens: int) -> Any:
        """What is added to the products by distance, in a decoder none to later tokens; [1, H, T, T], float32."""
        attention = self.block[0].layer[0].SelfAttention
        table = attention.relative_attention_bias.weight
        distances = torch.arange(1 - tokens, tokens, device=table.device)
        buckets = attention._relative_position_bucket(
            distances,
            bidirectional=not self.is_decoder,
            num_buckets=attention.relative_attention_num_buckets,
            max_distance=attention.relative_attention_max_distance,
        )
        by_distance = table[buckets].float().T.contiguous()  # [H, 2T - 1], the key's place less the query's
        if self.is_decoder:
            by_distance = by_distance.masked_fill(distances > 0, NEVER)
        return by_distance.unfold(1, tokens, 1).flip(1)[None]


def _ruled_out(mask: Any) -> Any:
    """A mask [B, S] as what is added to products, [B, 1, 1, S], float32."""
    return ((mask == 0) * NEVER)[:, None, None]


def _widened(bias: Any) -> Any:
    """The same with wider rows, each beginning where the attention kernels want it, or every layer would copy it so."""
    return pad(bias, (0, -bias.shape[-1] % ALIGNMENT))


def quicken(model: Any, *, compile: bool = False) -> int:
    """Let all T5Stacks of a model run as `FastStack`s, compiled or not; called again, it changes that.

    Returns:
        How many there are.
    """
    stacks = [part for part in model.modules() if isinstance(part, T5Stack)]
    for stack in stacks:
        stack.__class__ = FastStack
        stack.compiled = compile
    return len(stacks)


class _Shared(torch.autograd.Function):  # type: ignore[misc]
    """What all rows and layers add to their products, made once; its gradient is summed over the rows at once.

    Otherwise every layer's gradient, [B, H, T, T], would be added to the others' before that.
    """

    @staticmethod
    def forward(ctx: Any, by_distance: Any, bias: Any) -> Any:
        return bias.view_as(bias)

    @staticmethod
    def backward(ctx: Any, above: Any) -> tuple[Any, None]:
        return above.sum(0, keepdim=True, dtype=torch.float32), None


def _block(block: Any, hidden: Any, rows: int, sides: tuple[Any, Any, Any, Any], run: Run) -> Any:
    """One layer, [N, F] to [N, F].

    Args:
        block: T5's.
        hidden: [N, F].
        rows: B.
        sides: what is added to the products with the own tokens by distance, and in all, [B, H, T, T]; the source,
            [P, S, F], or None; what is added there.
        run: how the parts are run.
    """
    by_distance, bias, source, source_bias = sides
    own = block.layer[0]
    query, key, value = run(_into_own, own, hidden).unflatten(0, (rows, -1)).chunk(3, -1)
    seen = _attend(own.SelfAttention, query, key, value, _Shared.apply(by_distance, bias))
    last = own
    if source is not None:
        cross = block.layer[1]
        hidden, query = run(_into_cross, own, cross, seen, hidden)
        key, value = _fused((cross.EncDecAttention.k, cross.EncDecAttention.v), source).chunk(2, -1)
        # The rows that share a source are the queries of one attention.
        seen = _attend(cross.EncDecAttention, query.unflatten(0, (len(source), -1)), key, value, source_bias)
        last = cross
    return run(_out, last, block.layer[-1], seen, hidden)


def _into_own(own: Any, hidden: Any) -> Any:
    """Queries, keys and values of a layer's own attention, [N, 3 · H · D]."""
    part = own.SelfAttention
    return _fused((part.q, part.k, part.v), _normed(own.layer_norm, hidden))


def _into_cross(own: Any, cross: Any, seen: Any, hidden: Any) -> tuple[Any, Any]:
    """The state with what was seen of the own tokens, and the queries to the source."""
    hidden = hidden + own.dropout(own.SelfAttention.o(seen))
    return hidden, cross.EncDecAttention.q(_normed(cross.layer_norm, hidden))


def _out(last: Any, dense: Any, seen: Any, hidden: Any) -> Any:
    """The state with what was seen, through the dense part."""
    attention = last.EncDecAttention if hasattr(last, "EncDecAttention") else last.SelfAttention
    hidden = hidden + last.dropout(attention.o(seen))
    return hidden + dense.dropout(dense.DenseReluDense(_normed(dense.layer_norm, hidden)))


def _normed(norm: Any, hidden: Any) -> Any:
    """Normed in float32, in the precision of the norm's weight."""
    return rms_norm(hidden, hidden.shape[-1:], norm.weight.float(), norm.variance_epsilon).to(norm.weight.dtype)


def _fused(parts: Sequence[Any], states: Any) -> Any:
    """What several linear layers make of the same states, side by side; in one product where nothing is adapted."""
    if all(type(part) is Linear for part in parts):
        return linear(states, torch.cat([part.weight for part in parts]))
    return torch.cat([part(states) for part in parts], -1)


def _attend(part: Any, query: Any, key: Any, value: Any, bias: Any) -> Any:
    """Attention of [B, T, H · D] to [B, S, H · D], without scaling, [N, H · D]."""
    query, key, value = (one.unflatten(-1, (part.n_heads, -1)).transpose(1, 2) for one in (query, key, value))
    dropped = part.dropout if part.training else 0.0
    # Chosen here and not around all layers, so that a layer that is computed again takes the same kernel.
    with sdpa_kernel(ATTENTION):
        out = scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=dropped, scale=1.0)
    return out.transpose(1, 2).flatten(2).flatten(0, 1)


class Seq2SeqLoss(Module):  # type: ignore[misc]
    """An encoder-decoder as a module whose forward gives a loss: what is wrapped for several processes.

    Args:
        model: the model being trained, with or without adapters; its T5Stacks become `FastStack`s.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        quicken(model)
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        # Kept in a tuple, or torch would list the same parameters under several names.
        self._parts = (inner.get_encoder(), inner.get_decoder(), inner.get_output_embeddings())
        scaled = getattr(inner.config, "scale_decoder_outputs", inner.config.tie_word_embeddings)
        self._scale = inner.config.d_model**-0.5 if scaled else 1.0
        self._compiled = False

    def forward(self, *, decoder_input_ids: Any, rows: Any, targets: Any, **inputs: Any) -> Any:
        """Sum of the target tokens' losses, a scalar.

        Args:
            decoder_input_ids: [B, T] its start, then the targets but the last, then any token, which is not seen.
            rows: [M] which of the B · T positions predict a target.
            targets: [M] the tokens they are to predict.
            inputs: what the encoder takes, `attention_mask` among them, for P rows; each is read once, and answered by
                B / P neighbouring rows.
        """
        head = self._parts[2]
        hidden = self.hidden(decoder_input_ids, **inputs).flatten(0, 1).index_select(0, rows)
        return head_loss(hidden, head.weight, targets, compile=self._compiled)

    def scores(self, *, decoder_input_ids: Any, rows: Any, targets: Any, **inputs: Any) -> tuple[Any, Any]:
        """Each target's log-probability, [M], and the entropy of its distribution in nats, [M], without gradient.

        Args:
            decoder_input_ids: as in `forward`, as are all others.
            rows: see there.
            targets: see there.
            inputs: see there.
        """
        head = self._parts[2]
        hidden = self.hidden(decoder_input_ids, **inputs).flatten(0, 1).index_select(0, rows)
        return head_scores(hidden, head.weight, targets, compile=self._compiled)

    def hidden(self, decoder_input_ids: Any, **inputs: Any) -> Any:
        """What the head takes at each position, [B, T, F], scaled where the model scales it."""
        encoder, decoder, _ = self._parts
        memory = encoder(**inputs)
        states, mask = memory.last_hidden_state, getattr(memory, "memory_mask", None)
        mask = inputs["attention_mask"] if mask is None else mask
        out = decoder(
            input_ids=decoder_input_ids, encoder_hidden_states=states, encoder_attention_mask=mask, use_cache=False
        )
        return out.last_hidden_state * self._scale

    def compile(self, batch: dict[str, Any]) -> str:
        """Compile, and try it forward and backward; where there is no compiler all runs as it is.

        Args:
            batch: what `forward` takes, on the model's device; under the precision that training runs in.

        Returns:
            What was done, in a word or two.
        """
        self._set(True)
        try:
            self(**batch).backward()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as fault:
            self._set(False)
            return f"not compiled ({type(fault).__name__}: {str(fault).strip().splitlines()[0][:120]})"
        finally:
            self.zero_grad(set_to_none=True)
        return "compiled"

    def _set(self, wanted: bool) -> None:
        self._compiled = wanted
        quicken(self.model, compile=wanted)
