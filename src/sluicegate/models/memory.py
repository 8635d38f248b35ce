"""Whether a base model is loaded in 4-bit, and the memory that training takes: pure arithmetic.

It knows sizes, not models: counts come from a model without weights, free memory from the device. `Need` is the sum of
what must lie in a GPU's memory at once, `filling` the fastest way to fill a limit: windows at once, layers that keep
their activations, and whether the input embeddings wait in the host's memory. A training puts into them what one layer
is measured to take (`fitting`), a forecast what its shape says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from sluicegate.errors import UserError
from sluicegate.settings import TrainSettings

GIB = 2**30
NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
"""Bytes of an NF4 weight: half a byte, an 8-bit scale per 64 of them, a 32-bit scale per 256 scales.

Source: QLoRA, arXiv 2305.14314, section 3, double quantisation."""
ADAM_BYTES = 16
"""Bytes of a trained weight in fp32: itself, its gradient and two moments."""
HEAD_AT_ONCE = 2**28
"""Bytes of logits and what is made of them that the loss holds at once."""
HEAD_BYTES = 14
"""Of a logit held: in bf16, in fp32 and once more while they are summed, and its gradient in fp32 and bf16."""
HEAD_BYTES_COMPILED = 4
"""Of one from which loss and gradient are made by a compiled kernel: itself and its gradient, in bf16."""
SLACK = 0.9
"""Share of the free memory that may be planned for before anything is loaded."""
RESERVED = 1.04
"""Memory that is held over memory that is in use: what the allocator cannot use of it."""
BESIDE = 5
"""Hidden states that lie beside those of the layers: of the norm before the head, of a micro-batch that is copied. With
`RESERVED`, six 8B trainings of 7 to 78 GiB held 3.7% more to 1% less than that (H200, docs/performance.md)."""
FILLED = 0.95
"""Share of a GPU's memory that a training may hold. 0.98 was too much: at 11 GiB a micro-batch had to be halved."""
PASSES = 2
"""Times that a token goes through a frozen model's layers where all are kept: forward and back."""
AGAIN = 0.63
"""Of a forward, what is computed again of a layer that is not kept: its last product is not. An 8B training's step took
1.41 s with 2 layers kept, 1.26 with 16 and 1.09 with all 32 (H200)."""
PASSES_AGAIN = 3.0
"""Where all layers are computed again, to their end: forward twice and back."""
WAITED = 0.2
"""What is added where the inputs of all wait in the host's memory. Copies hide behind the arithmetic: an 8B training
with 8,192 tokens and rank 64 ran at 9,290 to 9,697 tokens/s with 13 of 32 inputs there, one with 2,048 and rank 16 that
kept everything at 14,563 (H200). How it is with all of them, or with a slower host, was not measured."""
FIXED_TOKENS = 250
"""Tokens whose arithmetic takes as long as what a micro-batch takes whatever its length: to unpack weights, above all.
With all layers kept an 8B step took 0.98 s in one micro-batch and 1.09 in eight (H200)."""
AHEAD = 2
"""Inputs of layers on the GPU beside that of the one at work, where they wait in the host's memory."""
AT_ONCE = 16_384
"""Tokens beyond which a larger micro-batch is no faster to speak of."""
HOSTED = 1.01
"""Times that a step takes as long where the input embeddings come from the host's memory: its first are waited for."""


@dataclass(frozen=True, slots=True)
class LayerNeed:
    """What one layer takes, in bytes.

    Args:
        kept: between its forward and its backward, its input included.
        working: most at once beyond that, in forward or backward.
        again: most at once, beyond its input, in the backward of one that is computed again.
    """

    kept: int
    working: int
    again: int


