"""Comparisons as text for a terminal: what was compared, a table, and what else is known of the primary metric."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from sluicegate.records import Comparison

HEADINGS = ("metric", "n", "control", "experiment", "gain", "interval", "p", "p adj.", "coverage")
EFFECTS = {
    "d_z": "d_z {:+.2f}",
    "hedges_g_av": "Hedges g_av {:+.2f}",
    "cliffs_delta": "Cliff's delta {:+.2f}",
    "p_gain_positive": "P(gain > 0) {:.2f}",
    "p_gain_minimum": "P(gain > minimum) {:.2f}",
}
PARTS = {
    "items": "between samples",
    "draws": "between single draws",
    "seeds": "between runs",
    "scenarios": "between scenarios",
}


def summary(comparisons: Sequence[Comparison], names: tuple[str, str]) -> str:
    """What a reader of the terminal sees: the arms, the table, effect sizes and spread of the primary metric.

    Args:
        comparisons: the primary metric first.
        names: of the control and the experiment.
    """
    primary = comparisons[0]
    lines = [
        f"experiment {names[1]}",
        f"control    {names[0]}",
        f"gain = experiment - control in points, {100 * primary.level:g}% intervals, p one-sided for 'no gain'"
        + (f"; {primary.metric} is primary, p adj. is Holm over the others" if len(comparisons) > 1 else ""),
        table(comparisons),
        *_details(primary),
    ]
    return "\n".join(lines)


def _details(row: Comparison) -> Iterator[str]:
    if not row.n:
        return
    yield f"  {row.metric}: {row.method}"
    known = [text.format(value) for name, text in EFFECTS.items() if (value := row.effects.get(name)) is not None]
    if known:
        yield f"  {row.metric}: {', '.join(known)}"
    spread = [f"{100 * math.sqrt(row.variance[name]):.1f} {_part(row, name)}" for name in PARTS if name in row.variance]
    if spread:
        yield f"  {row.metric}: standard deviation of a sample's gain in points: {', '.join(spread)}"


def _part(row: Comparison, name: str) -> str:
    """What a component lies between; with a single draw of each sample nothing tells draws from samples."""
    together = name == "items" and "draws" not in row.variance
    return "between samples and draws" if together else PARTS[name]


def table(comparisons: Sequence[Comparison]) -> str:
    """The rows as text, in points on [0, 100]; notes below.

    >>> row = Comparison("em", 2, 0.0, 0.5, 0.5, -0.1, 1.0, 0.25, 0.25, 0.95, "t", 0, 1.0, note="few")
    >>> print(table([row]))
    metric  n  control  experiment   gain        interval     p  p adj.  coverage
    em      2      0.0        50.0  +50.0  -10.0 … +100.0  0.25    0.25      100%
      em: few
    """
    rows = [HEADINGS, *(_cells(row) for row in comparisons)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    notes = [f"  {row.metric}: {row.note}" for row in comparisons if row.note]
    return "\n".join([*lines, *notes])


def _cells(row: Comparison) -> tuple[str, ...]:
    interval = "none" if row.low is None else f"{_points(row.low, '+')} … {_points(row.high, '+')}"
    return (
        row.metric,
        str(row.n),
        _points(row.control),
        _points(row.experiment),
        _points(row.gain, "+"),
        interval,
        _chance(row.p),
        _chance(row.p_adjusted),
        f"{row.coverage:.0%}",
    )


def _points(value: float | None, sign: str = "") -> str:
    return "none" if value is None else format(100 * value, f"{sign}.1f")


def _chance(p: Any) -> str:
    return "none" if p is None else "<0.0001" if p < 1e-4 else f"{p:.2g}"
