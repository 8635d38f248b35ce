"""How a causal training fills a GPU: windows at once and kept layers, by `models.memory` as in the training itself."""

from __future__ import annotations

from dataclasses import dataclass

from sluicegate.models import memory
from sluicegate.models.memory import Size
from sluicegate.settings import TrainSettings
from sluicegate.stages.forecast.layout import Stage
from sluicegate.stages.forecast.shapes import Shape


@dataclass(frozen=True, slots=True)
class Filled:
    """What comes of it.

    Args:
        gib: most memory at once.
        passes: through the model that a token takes, with what each micro-batch takes beside.
    """

    gib: float
    passes: float


def filled(
    size: Size, settings: TrainSettings, *, in_4bit: bool, window: int, sample: float, step: float, gib: float
) -> Filled:
    """A training in so much memory.

    Args:
        size: of the model.
        settings: BATCH_SIZE, PACKING, LORA_* and VRAM_LIMIT_GB are read.
        in_4bit: whether frozen weights are NF4.
        window: most tokens of a sample.
        sample: tokens of one.
        step: samples of a step.
        gib: free memory of the GPU; 0 for as little as it can do with.
    """
    need, limit = memory.need_of(size, settings, in_4bit=in_4bit, window=window), memory.filled_gib(settings, gib)
    tokens, table = step * min(sample, window), 2 * size.table if settings.lora_r else 0
    among = memory.at_once(settings, window, tokens)
    offloads = bool(gib and settings.lora_r)  # where memory is not known, nothing is known not to fit
    how = memory.filling(
        need, limit * memory.GIB, tokens=window, step=tokens, among=among, table=table, offloads=offloads
    )
    batches = -(-tokens // (how.windows * window))
    fixed = 1 + batches * memory.FIXED_TOKENS / tokens
    weights = 0 if settings.lora_r else 1  # their gradients are one more
    passes = (memory.passes(how.keeps / size.layers) + weights) * fixed * (memory.HOSTED if how.hosted else 1.0)
    if how.offloads:
        passes = memory.passes_offloading(1 - how.stays / size.layers) * fixed
    return Filled(need.under(how, table).peak(how.keeps) / memory.GIB, passes)


def of(stage: Stage, arm: str, shape: Shape, gib: float) -> Filled:
    """The training of an arm in so many free GiB."""
    trained = stage.arms[arm]
    settings = trained.settings
    return filled(
        shape.size,
        settings,
        in_4bit=trained.in_4bit,
        window=min(settings.max_seq_length, shape.positions),
        sample=stage.work.trained[arm].both.expected,
        step=min(settings.batch_size * settings.gradient_accumulation_steps, max(1, stage.work.of(arm))),
        gib=gib,
    )
