"""How a training runs on a GPU: layers compiled or not, and its memory filled in the fastest way.

More windows at once share what a micro-batch takes whatever its length; a layer that keeps its activations is not
computed again, which spares a quarter of the training's arithmetic. What is best is chosen from the model's shape. What
one layer then takes is measured on the device, with a full micro-batch; the rest is a sum.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from sluicegate.errors import first_line
from sluicegate.models.compiling import compiles
from sluicegate.models.layers import Layers
from sluicegate.models.loading import moved
from sluicegate.models.loss import SummedLoss
from sluicegate.models.memory import (
    ADAM_BYTES,
    GIB,
    LayerNeed,
    Need,
    Size,
    at_once,
    filled_gib,
    filling,
    need_of,
    unpacked,
)
from sluicegate.settings import TrainSettings

COMPILED = "compiled"


@dataclass(frozen=True, slots=True)
class Fitted:
    """What was decided.

    Args:
        windows: of tokens at once.
        forecast_gib: the peak that is expected.
        told: what was decided why, in a sentence.
        records: whether micro-batches may be recorded as graphs.
    """

    windows: int
    forecast_gib: float
    told: str
    records: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be fitted.

    Args:
        scored: on a GPU.
        layers: its model's.
        size: of the model.
        in_4bit: whether its frozen weights are NF4.
        window: most tokens of a sample.
        tokens: of a step, on this device.
        table: bytes of the input embeddings where the host may keep them, else 0.
        batch: windows → the largest micro-batch of so many.
        host: puts the input embeddings into the host's memory.
        leave: takes back products of ours that the layers compute by (`adapted`); returns how many there were.
    """

    scored: SummedLoss
    layers: Layers
    size: Size
    in_4bit: bool
    window: int
    tokens: float
    table: int
    batch: Callable[[int], dict[str, Any]]
    host: Callable[[], None]
    leave: Callable[[], int]


def fit(asked: Asked, settings: TrainSettings, *, steps: int) -> Fitted:
    """Compile the layers where that pays, and fill the GPU's memory.

    Args:
        asked: the model and what it is fed.
        settings: BATCH_SIZE, PACKING, COMPILE, LORA_R and VRAM_LIMIT_GB are read.
        steps: optimizer steps that are planned.
    """
    layers, trained = asked.layers, sum(part.numel() for part in asked.scored.parameters() if part.requires_grad)
    torch.cuda.empty_cache()
    limit = filled_gib(settings, (torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved()) / GIB) * GIB
    shaped = need_of(asked.size, settings, in_4bit=asked.in_4bit, window=asked.window)
    need = replace(shaped, still=_still(trained) + unpacked(asked.size, in_4bit=asked.in_4bit))
    among = at_once(settings, asked.window, asked.tokens)
    how = filling(need, limit, tokens=asked.window, step=asked.tokens, among=among, table=asked.table)
    if how.hosted:
        asked.host()

    def needed(windows: int, state: int, layer: LayerNeed) -> Need:
        found = replace(shaped.windows(windows), still=_still(trained), state=state, layer=layer)
        return replace(found, still=found.still + how.hosted * state)  # see `Need.hosting`

    offloads = False
    for windows in range(how.windows, among[0] - 1, -1):
        measured = _measured(asked, windows, compiled=compiles(settings, steps))
        if measured is None:
            continue
        state, layer, said = measured
        need = needed(windows, state, layer)
        layers.keeps = need.keeps(limit)
        if need.peak(layers.keeps) <= limit:
            break
    else:
        windows = among[0]
        if measured is None:
            raise torch.OutOfMemoryError("a layer of the smallest micro-batch does not fit")
        if windows == 1 and settings.lora_r and need.offloading().peak(0) < need.peak(layers.keeps):
            stays = need.stays(limit)
            layers.offload(stays)
            need, offloads = need.offloading(stays), True
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    forecast = need.peak(layers.keeps) / GIB
    place = ", input embeddings in the host's memory" if how.hosted else ""
    kept = f"{layers.keeps} keep their activations ({need.layer.kept / 2**20:.0f} MiB each)"
    again = f"of which {kept} and the others compute them again"
    if offloads:
        away = f", {layers.waits} of them from inputs in the host's memory" if layers.waits else ""
        again = f"which all compute their activations again, in two graphs{away}, since nothing else fits"
    return Fitted(
        windows,
        forecast,
        f"{windows} window(s) of {asked.window} tokens at once{place}; {len(layers.all)} layers, {said}, {again}: "
        f"{forecast:.2f} GiB expected of {limit / GIB:.2f}",
        said == COMPILED and not offloads,
    )


def _still(trained: int) -> int:
    """What lies there all the time: what does now, and gradients and moments of what is trained."""
    return int(torch.cuda.memory_allocated()) + (ADAM_BYTES - 4) * trained


def _measured(asked: Asked, windows: int, *, compiled: bool) -> tuple[int, LayerNeed, str] | None:
    """Bytes of a layer's input, what one layer takes, and whether it is compiled, or why not.

    None where it takes more memory than there is.
    """
    try:
        with torch.autocast("cuda", dtype=torch.bfloat16):
            given, how = _first_input(asked, windows)
            need, said = _compiled(asked, given, how) if compiled else (asked.layers.taken(given, how), "not compiled")
            return given[0].nbytes, need, said
    except torch.OutOfMemoryError:
        pass
    gc.collect()
    torch.cuda.empty_cache()  # of what the fault held
    return None


def _compiled(asked: Asked, given: tuple[Any, ...], how: dict[str, Any]) -> tuple[LayerNeed, str]:
    """Compile and try it: with products of ours, else with the model's own; else the layers run as they are.

    Returns:
        What one layer takes, and whether it is compiled, or why not.
    """
    asked.layers.compile(True)
    try:
        need = asked.layers.taken(given, how)
        asked.scored.compile_head()
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as fault:
        if asked.leave():
            return _compiled(asked, given, how)
        asked.layers.compile(False)
        why = f"{type(fault).__name__}: {first_line(fault)}"
        return asked.layers.taken(given, how), f"not compiled ({why})"
    return need, COMPILED


def _first_input(asked: Asked, windows: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What the first layer gets for so many full windows."""
    batch = moved(asked.batch(windows), next(asked.scored.parameters()).device)
    with asked.layers.seen() as seen, torch.no_grad():
        asked.scored(**batch)
    return seen.pop(""), seen
