"""The older criterion, "average relative improvement above 10% and any p below 0.05": shown, and never decided on.

It averages relative changes of metrics with different units, lets the best of several p values speak for all, and has
no limit on retries. Its error rates for experiments of the size at hand stand in older.json, which `make operating`
writes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from sluicegate.errors import UserError
from sluicegate.records import Comparison

AVERAGE, P = 0.10, 0.05
"""What it wanted: an average relative improvement above the one, any p below the other."""
FILE = "older.json"


@dataclass(frozen=True, slots=True)
class Older:
    """What the older criterion says of a stage.

    Args:
        average: mean over metrics of (experiment - control) / control; None without a metric that has one.
        any_p: the smallest two-sided p of a metric; None without one.
        go: whether it would have let the experiment through.
        left_out: metrics without a relative change, since the control is at 0 or was not measured.
        text: all of this in words.
    """

    average: float | None
    any_p: float | None
    go: bool
    left_out: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class OlderRates:
    """Simulated error rates of the older criterion, shares of experiments.

    Args:
        false_go: a change without gain let through in one attempt.
        false_go_with_retries: the same within five attempts.
        power: a true gain of 10 points on every metric, let through in one attempt.
        power_one: the same gain on one metric alone.
        n_simulated, metrics_simulated: the simulated case that is nearest.
        experiments: how many were simulated.
    """

    false_go: float
    false_go_with_retries: float
    power: float
    power_one: float
    n_simulated: int
    metrics_simulated: int
    experiments: int


def older_gate(comparisons: Iterable[Comparison]) -> Older:
    """The older criterion on the comparisons of a stage.

    Its p is that of the two-sided paired t test where there is one, else twice the one-sided p at hand.

    >>> row = Comparison("judge", 20, 0.5, 0.6, 0.1, 0.0, 0.2, 0.01, 0.01, 0.9, "sign-flip", 0, 1.0)
    >>> older_gate([row]).text
    'average relative improvement +20.0% over 1 metric (wanted above 10%), smallest p 0.0200 (wanted below 0.05): GO'
    """
    rows = list(comparisons)
    changes = {row.metric: _change(row) for row in rows}
    known = [change for change in changes.values() if change is not None]
    ps = [p for row in rows if (p := _two_sided(row)) is not None]
    average = math.fsum(known) / len(known) if known else None
    smallest = min(ps, default=None)
    go = average is not None and average > AVERAGE and smallest is not None and smallest < P
    left_out = tuple(metric for metric, change in changes.items() if change is None)
    return Older(average, smallest, go, left_out, _text(average, len(known), smallest, go, left_out))


def _change(row: Comparison) -> float | None:
    """Relative change; none from a control at 0."""
    return None if row.gain is None or not row.control else row.gain / row.control


def _two_sided(row: Comparison) -> float | None:
    p = row.effects.get("t_p")
    p = row.p if p is None else p
    return None if p is None else min(1.0, 2 * min(p, 1 - p))


def _text(average: float | None, count: int, smallest: float | None, go: bool, left_out: tuple[str, ...]) -> str:
    change = "none" if average is None else f"{average:+.1%} over {count} metric{'s' if count != 1 else ''}"
    p = "none" if smallest is None else f"{smallest:.4f}" if smallest >= 1e-4 else "< 0.0001"
    text = f"average relative improvement {change} (wanted above {AVERAGE:.0%}), smallest p {p} (wanted below {P:g})"
    without = f"; left out, the control being at 0 or unknown: {', '.join(left_out)}" if left_out else ""
    return f"{text}: {'GO' if go else 'no GO'}{without}"


def error_rates(n: int, metrics: int) -> OlderRates:
    """The simulated rates nearest to n items and a number of metrics, both on a scale of ratios.

    Raises:
        UserError: n or metrics below 1.
    """
    if min(n, metrics) < 1:
        raise UserError("error rates: out of range", wanted="1 or more items and metrics", seen=f"{n} and {metrics}")
    simulated = _simulated()
    columns = simulated["columns"]
    rows = [dict(zip(columns, row, strict=True)) for row in simulated["rows"]]
    best = min(rows, key=lambda row: (abs(math.log(row["n"] / n)), abs(math.log(row["metrics"] / metrics))))
    return OlderRates(
        false_go=best["false_go"],
        false_go_with_retries=best["false_go_with_retries"],
        power=best["power"],
        power_one=best["power_one"],
        n_simulated=int(best["n"]),
        metrics_simulated=int(best["metrics"]),
        experiments=int(simulated["experiments"]),
    )


@lru_cache(maxsize=1)
def _simulated() -> dict[str, Any]:
    return json.loads(resources.files("sluicegate.stages").joinpath(FILE).read_text("utf-8"))  # type: ignore[no-any-return]
