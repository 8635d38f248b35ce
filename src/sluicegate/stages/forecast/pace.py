"""How fast a machine works on a model: arithmetic, what launching a layer takes, weights through its memory."""

from __future__ import annotations

from dataclasses import dataclass

from sluicegate.models.memory import Size
from sluicegate.stages.forecast import priors
from sluicegate.stages.forecast.machines import Speed
from sluicegate.stages.forecast.span import NOTHING, Span, exactly


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a machine works on a model.

    Args:
        flops: FLOP/s.
        layer: seconds of one layer that no arithmetic accounts for.
        moved: seconds that all weights take through the memory once.
    """

    flops: Span
    layer: Span
    moved: Span


def on_cpu(machine: Speed, layer: Span, *, in_4bit: bool) -> Pace:
    """Of a machine without a GPU."""
    found = priors.CORE_FLOPS.times(machine.cores.at_most(priors.USEFUL_CORES))
    return Pace(found.times(priors.NF4_ON_CPU.inverse()) if in_4bit else found, layer, NOTHING)


def on_gpu(machine: Speed, size: Size, *, share: Span, layer: Span, weight: Span) -> Pace | None:
    """Of a machine's GPU; None where its speed is unknown.

    Args:
        share: of what it reaches in large products.
        layer: see `Pace`.
        weight: bytes that are moved for a weight of a linear layer; of all others 2.
    """
    if machine.tflops is None:
        return None
    found = weight * size.linear + exactly(2.0 * (size.parameters - size.linear))
    moved = found.times(machine.bandwidth.inverse()) if machine.bandwidth else NOTHING
    return Pace(machine.tflops.times(share) * 1e12, layer, moved)
