"""What a stage's scores are taken to be: the study's expectations, until an earlier stage measured otherwise.

What carries over from a stage is its base rate and the variances of its scores, never its gain.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sluicegate.records import Comparison
from sluicegate.stages.forecast.earlier import Attempt
from sluicegate.stages.forecast.measured import Measured
from sluicegate.stages.operating import Guard
from sluicegate.stages.plan import Plan
from sluicegate.stats import Design
from sluicegate.stats.variance import between_draws, between_items
from sluicegate.study import Study

TELLING_ITEMS, FLOOR, CEILING = 10, 0.05, 0.95
"""A stage of fewer items, or of a rate beyond these, tells no spread that would hold for another."""
MOST = 0.95
"""The largest heterogeneity that a design may have."""
LEAST, ROOM = 0.001, 0.95
"""A rate that can still be simulated, and the share of what the design gain leaves that a base may take."""


@dataclass(frozen=True, slots=True)
class Assumed:
    """What a stage's scores are taken to be.

    Args:
        design: at the design gain, as pass/fail draws.
        guards: metrics that must not worsen.
        variance, step, runs: measured components that no design has, the smallest step of one draw's score, and the
            runs an arm that they were measured over; no components where the design has them.
        basis: where it comes from.
        room: whether base + design gain stay below 1.
        known: base rate as given, before it was moved to leave room.
    """

    design: Design
    guards: tuple[Guard, ...]
    basis: str
    room: bool = True
    known: float = 0.5
    variance: tuple[tuple[str, float], ...] = ()
    step: float = 1.0
    runs: int = 1


def assumed(study: Study, plan: Plan, items: int, scenarios: int, seen: Measured) -> Assumed:
    """The study's expectations, where no earlier stage measured otherwise."""
    told = study.expected
    prior = Design(
        items=items, draws=plan.draws, base=_with_room(told.base, study), gain=study.design_gain,
        heterogeneity=told.heterogeneity, agreement=told.agreement, seeds=max(1, plan.seeds), seed_sd=told.seed_sd,
        clusters=min(items, max(1, scenarios)), cluster_sd=told.scenario_sd if scenarios > 1 else 0.0,
    )  # fmt: skip
    guards = tuple(_guard(metric, margin, seen) for metric, margin in study.must_not_worsen.items())
    known, basis = told.base, "the study file (expected:)"
    found = seen.row(study.primary)
    if found is not None:
        row, attempt = found
        if (little := _tells_little(row)) == "":
            return _as_measured(study, row, attempt, prior, guards)
        basis += f"; {attempt.name} tells too little of it ({little})"
    return Assumed(prior, guards, basis, known + study.design_gain < 1, known)


def _with_room(base: float, study: Study) -> float:
    return max(LEAST, min(base, ROOM * (1 - study.design_gain)))


def _tells_little(row: Comparison) -> str:
    """Why a comparison tells no spread that would hold for another stage; empty where it does."""
    if not row.variance or "items" not in row.variance:
        return "no variances"
    if row.n < TELLING_ITEMS:
        return f"{row.n} items"
    base = row.control or 0.0
    return "" if FLOOR <= base <= CEILING else f"a base of {base:.0%}"


def _as_measured(study: Study, row: Comparison, attempt: Attempt, prior: Design, guards: tuple[Guard, ...]) -> Assumed:
    """What an earlier stage measured: its rates and variances, never its gain."""
    base, runs = row.control or 0.0, max(1, attempt.plan.seeds)
    design, binary, fits = _fitted(row, prior, runs)
    return Assumed(
        design=replace(design, base=_with_room(design.base, study)),
        guards=guards,
        basis=f"measured in {attempt.name} (base {base:.0%}, {row.n} items)",
        room=base + study.design_gain < 1,
        known=base,
        variance=() if fits else tuple(sorted(row.variance.items())),
        step=1.0 if binary else 0.0,
        runs=runs,
    )


def _guard(metric: str, margin: float, seen: Measured) -> Guard:
    found = seen.row(metric)
    base = found[0].control if found else None
    return Guard(margin) if base is None or base < FLOOR else Guard(margin, base=min(0.99, base))


def _fitted(row: Comparison, prior: Design, runs: int) -> tuple[Design, bool, bool]:
    """The design with the measured rates and variances; whether it looks like pass/fail draws; whether it has them.

    Draws vary by (1 - ρ) v, v the sum of both arms' μ(1 - μ): that gives ρ. What is left between items falls
    linearly with the agreement: that gives r. A ρ above 0.95 is no pass/fail draws' (or such with next to no spread);
    a negative r is more difference between items than the model has, an r above 1 is less and counts as 1.
    """
    control, after = (min(0.98, max(0.02, value or 0.0)) for value in (row.control, row.experiment))
    spread = control * (1 - control) + after * (1 - after)
    rho = 1 - row.variance["draws"] / spread if "draws" in row.variance else prior.heterogeneity
    measured = replace(
        prior, base=control, gain=after - control, heterogeneity=min(MOST, max(0.0, rho)), draws=1, seeds=1
    )
    apart, alike = (between_items(replace(measured, agreement=share)) for share in (0.0, 1.0))
    # With single draws of single runs the draws are in the items.
    drawn = 0.0 if "draws" in row.variance else between_draws(measured)
    share = (apart + drawn - row.variance["items"]) / (apart - alike) if apart > alike else prior.agreement
    sd = {}
    if "seeds" in row.variance and runs > 1:
        sd["seed_sd"] = min(1.0, (row.variance["seeds"] / 2) ** 0.5)
    if "scenarios" in row.variance and prior.clusters > 1:
        sd["cluster_sd"] = min(1.0, row.variance["scenarios"] ** 0.5)
    design = replace(
        prior, base=control, heterogeneity=measured.heterogeneity, agreement=min(1.0, max(0.0, share)), **sd
    )  # fmt: skip
    return design, rho <= MOST, rho <= MOST and share >= 0.0
