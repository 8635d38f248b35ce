"""One decoding step of a T5 decoder over static buffers: the same kernels on the same memory for every step.

Weights are copied out of the model once, fused (queries, keys and values in one product) and in the precision that
decoding runs in; `Weights.refresh` copies them again, into the same memory, after an update. The residual stream and
the norms are float32 whatever that precision. Nothing here waits for the device, so that a step can be captured as a
CUDA graph.

Notation: L layers, H heads, D features a head, F features of the model, V vocabulary; G groups of C rows that share
what the encoder read, B = G · C rows; T tokens of the cache, S tokens of the source.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import embedding, linear, rms_norm, scaled_dot_product_attention

from sluicegate.models.choosing import Sampling, choose, not_finite


class Weights:
    """A T5-shaped decoder's weights as decoding needs them, in memory of their own.

    Args:
        model: an encoder-decoder of transformers whose decoder is a T5Stack, with or without adapters.
        dtype: of the products.

    Attributes:
        encoder: the model's own.
        vocabulary: logits of a row.
    """

    def __init__(self, model: Any, dtype: torch.dtype) -> None:
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        config = inner.config
        self.encoder = inner.get_encoder()
        self._stack, self._head = inner.get_decoder(), inner.get_output_embeddings()
        first = self._stack.block[0].layer[0].SelfAttention
        self.dtype, self.device = dtype, self._stack.embed_tokens.weight.device
        self.layers, self.heads, self.width = len(self._stack.block), first.n_heads, first.key_value_proj_dim
        self._buckets = (first.relative_attention_num_buckets, first.relative_attention_max_distance)
        scaled = getattr(config, "scale_decoder_outputs", config.tie_word_embeddings)
        self._scale = config.d_model**-0.5 if scaled else 1.0
        self._eps = self._stack.final_layer_norm.variance_epsilon
        self._gated = hasattr(self._stack.block[0].layer[-1].DenseReluDense, "wi_0")
        self._act = self._stack.block[0].layer[-1].DenseReluDense.act
        self._held = {name: made.detach().clone() for name, made in self._made()}
        if self._tied():
            self._held["head"] = self._held["table"]
        self.vocabulary = len(self._held["head"])

    def refresh(self) -> None:
        """Take over what the model's weights are now."""
        for name, made in self._made():
            self._held[name].copy_(made)

    def _tied(self) -> bool:
        return self._head.weight is self._stack.embed_tokens.weight

    def _made(self) -> Iterator[tuple[str, Any]]:
        yield "table", self._stack.embed_tokens.weight.to(self.dtype)
        if not self._tied():
            yield "head", _weight(self._head).to(self.dtype)
        yield "norm", self._stack.final_layer_norm.weight.float()
        yield "distances", self._stack.block[0].layer[0].SelfAttention.relative_attention_bias.weight.T.float()
        for place, block in enumerate(self._stack.block):
            own, cross, dense = block.layer[0].SelfAttention, block.layer[1].EncDecAttention, block.layer[2]
            inner = dense.DenseReluDense
            rising = (inner.wi_0, inner.wi_1) if self._gated else (inner.wi,)
            parts = {
                "qkv": (own.q, own.k, own.v), "o": (own.o,), "cross_q": (cross.q,), "cross_kv": (cross.k, cross.v),
                "cross_o": (cross.o,), "wi": rising, "wo": (inner.wo,),
            }  # fmt: skip
            for name, linears in parts.items():
                yield f"{place}.{name}", torch.cat([_weight(one) for one in linears]).to(self.dtype)
            for name, layer in zip(("norm", "cross_norm", "wi_norm"), block.layer, strict=True):
                yield f"{place}.{name}", layer.layer_norm.weight.float()

    def biases(self, longest: int) -> Any:
        """What each head adds for a key by its distance, for every place of a cache of `longest`, [H, 2 · longest].

        Column `longest - 1 - place` is where the row of a query at `place` begins: keys behind it are ruled out.
        """
        buckets, furthest = self._buckets
        distances = torch.arange(longest - 1, -1, -1, device=self.device)
        numbers = (
            self._stack.block[0]
            .layer[0]
            .SelfAttention._relative_position_bucket(
                -distances, bidirectional=False, num_buckets=buckets, max_distance=furthest
            )
        )
        seen = self._held["distances"][:, numbers]
        return torch.cat([seen, torch.full_like(seen, -torch.inf)], -1).to(self.dtype)

    def crossed(self, layer: int, states: Any) -> tuple[Any, Any]:
        """Keys and values of what the encoder gave, each [P, H, S, D]; `states` is [P, S, F]."""
        keys, values = linear(states, self._held[f"{layer}.cross_kv"]).chunk(2, -1)
        return self._split(keys), self._split(values)

    def _split(self, states: Any) -> Any:
        return states.unflatten(-1, (self.heads, self.width)).transpose(1, 2)

    def logits(self, buffers: Buffers, shape: Shape) -> Any:
        """The next token's logits, float32 [B, V], of each row's last token; its keys and values are cached."""
        hidden = embedding(buffers.tokens[: shape.rows], self._held["table"]).float()
        bias = buffers.bias(shape.length)
        for layer in range(self.layers):
            hidden = hidden + self._own(layer, hidden, buffers, shape, bias)
            hidden = hidden + self._cross(layer, hidden, buffers, shape)
            hidden = hidden + self._dense(layer, hidden)
        final = rms_norm(hidden, hidden.shape[-1:], self._held["norm"], self._eps) * self._scale
        return linear(final.to(self.dtype), self._held["head"]).float()

    def _normed(self, layer: int, name: str, hidden: Any) -> Any:
        return rms_norm(hidden, hidden.shape[-1:], self._held[f"{layer}.{name}"], self._eps).to(self.dtype)

    def _own(self, layer: int, hidden: Any, buffers: Buffers, shape: Shape, bias: Any) -> Any:
        rows = len(hidden)
        fused = linear(self._normed(layer, "norm", hidden), self._held[f"{layer}.qkv"])
        query, key, value = fused.view(rows, 3, self.heads, 1, self.width).unbind(1)
        keys, values = buffers.keys[layer][:rows], buffers.values[layer][:rows]
        keys.index_copy_(2, buffers.place, key)
        values.index_copy_(2, buffers.place, value)
        seen, known = keys[:, :, : shape.length], values[:, :, : shape.length]
        out = scaled_dot_product_attention(query, seen, known, bias.expand(rows, -1, -1, -1), scale=1.0)
        return linear(out.reshape(rows, -1), self._held[f"{layer}.o"])

    def _cross(self, layer: int, hidden: Any, buffers: Buffers, shape: Shape) -> Any:
        """The rows of a group are the queries of one attention, so that their keys and values are read once."""
        rows, groups = len(hidden), shape.groups
        query = linear(self._normed(layer, "cross_norm", hidden), self._held[f"{layer}.cross_q"])
        query = self._split(query.view(groups, shape.copies, -1))
        keys = buffers.cross_keys[layer][:groups, :, : shape.source]
        values = buffers.cross_values[layer][:groups, :, : shape.source]
        mask = buffers.cross_mask[:groups, None, None, : shape.source].expand(-1, self.heads, shape.copies, -1)
        out = scaled_dot_product_attention(query, keys, values, mask, scale=1.0)
        return linear(out.transpose(1, 2).reshape(rows, -1), self._held[f"{layer}.cross_o"])

    def _dense(self, layer: int, hidden: Any) -> Any:
        risen = linear(self._normed(layer, "wi_norm", hidden), self._held[f"{layer}.wi"])
        if self._gated:
            gate, plain = risen.chunk(2, -1)
            return linear(self._act(gate) * plain, self._held[f"{layer}.wo"])
        return linear(self._act(risen), self._held[f"{layer}.wo"])


