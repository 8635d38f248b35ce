"""Whether a stage can be tested as planned, and the cheapest change of its plan after which it can."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sluicegate.stages.forecast import figures
from sluicegate.stages.forecast.assumptions import Assumed
from sluicegate.stages.forecast.chances import TARGET, power_alone
from sluicegate.stages.forecast.cost import quantities
from sluicegate.stages.forecast.layout import Stage
from sluicegate.stages.forecast.records import Chances
from sluicegate.stages.plan import Plan, models
from sluicegate.study import Study

SETTING = {"items": "test_samples", "draws": "draws", "seeds": "seeds"}


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a stage's plan, with what it costs more than the plan as it is; None where unknown."""

    vary: str
    have: int
    wanted: int
    hours: float | None
    dollars: float | None

    @property
    def told(self) -> str:
        """The change and its price.

        >>> Change("items", 15, 42, 0.1, 0.0).told
        'test_samples 15 → 42 (+6 min)'
        >>> Change("draws", 4, 9, None, None).told
        'draws 4 → 9 (cost unknown)'
        """
        return f"{SETTING[self.vary]} {self.have} → {self.wanted} ({self._price})"

    @property
    def _price(self) -> str:
        if self.hours is None:
            return "cost unknown"
        spent = f"+{figures.time(self.hours)}"
        return spent + (f", +{figures.dollars(self.dollars)}" if self.dollars else "")


def can_be_tested(study: Study, plan: Plan, found: Assumed, chances: Chances | None) -> tuple[bool | None, str]:
    """Whether the design gain is found with 80%, and why or why not."""
    if chances is None or chances.power is None:
        return None, ""
    gain = 100 * chances.design_gain
    if not found.room:
        return False, f"a base of {found.known:.0%} leaves no room for a gain of {gain:g} points"
    told = f"power {chances.power:.0%} at a gain of {gain:g} points, {TARGET:.0%} wanted"
    if found.guards and chances.power < TARGET:
        alone = power_alone(study, plan, found)
        told += f" ({alone:.0%} for the primary metric alone, the rest goes to must_not_worsen)"
    return chances.power >= TARGET, told


def cheapest(stage: Stage, found: Assumed, chances: Chances) -> str:
    """The cheapest change that makes it testable, and the others, in words."""
    if not found.room:
        return "no number of items, draws or seeds does: harder items, a weaker base, or another metric"
    changes = sorted(_changes(stage, chances), key=_cost)
    if not changes:
        return "no number of items, draws or seeds alone does: change two of them, or declare a larger design_gain"
    first, *others = changes
    never = [SETTING[name] for name in SETTING if getattr(chances.needed, name) is None]
    told = [f"stages.{stage.plan.stage.number}: {first.told}{_missing(stage, first)}"]
    told += [f"or {change.told}{_missing(stage, change)}" for change in others]
    return "; ".join([*told, *([f"{' and '.join(never)} alone cannot"] if never else [])])


def _cost(change: Change) -> tuple[float, float]:
    return (
        float("inf") if change.dollars is None else change.dollars,
        float("inf") if change.hours is None else change.hours,
    )


def _changes(stage: Stage, chances: Chances) -> Iterator[Change]:
    have = {"items": stage.work.test, "draws": stage.plan.draws, "seeds": stage.plan.seeds}
    before = _hours_and_dollars(stage)
    for vary, now in have.items():
        wanted = getattr(chances.needed, vary)
        if wanted is None or wanted <= now:
            continue
        after = _hours_and_dollars(changed(stage, vary, wanted))
        more = [
            None if one is None or two is None else max(0.0, two - one) for one, two in zip(before, after, strict=True)
        ]
        yield Change(vary, now, wanted, *more)


def _hours_and_dollars(stage: Stage) -> tuple[float | None, float | None]:
    rows = {row.name: row.expected for row in quantities(stage)}
    return rows["wall"], rows["dollars"]


def changed(stage: Stage, vary: str, wanted: int) -> Stage:
    """The stage with so many of one thing."""
    if vary == "items":
        return replace(stage, work=replace(stage.work, test=wanted, asked=wanted))
    if vary == "draws":
        return replace(stage, plan=replace(stage.plan, draws=wanted))
    return replace(stage, plan=replace(stage.plan, models=models(stage.study, wanted)))


def _missing(stage: Stage, change: Change) -> str:
    """Samples that the source does not have."""
    spare = stage.work.spare
    if change.vary != "items" or spare is None or not stage.work.known:
        return ""
    lacking = change.wanted - change.have - spare
    return f", and {lacking} more samples in the source" if lacking > 0 else ""
