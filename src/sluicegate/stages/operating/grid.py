"""The designs that `make operating` simulates, as data, and what each gives: a row of figures.

A task knows all it needs, its seed included, so the rows are the same however the tasks are divided over processes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

import numpy as np
from scipy import special

from sluicegate import stats
from sluicegate.stages.forecast.chances import _least, formula_power
from sluicegate.stages.operating import averages
from sluicegate.stages.operating.rates import Rates, exact_bounds, simulate
from sluicegate.stages.operating.rule import Guard, Rule, deciding_test
from sluicegate.stats import Design

Row = dict[str, float]
MANY, SOME = 20_000, 8_000
"""Experiments of a cell: where an error rate is held against its limit, and elsewhere."""
ITEMS, DRAWS, BASES = (15, 20, 75, 150, 500), (1, 5, 10), (0.05, 0.25, 0.5, 0.75, 0.95)
LIKENESS = ((0.5, 0.9), (0.2, 0.5), (0.8, 1.0))
"""Heterogeneity and agreement: the planner's own, items and arms less alike, and more alike."""
GAINS = (0.05, 0.1, 0.15, 0.2)
TARGET = 0.8
OLDER_ITEMS, OLDER_METRICS = (5, 10, 15, 20, 30, 50, 75, 150), 7
TABLE_ITEMS, TABLE_METRICS = (5, 10, 15, 20, 30, 50, 75, 150, 300), (1, 2, 3, 5, 7, 10)
RETRIES = 4
WITHOUT_MINIMUM = Rule(minimum=0.0)
"""The worst case of a false GO: a minimum above 0 only turns some of them into a STOP."""


@dataclass(frozen=True, slots=True)
class Cell:
    """The gate on one design."""

    group: str
    design: Design
    rule: Rule
    repeats: int
    seed: int = 0

    @property
    def cost(self) -> float:
        """Items drawn."""
        return float(self.repeats * self.design.items * self.design.seeds * self.rule.attempts)

    def run(self) -> Row:
        """Sizes, what the planner says, and all rates."""
        planned = stats.power(deciding_test(self.design), self.design, alpha=self.rule.each).power
        found = simulate(self.design, self.rule, self.repeats, self.seed)
        return _sizes(self.design, self.rule) | {"planned": round(planned, 4)} | _figures(found)


def _sizes(design: Design, rule: Rule) -> Row:
    row: Row = {
        "n": design.items, "draws": design.draws, "base": design.base, "gain": design.gain,
        "heterogeneity": design.heterogeneity, "agreement": design.agreement, "seeds": design.seeds,
        "seed_sd": design.seed_sd, "scenarios": design.clusters, "scenario_sd": design.cluster_sd,
        "attempts": rule.attempts, "minimum": rule.minimum, "of the claim": float(rule.bounds == "claim"),
    }  # fmt: skip
    return row | {"falls": rule.guards[0].gain} if rule.guards else row


def _figures(found: Rates) -> Row:
    low, high = found.go_bounds
    rates = {"go": found.go, "go_low": low, "go_high": high, "stop": found.stop, "inconclusive": found.inconclusive}
    rates |= {f"{name} alone": share for name, share in found.tests.items()}
    rates |= {f"{name} covers": share for name, share in found.coverage.items()}
    figures = {name: round(value, 4) for name, value in rates.items()}
    return figures | {"differ": round(found.differ, 1), "experiments": found.n}


@dataclass(frozen=True, slots=True)
class Sizing:
    """The number of items for 80% power: what `sluicegate plan` prints, `stats.needed`, and simulation."""

    design: Design
    repeats: int = 4_000
    seed: int = 0
    group: str = "sizes"

    @property
    def cost(self) -> float:
        """As if all needed 100 items."""
        return 1000.0 * self.repeats * self.design.seeds

    def run(self) -> Row:
        """The numbers, and by how much the printed one is off."""
        planned = stats.needed(deciding_test(self.design), self.design, target=TARGET)
        printed = _least(self.design, "items", _formula, _simulated)
        if planned is None or printed is None:
            raise ValueError(f"a design that no number of items is enough for: {self.design}")
        counts = sorted({max(2, round(planned * share)) for share in np.linspace(0.8, 1.2, 9)})
        shares = [
            simulate(replace(self.design, items=count), Rule(), self.repeats, self.seed + place).go
            for place, count in enumerate(counts)
        ]
        wanted = crossing(counts, shares, TARGET)
        found: Row = {"plan prints": printed, "needed": planned, "simulated": round(wanted, 1)}
        off = {"off": round(printed / wanted - 1, 4), "experiments": self.repeats * len(counts)}
        return _sizes(self.design, Rule()) | found | off


def _formula(design: Design) -> float:
    return formula_power(design, Rule().each)


