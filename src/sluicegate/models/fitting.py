"""How a model's layers are run on a GPU: compiled or not, and as many of them kept as its memory holds.

A layer that keeps its activations is not computed again, which spares a quarter of the training's arithmetic. What one
layer takes is measured on the device, with a full micro-batch; the rest is a sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from sluicegate.models.layers import Layers
from sluicegate.models.loss import SummedLoss
from sluicegate.models.memory import ADAM_BYTES, GIB, HEAD_BYTES, LOGITS_AT_ONCE, Need, filled_gib
from sluicegate.settings import TrainSettings

STEPS_TO_COMPILE = 50
"""A compiled shape takes some 20 s to make, and spares about a third of a step of one second."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What was decided: the peak that is expected, in GiB, and what was decided why, in a sentence."""

    forecast_gib: float
    told: str


def fit(scored: SummedLoss, layers: Layers, settings: TrainSettings, batch: dict[str, Any], *, steps: int) -> Fitted:
    """Compile the layers where that pays, and keep as many as fit.

    Args:
        scored: on a GPU.
        layers: its model's.
        settings: COMPILE and VRAM_LIMIT_GB are read.
        batch: the largest micro-batch that will occur.
        steps: optimizer steps that are planned.
    """
    device = next(scored.parameters()).device
    batch = {name: tensor.to(device) for name, tensor in batch.items()}
    with torch.autocast("cuda", dtype=torch.bfloat16):
        given, how = _first_input(scored, layers, batch)
        wanted = settings.compile == "true" or (settings.compile == "auto" and steps >= STEPS_TO_COMPILE)
        said = _compiled(layers, given, how) if wanted else "not compiled"
        taken = layers.taken(given, how)
    trained = sum(part.numel() for part in scored.parameters() if part.requires_grad)
    vocabulary = scored.vocabulary
    need = Need(
        still=torch.cuda.memory_allocated() + (ADAM_BYTES - 4) * trained,  # the weights themselves are there
        layers=len(layers.all),
        state=given[0].numel() * given[0].element_size(),
        layer=taken,
        head=HEAD_BYTES * min(LOGITS_AT_ONCE, batch["targets"].numel() * vocabulary),
    )
    del given, how, batch
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    free = torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved()
    limit = filled_gib(settings, free / GIB) * GIB
    layers.keeps = need.keeps(limit)
    forecast = need.peak(layers.keeps) / GIB
    return Fitted(
        forecast,
        f"{len(layers.all)} layers, {said}, of which {layers.keeps} keep their activations "
        f"({taken.kept / 2**20:.0f} MiB each) and the others compute them again: "
        f"{forecast:.2f} GiB expected of {limit / GIB:.2f}",
    )


def _compiled(layers: Layers, given: tuple[Any, ...], how: dict[str, Any]) -> str:
    """Compile and try it; where there is no compiler the layers run as they are."""
    layers.compile(True)
    try:
        layers.taken(given, how)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as fault:
        layers.compile(False)
        return f"not compiled ({type(fault).__name__}: {str(fault).strip().splitlines()[0][:120]})"
    return "compiled"


def _first_input(scored: SummedLoss, layers: Layers, batch: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What the first layer gets for a batch."""
    with layers.seen() as seen, torch.no_grad():
        scored(**batch)
    return seen.pop(""), seen
