"""Tokens, answers and judge calls of a stage, and what judging costs."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

from sluicegate import evaluators
from sluicegate.evaluators import EVALUATORS
from sluicegate.judge import outlook
from sluicegate.stages.forecast.layout import Figure, Stage
from sluicegate.stages.forecast.priors import ANSWER_RATIO
from sluicegate.stages.forecast.span import NOTHING, Span, around, exactly
from sluicegate.stages.forecast.work import answer_tokens, trained_tokens
from sluicegate.study import Study


def tokens_trained(stage: Stage, arm: str) -> Figure:
    """Training tokens of one model, padding left out."""
    trained, known = stage.arms[arm], stage.measured.tokens_a_sample(arm)
    if known is not None:
        return Figure(around(known.value, known.ratio) * (stage.work.of(arm) * trained.passes.epochs), known.basis)
    tokens = trained_tokens(stage.work, arm, trained.settings)
    return Figure(tokens, "characters of the samples" if stage.work.known else "assumed samples")


def tokens_generated(stage: Stage, arm: str) -> Figure:
    """Tokens of all answers of one model."""
    known = stage.measured.tokens_an_answer(arm)
    said = known.basis if known else "reference answers" if stage.work.known else "assumed samples"
    return Figure(an_answer(stage, arm) * stage.answers, said)


def an_answer(stage: Stage, arm: str) -> Span:
    """Tokens of one answer."""
    most = stage.study.generate.max_new_tokens
    if (known := stage.measured.tokens_an_answer(arm)) is not None:
        return around(known.value, ANSWER_RATIO).at_most(most)
    return answer_tokens(stage.work, arm, most)


def _judges(study: Study) -> list[ModuleType]:
    """The study's evaluators that there are; a study that names others cannot be run, which stage 0 says."""
    known = [name for name in study.metrics if name in EVALUATORS]
    return list(evaluators.load(known)) if known else []  # type: ignore[arg-type]


def calls_an_answer(study: Study) -> int:
    """Calls to a judge that one answer costs: what evaluators declare as `CALLS`, 0 where they declare none."""
    return sum(int(getattr(module, "CALLS", 0)) for module in _judges(study))


def judge_calls(stage: Stage) -> Figure:
    """Calls to judges, over all models."""
    calls = calls_an_answer(stage.study) * stage.answers * len(stage.plan.models)
    return Figure(exactly(float(calls)), "declared by the evaluators" if calls else "no metric asks a judge")


def judging(stage: Stage) -> Figure:
    """Dollars of judging: measured, or by the judge's price, or what evaluators declare as `DOLLARS` of one answer."""
    answers = stage.answers * len(stage.plan.models)
    known = stage.measured.dollars_an_answer()
    if known is not None and known.value > 0:
        return Figure(around(known.value, ANSWER_RATIO) * answers, known.basis)
    if rubrics := [str(module.RUBRIC) for module in _judges(stage.study) if hasattr(module, "RUBRIC")]:
        return _grading(stage, rubrics) if stage.plan.stage.compares else Figure(NOTHING, "")
    each = NOTHING
    for module in _judges(stage.study):
        each = each + Span(*getattr(module, "DOLLARS", (0.0, 0.0, 0.0)))
    return Figure(each * answers, "prices of judges" if each.high else "")


def _grading(stage: Stage, rubrics: Sequence[str]) -> Figure:
    """Dollars of a model that grades: every answer by every rubric, and the known pairs once."""
    price = outlook.price()
    if price is None:
        return Figure(None, "JUDGE_MODEL, with its price in JUDGE_PRICES, is not given")
    total = NOTHING
    for model in stage.plan.models:
        told, tokens = stage.work.questions[model.arm], an_answer(stage, model.arm)
        shown = max(told.prompt.expected, told.answer.expected) * outlook.BYTES_A_TOKEN[1]
        for rubric in rubrics:
            each = outlook.an_answer(rubric, price, shown, (tokens.low, tokens.expected, tokens.high))
            total = total + Span(*each) * stage.answers
    for rubric in rubrics:
        total = total + Span(*outlook.fitness(rubric, price))
    return Figure(total, "price and words of the judge")
