"""T5 stacks as training runs them: the same modules and weights, in fewer and larger kernels.

`quicken` turns the T5Stacks of a model into `FastStack`s, wherever they sit; whatever holds them, `generate` and saving
do not notice. Where the kernels of `packed_attention` run, padding is left out between the embedding and the last norm;
elsewhere rows stay as they are, and what is added to the products is a matrix. Queries, keys and values are one
product, and what lies between two attentions is one compiled graph for all layers, widths and batches. The residual
stream is float32 under autocast, as it is in transformers. `Seq2SeqLoss` never holds all logits.

Notation: B rows of T tokens, N of them run, P sources of S tokens, M of them run, F features, H heads, D features a
head, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch.nn import Linear, Module
from torch.nn.attention import sdpa_kernel
from torch.nn.functional import linear, pad, rms_norm, scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions
from transformers.models.t5.modeling_t5 import T5Stack

from sluicegate.errors import first_line
from sluicegate.models.choosing import ATTENTION, NEVER
from sluicegate.models.graphs import Run, compiled, plain
from sluicegate.models.head import head_loss, head_scores
from sluicegate.models.packed_attention import HALVES, Pack, cross, own, packed, reach, usable

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
        other = (
            (past_key_values is not None or bool(use_cache))
            or any(value is not None and value is not False for value in kwargs.values())
            or any(mask is not None and mask.ndim != 2 for mask in masks)
            or self.is_decoder == (encoder_hidden_states is None)
        )
        if other:
            return super().forward(**given, past_key_values=past_key_values, use_cache=use_cache, **kwargs)
        asked: Any = input_ids if inputs_embeds is None else inputs_embeds
        rows, tokens = asked.shape[:2]
        packs = self._packed(asked, attention_mask, encoder_hidden_states, encoder_attention_mask)
        some = asked.flatten(0, 1) if packs is None else packs.pack.of(asked)
        embedded = self.embed_tokens(some) if inputs_embeds is None else some
        if packs is None:
            sides = self._padded(rows, attention_mask, encoder_hidden_states, encoder_attention_mask, tokens=tokens)
            hidden = self._through(embedded, sides).unflatten(0, (rows, tokens))
        else:
            hidden = packs.pack.back(self._through(embedded, packs), rows, tokens)
        return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=hidden.to(embedded.dtype))

    def _through(self, embedded: Any, sides: _Sides) -> Any:
        """All layers and the last norm, [N, F] to [N, F]."""
        hidden = self.dropout(embedded).float()
        for place, block in enumerate(self.block):
            # Also in evaluation mode: learning by reward has dropout off.
            if block.gradient_checkpointing and torch.is_grad_enabled():
                hidden = checkpoint(sides.layer, place, block, hidden, use_reentrant=False)
            else:
                hidden = sides.layer(place, block, hidden)
        return self.dropout(_normed(self.final_layer_norm, hidden))

    def _exact(self) -> torch.dtype:
        """The precision of the products."""
        weight = self.embed_tokens.weight
        kind = weight.device.type
        found: torch.dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
        return found

    def packs(self, exact: torch.dtype) -> bool:
        """Whether rows run without their padding where products are in such a precision."""
        weight, attention = self.embed_tokens.weight, self.block[0].layer[0].SelfAttention
        return exact in HALVES and usable(weight.device, attention.key_value_proj_dim)

    def _packed(self, asked: Any, mask: Any, source: Any, source_mask: Any) -> _Packed | None:
        """Rows without their padding; None where the kernels do not run, or a row's tokens do not stand together."""
        rows, tokens = asked.shape[:2]
        pack = packed(mask, rows, tokens, asked.device) if self.packs(self._exact()) else None
        if pack is None:
            return None
        layers, part = len(self.block), self.block[0].layer[0].SelfAttention
        drops = part.training and part.dropout > 0
        seeds = torch.randint(2, 2**31 - 1, (layers, 2)).tolist() if drops else [(0, 0)] * layers
        shared = (self._by_distance(reach(pack.longest)), pack.starts, pack.longest)
        if source is None:
            return _Packed(pack, self._run, seeds, shared, None)
        sources, furthest = source.shape[:2]
        there = packed(source_mask, sources, furthest, source.device, apart=True)
        if there is None:
            return None
        # The rows that share a source are the queries of one attention.
        seeing = rows // sources
        answers = (pack.starts[::seeing].contiguous(), pack.longest * seeing)
        read = (there.of(source), answers, (there.starts, there.longest))
        return _Packed(pack, self._run, seeds, shared, read)

    @property
    def _run(self) -> Run:
        return compiled if self.compiled else plain

    def _padded(self, rows: int, mask: Any, source: Any, source_mask: Any, *, tokens: int) -> _Padded:
        exact, source_bias = self._exact(), None
        distances = self._by_distance(tokens)[:, 1:]
        if self.is_decoder:
            later = torch.arange(1 - tokens, tokens, device=distances.device) > 0
            distances = distances.masked_fill(later, NEVER)
        by_distance = distances.unfold(1, tokens, 1).flip(1)[None]  # [1, H, T, T]
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
        return _Padded(rows, self._run, by_distance, bias, source, source_bias)

    def _by_distance(self, reaches: int) -> Any:
        """What is added for a key by its place less the query's, from -R to R - 1; [H, 2 · R], float32.

        Args:
            reaches: R.
        """
        attention = self.block[0].layer[0].SelfAttention
        table = attention.relative_attention_bias.weight
        buckets = attention._relative_position_bucket(
            torch.arange(-reaches, reaches, device=table.device),
            bidirectional=not self.is_decoder,
            num_buckets=attention.relative_attention_num_buckets,
            max_distance=attention.relative_attention_max_distance,
        )
        return table[buckets].float().T.contiguous()


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