@dataclass(frozen=True, slots=True)
class Need:
    """What a step takes on a GPU, in bytes.

    Args:
        still: weights, adapters, their gradients and moments.
        layers: how many there are.
        state: the hidden state that enters a layer.
        layer: what one of them takes.
        head: most that the loss takes at once.
        beside: hidden states that lie beside those of the layers.
    """

    still: int
    layers: int
    state: int
    layer: LayerNeed
    head: int
    beside: int = BESIDE

    def peak(self, keeps: int) -> int:
        """Most at once with so many layers kept: at the loss, in a kept layer's backward, in one computed again.

        >>> need = Need(still=1000, layers=4, state=10, layer=LayerNeed(kept=100, working=50, again=150), head=30)
        >>> need.peak(0), need.peak(1), need.peak(4)
        (1287, 1277, 1558)
        """
        again = self.layers - keeps
        kept = again * self.state + keeps * self.layer.kept
        most = kept + self.head
        if keeps:
            most = max(most, kept + self.layer.working)
        if again:
            most = max(most, again * self.state + self.layer.again)
        return int(RESERVED * (self.still + most)) + self.beside * self.state

    def keeps(self, limit: float) -> int:
        """Most layers that can be kept within so many bytes; where no number of them fits, the one that takes least.

        >>> need = Need(still=1000, layers=4, state=10, layer=LayerNeed(kept=100, working=50, again=150), head=30)
        >>> need.keeps(1390), need.keeps(0)
        (2, 1)
        """
        least = min(range(self.layers + 1), key=self.peak)
        return next((count for count in range(self.layers, -1, -1) if self.peak(count) <= limit), least)

    def windows(self, count: int) -> Need:
        """Of so many windows at once, where this is of one."""
        layer = self.layer
        layer = LayerNeed(layer.kept * count, layer.working * count, layer.again * count)
        head = max(self.head, min(self.head * count, HEAD_AT_ONCE))
        return replace(self, state=self.state * count, layer=layer, head=head)

    def hosting(self, table: int) -> Need:
        """With input embeddings of so many bytes in the host's memory; 0: with none there.

        Those of a micro-batch are on the GPU then while the one before it is computed.
        """
        return replace(self, still=self.still - table + self.state) if table else self

    def offloading(self, stays: int = 0) -> Need:
        """With the inputs of layers in the host's memory but for so many, and that of the one at work.

        What lies beside is gone before the layers take most.
        """
        layer = LayerNeed(0, 0, self.layer.kept + self.layer.working + AHEAD * self.state)
        return replace(self, layers=min(1 + stays, self.layers), layer=layer, beside=0)

    def stays(self, limit: float) -> int:
        """Most inputs that may stay on the GPU within so many bytes; 0 where not even none may.

        >>> need = Need(still=1000, layers=4, state=10, layer=LayerNeed(kept=100, working=50, again=300), head=30)
        >>> need.stays(1250), need.stays(1000)
        (2, 0)
        """
        return next((n for n in range(self.layers, 0, -1) if self.offloading(n).peak(0) <= limit), 0)

    def under(self, how: Filling, table: int) -> Need:
        """Of one window, filled that way; `table` as `filling` takes it."""
        need = self.windows(how.windows).hosting(how.hosted * table)
        return need.offloading(how.stays) if how.offloads else need


@dataclass(frozen=True, slots=True)
class Filling:
    """How a training fills a GPU's memory.

    Args:
        windows: of tokens at once.
        keeps: layers that keep their activations.
        hosted: whether the input embeddings lie in the host's memory.
        offloads: whether layers' inputs wait in the host's memory, since nothing else fits.
        stays: those that do not.
    """

    windows: int
    keeps: int
    hosted: bool
    offloads: bool = False
    stays: int = 0


def passes(kept: float) -> float:
    """Times that a token goes through a frozen model's layers, with such a share of them kept."""
    return PASSES + AGAIN * (1 - kept)


def passes_offloading(waits: float) -> float:
    """Likewise with such a share of the layers' inputs in the host's memory."""
    return PASSES_AGAIN + WAITED * waits