def _simulated(design: Design) -> float:
    return simulate(design, Rule()).go


def crossing(counts: list[int], shares: list[float], target: float) -> float:
    """The count at which a share reaches the target, by a straight line of normal scores over √count.

    One draw an item makes power a saw of the number of items; the line goes through its middle.

    >>> round(crossing([81, 100, 121], [0.7, 0.8, 0.88], 0.8))
    100
    """
    scores = special.ndtri(np.clip(shares, 1e-4, 1 - 1e-4))
    slope, start = np.polyfit(np.sqrt(counts), scores, 1)
    return float(((special.ndtri(target) - start) / slope) ** 2)


@dataclass(frozen=True, slots=True)
class Averaged:
    """The older criterion on one size of experiment."""

    group: str
    items: int
    metrics: int
    test: Literal["paired", "unpaired"]
    repeats: int
    seed: int = 0

    @property
    def cost(self) -> float:
        """Items graded."""
        return float(3 * self.repeats * self.items * self.metrics)

    def run(self) -> Row:
        """Its error rates."""

        def rates(gain: float, gaining: int | None, place: int) -> averages.Older:
            return averages.simulate(
                self.items, self.metrics, gain,
                gaining=gaining, test=self.test, repeats=self.repeats, seed=self.seed + place,
            )  # fmt: skip

        nothing = rates(0.0, None, 0)
        figures = {
            "false_go": nothing.go, "false_go_with_retries": nothing.within(1 + RETRIES), "any_p": nothing.any_p,
            "power": rates(0.1, None, 1).go, "power_one": rates(0.1, 1, 2).go,
        }  # fmt: skip
        sizes: Row = {"n": self.items, "metrics": self.metrics, "paired": float(self.test == "paired")}
        return sizes | {name: round(value, 4) for name, value in figures.items()} | {"experiments": self.repeats}


Task = Cell | Sizing | Averaged


def tasks() -> list[Task]:
    """The whole grid, each task with a seed of its own."""
    found: list[Task] = [
        *_no_gain(), *_gained(), *_attempts(), *_scenarios(), *_recipes(), *_checkpoints(), *_outcomes(), *_stops(),
        *_guards(), *_testable(), *_sizings(), *_older(),
    ]  # fmt: skip
    return [replace(task, seed=100 * place) for place, task in enumerate(found)]


def _no_gain() -> Iterator[Cell]:
    """Two arms that are the same: items, draws and base rates, for items and arms of three kinds."""
    for (heterogeneity, agreement), n, draws, base in product(LIKENESS, ITEMS, DRAWS, BASES):
        design = Design(n, draws, base, heterogeneity=heterogeneity, agreement=agreement)
        yield Cell("no gain", design, WITHOUT_MINIMUM, MANY)


def _gained() -> Iterator[Cell]:
    """The same designs with 10 points of gain (a loss where there is no room), for the coverage of the intervals."""
    for cell in _no_gain():
        gain = 0.1 if cell.design.base < 0.9 else -0.1
        yield Cell("gained", replace(cell.design, gain=gain), Rule(), SOME)


def _attempts() -> Iterator[Cell]:
    for n, draws, attempts in product(ITEMS, (1, 10), range(1, RETRIES + 2)):
        yield Cell("attempts", Design(n, draws), Rule(minimum=0.0, attempts=attempts), MANY)


def _scenarios() -> Iterator[Cell]:
    sizes = ((15, 10), (20, 10), (75, 1), (75, 10), (150, 10), (500, 10))
    for (n, draws), count, spread in product(sizes, (5, 8), (0.0, 0.02, 0.05, 0.1)):
        yield Cell("scenarios", Design(n, draws, clusters=count, cluster_sd=spread), WITHOUT_MINIMUM, MANY)


def _recipes() -> Iterator[Cell]:
    sizes = ((15, 1), (15, 10), (20, 10), (75, 1), (75, 5), (75, 10), (150, 10), (500, 10))
    for (n, draws), seeds, noise in product(sizes, (3, 5), (0.0, 0.01, 0.02, 0.03, 0.05)):
        yield Cell("recipes", Design(n, draws, seeds=seeds, seed_sd=noise), WITHOUT_MINIMUM, MANY)
    for seeds, noise, spread in product((3, 5), (0.0, 0.02, 0.05), (0.0, 0.05)):
        design = Design(75, 10, seeds=seeds, seed_sd=noise, clusters=5, cluster_sd=spread)
        yield Cell("recipes", design, WITHOUT_MINIMUM, MANY)


def _checkpoints() -> Iterator[Cell]:
    """One run an arm and noise of the training seed: no gain of the recipe, yet one of the checkpoint."""
    for n, noise in product((15, 75, 500), (0.0, 0.01, 0.02, 0.03, 0.05)):
        yield Cell("checkpoints", Design(n, 10, seed_sd=noise), WITHOUT_MINIMUM, MANY)


