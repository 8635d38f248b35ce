"""Whether a judge is fit to judge: known pairs of a good and a bad answer, asked in both orders and graded apart.

The pairs lie beside, one file a rubric, written for this purpose; in half of them the bad answer is the longer one. A
judge that is right on fewer than `LEAST` of them, in both orders and by its grades, has no say in a gate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from typing import ClassVar, TypeVar

import yaml
from pydantic import ConfigDict

from sluicegate.judge.asking import Judge, Unanswered
from sluicegate.judge.grading import choose, grade
from sluicegate.judge.rubrics import Rubric
from sluicegate.records import Sample

Said = TypeVar("Said")
LEAST = 0.8
"""The share of pairs that a judge must be right on, consistently."""
AT_ONCE = 8
"""Calls in flight."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One request with a good and a bad answer.

    Args:
        trait: what is wrong with the bad one.
    """

    sample: Sample
    good: str
    bad: str
    trait: str

    @property
    def longer_is_good(self) -> bool:
        """Whether the good answer is the longer one."""
        return len(self.good) > len(self.bad)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a judge said of a pair; None where it gave no usable reply.

    Args:
        chose_good: whether it chose the good answer, shown first and shown second.
        good, bad: their values on [0, 1], graded one at a time.
    """

    longer_is_good: bool
    chose_good: tuple[bool | None, bool | None]
    good: float | None
    bad: float | None

    @property
    def agrees(self) -> bool:
        """Whether the grades put the good one above the bad one."""
        return self.good is not None and self.bad is not None and self.good > self.bad

    @property
    def correct(self) -> bool:
        """Whether it is right in every form it was asked."""
        return self.chose_good == (True, True) and self.agrees


@dataclass(frozen=True, slots=True)
class Fitness:
    """How a judge did on the known pairs of one rubric.

    Args:
        pairs: that were asked.
        correct: share of them where the good answer won in both orders and by its grade.
        flip_rate: share of those answered in both orders where the choice changed with the order; None for none.
        agreement: share of those graded where the good answer has the better grade; None for none.
        length_bias: share of choices of the longer answer, less the share where that is right; on [-1, 1].
        unanswered: pairs without all their replies; they count as wrong.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)
    pairs: int
    correct: float
    flip_rate: float | None
    agreement: float | None
    length_bias: float | None
    unanswered: int

    @property
    def fit(self) -> bool:
        """Whether its scores may decide anything."""
        return self.pairs > 0 and self.correct >= LEAST


def pairs(rubric: str) -> list[Pair]:
    """The known pairs of a rubric."""
    text = (resources.files("sluicegate.judge") / "pairs" / f"{rubric}.yaml").read_text("utf-8")
    return [
        Pair(Sample(row["id"], row["request"], row.get("reference", "")), row["good"], row["bad"], row["trait"])
        for row in yaml.safe_load(text)
    ]


def measure(judge: Judge, rubric: Rubric, known: Sequence[Pair]) -> Fitness:
    """Ask a judge about known pairs.

    Raises:
        UserError: the endpoint refuses every request, or the ledger cannot be used.
    """
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="fitness") as pool:
        try:
            return summed(list(pool.map(lambda pair: look(judge, rubric, pair), known)))
        except BaseException:
            judge.hush()
            raise


def look(judge: Judge, rubric: Rubric, pair: Pair) -> Seen:
    """What a judge says of one pair, in four questions or, where each is graded in both orders, six."""
    sample, good, bad = pair.sample, pair.good, pair.bad
    shown_first = _or_none(lambda: choose(judge, rubric, sample, good, bad) == "A")
    shown_second = _or_none(lambda: choose(judge, rubric, sample, bad, good) == "B")
    return Seen(
        pair.longer_is_good,
        (shown_first, shown_second),
        _or_none(lambda: grade(judge, rubric, sample, good).value),
        _or_none(lambda: grade(judge, rubric, sample, bad).value),
    )


def _or_none(ask: Callable[[], Said]) -> Said | None:
    try:
        return ask()
    except Unanswered:
        return None


def summed(seen: Sequence[Seen]) -> Fitness:
    """The figures over all pairs.

    >>> summed([Seen(True, (True, False), 1.0, 0.0), Seen(False, (True, True), 0.5, 0.0)])
    Fitness(pairs=2, correct=0.5, flip_rate=0.5, agreement=1.0, length_bias=-0.25, unanswered=0)
    """
    both = [row.chose_good[0] != row.chose_good[1] for row in seen if None not in row.chose_good]
    graded = [row.agrees for row in seen if None not in (row.good, row.bad)]
    # The longer one was chosen where the choice of the good one and its being longer go together.
    lengths = [
        (chose == row.longer_is_good) - row.longer_is_good
        for row in seen
        for chose in row.chose_good
        if chose is not None
    ]
    whole = [None not in (*row.chose_good, row.good, row.bad) for row in seen]
    return Fitness(
        pairs=len(seen),
        correct=_share([row.correct for row in seen]) or 0.0,
        flip_rate=_share(both),
        agreement=_share(graded),
        length_bias=_share(lengths),
        unanswered=whole.count(False),
    )


def _share(rows: Sequence[float]) -> float | None:
    return round(sum(rows) / len(rows), 6) if rows else None
