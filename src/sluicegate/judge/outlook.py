"""What judging will cost, told before any of it: for forecasts, never for the cap, which goes by the worst case."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from sluicegate.errors import UserError
from sluicegate.judge.fitness import pairs
from sluicegate.judge.money import NANO, Price, read_price
from sluicegate.judge.rubrics import RUBRICS, Rubric, choosing, context, orders, prompt
from sluicegate.judge.settings import MAX_TOKENS
from sluicegate.records import Sample

Range = tuple[float, float, float]
"""Low, expected, high."""
BYTES_A_TOKEN: Range = (5.0, 3.8, 2.5)
"""Of code and English, in the vocabularies of today's models; the first makes the low end."""
WRITTEN: Range = (8.0, 40.0, float(MAX_TOKENS))
"""Tokens of a reply: a grade and a sentence; at most what the request allows."""


def price(environment: Mapping[str, str] = os.environ) -> Price | None:
    """The price of the judge that the environment names; None where it names none or the price is not known."""
    try:
        return read_price(Path(environment["JUDGE_PRICES"]), environment["JUDGE_MODEL"])
    except (KeyError, UserError):
        return None


def an_answer(rubric: str, cost: Price, other_bytes: float, answer_tokens: Range) -> Range:
    """Dollars of judging one answer.

    Args:
        other_bytes: of the request or the reference that is shown beside it.
        answer_tokens: of the answer.

    >>> from fractions import Fraction
    >>> low, expected, high = an_answer("coherence", Price(Fraction(150), Fraction(600)), 0.0, (50.0, 100.0, 200.0))
    >>> 0 < low < expected < high < 0.001
    True
    """
    asked = RUBRICS[rubric]
    fixed = sum(sum(len(row["content"]) for row in prompt(asked, parts)) for parts in orders(asked, _EMPTY, ""))
    calls = len(orders(asked, _EMPTY, ""))
    shown = calls * other_bytes if asked.request or asked.reference else 0.0
    low, expected, high = (
        _dollars(cost, (fixed + shown) / each + calls * answer, calls * written)
        for each, answer, written in zip(BYTES_A_TOKEN, answer_tokens, WRITTEN, strict=True)
    )
    return low, expected, high


def fitness(rubric: str, cost: Price) -> Range:
    """Dollars of finding out whether a judge is fit, once for a ledger."""
    asked, known = RUBRICS[rubric], pairs(rubric)
    each = [_a_pair(asked, cost, pair.sample, (pair.good, pair.bad)) for pair in known]
    low, expected, high = (sum(row[place] for row in each) for place in range(3))
    return low, expected, high


def _a_pair(asked: Rubric, cost: Price, sample: Sample, answers: tuple[str, str]) -> Range:
    """Two choices that show both answers, and each answer's grades."""
    choice = choosing(asked, [*context(asked, sample), *zip("AB", answers, strict=True)])
    prompts = [prompt(asked, parts) for answer in answers for parts in orders(asked, sample, answer)]
    size = sum(len(row["content"]) for messages in [choice, choice, *prompts] for row in messages)
    calls = len(prompts) + 2
    low, expected, high = (
        _dollars(cost, size / each, calls * written) for each, written in zip(BYTES_A_TOKEN, WRITTEN, strict=True)
    )
    return low, expected, high


def _dollars(cost: Price, prompt_tokens: float, completion_tokens: float) -> float:
    return (float(cost.input) * prompt_tokens + float(cost.output) * completion_tokens) / NANO


_EMPTY = Sample("", "", "")
