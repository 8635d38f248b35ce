"""From tokens to the sum of their losses, without ever holding all logits at once.

The logits of one long sample of an 8B model take more memory than its 4-bit weights, several times over in fp32 and
with gradients. So only the positions that predict a target go through the head, a slice of them at a time. Where the
head is frozen, a slice's gradient is taken at once and its logits are dropped (`head`); where it is trained, they are
computed again when its gradient is due.
"""

from __future__ import annotations

import inspect
from typing import Any, cast

import torch
from torch.nn import Module, functional
from torch.utils.checkpoint import checkpoint

from sluicegate.models.head import head_loss
from sluicegate.models.memory import HEAD_AT_ONCE, HEAD_BYTES, HEAD_BYTES_COMPILED

NO_TARGET = -100
"""A target that is none, so that there are as many as a shape has; torch's `cross_entropy` knows it too."""


class SummedLoss(Module):  # type: ignore[misc]
    """A causal model as a module whose forward gives a loss: what is wrapped for several processes.

    Args:
        model: the model being trained, with or without adapters.
        autocast: precision that the trials run in, None for the model's own.

    Attributes:
        has_body: whether its logits are what the head makes of the body's output.
        packs: whether the model keeps samples apart that stand one behind the other in a row.
        vocabulary: logits of a token.
    """

    def __init__(self, model: Any, *, autocast: torch.dtype | None = None) -> None:
        super().__init__()
        self.model = model
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        # Kept in a tuple, or torch would list the same parameters under several names.
        self._parts = (inner, *_decoder_and_head(inner, autocast))
        self._picks = "logits_to_keep" in inspect.signature(inner.forward).parameters
        self.has_body = self._parts[1] is not None
        self.packs = _packs(self._parts[1], autocast)
        self._compiled = False
        self.vocabulary = int(inner.config.get_text_config().vocab_size)

    def forward(
        self,
        ids: torch.Tensor,
        rows: torch.Tensor,
        targets: torch.Tensor,
        positions: torch.Tensor | None = None,
        bounds: torch.Tensor | None = None,
        *,
        longest: int | None = None,
        states: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Sum of the target tokens' losses, a scalar.

        There is no attention mask: attention is causal, padding stands on the right, where no token sees it, and the
        samples of a pack are told apart by their positions and bounds.
        Notation: B rows, T tokens, N targets, S samples in a pack.

        Args:
            ids: [B, T] tokens.
            rows: [N] which of the B · T positions predict a target.
            targets: [N] the tokens they are to predict; `NO_TARGET`: none.
            positions: [B, T] of each token in its sample; None where each row is one sample.
            bounds: [S + 1] where each sample of the one row starts, and its end; only with positions.
            longest: tokens of the longest sample of the row, or more; only with bounds.
            states: [B, T, H] the tokens' embeddings, where the model has none at hand; only where `has_body`.
        """
        inner, decoder, head = self._parts
        if decoder is None:
            columns = torch.unique(rows % ids.shape[1]) if self._picks else torch.arange(ids.shape[1])
            picked = {"logits_to_keep": columns} if self._picks else {}
            logits = inner(input_ids=ids, use_cache=False, **picked).logits
            places = torch.searchsorted(columns, rows % ids.shape[1]) if self._picks else rows % ids.shape[1]
            return _summed(logits[rows // ids.shape[1], places], targets)
        hidden = _hidden(decoder, ids, positions, bounds, longest=longest, states=states)
        return sliced_loss(hidden.flatten(0, 1).index_select(0, rows), head, targets, compile=self._compiled)

    def compile_head(self) -> None:
        """Compile what becomes of a frozen head's logits, once that was tried on two states.

        Raises:
            RuntimeError: there is no compiler; all runs as before.
        """
        head = self._parts[2]
        if head is not None and _is_frozen(head):
            states = head.weight.new_zeros(2, head.weight.shape[1]).requires_grad_()
            sliced_loss(states, head, torch.zeros(2, dtype=torch.long, device=states.device), compile=True).backward()
            self._compiled = True


def _hidden(
    decoder: Any,
    ids: torch.Tensor,
    positions: torch.Tensor | None,
    bounds: torch.Tensor | None,
    *,
    longest: int | None = None,
    states: torch.Tensor | None = None,
) -> Any:
    apart: dict[str, Any] = {} if positions is None else {"position_ids": positions}
    if bounds is not None:
        apart |= {"cu_seq_lens_q": bounds, "max_length_q": longest}
    # That they want a gradient, as what a model looks up itself does, spares compiled layers a graph of their own.
    given = {"input_ids": ids} if states is None else {"inputs_embeds": states.requires_grad_(torch.is_grad_enabled())}
    return decoder(**given, use_cache=False, **apart).last_hidden_state


def sliced_loss(
    hidden: torch.Tensor, head: Any, targets: torch.Tensor, *, at_once: int | None = None, compile: bool = False
) -> torch.Tensor:
    """Sum of the losses of N targets, with at most `at_once` logits in memory.

    Args:
        hidden: [N, H] what the head takes.
        head: from H features to V logits.
        targets: [N] tokens, or `NO_TARGET`.
        at_once: most logits held, over all targets of a slice; None for what fits into `HEAD_AT_ONCE`.
        compile: whether losses and gradients of a frozen head's logits come from a compiled kernel.
    """
    if _is_frozen(head):
        fits = HEAD_AT_ONCE // (HEAD_BYTES_COMPILED if compile else HEAD_BYTES)
        return cast(torch.Tensor, head_loss(hidden, head.weight, targets, at_once=at_once or fits, compile=compile))
    size = max(1, (at_once or HEAD_AT_ONCE // HEAD_BYTES) // head.weight.shape[0])
    if len(targets) <= size:
        return _summed(head(hidden), targets)

    def part(some: torch.Tensor, of_them: torch.Tensor) -> torch.Tensor:
        return _summed(head(some), of_them)

    total = hidden.new_zeros((), dtype=torch.float32)
    for some, of_them in zip(hidden.split(size), targets.split(size), strict=True):
        total = total + checkpoint(part, some, of_them, use_reentrant=False)
    return total


def _is_frozen(head: Any) -> bool:
    return type(head) is torch.nn.Linear and not head.weight.requires_grad and head.bias is None


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


def _packs(decoder: Any, autocast: torch.dtype | None) -> bool:
    """Whether two samples in one row come out as each does alone; tried rather than looked up."""
    if decoder is None:
        return False
    mode, device = decoder.training, decoder.device
    ids = torch.arange(8, device=device)[None] % 5
    positions = torch.tensor([[0, 1, 2, 0, 1, 2, 3, 4]], device=device)
    bounds = torch.tensor([0, 3, 8], device=device, dtype=torch.int32)
    try:
        decoder.eval()
        with torch.no_grad(), torch.autocast(device.type, dtype=autocast, enabled=autocast is not None):
            together = _hidden(decoder, ids, positions, bounds)
            alone = torch.cat([_hidden(decoder, ids[:, part], None, None) for part in (slice(3), slice(3, 8))], dim=1)
            mixed = _hidden(decoder, ids, None, None)
    except (AttributeError, TypeError, ValueError, RuntimeError, ImportError):
        return False
    finally:
        decoder.train(mode)
    # Rounding must be small beside what seeing each other's tokens would do.
    return bool((together - alone).float().norm() < 0.1 * (mixed - alone).float().norm())
