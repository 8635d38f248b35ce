"""The memory that training an encoder-decoder takes: pure arithmetic over its shape.

Unlike `memory`, all activations are kept: T5 models are small beside a GPU, and a layer that is computed again costs a
third more arithmetic. It is an estimate from the shape; on a GPU a trial replaces it (`EncoderDecoder.settle`).
"""

from __future__ import annotations

from dataclasses import dataclass

from sluicegate.models.memory import ADAM_BYTES, GIB, HEAD_BYTES, LOGITS_AT_ONCE, NF4_BYTES, Size
from sluicegate.settings import TrainSettings


@dataclass(frozen=True, slots=True)
class PairSize(Size):
    """The shape of an encoder-decoder; `layers` counts all blocks, `widest` is that of the dense part.

    Args:
        writers: blocks of the decoder.
        heads: of attention.
        sources: windows that the decoder attends to.
    """

    writers: int
    heads: int
    sources: int


def forecast_gib(size: PairSize, settings: TrainSettings, *, in_4bit: bool, window: int, gpu: bool) -> float:
    """Memory for weights, adapters, their optimizer and one micro-batch of full windows on every side, in GiB.

    Args:
        size: of the model.
        settings: BATCH_SIZE and LORA_R are read.
        in_4bit: whether frozen weights are NF4.
        window: most tokens of a side.
        gpu: there products are in bf16.
    """
    plain = 2 if gpu and settings.lora_r else 4
    trained = settings.lora_r * size.rows_and_columns if settings.lora_r else size.parameters
    weights = float(trained * ADAM_BYTES)
    if settings.lora_r:
        small = size.parameters - size.linear
        weights += small * plain + size.linear * (NF4_BYTES if in_4bit else plain)
    tokens = settings.batch_size * window
    logits = min(tokens * size.vocabulary, LOGITS_AT_ONCE)
    return (weights + tokens * _kept(size, window, 2 if gpu else 4) + logits * HEAD_BYTES) / GIB


def _kept(size: PairSize, window: int, width: int) -> float:
    """Bytes kept for a token of each side, with products of `width` bytes.

    Norms and sums are float32 whatever the products are in; attention keeps its bias for every pair of tokens.
    """
    normed = size.width * (8 + width)
    attention = normed + 5 * width * size.width + size.width
    dense = normed + width * (2 * size.widest + size.width) + size.widest + size.width
    pairs = 2 * width * size.heads * window
    crossed = attention + pairs * size.sources
    return size.layers * (attention + dense + pairs) + size.writers * crossed