def filling(
    need: Need, limit: float, *, tokens: int, step: float, among: range, table: int = 0, offloads: bool = False
) -> Filling:
    """The fastest of what fits within a limit; where nothing does, what takes least.

    A step takes as long as its tokens and `FIXED_TOKENS` more a micro-batch, once for each pass (`passes`).

    >>> need = Need(still=4000, layers=4, state=10, layer=LayerNeed(kept=100, working=50, again=150), head=30)
    >>> filling(need, 4300, tokens=1000, step=7900, among=range(1, 9), table=500)
    Filling(windows=1, keeps=4, hosted=True, offloads=False, stays=0)

    Args:
        need: of one window, the input embeddings on the GPU.
        limit: bytes.
        tokens: of a window.
        step: tokens of a step.
        among: windows that may be at once, the fewest first.
        table: bytes of the input embeddings, where they may wait in the host's memory; else 0.
        offloads: whether inputs of layers may.
    """
    found: list[tuple[float, int, Filling]] = []
    for hosted in (False, True)[: 2 if table else 1]:
        for count in among:
            asked = need.windows(count).hosting(hosted * table)
            keeps = asked.keeps(limit)
            if asked.peak(keeps) > limit:
                break
            fixed = -(-step // (count * tokens)) * FIXED_TOKENS
            time = passes(keeps / need.layers) * (step + fixed) * (HOSTED if hosted else 1.0)
            found.append((time, count, Filling(count, keeps, hosted)))
    if found:
        return min(found, key=lambda row: row[:2])[2]
    least = need.windows(among[0])
    hosted = table > least.state
    hosting = least.hosting(hosted * table)
    if offloads and among[0] == 1:  # a micro-batch of several rows is halved before
        return Filling(among[0], 0, hosted, True, hosting.stays(limit))
    return Filling(among[0], hosting.keeps(limit), hosted)


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

    @property
    def table(self) -> int:
        """Weights of the input embeddings where the head has its own; 0 where both are one."""
        one = self.vocabulary * self.width
        return one if self.parameters - self.linear >= 2 * one else 0


def forecast_gib(
    size: Size, settings: TrainSettings, *, in_4bit: bool, window: int, gpu: bool, limit_gib: float | None = None
) -> float:
    """Memory for weights, adapters, their optimizer and one micro-batch of full windows, in GiB.

    Args:
        size: of the model.
        settings: BATCH_SIZE, GRADIENT_ACCUMULATION_STEPS, PACKING and LORA_* are read.
        in_4bit: whether frozen weights are NF4.
        window: most tokens of a sample.
        gpu: there a layer's input is kept and the rest is computed again; on a CPU all is kept.
        limit_gib: of the GPU's memory, which is filled; None: what BATCH_SIZE windows take at the least.
    """
    if not gpu:
        tokens = settings.batch_size * window
        block = tokens * (8 * size.width + 4 * size.widest) * 4
        logits = min(tokens * size.vocabulary, HEAD_AT_ONCE // HEAD_BYTES)
        plain = 4
        weights = _weights(size, settings, in_4bit=in_4bit, plain=plain)
        return (weights + block * size.layers + logits * (plain + 12)) / GIB
    need = need_of(size, settings, in_4bit=in_4bit, window=window)
    if limit_gib is None:
        return need.windows(settings.batch_size).peak(0) / GIB
    step = settings.batch_size * settings.gradient_accumulation_steps * window
    table = 2 * size.table if settings.lora_r else 0
    among = at_once(settings, window, step)
    offloads = settings.lora_r > 0
    how = filling(need, limit_gib * GIB, tokens=window, step=step, among=among, table=table, offloads=offloads)
    return need.under(how, table).peak(how.keeps) / GIB


def need_of(size: Size, settings: TrainSettings, *, in_4bit: bool, window: int) -> Need:
    """What a step on one window takes on a GPU, by the model's shape."""
    plain = 2 if settings.lora_r else 4
    return Need(
        still=int(_weights(size, settings, in_4bit=in_4bit, plain=plain)) + unpacked(size, in_4bit=in_4bit),
        layers=size.layers,
        state=window * size.width * plain,
        layer=layer_need(size, settings, window),
        head=min(window * size.vocabulary * HEAD_BYTES, HEAD_AT_ONCE),
    )


def unpacked(size: Size, *, in_4bit: bool) -> int:
    """Bytes of 4-bit weights that lie there unpacked: one linear layer's at a time."""
    return 2 * size.width * size.widest if in_4bit else 0


def _weights(size: Size, settings: TrainSettings, *, in_4bit: bool, plain: int) -> float:
    """Bytes of all weights, and of gradients and moments of the trained ones; `plain`: of a frozen one outside NF4."""
    if not settings.lora_r:
        return size.parameters * ADAM_BYTES
    frozen = (size.parameters - size.linear) * plain + size.linear * (NF4_BYTES if in_4bit else plain)
    return settings.lora_r * size.rows_and_columns * ADAM_BYTES + frozen


def at_once(settings: TrainSettings, window: int, step: float) -> range:
    """Windows that a micro-batch may have, of a step with so many tokens.

    Samples side by side are BATCH_SIZE; packed, whatever is fastest, since a step's loss does not depend on it.
    """
    if settings.packing == "false":
        return range(settings.batch_size, settings.batch_size + 1)
    return range(1, 1 + max(1, min(-(-int(step) // window), AT_ONCE // window)))


def filled_gib(settings: TrainSettings, free_gib: float) -> float:
    """How much of a GPU's free memory, and of VRAM_LIMIT_GB, a training may fill: never quite all."""
    return FILLED * min(free_gib, settings.vram_limit_gb or free_gib)


def layer_need(size: Size, settings: TrainSettings, tokens: int) -> LayerNeed:
    """What a compiled layer takes on a GPU, beside the weights that it unpacks.

    Inputs of linear layers are kept in bf16, and with dropout what each adapter sees. An 8B layer was measured at 140
    to 150 kB a token, 212 with dropout (H100, 2,048 to 8,192 tokens). What it works with is 67 to 77 kB more (H200,
    2,048 to 20,736 tokens, rank 16 and 64), and it takes 272 where it is computed again (H200, 2,048).
    """
    values = 2 * (7 * size.width + 3 * size.widest)
    dropped = 2 * (6 * size.width + size.widest) if settings.lora_r and settings.lora_dropout else 0
    kept = tokens * (values + dropped) * (1 if settings.lora_r else 2)
    return LayerNeed(kept, kept // 2, kept * 19 // 10)


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
