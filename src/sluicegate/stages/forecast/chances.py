"""What a stage can find out and how often it errs, for the rule that its gate decides by.

Power and error rates are simulated with that rule (`operating`); the smallest gain found and the numbers needed are by
formula (`stats.power`), the least favourable of the tests that must hold at once. Both work on the variance model of
pass/fail draws. Where an earlier stage measured scores that are none, the spread that it measured is taken as it is
(`stats.power_of`); before that, pass/fail draws of the same rate are the bound: no scores on [0, 1] vary more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from sluicegate import stats
from sluicegate.stages.forecast.assumptions import Assumed
from sluicegate.stages.forecast.records import Chances, Needed
from sluicegate.stages.operating import Guard, Rule, simulate
from sluicegate.stages.plan import Plan
from sluicegate.stats import RUNS_FOR_A_RECIPE, Design, Sizes
from sluicegate.stats.power import FEW_ITEMS, FEW_STEPS
from sluicegate.stats.recipe import CLUSTERS_TO_DECIDE
from sluicegate.study import Study

TARGET = 0.8
CELLS, REPEATS, LEAST_REPEATS = 300_000, 2000, 800
"""Items × runs × experiments that are simulated; where that leaves too few experiments, formulas do."""
LIMITS = {"items": 20_000, "draws": 200, "seeds": 30}
"""As far as needed numbers are looked for."""
SEED = 0
CORRECTIONS, STEP_UP = 3, 1.05
"""How often, and by how much, a needed number is raised where the whole rule has less power than the formula said."""
STEP_DOWN = 0.75
"""As far as it is lowered where the rule has more: few items with lopsided gains, of which the formula knows little."""
Vary = Literal["items", "draws", "seeds"]
VARIES: tuple[Vary, ...] = ("items", "draws", "seeds")
Rated = Callable[[Design], float]


def chances(study: Study, plan: Plan, found: Assumed) -> Chances | None:
    """The chances of a stage; None for one that compares nothing."""
    if not plan.stage.compares or found.design.items < 2:
        return None
    return _deciding(study, plan, found) if plan.stage.decides else _looking(study, plan, found)


def _looking(study: Study, plan: Plan, found: Assumed) -> Chances:
    """Of the stage that only stops for sure harm."""
    rule, by = Rule(alpha=plan.alpha, minimum=0.0), _measured_rates(found) if found.variance else _rates
    nothing, some = (by(replace(found.design, gain=gain), rule) for gain in (0.0, study.design_gain))
    return Chances(
        test=f"upper bound of the {1 - 2 * plan.alpha:.0%} interval below 0", alpha=plan.alpha, attempts=1, power=None,
        false_go=None, false_stop=some.stop, mde=None, design_gain=study.design_gain, stop_without_gain=nothing.stop,
        method=some.method, basis=found.basis,
    )  # fmt: skip


def _deciding(study: Study, plan: Plan, found: Assumed) -> Chances:
    design, one = found.design, Rule(plan.alpha, study.minimum_gain, guards=found.guards)
    every = replace(one, alpha=plan.alpha * plan.attempts, attempts=plan.attempts)
    by = _measured_rates(found) if found.variance else _rates
    recipe, none = plan.seeds >= RUNS_FOR_A_RECIPE, replace(design, gain=0.0)
    real, idle = by(design, one), by(none, every)
    primary = _power_by(study, plan, replace(found, guards=()))
    names = [*(TOLD[name] for name in tests(design)), *(["guarded metrics not worse"] if found.guards else [])]
    return Chances(
        test=", ".join(names),
        alpha=plan.alpha,
        attempts=plan.attempts,
        power=real.go,
        false_go=idle.go if recipe else by(replace(none, seed_sd=0.0), every).go,
        false_stop=real.stop,
        mde=_mde(design, primary),
        design_gain=study.design_gain,
        needed=_needed(design, _power_by(study, plan, found), lambda changed: by(changed, one).go),
        claim="recipe" if recipe else "checkpoint",
        false_go_recipe=None if recipe else idle.go,
        stop_without_gain=by(none, one).stop,
        method=real.method,
        basis=found.basis,
    )


@dataclass(frozen=True, slots=True)
class _Rates:
    go: float
    stop: float
    method: str


TOLD = {
    "sign_flip": "sign-flip over items",
    "recipe": "runs and items crossed",
    "cluster_robust": "t over scenarios",
}


def tests(design: Design) -> tuple[str, ...]:
    """The tests of the primary metric that must hold at once."""
    runs = ("recipe",) if design.seeds >= RUNS_FOR_A_RECIPE else ()
    return ("sign_flip", *runs, *(("cluster_robust",) if design.clusters >= CLUSTERS_TO_DECIDE else ()))


def formula_power(design: Design, alpha: float, guards: tuple[Guard, ...] = ()) -> float:
    """The power of the least favourable test, times the chances that the guarded metrics hold.

    The tests of the primary metric nearly imply one another, so the least is close to all; the guarded metrics are
    taken as independent of it, as in `operating`.
    """
    return min(_power(name, design, alpha) for name in tests(design)) * _guarded(design, alpha, guards)


def _guarded(design: Design, alpha: float, guards: tuple[Guard, ...]) -> float:
    """The chance that the guarded metrics hold, each independent of the others."""
    found = 1.0
    for guard in guards:
        kept = replace(design, base=guard.base, gain=guard.gain)
        found *= stats.power("non_inferiority", kept, alpha=alpha, margin=guard.margin).power
    return found


def _power(test: str, design: Design, alpha: float) -> float:
    """By formula alone.

    `stats.power` simulates the sign-flip test of few items, which a search cannot wait for: there it is the t test's,
    at a gain that is less by the step between two sums of flipped signs.
    """
    steps = design.draws * design.seeds
    if test == "sign_flip" and 1 < steps <= FEW_STEPS and design.items <= FEW_ITEMS:
        return stats.power(
            "paired_t", replace(design, gain=design.gain - 1 / (steps * design.items)), alpha=alpha
        ).power
    return stats.power(test, design, alpha=alpha).power


@lru_cache(maxsize=256)
def _rates(design: Design, rule: Rule) -> _Rates:
    """Of the whole rule, by simulation where that is quick."""
    repeats = min(REPEATS, CELLS // (design.items * design.seeds))
    if repeats >= LEAST_REPEATS:
        found = simulate(design, rule, repeats, SEED)
        return _Rates(found.go, found.stop, f"{repeats:,} simulated experiments")
    go = 1 - (1 - formula_power(design, rule.each, rule.guards)) ** rule.attempts
    return _Rates(go, stats.false_stop(design, minimum=rule.minimum, alpha=rule.each), "formula")


def _measured_rates(found: Assumed) -> Callable[[Design, Rule], _Rates]:
    """As `_rates`, from variance components instead of pass/fail draws."""

    def rates(design: Design, rule: Rule) -> _Rates:
        variance = {"seeds": 2 * design.seed_sd**2, **dict(found.variance)}
        if design.seed_sd == 0:
            variance["seeds"] = 0.0
        sizes = Sizes(design.items, design.draws, design.seeds, design.clusters)
        go = stats.power_of(
            variance, gain=design.gain, sizes=sizes, alpha=rule.each, minimum=rule.minimum, step=found.step,
            measured_seeds=found.runs,
        )  # fmt: skip
        stop = stats.stop_of(
            variance, gain=design.gain, sizes=sizes, alpha=rule.each, minimum=rule.minimum, step=found.step,
            measured_seeds=found.runs,
        )  # fmt: skip
        go *= _guarded(design, rule.each, rule.guards)
        return _Rates(1 - (1 - go) ** rule.attempts, stop, "formula, on measured variances")

    return rates


def _power_by(study: Study, plan: Plan, found: Assumed) -> Rated:
    """The power of a design by formula."""
    if not found.variance:
        return lambda design: formula_power(design, plan.alpha, found.guards)
    rates, rule = _measured_rates(found), Rule(plan.alpha, study.minimum_gain, guards=found.guards)
    return lambda design: rates(design, rule).go


def power_alone(study: Study, plan: Plan, found: Assumed) -> float:
    """The power of the primary metric's tests, by formula, were no metric guarded."""
    return _power_by(study, plan, replace(found, guards=()))(found.design)


