"""Seconds of the steps of a stage: starting, training, generating, judging, and what is done once."""

from __future__ import annotations

import math
from collections.abc import Callable

from sluicegate.stages.forecast import decoding, priors, training
from sluicegate.stages.forecast.counts import tokens_trained
from sluicegate.stages.forecast.layout import Figure, Stage, Trained, made
from sluicegate.stages.forecast.measured import Rate
from sluicegate.stages.forecast.priors import PROGRAM_RATIO, SPEED_RATIO, START_RATIO
from sluicegate.stages.forecast.span import NOTHING, Span, around


def _train(stage: Stage, arm: str) -> Figure:
    """Seconds of one training, from the start of its process to its end."""
    trained, seen = stage.arms[arm], stage.measured
    loop, basis = training.seconds(stage, arm), "prior"
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


def _generate(stage: Stage, arm: str) -> Figure:
    """Seconds of all answers of one model, loading included."""
    seen = stage.measured
    drawn, basis = decoding.seconds(stage, arm), "prior"
    size = decoding.at_once(stage, arm)
    rate = seen.seconds_a_batch(stage.study, arm, size)
    if rate is not None:
        drawn, basis = _between(rate.value, rate.most, SPEED_RATIO) * -(-stage.answers // size), rate.basis
    start = _start(stage.arms[arm], seen.generate_start(arm))
    return Figure(None if drawn is None or start is None else start + drawn, basis)


def _between(low: float, high: float, ratio: float) -> Span:
    """From one figure to another, with a ratio on either side."""
    return Span(low / ratio, math.sqrt(low * high), high * ratio)


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
