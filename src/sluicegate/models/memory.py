"""Whether a base model is loaded in 4-bit, and the memory that training is expected to take: pure arithmetic.

It knows sizes, not models: counts come from a model without weights, free memory from the device. The
forecast is a plain sum of what must lie in memory at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from sluicegate.errors import UserError
from sluicegate.settings import TrainSettings

GIB = 2**30
NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
"""Bytes of an NF4 weight: half a byte, an 8-bit scale per 64 of them, a 32-bit scale per 256 scales.

Source: QLoRA, arXiv 2305.14314, section 3, double quantisation."""
ADAM_BYTES = 16
"""Bytes of a trained weight in fp32: itself, its gradient and two moments."""
LOGITS_AT_ONCE = 2**26
"""Logits that the loss holds at once: 256 MiB in fp32, and as much again for each of their gradients."""
CUBLAS_BYTES = 2**26
"""What the matrix library of a GPU holds for itself."""
SLACK = 0.9
"""Share of the free memory that may be planned for; the rest is the allocator's and other programs'."""


@dataclass(frozen=True, slots=True)
class Size:
    """The shape of a model as far as memory goes.

    Args:
        parameters: all weights.
        linear: those of them in linear layers other than the head: what 4-bit and LoRA apply to.
        rows_and_columns: sum of in + out features of those layers; LoRA adds `r` weights for each.
        layers, width, vocabulary: blocks, hidden size, tokens.
        widest: features that a token takes in the widest linear layer of a block.
    """

    parameters: int
    linear: int
    rows_and_columns: int
    layers: int
    width: int
    widest: int
    vocabulary: int


def forecast_gib(size: Size, settings: TrainSettings, *, in_4bit: bool, window: int, gpu: bool) -> float:
    """Memory for weights, adapters, their optimizer and one micro-batch of full windows, in GiB.

    On a GPU a block's inputs are kept and the rest is computed again (gradient checkpointing), so one block's
    activations count; on a CPU those of every block do.
    """
    tokens = settings.batch_size * window
    plain = 2 if gpu else 4
    if settings.lora_r == 0:
        weights = size.parameters * ADAM_BYTES
    else:
        small = size.parameters - size.linear
        weights = int(small * plain + size.linear * (NF4_BYTES if in_4bit else plain))
        weights += settings.lora_r * size.rows_and_columns * ADAM_BYTES
    # Activations are in fp32 on either: on a GPU the norms, which are, make them so.
    block = tokens * (8 * size.width + 4 * size.widest) * 4
    kept = tokens * size.width * size.layers * 4 + block + CUBLAS_BYTES if gpu else block * size.layers
    # Logits in the model's precision and in fp32, their logarithms and their gradient.
    head = min(tokens * size.vocabulary, LOGITS_AT_ONCE) * (plain + 12)
    return (weights + kept + head) / GIB


def decide(settings: TrainSettings, size: Size, *, window: int, gpu: bool, free_gib: float) -> tuple[bool, str]:
    """Whether to load in 4-bit, and why, in a sentence.

    `free_gib` is the free memory of the device, `window` the most tokens of a sample.

    Raises:
        UserError: LOAD_IN_4BIT=true with LORA_R=0.
    """
    wanted = settings.load_in_4bit
    if wanted == "true" and settings.lora_r == 0:
        raise UserError(
            "LOAD_IN_4BIT=true with LORA_R=0",
            wanted="4-bit weights with adapters (LORA_R ≥ 1), or every weight trained in full precision",
            seen="4-bit weights cannot be trained themselves",
            mend="LORA_R=16, or LOAD_IN_4BIT=false",
        )
    if wanted != "auto":
        return wanted == "true", f"LOAD_IN_4BIT={wanted} asks for it"
    if settings.lora_r == 0:
        return False, "LORA_R=0 trains every weight, and 4-bit weights cannot be trained"
    full = forecast_gib(size, settings, in_4bit=False, window=window, gpu=gpu)
    fits = full <= SLACK * free_gib
    form, where = ("16-bit", "GPU memory") if gpu else ("32-bit", "memory")
    said = f"{size.parameters / 1e6:,.1f} M parameters take about {full:.2f} GiB in {form}"
    verb = "fit in" if fits else "do not fit in"
    return not fits, f"{said}, which {verb} {SLACK:.0%} of {free_gib:.2f} GiB of free {where}"