def _mde(design: Design, power_by: Rated) -> float | None:
    """The smallest gain that the primary metric's tests find with 80%, to a tenth of a point; None where no gain is."""
    low, high = 0.0, 0.99 * (1 - design.base)

    def reached(gain: float) -> bool:
        return power_by(replace(design, gain=gain)) >= TARGET

    if not reached(high):
        return None
    while high - low > 5e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return round(high, 4)


def _needed(design: Design, power_by: Rated, by: Rated) -> Needed:
    """The least items, draws and seeds, each alone, by formula; where they are more than planned, mended by `by`."""
    return Needed(*(_least(design, vary, power_by, by) for vary in VARIES))


def _least(design: Design, vary: Vary, power_by: Rated, by: Rated) -> int | None:
    count = least(design, vary, power_by)
    if count is None or count <= getattr(design, vary):
        return count

    def reached(number: int) -> bool:
        return by(replace(design, **{vary: number})) >= TARGET

    raised = count
    for _ in range(CORRECTIONS):
        if reached(raised):
            break
        raised = max(raised + 1, round(STEP_UP * raised))
    few = (count if vary == "items" else design.items) <= FEW_ITEMS
    return _lowered(count, getattr(design, vary), reached) if few and raised == count else raised


def _lowered(count: int, have: int, reached: Callable[[int], bool]) -> int:
    """The least number down to `STEP_DOWN` of a count that is enough, and above what there is."""
    low, high = max(have, int(STEP_DOWN * count)), count
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def least(design: Design, vary: Vary, power_by: Rated) -> int | None:
    """The least number of one thing with the target power; None up to `LIMITS`. Two runs carry no claim.

    >>> least(Design(items=15, draws=10, gain=0.1), "items", lambda design: formula_power(design, 0.05))
    36
    """
    first = {"items": max(2, design.clusters), "draws": 1, "seeds": RUNS_FOR_A_RECIPE}[vary]

    def reached(count: int) -> bool:
        return power_by(replace(design, **{vary: count})) >= TARGET

    if vary == "seeds" and design.seeds == 1 and reached(1):
        return 1
    low, high = first - 1, first
    while not reached(high):
        if high == LIMITS[vary]:
            return None
        low, high = high, min(LIMITS[vary], 2 * high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high