def _outcomes() -> Iterator[Cell]:
    for n, draws, gain in product(ITEMS, (1, 10), (-0.05, 0.0, 0.05, 0.1)):
        yield Cell("outcomes", Design(n, draws, gain=gain), Rule(), SOME)


def _stops() -> Iterator[Cell]:
    """A gain of exactly the smallest that is worth its cost: how often it is stopped."""
    for n, noise, spread in ((75, 0.0, 0.0), (500, 0.0, 0.0), (75, 0.0, 0.05), (500, 0.0, 0.05), (75, 0.02, 0.0),
                             (75, 0.05, 0.0), (150, 0.02, 0.0), (150, 0.05, 0.0)):  # fmt: skip
        design = Design(n, 10, gain=0.05, cluster_sd=spread, clusters=5 if spread else 1)
        yield from _both_bounds("stops", replace(design, seeds=3 if noise else 1, seed_sd=noise), Rule())


def _guards() -> Iterator[Cell]:
    """A metric that must not worsen by 5 points, beside a sure gain: it falls by just that, or not at all."""
    for n, (seeds, noise), fall in product((75, 150), ((1, 0.0), (3, 0.0), (3, 0.02), (3, 0.05)), (-0.05, 0.0)):
        rule = Rule(minimum=0.0, guards=(Guard(0.05, 0.9, fall),))
        yield from _both_bounds("guards", Design(n, 10, gain=0.4, seeds=seeds, seed_sd=noise), rule)


def _both_bounds(group: str, design: Design, rule: Rule) -> Iterator[Cell]:
    yield Cell(group, design, replace(rule, bounds="items"), SOME)
    if deciding_test(design) != "sign_flip":
        yield Cell(group, design, rule, SOME)


def _testable() -> Iterator[Cell]:
    """Every design of the grid that the planner calls testable: 80% power or more at its gain."""
    plain = (
        Design(n, draws, base, gain) for n, draws, base, gain in product(ITEMS, DRAWS, BASES, GAINS) if base + gain < 1
    )
    scenarios = (
        Design(n, 10, gain=gain, clusters=5, cluster_sd=spread)
        for n, gain, spread in product((75, 150, 500), GAINS, (0.0, 0.02, 0.05))
    )
    recipes = (
        Design(n, draws, gain=gain, seeds=seeds, seed_sd=noise)
        for n, draws, gain, seeds, noise in product((15, 75), (1, 10), GAINS, (3, 5), (0.0, 0.01, 0.03, 0.05))
    )
    for design in (*plain, *scenarios, *recipes):
        if stats.power(deciding_test(design), design).power >= TARGET:
            yield Cell("power", design, Rule(), SOME)


def _sizings() -> Iterator[Sizing]:
    for draws, (base, gain) in product(
        DRAWS, ((0.1, 0.1), (0.3, 0.1), (0.5, 0.1), (0.8, 0.1), (0.5, 0.05), (0.5, 0.2))
    ):
        yield Sizing(Design(2, draws, base, gain))
    for draws, (heterogeneity, agreement) in product((1, 10), LIKENESS[1:]):
        yield Sizing(Design(2, draws, gain=0.1, heterogeneity=heterogeneity, agreement=agreement))
    for spread in (0.0, 0.03):
        yield Sizing(Design(2, 10, gain=0.1, clusters=5, cluster_sd=spread))
    for draws, seeds, noise in product((1, 10), (3, 5), (0.0, 0.01, 0.02)):
        yield Sizing(Design(2, draws, gain=0.1, seeds=seeds, seed_sd=noise))


def _older() -> Iterator[Cell | Averaged]:
    """The older criterion, ours beside it, and the table that `stages.older` looks up."""
    for n in OLDER_ITEMS:
        yield Averaged("older", n, OLDER_METRICS, "paired", MANY)
        yield Averaged("older", n, OLDER_METRICS, "unpaired", MANY)
        for draws, gain, attempts in product((1, 10), (0.0, 0.1), (1, RETRIES + 1)):
            yield Cell("beside", Design(n, draws, gain=gain), Rule(minimum=0.0, attempts=attempts), MANY)
    for n, metrics in product(TABLE_ITEMS, TABLE_METRICS):
        yield Averaged("table", n, metrics, "paired", SOME)


def beyond(share: float, n: int, limit: float, cells: int) -> bool:
    """Whether a share lies above a limit by more than chance gives in any of so many cells (Bonferroni, 95%).

    >>> beyond(0.052, 20_000, 0.05, 100), beyond(0.06, 20_000, 0.05, 100)
    (False, True)
    """
    return exact_bounds(share, n, 1 - 0.1 / cells)[0] > limit