@dataclass(frozen=True, slots=True)
class Shape:
    """What a step is made for: rows, as groups of copies, and the tokens of cache and source that they look at."""

    groups: int
    copies: int
    length: int
    source: int

    @property
    def rows(self) -> int:
        """Rows of the batch."""
        return self.groups * self.copies


class Buffers:
    """Memory that all steps of a call work in; a step of fewer rows uses its head.

    Attributes:
        keys, values: L × [B, H, T, D].
        cross_keys, cross_values: L × [G, H, S, D].
        cross_mask: [G, S], added to the products.
        tokens: [B], each row's last.
        answer: [B], which answer a row writes; the last one is nobody's.
        ended: [B], whether a row has met its stop.
        place: [1], where in the cache the last tokens belong.
        drawn: [answers + 1, T], the tokens.
        uniforms: [answers + 1, T].
        stops: [V], which tokens end a row.
        damaged: [1], whether any row's logits were not finite.
    """

    def __init__(self, weights: Weights, *, rows: int, groups: int, length: int, source: int) -> None:
        self.rows, self.groups, self.length, self.source = rows, groups, length, source
        device, dtype = weights.device, weights.dtype

        def empty(first: int, last: int) -> list[Any]:
            shape = (first, weights.heads, last, weights.width)
            return [torch.zeros(shape, dtype=dtype, device=device) for _ in range(weights.layers)]

        self.keys, self.values = empty(rows, length), empty(rows, length)
        self.cross_keys, self.cross_values = empty(groups, source), empty(groups, source)
        self.cross_mask = torch.zeros(groups, source, dtype=dtype, device=device)
        self.tokens = torch.zeros(rows, dtype=torch.long, device=device)
        self.answer = torch.zeros(rows, dtype=torch.long, device=device)
        self.ended = torch.zeros(rows, dtype=torch.bool, device=device)
        self.place = torch.zeros(1, dtype=torch.long, device=device)
        self.drawn = torch.zeros(rows + 1, length, dtype=torch.long, device=device)
        self.uniforms = torch.zeros(rows + 1, length, dtype=torch.float64, device=device)
        self.stops = torch.zeros(weights.vocabulary, dtype=torch.bool, device=device)
        self.damaged = torch.zeros(1, dtype=torch.bool, device=device)
        self.biases = weights.biases(length)
        self._columns = torch.arange(length, device=device)

    def bias(self, length: int) -> Any:
        """What is added to the products of the query at `place`, [1, H, 1, `length`]."""
        columns = self._columns[:length] + (self.length - 1 - self.place)
        return self.biases.index_select(1, columns)[None, :, None]


def advance(weights: Weights, buffers: Buffers, shape: Shape, sampling: Sampling) -> Any:
    """Choose each row's next token, note it, and move on by one place; returns the logits, [B, V].

    A row that has ended goes on, and what it writes behind its stop is never read.
    """
    rows = shape.rows
    logits = weights.logits(buffers, shape)
    answer, ended = buffers.answer[:rows], buffers.ended[:rows]
    uniforms = buffers.uniforms.index_select(1, buffers.place).squeeze(1).index_select(0, answer)
    chosen = choose(logits, uniforms, sampling)
    buffers.drawn.index_put_((answer, buffers.place.expand(rows)), chosen)
    buffers.damaged.logical_or_((not_finite(logits) & ~ended).any())
    ended.logical_or_(buffers.stops.index_select(0, chosen))
    buffers.tokens[:rows].copy_(chosen)
    buffers.place.add_(1)
    return logits


def _weight(part: Any) -> Any:
    """A linear layer's weight as it acts, [out, in]: adapters added, 4-bit weights unpacked."""
    if type(part) is torch.nn.Linear:
        return part.weight
    ones = torch.eye(part.in_features, device=part.weight.device)
    return part(ones).T
