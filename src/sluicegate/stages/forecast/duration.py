"""Seconds of the steps of a stage: starting, training, generating, judging, and what is done once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from sluicegate.models import memory
from sluicegate.models.memory import Size
from sluicegate.stages.forecast import priors
from sluicegate.stages.forecast.counts import an_answer, tokens_trained
from sluicegate.stages.forecast.layout import Figure, Stage, Trained, made, weights
from sluicegate.stages.forecast.machines import Speed
from sluicegate.stages.forecast.measured import Rate
from sluicegate.stages.forecast.priors import PROGRAM_RATIO, SPEED_RATIO, START_RATIO
from sluicegate.stages.forecast.span import NOTHING, Span, around, exactly
from sluicegate.stages.forecast.work import trained_tokens


def _compute(machine: Speed) -> Span | None:
    """FLOP/s of training and decoding."""
    if machine.gpu:
        return None if machine.tflops is None else machine.tflops.times(priors.GPU_SHARE) * 1e12
    return priors.CORE_FLOPS.times(machine.cores.at_most(priors.USEFUL_CORES))


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


def _pace(machine: Speed, size: Size, *, in_4bit: bool, gpu_layer: Span, cpu_layer: Span) -> Pace | None:
    flops = _compute(machine)
    if flops is None:
        return None
    if not machine.gpu:
        return Pace(flops.times(priors.NF4_ON_CPU.inverse()) if in_4bit else flops, cpu_layer, NOTHING)
    linear = (priors.NF4_WEIGHT_BYTES if in_4bit else exactly(2.0)) * size.linear
    weights = linear + exactly(2.0 * (size.parameters - size.linear))
    moved = weights.times(machine.bandwidth.inverse()) if machine.bandwidth else NOTHING
    return Pace(flops, gpu_layer, moved)


def _train(stage: Stage, arm: str) -> Figure:
    """Seconds of one training, from the start of its process to its end."""
    trained, seen = stage.arms[arm], stage.measured
    loop, basis = _loop(stage, arm), "prior"
    rate = seen.seconds_a_token(stage.plan, arm, stage.work.of(arm))
    if rate is not None and (tokens := tokens_trained(stage, arm).span):
        loop, basis = around(rate.value, SPEED_RATIO).times(tokens), rate.basis
    start = _start(trained, seen.train_start(stage.plan, arm))
    return Figure(None if loop is None or start is None else start + loop, basis)


def _start(trained: Trained, known: Rate | None) -> Span | None:
    """Seconds until a model is loaded: the process, and its weights from the disk, 16 bits each."""
    if known is not None:
        return around(known.value, START_RATIO)
    if trained.shape is None:
        return None
    return priors.START_S + priors.READ_BYTES_S.inverse() * (2.0 * trained.shape.size.parameters)


def _loop(stage: Stage, arm: str) -> Span | None:
    """Seconds of the training loop: arithmetic, launches, weights moved, validation, checkpoints."""
    trained, work, machine = stage.arms[arm], stage.work, stage.machines["train"]
    if trained.shape is None:
        return None
    size, settings, done = trained.shape.size, trained.settings, trained.passes
    pace = _pace(machine, size, in_4bit=trained.in_4bit, gpu_layer=priors.GPU_LAYER_S, cpu_layer=priors.CPU_LAYER_S)
    if pace is None:
        return None
    # What is drawn is read once more by the frozen model that rloo may not leave.
    ways = PASSES[bool(machine.gpu), bool(settings.lora_r)] + (settings.method == "rloo")
    # A validation is one forward pass over its samples.
    validated = done.validations / ways
    tokens = trained_tokens(work, arm, settings) + work.trained[arm].both * (work.val * validated)
    batches = done.micro_batches + validated * -(-work.val // settings.batch_size)
    padded = priors.PADDING if settings.batch_size > 1 else exactly(1.0)
    arithmetic = (tokens * (2.0 * ways * size.parameters)).times(pace.flops.inverse()).times(padded)
    saved = priors.WRITE_BYTES_S.inverse() * (done.validations * weights(trained) * priors.CHECKPOINT_BYTES)
    rolled = _rollouts(stage, arm)
    return arithmetic + (pace.layer * size.layers + pace.moved * ways) * batches + saved + rolled


def _rollouts(stage: Stage, arm: str) -> Span:
    """Seconds that reinforcement learning draws answers for."""
    trained = stage.arms[arm]
    settings = trained.settings
    if settings.method == "supervised":
        return NOTHING
    rows, most = settings.rl_prompts * settings.rl_samples, settings.rl_max_new_tokens
    each = _decoded(stage, arm, "train", prompts=settings.rl_prompts, rows=rows, most=most)
    return NOTHING if each is None else each * trained.passes.steps


PASSES = {
    (True, True): priors.PASSES_FROZEN,
    (True, False): priors.PASSES_FULL,
    (False, True): priors.CPU_PASSES_FROZEN,
    (False, False): priors.CPU_PASSES_FULL,
}
"""(on a GPU, adapters only) → passes over the weights."""


def _generate(stage: Stage, arm: str) -> Figure:
    """Seconds of all answers of one model, loading included."""
    seen = stage.measured
    each, basis = _batch(stage, arm), "prior"
    rate = seen.seconds_a_batch(stage.study, arm, _at_once(stage, arm))
    if rate is not None:
        each, basis = _between(rate.value, rate.most, SPEED_RATIO), rate.basis
    start = _start(stage.arms[arm], seen.generate_start(arm))
    batches = -(-stage.answers // _at_once(stage, arm))
    return Figure(None if each is None or start is None else start + each * batches, basis)


def _at_once(stage: Stage, arm: str) -> int:
    """Answers side by side: what the study says, or what the machine's memory has room for beside the weights."""
    asked, trained, machine = stage.study.generate, stage.arms[arm], stage.machines["generate"]
    if asked.batch_size:
        return asked.batch_size
    most = priors.ROWS[bool(machine.gpu) and trained.settings.model_kind == "causal"]
    if trained.shape is None or not trained.shape.kept or not machine.gpu or machine.gib is None:
        return most
    size = trained.shape.size
    weights = size.linear * (memory.NF4_BYTES if trained.in_4bit else 2) + 2 * (size.parameters - size.linear)
    each = 2 * trained.shape.kept * (stage.work.questions[arm].prompt.expected + asked.max_new_tokens)
    return max(1, min(most, int((memory.SLACK * machine.gib * memory.GIB - weights) / each)))


