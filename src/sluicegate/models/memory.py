"""Whether a base model is loaded in 4-bit, and the memory that training takes: pure arithmetic.

It knows sizes, not models: counts come from a model without weights, free memory from the device. `Need` is the sum of
what must lie in a GPU's memory at once, and how many layers may keep their activations within a limit. A training puts
into it what one layer is measured to take (`fitting`), a forecast what its shape says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sluicegate.errors import UserError
from sluicegate.settings import TrainSettings

GIB = 2**30
NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
"""Bytes of an NF4 weight: half a byte, an 8-bit scale per 64 of them, a 32-bit scale per 256 scales.

Source: QLoRA, arXiv 2305.14314, section 3, double quantisation."""
ADAM_BYTES = 16
"""Bytes of a trained weight in fp32: itself, its gradient and two moments."""
LOGITS_AT_ONCE = 2**25
"""Logits that the loss holds at once."""
HEAD_BYTES = 14
"""Of a logit held: in bf16, in fp32 and once more while they are summed, and its gradient in fp32 and bf16."""
SLACK = 0.9
"""Share of the free memory that may be planned for before anything is loaded."""
FILLED = 0.94
"""Share of a GPU's memory that layers may fill; the rest is what the allocator cannot use."""


@dataclass(frozen=True, slots=True)
class LayerNeed:
    """What one layer takes, in bytes.

    Args:
        kept: between its forward and its backward, its input included.
        working: most at once beyond that, in forward or backward.
    """

    kept: int
    working: int


@dataclass(frozen=True, slots=True)
class Need:
    """What a step takes on a GPU, in bytes.

    Args:
        still: weights, adapters, their gradients and moments.
        layers: how many there are.
        state: the hidden state that enters a layer.
        layer: what one of them takes.
        head: most that the loss takes at once.
    """

    still: int
    layers: int
    state: int
    layer: LayerNeed
    head: int

    def peak(self, keeps: int) -> int:
        """Most at once with so many layers kept: at the loss, in a kept layer's backward, in one computed again.

        >>> need = Need(still=100, layers=4, state=1, layer=LayerNeed(kept=10, working=5), head=3)
        >>> need.peak(0), need.peak(1), need.peak(4)
        (119, 118, 145)
        """
        again = self.layers - keeps
        kept = again * self.state + keeps * self.layer.kept
        most = kept + self.head
        if keeps:
            most = max(most, kept + self.layer.working)
        if again:
            most = max(most, again * self.state + self.layer.kept + self.layer.working)
        return self.still + most

    def keeps(self, limit: float) -> int:
        """Most layers that can be kept within so many bytes; 0 where even that is too much.

        >>> Need(still=100, layers=4, state=1, layer=LayerNeed(kept=10, working=5), head=3).keeps(128)
        2
        """
        return next((count for count in range(self.layers, 0, -1) if self.peak(count) <= limit), 0)


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


def forecast_gib(
    size: Size, settings: TrainSettings, *, in_4bit: bool, window: int, gpu: bool, limit_gib: float | None = None
) -> float:
    """Memory for weights, adapters, their optimizer and one micro-batch of full windows, in GiB.

    Args:
        window: most tokens of a sample.
        gpu: there a layer's input is kept and the rest is computed again; on a CPU all is kept.
        limit_gib: of the GPU's memory, which kept layers fill; None: no layer is kept.
    """
    tokens = settings.batch_size * window
    plain = 2 if gpu and settings.lora_r else 4
    trained = settings.lora_r * size.rows_and_columns if settings.lora_r else size.parameters
    weights = trained * ADAM_BYTES
    if settings.lora_r:
        small = size.parameters - size.linear
        weights += int(small * plain + size.linear * (NF4_BYTES if in_4bit else plain))
    logits = min(tokens * size.vocabulary, LOGITS_AT_ONCE)
    if not gpu:
        block = tokens * (8 * size.width + 4 * size.widest) * 4
        return (weights + block * size.layers + logits * (plain + 12)) / GIB
    need = Need(weights, size.layers, tokens * size.width * plain, _layer(size, settings, tokens), logits * HEAD_BYTES)
    return need.peak(need.keeps(limit_gib * GIB) if limit_gib else 0) / GIB


def filled_gib(settings: TrainSettings, free_gib: float) -> float:
    """How much of a GPU's free memory, and of VRAM_LIMIT_GB, a training may fill: never quite all."""
    return FILLED * min(free_gib, settings.vram_limit_gb or free_gib)


def _layer(size: Size, settings: TrainSettings, tokens: int) -> LayerNeed:
    """What a compiled layer takes on a GPU.

    Inputs of linear layers are kept in bf16, and with dropout what each adapter sees. An 8B layer was measured at 140
    to 150 kB a token, 212 with dropout, and a third more at work (H100, 2,048 to 8,192 tokens).
    """
    values = 2 * (7 * size.width + 3 * size.widest)
    dropped = 2 * (6 * size.width + size.widest) if settings.lora_r and settings.lora_dropout else 0
    kept = tokens * (values + dropped) * (1 if settings.lora_r else 2)
    return LayerNeed(kept, kept * 4 // 3)


def decide(
    settings: TrainSettings,
    size: Size,
    *,
    window: int,
    gpu: bool,
    free_gib: float,
    forecast: Callable[..., float] = forecast_gib,
) -> tuple[bool, str]:
    """Whether to load in 4-bit, and why, in a sentence.

    `free_gib` is the free memory of the device, `window` the most tokens of a sample, `forecast` what a training of
    such a size takes.

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
    full = forecast(size, settings, in_4bit=False, window=window, gpu=gpu)
    fits = full <= SLACK * free_gib
    form, where = ("16-bit", "GPU memory") if gpu else ("32-bit", "memory")
    said = f"{size.parameters / 1e6:,.1f} M parameters take about {full:.2f} GiB in {form}"
    verb = "fit in" if fits else "do not fit in"
    return not fits, f"{said}, which {verb} {SLACK:.0%} of {free_gib:.2f} GiB of free {where}"
