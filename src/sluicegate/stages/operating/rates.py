"""The operating characteristics of one design: how often the gate says what, and how often its intervals are right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from sluicegate.errors import UserError
from sluicegate.stages.operating.rule import (
    GO,
    INCONCLUSIVE,
    STOP,
    Batch,
    Decided,
    Rule,
    cluster_bounds,
    decide,
    draw,
    gain_bounds,
    recipe_bounds,
    welch_ps,
)
from sluicegate.stats import Design

CELLS = 2_000_000
"""Pass shares drawn at a time, which bounds the memory to some 100 MB."""
FEW_DIFFER = 10
"""Items that differ below which `compare` calls an interval rough."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Shares of simulated experiments.

    Args:
        n: experiments, each of all its attempts.
        go: in which one of the attempts says GO: power, or at gain 0 a false GO.
        stop, inconclusive: in which none does, by the last attempt.
        tests: share of first attempts in which a test alone rejects: `items`, and where they exist `runs` (Welch),
            `items and runs`, `recipe`, `clusters`.
        coverage: share of first attempts whose interval at `level` holds the true gain: `items`, `recipe`, `clusters`.
        differ: items with a gain or a loss, on average.
        sparse: share of first attempts with fewer than 10 of them.
        seed: of the simulation.
    """

    n: int
    go: float
    stop: float
    inconclusive: float
    tests: Mapping[str, float]
    coverage: Mapping[str, float]
    level: float
    differ: float
    sparse: float
    seed: int

    @property
    def go_bounds(self) -> tuple[float, float]:
        """Clopper and Pearson's 95% interval of `go`."""
        return exact_bounds(self.go, self.n)


def exact_bounds(share: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson's two-sided interval of a share of n.

    Source: Clopper and Pearson, Biometrika 1934.

    >>> low, high = exact_bounds(0.05, 20_000)
    >>> round(low, 4), round(high, 4)
    (0.047, 0.0531)
    """
    hits, tail = round(share * n), (1 - level) / 2
    low = 0.0 if hits == 0 else float(special.betaincinv(hits, n - hits + 1, tail))
    high = 1.0 if hits == n else float(special.betaincinv(hits + 1, n - hits, 1 - tail))
    return low, high


def simulate(
    design: Design, rule: Rule | None = None, repeats: int = 2000, seed: int = 0, *, level: float = 0.95
) -> Rates:
    """How the gate decides on experiments of this design.

    Attempts are experiments anew, each decided at alpha/attempts. Attempts that share items or models are alike, which
    makes one GO among them rarer; split alpha bounds it either way.

    Args:
        rule: alpha 0.05 and a minimum of 5 points unless told.
        repeats: experiments.
        level: of the intervals whose coverage is counted; those that decide are at 1 - 2·alpha/attempts.

    Raises:
        UserError: fewer than one repeat, or one item.

    >>> found = simulate(Design(items=75, draws=10, gain=0.1), repeats=500)
    >>> found.go > 0.95, found.stop < 0.01, found.go + found.stop + found.inconclusive
    (True, True, 1.0)
    """
    rule = rule or Rule()
    if repeats < 1 or design.items < 2:
        seen = f"{repeats} experiments of {design.items} items"
        raise UserError("simulate: too little", wanted="one experiment or more, of two items or more", seen=seen)
    rng = np.random.default_rng(seed)
    rows = max(1, CELLS // (design.items * design.seeds))
    sizes = [min(rows, repeats - start) for start in range(0, repeats, rows)]
    counted = [_count(design, rule, size, level, rng) for size in sizes]
    shares = {name: sum(part[name] for part in counted) / repeats for name in counted[0]}

    def those(prefix: str) -> dict[str, float]:
        return {name.removeprefix(prefix): share for name, share in shares.items() if name.startswith(prefix)}

    go, stop = shares["go"], shares["stop"]
    return Rates(
        n=repeats, go=go, stop=stop, inconclusive=shares["inconclusive"], tests=those("test "),
        coverage=those("covered "), level=level, differ=shares["differ"], sparse=shares["sparse"], seed=seed,
    )  # fmt: skip


def _count(design: Design, rule: Rule, repeats: int, level: float, rng: np.random.Generator) -> dict[str, float]:
    """Experiments of a batch with each property, by its name."""
    first = draw(design, repeats, rng)
    decided = decide(first, rule, rng)
    went, last = decided.outcome == GO, decided.outcome
    for _ in range(rule.attempts - 1):
        last = decide(draw(design, repeats, rng), rule, rng).outcome
        went |= last == GO
    differ = (first.differences != 0).sum(axis=1)
    counts = {
        "go": went.sum(),
        "stop": (~went & (last == STOP)).sum(),
        "inconclusive": (~went & (last == INCONCLUSIVE)).sum(),
        "differ": differ.sum(),
        "sparse": (differ < FEW_DIFFER).sum(),
        **{f"test {name}": (p <= rule.each).sum() for name, p in _tests(first, decided).items()},
        **{f"covered {name}": inside.sum() for name, inside in _covered(first, decided, level).items()},
    }
    return {name: float(count) for name, count in counts.items()}


def _tests(batch: Batch, decided: Decided) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    found = {"items": decided.items}
    if batch.design.seeds > 1:
        found["runs"] = welch_ps(batch)
        found["items and runs"] = np.maximum(decided.items, found["runs"])
    named = {"recipe": decided.recipe, "clusters": decided.clusters}
    return found | {name: p for name, p in named.items() if p is not None}


def _covered(batch: Batch, decided: Decided, level: float) -> dict[str, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    found = {"items": gain_bounds(batch, level)}
    if decided.recipe is not None:
        found["recipe"] = recipe_bounds(batch, level)
    if decided.clusters is not None:
        found["clusters"] = cluster_bounds(batch, level)
    return {name: bounds.hold(batch.design.gain) for name, bounds in found.items()}
