"""Random weights that can copy from the start: what attention does in trained models, laid out before training.

A manifest repeats the words of its request. A random encoder-decoder needs some thousand steps to find that out, and
until then it says one line over and over. Here the first layer that reads puts the token before into a few features,
the mark; the decoder looks there for the token that it is at, and so finds what came behind it. All weights are trained
as ever, and nothing is fixed.

Source: mimetic initialisation, arXiv 2305.09828; heads that copy so, arXiv 2209.11895. The layout for T5 is our own.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

SURE, NEAR = 8.0, 5.0
"""Added to the products of a head with the one place that it looks at; e⁵ is the weight of 148 tokens."""
CONTENT = 0.3
"""Of the queries to the own tokens, so that places decide at first."""
LITTLE = 0.3
"""Of what is added by dense parts, and by all but the first attention that reads: they would blur the mark."""
MARKED, EQUAL = 0.35, 2.0
"""Of the decoder's queries: for marks, and for tokens like its own, these in units of 1/√d_kv."""


@torch.no_grad()  # type: ignore[untyped-decorator]
def mimic(model: Any) -> None:
    """Lay out the weights of a T5 or a dual encoder with three heads or more; random where nothing is said here.

    Tables of deviation 1/√d_model, and layers that add as much less, leave to each its share of the sum: every layer
    norms what it reads.
    """
    from transformers.models.t5.modeling_t5 import T5Stack

    share = model.config.d_model**-0.5
    mark = nn.init.orthogonal_(torch.empty(model.config.d_kv, model.config.d_model))
    for part in model.modules():
        if isinstance(part, nn.Embedding) and part.num_embeddings == model.config.vocab_size:
            nn.init.normal_(part.weight, std=share)
        elif isinstance(part, T5Stack):
            for block in part.block:
                block.layer[-1].DenseReluDense.wo.weight.mul_(LITTLE * share)
                _hands_on(block.layer[0].SelfAttention, share)
                block.layer[0].SelfAttention.q.weight.mul_(CONTENT)
            (_says if part.is_decoder else _reads)(part, share, mark)


def _hands_on(part: Any, share: float) -> None:
    """What an attention sees is added as it is."""
    nn.init.orthogonal_(part.v.weight)
    part.o.weight.copy_(share * part.v.weight.T)


def _reads(stack: Any, share: float, mark: Any) -> None:
    """The first head puts the token before into the mark, the second takes the token itself out of it."""
    first, *others = (block.layer[0].SelfAttention for block in stack.block)
    for head, sign in enumerate((1, -1)):
        rows = slice(head * len(mark), (head + 1) * len(mark))
        first.v.weight[rows] = mark
        first.o.weight[:, rows] = sign * share * mark.T
    for part in others:
        part.o.weight.mul_(LITTLE)
    later = first.relative_attention_num_buckets // 2
    _look(first, ((1, SURE), (0, SURE), (later + 1, NEAR)))


def _says(stack: Any, share: float, mark: Any) -> None:
    """Half of the heads look for marks of the token, the others for tokens like it."""
    for block in stack.block:
        part = block.layer[1].EncDecAttention
        _hands_on(part, share)
        part.q.weight.copy_(EQUAL * part.key_value_proj_dim**-0.5 * part.k.weight)
        for head in range(part.n_heads // 2):
            rows = slice(head * len(mark), (head + 1) * len(mark))
            part.k.weight[rows], part.q.weight[rows] = mark, MARKED * mark
    _look(stack.block[0].layer[0].SelfAttention, ((1, NEAR), (2, NEAR), (0, NEAR / 2)))


def _look(part: Any, places: tuple[tuple[int, float], ...]) -> None:
    """Heads look at places: for each its bucket, which is a distance as T5 counts, and what is added there."""
    table = part.relative_attention_bias.weight
    for head, (bucket, added) in enumerate(places):
        table[:, head] = 0.0
        table[bucket, head] = added
