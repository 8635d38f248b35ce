"""How a token is chosen from logits, for both decoding loops: causal and encoder-decoder.

Random numbers come in from outside, one a row and step, so that neither the batch nor the device has a say in a text.

Notation: B rows, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.attention import SDPBackend
from torch.nn.functional import pad

from sluicegate.errors import UserError

ATTENTION = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
"""Kernels that may be used: all but cuDNN's, which plans anew for every batch and cache length, and gave other logits
for the same input. Measured with bf16 on an H200, torch 2.11.
"""
NEVER = -1e30
"""Added to the product with a key that may not be seen; not infinite, so that a row that sees nothing gives no NaN."""
CHUNK = 128
"""Neighbouring tokens whose probabilities are first looked at together."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a token is chosen and when a row ends.

    Args:
        temperature: 0 is greedy.
        top_p: in (0, 1].
        max_new_tokens: at least 1.
        stops: ids of tokens that end an answer.
        pad: id of the token that fills shorter prompts; it is masked, so any id does.
    """

    temperature: float
    top_p: float
    max_new_tokens: int
    stops: frozenset[int]
    pad: int = 0


def choose(logits: Any, uniforms: Any, sampling: Sampling) -> Any:
    """One token a row: the likeliest, or the one at the place of the row's random number in the distribution.

    Args:
        logits: [B, V].
        uniforms: [B], float64 in [0, 1).
        sampling: temperature and top_p are used.

    Returns:
        [B], token ids, below V even where logits are NaN. Inverse transform sampling, with sums in float64 because a
        cumulative sum over V loses digits.
    """
    if sampling.temperature == 0:
        return logits.argmax(-1)
    if sampling.top_p < 1:
        masses = _nucleus(torch.softmax(logits.double() / sampling.temperature, -1), sampling.top_p)
    else:
        scaled = logits.float() / sampling.temperature
        masses = torch.exp(scaled - scaled.amax(-1, keepdim=True))
    return _placed(masses, uniforms)


def _placed(masses: Any, uniforms: Any) -> Any:
    """The token that the row's share of the whole mass falls on, found in two looks: its chunk, then its place there.

    A cumulative sum of all V in float64 costs more than the model's own step on a GPU.

    Args:
        masses: [B, V], not negative, of any sum.
        uniforms: [B], float64 in [0, 1).
    """
    chunks = pad(masses, (0, -masses.shape[-1] % CHUNK)).unflatten(-1, (-1, CHUNK))
    upto = chunks.sum(-1, dtype=torch.float64).cumsum(-1)
    wanted = uniforms.unsqueeze(-1) * upto[:, -1:]
    chunk = _first_above(upto, wanted)
    before = torch.where(chunk > 0, upto.gather(-1, (chunk - 1).clamp(min=0)), 0.0)
    within = chunks.gather(1, chunk.unsqueeze(-1).expand(-1, 1, CHUNK)).squeeze(1).double().cumsum(-1)
    place = chunk * CHUNK + _first_above(within, wanted - before)
    return place.squeeze(-1).clamp(max=masses.shape[-1] - 1)


def _first_above(upto: Any, wanted: Any) -> Any:
    """Where a rising row first exceeds a number, [B, 1]; a number that rounding put past its end is taken back into it.

    What is found has a mass of its own, so nothing impossible is chosen.
    """
    last = upto[:, -1:]
    inside = torch.minimum(wanted, torch.nextafter(last, torch.zeros_like(last)))
    return torch.searchsorted(upto, inside, right=True).clamp(max=upto.shape[-1] - 1)


def _nucleus(probabilities: Any, top_p: float) -> Any:
    """The smallest set of tokens that holds `top_p`, the others set to 0.

    Source: Holtzman et al., arXiv 1904.09751.
    """
    ranked, order = probabilities.sort(dim=-1, descending=True, stable=True)
    before = ranked.cumsum(-1) - ranked
    return torch.zeros_like(probabilities).scatter(-1, order, ranked.masked_fill(before >= top_p, 0.0))


def not_finite(logits: Any) -> Any:
    """Whether a row's logits hold NaN or an infinite largest one, [B] of bool."""
    return ~torch.isfinite(logits.amax(-1))


def damaged() -> UserError:
    """What is raised where logits are not finite."""
    return UserError(
        "the model's logits are not finite",
        wanted="numbers",
        seen="NaN or infinity",
        mend="the weights are damaged or training diverged: train again with a lower LEARNING_RATE",
    )
