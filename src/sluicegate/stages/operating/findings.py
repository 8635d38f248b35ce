"""The criteria that were set before the simulation ran, each with what it found: met or missed, never tuned."""

from __future__ import annotations

from dataclasses import dataclass

from sluicegate.stages.operating.figures import Figures, rows_in
from sluicegate.stages.operating.grid import LIKENESS, TARGET, Row, beyond
from sluicegate.stages.operating.rates import FEW_DIFFER

LIMIT, BOUND = 0.05, 0.06
COVERED = (0.93, 0.97)
OFF = 0.10
DECIDED = ("no gain", "attempts", "scenarios", "recipes")
"""Groups without a gain in which a GO is false."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One of the criteria that were set before the simulation ran."""

    what: str
    wanted: str
    found: str
    met: bool


def findings(figures: Figures) -> list[Finding]:
    """Each criterion with what the simulation says of it."""
    return [_false_go(figures), _power(figures), _coverage(figures), _planner(figures)]


def verdicts(figures: Figures) -> list[str]:
    """The findings as lines."""
    return [
        f"{'met   ' if row.met else 'MISSED'} {row.what}: wanted {row.wanted}; {row.found}" for row in findings(figures)
    ]


def _false_go(figures: Figures) -> Finding:
    rows = rows_in(figures, *DECIDED)
    worst = max(rows, key=lambda row: row["go"])
    over = sum(row["go"] > LIMIT for row in rows)
    surely = sum(beyond(row["go"], int(row["experiments"]), LIMIT, len(rows)) for row in rows)
    highest = max(row["go_high"] for row in rows)
    found = (
        f"highest of {len(rows)} designs {percent(worst['go'])} ({told(worst)}), highest 95% bound {percent(highest)}; "
        f"{over} above 5.0%, {surely} of them by more than chance in {len(rows)} designs explains"
    )
    wanted = "at most 5% in every design, its 95% bound at most 6%"
    return Finding("False GO without a gain", wanted, found, not surely and highest <= BOUND)


def _power(figures: Figures) -> Finding:
    rows = rows_in(figures, "power")
    worst = min(rows, key=lambda row: row["go"])
    under = [row for row in rows if row["go"] < TARGET]
    surely = [row for row in under if beyond(1 - row["go"], int(row["experiments"]), 1 - TARGET, len(rows))]
    found = (
        f"{len(rows)} designs, lowest {percent(worst['go'])} (planned {percent(worst['planned'])}, {told(worst)}); "
        f"{len(under)} below 80%, {len(surely)} of them by more than chance in {len(rows)} designs explains"
    )
    return Finding("Power where the planner says testable", "at least 80% in every design", found, not surely)


def _coverage(figures: Figures) -> Finding:
    rows = rows_in(figures, "no gain", "gained")
    dense = [row for row in rows if row["differ"] >= FEW_DIFFER]
    low, high = (pick(dense, key=lambda row: row["items covers"]) for pick in (min, max))
    outside = [row for row in dense if not COVERED[0] <= row["items covers"] <= COVERED[1]]
    found = (
        f"{percent(low['items covers'])} ({told(low)}) to {percent(high['items covers'])} ({told(high)}) "
        f"in {len(dense)} designs with {FEW_DIFFER} or more differing items on average; {len(outside)} outside"
    )
    return Finding("Coverage of 95% intervals, n ≥ 15", "93% to 97% in every design", found, not outside)


def _planner(figures: Figures) -> Finding:
    rows = rows_in(figures, "sizes")
    worst = max(rows, key=lambda row: abs(row["off"]))
    outside = sum(abs(row["off"]) > OFF for row in rows)
    found = (
        f"{len(rows)} designs, largest {worst['off']:+.1%} ({worst['plan prints']:.0f} printed, "
        f"{worst['simulated']:.1f} simulated; {told(worst)}); {outside} outside"
    )
    return Finding("The n that `plan` prints", "within 10% of simulation", found, not outside)


def percent(share: float) -> str:
    """A share in percent, one digit.

    >>> percent(0.0523)
    '5.2%'
    """
    return f"{100 * share:.1f}%"


def told(row: Row) -> str:
    """A design in a few words: what differs from the plainest."""
    words = [] if "simulated" in row else [f"n {row['n']:.0f}"]
    words += [f"K {row['draws']:.0f}", f"base {row['base']:.0%}"]
    words += [f"gain {100 * row['gain']:+.0f}"] if row["gain"] else []
    words += [f"{row['seeds']:.0f} runs of ±{100 * row['seed_sd']:.0f}"] if row["seeds"] > 1 or row["seed_sd"] else []
    words += [f"{row['scenarios']:.0f} scenarios of ±{100 * row['scenario_sd']:.0f}"] if row["scenarios"] > 1 else []
    words += [f"{row['attempts']:.0f} attempts"] if row["attempts"] > 1 else []
    likeness = (row["heterogeneity"], row["agreement"])
    words += [f"ρ {likeness[0]:g}, r {likeness[1]:g}"] if likeness != LIKENESS[0] else []
    return ", ".join(words)
