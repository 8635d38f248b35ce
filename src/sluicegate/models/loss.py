"""From tokens to the sum of their losses, without ever holding all logits at once.

The logits of one long sample of an 8B model take more memory than its 4-bit weights, several times over in fp32 and
with gradients. So only the positions that predict a target go through the head, a slice of them at a time, and a
slice's logits are computed again when its gradient is due.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch.nn import Module, functional
from torch.utils.checkpoint import checkpoint

from sluicegate.models.memory import LOGITS_AT_ONCE


class SummedLoss(Module):  # type: ignore[misc]
    """A causal model as a module whose forward gives a loss: what is wrapped for several processes.

    Args:
        model: the model being trained, with or without adapters.
        autocast: precision that the trial of the head runs in, None for the model's own.
    """

    def __init__(self, model: Any, *, autocast: torch.dtype | None = None) -> None:
        super().__init__()
        self.model = model
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        # Kept in a tuple, or torch would list the same parameters under several names.
        self._parts = (inner, *_decoder_and_head(inner, autocast))
        self._picks = "logits_to_keep" in inspect.signature(inner.forward).parameters

    def forward(
        self, ids: torch.Tensor, columns: torch.Tensor, rows: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        """Sum of the target tokens' losses, a scalar.

        There is no attention mask: attention is causal and padding stands on the right, where no token sees it.
        Notation: B samples, T tokens, K columns that hold any target, N targets.

        Args:
            ids: [B, T] tokens.
            columns: [K] positions, from the first that predicts a target of any sample.
            rows: [N] which of the B · K positions predict a target.
            targets: [N] the tokens they are to predict.
        """
        inner, decoder, head = self._parts
        if decoder is None:
            picked = {"logits_to_keep": columns} if self._picks else {}
            logits = inner(input_ids=ids, use_cache=False, **picked).logits
            logits = logits if self._picks else logits[:, columns]
            return _summed(logits.flatten(0, 1)[rows], targets)
        hidden = decoder(input_ids=ids, use_cache=False).last_hidden_state
        return sliced_loss(hidden[:, columns].flatten(0, 1)[rows], head, targets)


def sliced_loss(
    hidden: torch.Tensor, head: Any, targets: torch.Tensor, *, at_once: int = LOGITS_AT_ONCE
) -> torch.Tensor:
    """Sum of the losses of N targets, with at most `at_once` logits in memory.

    Args:
        hidden: [N, H] what the head takes.
        head: from H features to V logits.
        targets: [N] tokens.
        at_once: most logits held, over all targets of a slice.
    """
    size = max(1, at_once // head.weight.shape[0])
    if len(targets) <= size:
        return _summed(head(hidden), targets)

    def part(some: torch.Tensor, of_them: torch.Tensor) -> torch.Tensor:
        return _summed(head(some), of_them)

    total = hidden.new_zeros((), dtype=torch.float32)
    for some, of_them in zip(hidden.split(size), targets.split(size), strict=True):
        total = total + checkpoint(part, some, of_them, use_reentrant=False)
    return total


def _summed(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(logits.float(), targets, reduction="sum")


def _decoder_and_head(inner: Any, autocast: torch.dtype | None) -> tuple[Any, Any]:
    """The model's body and head, if its logits are what the head makes of the body's output; else None and None.

    Some models scale or cap their logits, or have no such parts. It is tried on a few tokens rather than looked up.
    """
    mode = inner.training
    try:
        decoder, head = inner.get_decoder(), inner.get_output_embeddings()
        ids = torch.arange(4, device=inner.device)[None]
        inner.eval()
        with torch.no_grad(), torch.autocast(inner.device.type, dtype=autocast, enabled=autocast is not None):
            wanted = inner(input_ids=ids, use_cache=False).logits
            seen = head(decoder(input_ids=ids, use_cache=False).last_hidden_state)
    except (AttributeError, TypeError):
        return None, None
    finally:
        inner.train(mode)
    return (decoder, head) if torch.allclose(seen.float(), wanted.float(), atol=1e-3, rtol=1e-3) else (None, None)
