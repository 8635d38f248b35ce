"""Attention that keeps the samples of a pack apart, by the kernel for sequences of unequal length.

It is registered with transformers under a name of ours and stands in for a model's own attention while it is trained on
a GPU. Where a pack's bounds are not given, or gradients are not wanted on a GPU, it is transformers' `sdpa`.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

NAME = "sluicegate_varlen"
TILE = 128
"""Tokens of a sample that a program of the kernels looks at."""
GROUPED: dict[str, Any] = {"enable_gqa": True} if "enable_gqa" in inspect.signature(varlen_attn).parameters else {}
"""What says that there are fewer heads of keys than of queries; torch 2.11 takes them without a word."""


def varlen(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    cu_seq_lens_q: torch.Tensor | None = None,
    max_length_q: int | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention within each sample of a pack.

    Notation: T tokens of the pack, S samples, H heads, G heads of keys and values, D features.

    Args:
        module: the attention layer.
        query: [1, H, T, D].
        key, value: [1, G, T, D].
        attention_mask: none; causality and bounds say all.
        scaling: of the products; None for 1 / sqrt(D).
        dropout: of the weights, which the kernel does not know: must be 0.
        sliding_window: tokens that each token sees, itself included; None for all before it.
        softcap: of the products, which the kernel does not know: must be None.
        cu_seq_lens_q: [S + 1] where each sample starts, and T; None for one sample a row.
        max_length_q: tokens of the longest sample, or more; None: T.
        others: what transformers hands to any attention.

    Returns:
        [1, T, H, D], and None in the place of the weights.

    Raises:
        ValueError: dropout or softcap.
    """
    if cu_seq_lens_q is None:
        out, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, dropout=dropout, **others
        )
        return out, None
    if dropout or softcap:
        raise ValueError("the attention of packed samples knows no dropout and no softcap")
    most = max_length_q or query.shape[2]
    parts = (part[0].transpose(0, 1).to(value.dtype) for part in (query, key, value))
    out = varlen_attn(
        *parts, cu_seq_lens_q, cu_seq_lens_q, most, most,
        scale=scaling, window_size=(sliding_window - 1 if sliding_window else -1, 0), **GROUPED,
    )  # fmt: skip
    return out[None], None


AttentionInterface.register(NAME, varlen)
