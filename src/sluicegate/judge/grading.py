"""One answer, graded by a rubric in every order that it has, and two answers held against each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sluicegate.judge.asking import Ask, Judge
from sluicegate.judge.money import NANO
from sluicegate.judge.rubrics import (
    Rubric,
    choice_schema,
    choosing,
    context,
    grade_schema,
    orders,
    prompt,
    read_choice,
    read_grade,
)
from sluicegate.records import Sample


@dataclass(frozen=True, slots=True)
class Graded:
    """A judge's view of an answer.

    Args:
        value: on [0, 1], 1 the best.
        told: the grades and the reason of the first, for people.
        dollars: that the replies cost when they were bought.
    """

    value: float
    told: str
    dollars: float


def grade(judge: Judge, rubric: Rubric, sample: Sample, answer: str) -> Graded:
    """Grade one answer, in both orders where it is held against the reference.

    Raises:
        Unanswered: a reply that cannot be had, in one of the orders; UserError: as `Judge.ask`.
    """
    schema = grade_schema(rubric)
    said = [
        judge.ask(Ask(prompt(rubric, parts), schema, rubric.tag, lambda text: read_grade(rubric, text)))
        for parts in orders(rubric, sample, answer)
    ]
    grades = [row.value.said for row in said]
    told = f"{rubric.name} {' and '.join(map(str, grades))} on {rubric.low} to {rubric.high}: {said[0].value.reason}"
    return Graded(rubric.value(grades), told, sum(row.charged for row in said) / NANO)


def choose(judge: Judge, rubric: Rubric, sample: Sample, first: str, second: str) -> Literal["A", "B"]:
    """Which of two answers is the better one, A the first.

    Raises:
        Unanswered, UserError: as `grade`.
    """
    parts = [*context(rubric, sample), ("A", first), ("B", second)]
    return judge.ask(Ask(choosing(rubric, parts), choice_schema(), rubric.tag, read_choice)).value
