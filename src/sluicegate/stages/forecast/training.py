"""Seconds of a training loop: passes through the model, at the share of a machine's speed measured for its kind.

Packed causal models take the passes that the memory model counts. Of an encoder-decoder launching kernels counts where
it takes longer than the device's work. Padded rows, on a GPU or not, are arithmetic and what each layer takes beside.
"""

from __future__ import annotations

from sluicegate.models.compiling import compiles
from sluicegate.models.memory import Size
from sluicegate.models.pair_memory import PairSize
from sluicegate.stages.forecast import decoding, filling, pace, priors
from sluicegate.stages.forecast.layout import Stage, Trained, weights
from sluicegate.stages.forecast.shapes import Shape
from sluicegate.stages.forecast.span import NOTHING, Span, exactly
from sluicegate.stages.forecast.work import trained_tokens


def seconds(stage: Stage, arm: str) -> Span | None:
    """Of one training from its first step to its last: steps, validation, checkpoints, compiling, answers drawn."""
    trained, machine = stage.arms[arm], stage.machines["train"]
    if trained.shape is None:
        return None
    ways = _rows_on_gpu if machine.gpu else _rows_on_cpu
    if machine.gpu and isinstance(trained.shape.size, PairSize):
        ways = _pairs
    elif machine.gpu and trained.settings.packing != "false":
        ways = _packs
    steps = ways(stage, arm, trained.shape)
    if steps is None:
        return None
    saved = priors.WRITE_BYTES_S.inverse() * (trained.passes.validations * weights(trained) * priors.CHECKPOINT_BYTES)
    return steps + saved + _drawn(stage, arm)


def _packs(stage: Stage, arm: str, shape: Shape) -> Span | None:
    """Of a causal model on a GPU, whose samples are packed."""
    machine, trained = stage.machines["train"], stage.arms[arm]
    if machine.tflops is None:
        return None
    filled = filling.of(stage, arm, shape, machine.free_gib or 0.0)
    ways = filled.passes
    reached = machine.tflops.times(priors.PACKED_SHARE) * 1e12
    arithmetic = _tokens(stage, arm, ways) * (2.0 * ways * shape.size.parameters)
    compiled, making = _compiling(trained)
    plain = exactly(1.0) if compiled else priors.NOT_COMPILED
    return arithmetic.times(reached.inverse()).times(plain) + making


def _pairs(stage: Stage, arm: str, shape: Shape) -> Span | None:
    """Of an encoder-decoder on a GPU, which keeps all activations; of rows without padding."""
    machine, trained = stage.machines["train"], stage.arms[arm]
    settings = trained.settings
    if machine.tflops is None:
        return None
    # What is drawn is read once more by the frozen model that rloo may not leave.
    ways = (2 if settings.lora_r else 3) + (settings.method == "rloo")
    reached = machine.tflops.times(priors.PAIR_SHARE) * 1e12
    arithmetic = (_tokens(stage, arm, ways) * (2.0 * ways * shape.size.parameters)).times(reached.inverse())
    compiled, making = _compiling(trained)
    layer = priors.PAIR_LAYER_S if compiled else priors.PAIR_LAYER_EAGER_S
    batches = trained.passes.micro_batches + _batches_validated(stage, trained, ways)
    return arithmetic.at_least(layer * (shape.size.layers * batches)) + making


def _rows_on_gpu(stage: Stage, arm: str, shape: Shape) -> Span | None:
    """Of a causal model on a GPU, a row a sample, padded."""
    trained, machine = stage.arms[arm], stage.machines["train"]
    weight = priors.NF4_WEIGHT_BYTES if trained.in_4bit else exactly(2.0)
    known = pace.on_gpu(machine, shape.size, share=priors.GPU_SHARE, layer=priors.GPU_LAYER_S, weight=weight)
    ways = priors.PASSES_FROZEN if trained.settings.lora_r else priors.PASSES_FULL
    return None if known is None else _rows(stage, arm, shape.size, known, ways)


def _rows_on_cpu(stage: Stage, arm: str, shape: Shape) -> Span | None:
    """Of any model on a processor, where nothing is computed twice."""
    trained = stage.arms[arm]
    known = pace.on_cpu(stage.machines["train"], priors.CPU_LAYER_S, in_4bit=trained.in_4bit)
    ways = (2 if trained.settings.lora_r else 3) + (trained.settings.method == "rloo")
    return _rows(stage, arm, shape.size, known, ways)


def _rows(stage: Stage, arm: str, size: Size, known: pace.Pace, ways: int) -> Span:
    trained = stage.arms[arm]
    padded = priors.PADDING if trained.settings.batch_size > 1 else exactly(1.0)
    batches = trained.passes.micro_batches + _batches_validated(stage, trained, ways)
    arithmetic = (_tokens(stage, arm, ways) * (2.0 * ways * size.parameters)).times(known.flops.inverse())
    return arithmetic.times(padded) + (known.layer * size.layers + known.moved * ways) * batches


def _tokens(stage: Stage, arm: str, ways: float) -> Span:
    """Tokens that are trained on; a validation is one pass over its samples, of the `ways` of a training."""
    trained, work = stage.arms[arm], stage.work
    validated = trained.passes.validations / ways
    return trained_tokens(work, arm, trained.settings) + work.trained[arm].both * (work.val * validated)


def _batches_validated(stage: Stage, trained: Trained, ways: float) -> float:
    return trained.passes.validations / ways * -(-stage.work.val // trained.settings.batch_size)


def _compiling(trained: Trained) -> tuple[bool, Span]:
    """Whether layers are compiled, and what that takes."""
    compiled = compiles(trained.settings, trained.passes.steps)
    return compiled, priors.COMPILE_S if compiled else NOTHING


def _drawn(stage: Stage, arm: str) -> Span:
    """Seconds that reinforcement learning draws answers for."""
    trained = stage.arms[arm]
    settings = trained.settings
    if settings.method == "supervised":
        return NOTHING
    rows, most = settings.rl_prompts * settings.rl_samples, settings.rl_max_new_tokens
    each = decoding.batch(stage, arm, "train", prompts=settings.rl_prompts, rows=rows, most=most)
    return NOTHING if each is None else each * trained.passes.steps
