"""The records of a forecast: what `sluicegate plan` shows and `forecast.json` holds.

None stands for what is not known; a figure that nobody can know is not made up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import ConfigDict

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Quantity:
    """One thing that a stage takes.

    Args:
        name: `train`, `generate`, `evaluate`, `wall`, `vram`, `disk`, `tokens trained`, `tokens generated`,
            `judge calls` or `dollars`.
        unit: `h`, `GiB`, `$`, or empty for counts.
        low, high: the range that is meant to hold the truth four times in five.
        machine: where it falls due; empty for the whole stage.
        basis: where the figure comes from.
        actual: what it was; None until the stage has ended.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    name: str
    unit: str
    low: float | None
    expected: float | None
    high: float | None
    machine: str = ""
    basis: str = ""
    actual: float | None = None


@dataclass(frozen=True, slots=True)
class Needed:
    """How many of one thing, all else as planned, find the design gain with 80%; None where no number does."""

    items: int | None = None
    draws: int | None = None
    seeds: int | None = None


@dataclass(frozen=True, slots=True)
class Chances:
    """What a stage can find out, and how often it errs.

    Args:
        test: the tests that must hold at once.
        alpha: one-sided, of one decision.
        attempts: declared decisions.
        power: of one decision, at the design gain.
        false_go: over all declared decisions, of the claim that a GO makes.
        false_stop: of one decision, at the design gain.
        mde: the smallest gain found with 80%.
        design_gain: in points on [0, 1], as are all gains here.
        claim: what a GO says is better, `checkpoint` or `recipe`; empty where the stage decides nothing.
        false_go_recipe: where the claim is about checkpoints: the chance of a GO for a recipe without gain, which
            that claim does not cover.
        stop_without_gain: of one decision, at a gain of 0.
        method: how the chances were computed.
        basis: where the spread of the scores comes from.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    test: str
    alpha: float
    attempts: int
    power: float | None
    false_go: float | None
    false_stop: float | None
    mde: float | None
    design_gain: float
    needed: Needed = Needed()
    claim: str = ""
    false_go_recipe: float | None = None
    stop_without_gain: float | None = None
    method: str = ""
    basis: str = ""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What one stage of a study takes and can find out.

    Args:
        basis: `measured` where earlier stages of the study told any of it, else `prior`.
        testable: whether the power at the design gain is 80% or more; None where the stage decides nothing.
        why: of `testable`.
        cheapest: the change that makes it testable at the least cost, or that none does.
        budget: `hours` and `dollars` that the stage may use.
        notes: what the reader must know of the figures.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    stage: int
    basis: str
    quantities: tuple[Quantity, ...]
    chances: Chances | None
    testable: bool | None
    why: str = ""
    cheapest: str = ""
    budget: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def quantity(self, name: str) -> Quantity:
        """The quantity of the whole stage, or its only one, of that name."""
        return next(row for row in self.quantities if row.name == name)

    def within(self, what: str) -> bool | None:
        """Whether the budget of `hours` or `dollars` is kept: True up to the high end, None in between or unknown.

        >>> row = Quantity("dollars", "$", 1.0, 2.0, 4.0)
        >>> [Forecast(3, "prior", (row,), None, None, budget={"dollars": most}).within("dollars") for most in (5, 3, 1)]
        [True, None, False]
        """
        row, most = self.quantity({"hours": "wall", "dollars": "dollars"}[what]), self.budget[what]
        if row.expected is None or row.high is None:
            return None
        return True if row.high <= most else False if row.expected > most else None
