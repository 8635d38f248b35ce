"""Seconds of drawing answers: in slots that are never empty, as causal models do on a GPU, or batch by batch."""

from __future__ import annotations

from sluicegate.models import memory
from sluicegate.models.memory import Size
from sluicegate.models.pair_memory import PairSize
from sluicegate.stages.forecast import pace, priors
from sluicegate.stages.forecast.counts import an_answer
from sluicegate.stages.forecast.layout import Stage
from sluicegate.stages.forecast.machines import Speed
from sluicegate.stages.forecast.pace import Pace
from sluicegate.stages.forecast.span import Span, exactly


def seconds(stage: Stage, arm: str) -> Span | None:
    """Of all answers of one model."""
    rows, most = min(at_once(stage, arm), max(1, stage.answers)), stage.study.generate.max_new_tokens
    if _in_slots(stage, arm):
        return _slots(stage, arm, rows=rows, most=most)
    each = batch(stage, arm, "generate", prompts=-(-rows // stage.plan.draws), rows=rows, most=most)
    return None if each is None else each * -(-stage.answers // rows)


def at_once(stage: Stage, arm: str) -> int:
    """Answers side by side: what the study says, or what the machine's memory has room for beside the weights."""
    asked = stage.study.generate
    if asked.batch_size:
        return asked.batch_size
    most, room = priors.ROWS[_in_slots(stage, arm)], _room(stage, arm)
    return most if room is None else max(1, min(most, int(room / _of_a_row(stage, arm))))


def _in_slots(stage: Stage, arm: str) -> bool:
    return bool(stage.machines["generate"].gpu) and stage.arms[arm].settings.model_kind == "causal"


def _room(stage: Stage, arm: str) -> float | None:
    """Bytes that slots of a causal model may fill on a GPU, as `models.causal_decoding` plans them; None: unknown."""
    trained, machine = stage.arms[arm], stage.machines["generate"]
    if trained.shape is None or not trained.shape.kept or not machine.gpu or machine.free_gib is None:
        return None
    size, kept = trained.shape.size, trained.shape.kept
    weights = size.linear * (memory.NF4_BYTES if trained.in_4bit else 2) + 2 * (size.parameters - size.linear)
    reading = priors.READ_AT_ONCE * (4 * kept + 16 * size.widest)
    return memory.SLACK * (machine.free_gib * memory.GIB - weights) - reading


def _of_a_row(stage: Stage, arm: str) -> float:
    """Bytes of a slot: keys and values of its tokens, 16 bits each, and its logits."""
    shape, asked = stage.arms[arm].shape, stage.study.generate
    if shape is None:
        return 0.0
    length = stage.work.questions[arm].prompt.expected + asked.max_new_tokens
    return 2 * shape.kept * length + priors.LOGIT_BYTES * shape.size.vocabulary


def _slots(stage: Stage, arm: str, *, rows: int, most: int) -> Span | None:
    """Of all answers of a causal model on a GPU: a place that falls free is taken at once, until none is left to take.

    Steps are as many as the tokens of all answers over the rows, and at least as many as the longest answer has.
    """
    trained = stage.arms[arm]
    if trained.shape is None:
        return None
    size, answers = trained.shape.size, max(1, stage.answers)
    room = _room(stage, arm)
    unpacked = room is None or 2 * size.linear <= room - rows * _of_a_row(stage, arm)
    weight = exactly(2.0) if unpacked or not trained.in_4bit else priors.NF4_DECODED_BYTES
    known = _on_gpu(stage.machines["generate"], size, weight)
    if known is None:
        return None
    answer = an_answer(stage, arm).at_most(most)
    steps = (answer * (answers / rows)).at_least(_longest(answer, most))
    return _read(stage, arm, size, known, -(-answers // stage.plan.draws)) + _step(size, known, rows).times(steps)


def batch(stage: Stage, arm: str, verb: str, *, prompts: int, rows: int, most: int) -> Span | None:
    """Of so many answers side by side, of at most `most` tokens each, on the machine of a verb.

    Prompts are read, then a token of each answer at a time until the longest ends.
    """
    trained, machine = stage.arms[arm], stage.machines[verb]
    if trained.shape is None or (stage.study.needs_gpu and not machine.gpu):
        return None
    size = trained.shape.size
    weight = priors.NF4_DECODED_BYTES if trained.in_4bit else exactly(2.0)
    known = (
        _on_gpu(machine, size, weight)
        if machine.gpu
        else pace.on_cpu(machine, priors.CPU_DECODE_LAYER_S, in_4bit=trained.in_4bit)
    )
    if known is None:
        return None
    longest = _longest(an_answer(stage, arm).at_most(most), most)
    return _read(stage, arm, size, known, prompts) + _step(size, known, rows).times(longest)


def _on_gpu(machine: Speed, size: Size, weight: Span) -> Pace | None:
    return pace.on_gpu(machine, size, share=priors.DECODE_SHARE, layer=priors.DECODE_LAYER_S, weight=weight)


def _longest(answer: Span, most: int) -> Span:
    """Tokens of the longest of many answers."""
    return Span(answer.expected, 2 * answer.expected, most).at_most(most)


def _read(stage: Stage, arm: str, size: Size, known: Pace, prompts: int) -> Span:
    return stage.work.questions[arm].prompt.times(known.flops.inverse() * (2.0 * size.parameters)) * prompts


def _step(size: Size, known: Pace, rows: int) -> Span:
    """Of one token of every row: launches, weights moved, arithmetic; of an encoder-decoder the decoder runs alone."""
    layers = size.writers if isinstance(size, PairSize) else size.layers
    return known.layer * layers + known.moved + known.flops.inverse() * (2.0 * size.parameters * rows)