def _between(low: float, high: float, ratio: float) -> Span:
    """From one figure to another, with a ratio on either side."""
    return Span(low / ratio, math.sqrt(low * high), high * ratio)


def _batch(stage: Stage, arm: str) -> Span | None:
    """Seconds of one batch of answers: its prompts read, then a token of each at a time until the longest ends."""
    asked = stage.study.generate
    rows = min(_at_once(stage, arm), max(1, stage.answers))
    prompts = -(-rows // stage.plan.draws)
    return _decoded(stage, arm, "generate", prompts=prompts, rows=rows, most=asked.max_new_tokens)


def _decoded(stage: Stage, arm: str, verb: str, *, prompts: int, rows: int, most: int) -> Span | None:
    """Seconds of so many answers side by side, of at most `most` tokens each, on the machine of a verb."""
    trained, machine = stage.arms[arm], stage.machines[verb]
    if trained.shape is None or (stage.study.needs_gpu and not machine.gpu):
        return None
    size = trained.shape.size
    layer = priors.DECODE_LAYER_NF4_S if trained.in_4bit else priors.DECODE_LAYER_S
    pace = _pace(machine, size, in_4bit=trained.in_4bit, gpu_layer=layer, cpu_layer=priors.CPU_DECODE_LAYER_S)
    if pace is None:
        return None
    answer = an_answer(stage, arm).at_most(most)
    longest = Span(answer.expected, 2 * answer.expected, most).at_most(most)
    token = pace.flops.inverse() * (2.0 * size.parameters)
    read = stage.work.questions[arm].prompt.times(token) * prompts
    return read + (pace.layer * size.layers + pace.moved + token * rows).times(longest)


def _evaluate(stage: Stage, arm: str) -> Figure:
    """Seconds of judging all answers of one model."""
    known = stage.measured.seconds_a_judged_answer(arm)
    if known is not None:
        each, basis = around(known.value, PROGRAM_RATIO), known.basis
    else:
        each, basis = priors.PROGRAM_S.times(stage.machines["evaluate"].cores.inverse()), "prior"
    return Figure(priors.LIGHT_START_S + each * stage.answers, basis)


COSTS: dict[str, Callable[[Stage, str], Figure]] = {"train": _train, "generate": _generate, "evaluate": _evaluate}


def other(stage: Stage) -> Span:
    """Seconds of the steps that are done once: data, a base made on the spot, comparison."""
    compared = priors.COMPARE_S * (1 + len(stage.study.against)) if stage.plan.stage.compares else NOTHING
    return priors.DATA_S + compared + priors.MADE_S * len(made(stage))