class _Sides(Protocol):
    """How a stack's layers see rows: padded, or packed."""

    def layer(self, place: int, block: Any, hidden: Any) -> Any:
        """The T5 layer at that place, [N, F] to [N, F]."""


@dataclass(frozen=True, slots=True)
class _Padded:
    """Rows side by side, N = B · T; what lies between two attentions is compiled, if anything is.

    Args:
        rows: B.
        run: how that is run.
        by_distance: what is added to the products with the own tokens by distance, [1, H, T, T], float32.
        bias: what is added there in all, [B, H, T, T].
        source: [P, S, F], or None.
        source_bias: what is added to the products with the source.
    """

    rows: int
    run: Run
    by_distance: Any
    bias: Any
    source: Any
    source_bias: Any

    def layer(self, place: int, block: Any, hidden: Any) -> Any:
        """See `_Sides`."""
        last = first = block.layer[0]
        query, key, value = self.run(_into_own, first, hidden).unflatten(0, (self.rows, -1)).chunk(3, -1)
        seen = _attend(first.SelfAttention, query, key, value, _Shared.apply(self.by_distance, self.bias))
        if self.source is not None:
            last = block.layer[1]
            hidden, query = self.run(_into_cross, first, last, seen, hidden)
            # The rows that share a source are the queries of one attention.
            query = query.unflatten(0, (len(self.source), -1))
            key, value = _of_source(last, self.source).chunk(2, -1)
            seen = _attend(last.EncDecAttention, query, key, value, self.source_bias)
        return self.run(_out, last, block.layer[-1], seen, hidden)


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


@dataclass(frozen=True, slots=True)
class _Packed:
    """Rows one behind the other without padding; a layer is compiled as a whole, if anything is.

    Args:
        pack: which tokens those are.
        run: how a layer is run.
        seeds: for each layer two, of the weights that are dropped; 0 where none are.
        shared: what `packed_attention.own` is given beside queries, keys and values.
        read: the source, [M, F], and what `packed_attention.cross` is given of it; None in an encoder.
    """

    pack: Pack
    run: Run
    seeds: list[tuple[int, int]]
    shared: tuple[Any, ...]
    read: tuple[Any, ...] | None

    def layer(self, place: int, block: Any, hidden: Any) -> Any:
        """See `_Sides`."""
        return self.run(_packed_layer, block, hidden, self.shared, self.read, self.seeds[place])


def _packed_layer(
    block: Any, hidden: Any, shared: tuple[Any, ...], read: tuple[Any, ...] | None, seeds: tuple[int, int]
) -> Any:
    last = first = block.layer[0]
    part, (by_distance, starts, longest), (seed, other) = first.SelfAttention, shared, seeds
    dropped, causal = part.dropout if part.training else 0.0, part.is_decoder
    seen = own(_into_own(first, hidden), by_distance, starts, longest, seed, dropped=dropped, causal=causal)
    if read is not None:
        last = block.layer[1]
        source, answers, there = read
        hidden, query = _into_cross(first, last, seen, hidden)
        seen = cross(query, _of_source(last, source), answers, there, other, heads=part.n_heads, dropped=dropped)
    return _out(last, block.layer[-1], seen, hidden)


def _of_source(layer: Any, source: Any) -> Any:
    """Keys and values of the source, side by side."""
    return _fused((layer.EncDecAttention.k, layer.EncDecAttention.v), source)


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
            rows: which of the B · T positions predict a target, in order, each of a row behind the one before: the
                others of a row come last.
            targets: the tokens they are to predict.
            inputs: what the encoder takes, `attention_mask` among them, for P rows; each is read once, and answered by
                B / P neighbouring rows.
        """
        head = self._parts[2]
        hidden = self.hidden(decoder_input_ids, rows, **inputs)
        return head_loss(hidden, head.weight, targets, compile=self._compiled)

    def scores(self, *, decoder_input_ids: Any, rows: Any, targets: Any, **inputs: Any) -> tuple[Any, Any]:
        """Each target's log-probability, and the entropy of its distribution in nats, without gradient.

        Args:
            decoder_input_ids: as in `forward`, as are all others.
            rows: see there.
            targets: see there.
            inputs: see there.
        """
        head = self._parts[2]
        hidden = self.hidden(decoder_input_ids, rows, **inputs)
        return head_scores(hidden, head.weight, targets, compile=self._compiled)

    def hidden(self, decoder_input_ids: Any, rows: Any, **inputs: Any) -> Any:
        """What the head takes at each position of `rows`, [rows, F], scaled where the model scales it."""
        encoder, decoder, _ = self._parts
        memory = encoder(**inputs)
        states, mask = memory.last_hidden_state, getattr(memory, "memory_mask", None)
        mask = inputs["attention_mask"] if mask is None else mask
        written = None
        if self.packs(torch.bfloat16):
            written = torch.zeros_like(decoder_input_ids).flatten().index_fill(0, rows, 1).view_as(decoder_input_ids)
        out = decoder(
            input_ids=decoder_input_ids, attention_mask=written, encoder_hidden_states=states,
            encoder_attention_mask=mask, use_cache=False,
        )  # fmt: skip
        return out.last_hidden_state.flatten(0, 1).index_select(0, rows) * self._scale

    def packs(self, exact: torch.dtype) -> bool:
        """Whether rows run without their padding where products are in such a precision."""
        return bool(self._parts[1].packs(exact))

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
            return f"not compiled ({type(fault).__name__}: {first_line(fault)})"
        finally:
            self.zero_grad(set_to_none=True)
        return "compiled"

    def _set(self, wanted: bool) -> None:
        self._compiled = wanted
        quicken(self.model, compile=wanted)
