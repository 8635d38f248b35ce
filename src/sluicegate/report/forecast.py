"""What was forecast before the stage ran and what it came to, as forecast.json tells it; and budget.json.

The stage writes these files; a report stands below the stages and reads them for itself. A field that they do not know
is let be, one that is missing or of the wrong type makes the file unreadable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from sluicegate.report.registration import SHAPE, Amount, Count, Share

FILE, BUDGET = "forecast.json", "budget.json"


@dataclass(frozen=True, slots=True)
class Quantity:
    """One quantity, forecast as a range.

    Args:
        unit: `h`, `GiB`, `$`, or empty for a number of things.
        machine: empty where it is of all machines.
        basis: what the forecast rests on.
        actual: what it came to; None until the stage ended, and where nothing measured it.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SHAPE
    name: str
    unit: str
    low: Amount | None
    expected: Amount | None
    high: Amount | None
    machine: str = ""
    basis: str = ""
    actual: Amount | None = None

    @property
    def held(self) -> Literal["", "inside", "above", "below"]:
        """Where the actual figure lies against the forecast; empty where one of them is missing.

        >>> Quantity("train", "h", 1.0, 2.0, 3.0, actual=3.5).held, Quantity("vram", "GiB", 1.0, 2.0, 3.0).held
        ('above', '')
        """
        if self.actual is None or self.low is None or self.high is None:
            return ""
        return "inside" if self.low <= self.actual <= self.high else "above" if self.actual > self.high else "below"


@dataclass(frozen=True, slots=True)
class Needed:
    """Items, draws or seeds that the design gain needs, each with the others as planned; None for no number."""

    __pydantic_config__: ClassVar[ConfigDict] = SHAPE
    items: Count | None = None
    draws: Count | None = None
    seeds: Count | None = None


@dataclass(frozen=True, slots=True)
class Chances:
    """Chances of the decision, computed before the stage ran.

    Args:
        alpha: one-sided, of one decision.
        power: of a GO at the design gain.
        false_go: of a GO without a gain, over all declared decisions, of the claim that a GO makes.
        false_go_recipe: where a GO claims checkpoints: that of a recipe without gain, which it does not claim.
        false_stop: of a STOP at the design gain.
        stop_without_gain: of a STOP, rightly, at no gain.
        mde: smallest gain that is found well enough, in points on [0, 1].
        method: how they were computed.
        basis: where the spread of the scores came from.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SHAPE
    test: str
    alpha: Share | None = None
    attempts: Count | None = None
    power: Share | None = None
    false_go: Share | None = None
    false_stop: Share | None = None
    mde: Amount | None = None
    design_gain: Share | None = None
    needed: Needed | None = None
    claim: str = ""
    false_go_recipe: Share | None = None
    stop_without_gain: Share | None = None
    method: str = ""
    basis: str = ""


@dataclass(frozen=True, slots=True)
class Forecast:
    """forecast.json.

    Args:
        basis: `prior`, or `measured` by earlier stages.
        testable: whether the stage, as planned, finds the design gain well enough; None where it tests nothing.
        why, cheapest: why, and the cheapest change that makes it so where it is not.
        budget: `hours` and `dollars` that the stage might use.
        notes: what the reader must know of the figures.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SHAPE
    stage: Count
    basis: str
    quantities: Annotated[tuple[Quantity, ...], Field(max_length=200)]
    chances: Chances | None = None
    testable: bool | None = None
    why: str = ""
    cheapest: str = ""
    budget: Mapping[str, Amount] = field(default_factory=dict)
    notes: Annotated[tuple[str, ...], Field(max_length=200)] = ()


@dataclass(frozen=True, slots=True)
class Overrun:
    """budget.json: the budget that ran out before the stage was complete.

    Args:
        what: `hours` or `dollars`.
        step: where it stopped.
        left: steps that were not done, that one included.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SHAPE
    what: Literal["hours", "dollars"]
    budget: Amount
    spent: Amount
    step: str
    left: Count | None = None
