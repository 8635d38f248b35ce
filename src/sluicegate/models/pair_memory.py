"""The memory that training an encoder-decoder takes: pure arithmetic over its shape.

Unlike `memory`, all activations are kept: T5 models are small beside a GPU, and a layer that is computed again costs a
third more arithmetic. It is an estimate from the shape; on a GPU a trial replaces it (`EncoderDecoder.settle`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sluicegate.models import memory
from sluicegate.models.memory import ADAM_BYTES, GIB, HEAD_BYTES, NF4_BYTES, Size
from sluicegate.settings import TrainSettings

LOGITS_AT_ONCE = 2**26
"""Logits that are held at once; each slice adds to the whole gradient of the head, so few slices are better."""


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


def forecast_of(size: Size) -> Callable[..., float]:
    """The memory forecast for models of such a shape, as their training uses it."""
    return forecast_gib if isinstance(size, PairSize) else memory.forecast_gib


def forecast_gib(size: PairSize, settings: TrainSettings, *, in_4bit: bool, window: int, gpu: bool) -> float:
    """Memory for weights, adapters, their optimizer, what draws answers and one micro-batch of full windows, in GiB.

    Args:
        size: of the model.
        settings: BATCH_SIZE, LORA_R and what tells how many answers are drawn are read.
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
    width, source = 2 if gpu else 4, window * size.sources
    read = written = settings.batch_size
    longest = window
    if settings.method != "supervised":
        written = at_once(settings)
        read, longest = prompts_at_once(written, settings.rl_samples), settings.rl_max_new_tokens
    weights += held_bytes(size, settings, trained=trained, source=source, gpu=gpu)
    logits = min(written * longest * size.vocabulary, LOGITS_AT_ONCE)
    reading = read * window * (size.layers - size.writers) * _kept(size, window, width)
    # On a GPU kernels keep nothing of a pair of tokens, and a decoder's rows share their bias, but not its gradient.
    crossed = _attention(size, width) + (0 if gpu else 2 * width * size.heads * source)
    writing = written * longest * size.writers * (_kept(size, 0 if gpu else longest, width) + crossed)
    writing += written * longest * width * size.heads * longest if gpu else 0
    return (weights + reading + writing + logits * HEAD_BYTES) / GIB


def _kept(size: PairSize, window: int, width: int) -> float:
    """Bytes that a layer keeps for a token among `window`, with products of `width` bytes, attention to a source aside.

    Norms and sums are float32 whatever the products are in; attention is taken to keep a bias for each pair of tokens.
    """
    dense = size.width * (8 + width) + width * (2 * size.widest + size.width) + size.widest + size.width
    return _attention(size, width) + dense + 2 * width * size.heads * window


def _attention(size: PairSize, width: int) -> float:
    return size.width * (8 + width) + 5 * width * size.width + size.width


def at_once(settings: TrainSettings) -> int:
    """Samples, or answers, of a micro-batch to begin with."""
    if settings.method == "supervised":
        return settings.batch_size
    return min(settings.rl_batch, settings.rl_prompts * settings.rl_samples)


def samples_at_once(settings: TrainSettings, micro_batch: int) -> int:
    """Samples that are looked at together; learning by reward, a micro-batch counts answers, which share prompts."""
    return micro_batch if settings.method == "supervised" else min(micro_batch, settings.rl_prompts)


def prompts_at_once(answers: int, copies: int) -> int:
    """Prompts of a micro-batch of answers, `copies` to each: all answers to some of them, or some answers to one."""
    return max(1, answers // copies)


def held_bytes(size: PairSize, settings: TrainSettings, *, trained: int, source: int, gpu: bool) -> float:
    """Bytes that are held beside the training: the reference, and the decoder's own weights, keys and values.

    Args:
        size: of the model.
        settings: METHOD, SELECT_BY and what tells how many answers are drawn are read.
        trained: parameters.
        source: tokens that the decoder attends to.
        gpu: there the decoder's are bf16.
    """
    learns = settings.method != "supervised"
    chosen_by = settings.select_by or ("reward" if learns else "loss")
    prompts, answers = (settings.rl_prompts, settings.rl_prompts * settings.rl_samples) if learns else (0, 0)
    if chosen_by != "loss":
        prompts, answers = max(prompts, settings.select_samples), max(answers, settings.select_samples)
    if not answers:
        return 0.0
    width = 2 if gpu else 4
    cached = 2 * width * size.writers * size.width * (answers * settings.rl_max_new_tokens + prompts * source)
    # The encoders are not copied, so that this is the most.
    return cached + width * size.parameters + (4 * trained if learns else 0)
