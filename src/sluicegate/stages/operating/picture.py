"""docs/operating.svg from docs/operating.json: four panels. matplotlib, so only `make operating` imports this.

The same figures give the same bytes (`report.drawing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from sluicegate.report.drawing import styled, svg
from sluicegate.stages.operating.figures import Figures, rows_in
from sluicegate.stages.operating.findings import COVERED, LIMIT
from sluicegate.stages.operating.grid import RETRIES, Row
from sluicegate.stages.operating.rates import FEW_DIFFER

OURS, OLDER, INK, MUTED, FAINT = "#1b5e9c", "#c4532d", "#1c1e21", "#5d6470", "#dfe2e6"
STYLE = {
    "axes.edgecolor": MUTED, "axes.labelcolor": MUTED, "axes.titlecolor": INK, "axes.titlesize": 11.0,
    "axes.titlelocation": "left", "axes.titlepad": 10.0, "axes.titley": 1.0, "xtick.color": MUTED, "ytick.color": MUTED,
    "text.color": INK, "axes.spines.top": False, "axes.spines.right": False,
}  # fmt: skip
PLACES = {"left": 0.055, "right": 0.87, "bottom": 0.075, "top": 0.945, "wspace": 0.69, "hspace": 0.35}
"""Of the four panels, with room on the right of each for the names of its lines."""


def draw(figures: Figures) -> str:
    """The picture."""
    with styled(STYLE):
        figure = Figure(figsize=(10.4, 7.6), facecolor="white")
        panels = figure.subplots(2, 2, gridspec_kw=PLACES)
        _false_go(panels[0, 0], figures)
        _power(panels[0, 1], figures)
        _seeds(panels[1, 0], figures)
        _coverage(panels[1, 1], figures)
        return svg(figure, "operating")


def _line(axes: Any, points: Sequence[tuple[float, float]], color: str, *, style: str = "-") -> None:
    xs, ys = [x for x, _ in points], [100 * y for _, y in points]
    axes.plot(xs, ys, color=color, linestyle=style, linewidth=1.8, marker="o", markersize=3.5, clip_on=False)


def _name(axes: Any, name: str, point: tuple[float, float], color: str, *, off: tuple[float, float] = (7, 0)) -> None:
    """A line's name, some points of print off one of its points."""
    axes.annotate(
        name, (point[0], 100 * point[1]), xytext=off, textcoords="offset points", color=color, fontsize=9,
        verticalalignment="center", annotation_clip=False,
    )  # fmt: skip


def _frame(axes: Any, title: str, below: str, ticks: Sequence[float] = ()) -> None:
    axes.set_title(title)
    axes.set_xlabel(below)
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}%"))
    if ticks:
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.xaxis.set_minor_locator(NullLocator())


def _limit(axes: Any, at: float) -> None:
    axes.axhline(100 * at, color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=1)


def _ours(figures: Figures, draws: int, gain: float, attempts: int) -> list[tuple[float, float]]:
    wanted = (draws, gain, attempts)
    rows = rows_in(figures, "beside")
    return [(row["n"], row["go"]) for row in rows if (row["draws"], row["gain"], row["attempts"]) == wanted]


def _theirs(figures: Figures, rate: str) -> list[tuple[float, float]]:
    return [(row["n"], row[rate]) for row in rows_in(figures, "older") if row["paired"]]


def _false_go(axes: Any, figures: Figures) -> None:
    axes.set_xscale("log")
    retried, once = _theirs(figures, "false_go_with_retries"), _theirs(figures, "false_go")
    ours, ours_retried = _ours(figures, 10, 0.0, 1), _ours(figures, 10, 0.0, 1 + RETRIES)
    _line(axes, retried, OLDER)
    _name(axes, f"older criterion, {RETRIES} retries", retried[3], OLDER, off=(10, 8))
    _line(axes, once, OLDER, style="--")
    _name(axes, "older criterion", once[3], OLDER, off=(-28, 10))
    _line(axes, ours, OURS)
    _name(axes, "the gate", ours[-1], OURS, off=(8, 5))
    _line(axes, ours_retried, OURS, style="--")
    _name(axes, f"{RETRIES} declared retries", ours_retried[-1], OURS, off=(8, -7))
    _limit(axes, LIMIT)
    axes.set_ylim(0, None)
    _frame(axes, "No gain: how often it says GO", "test items (log scale)", [5, 10, 20, 50, 150])


def _power(axes: Any, figures: Figures) -> None:
    axes.set_xscale("log")
    every, one = _theirs(figures, "power"), _theirs(figures, "power_one")
    ten, single = _ours(figures, 10, 0.1, 1), _ours(figures, 1, 0.1, 1)
    _line(axes, every, OLDER)
    _name(axes, "older criterion,\nall 7 metrics gain", every[-1], OLDER, off=(8, -16))
    _line(axes, one, OLDER, style="--")
    _name(axes, "older criterion,\none metric gains", one[-1], OLDER, off=(8, 0))
    _line(axes, ten, OURS)
    _name(axes, "the gate, 10 draws", ten[-1], OURS, off=(8, 2))
    _line(axes, single, OURS, style="--")
    _name(axes, "the gate, 1 draw", single[-1], OURS)
    _limit(axes, 0.8)
    axes.set_ylim(0, 100)
    _frame(axes, "A true gain of 10 points: how often it says GO", "test items (log scale)", [5, 10, 20, 50, 150])


def _seeds(axes: Any, figures: Figures) -> None:
    rows = [row for row in rows_in(figures, "recipes") if _shown(row)]
    lines = (
        ("items alone", "test over items alone", MUTED, "-", -1, (8.0, 0.0)),
        ("runs alone", "Welch over runs alone", MUTED, "--", 1, (6.0, 8.0)),
        ("items and runs alone", "both of these", OLDER, "-", -1, (8.0, 4.0)),
        ("go", "the gate: crossed", OURS, "-", -1, (8.0, -7.0)),
    )
    for rate, name, color, style, place, off in lines:
        points = [(100 * row["seed_sd"], row[rate]) for row in rows]
        _line(axes, points, color, style=style)
        _name(axes, name, points[place], color, off=off)
    _limit(axes, LIMIT)
    axes.set_ylim(0, None)
    _frame(
        axes,
        "No gain, 5 runs an arm, 75 items: how often it says GO",
        "noise of training seeds, sd in points",
        range(6),
    )


def _shown(row: Row) -> bool:
    return (row["n"], row["draws"], row["seeds"], row["scenarios"]) == (75, 10, 5, 1)


def _coverage(axes: Any, figures: Figures) -> None:
    rows = rows_in(figures, "no gain", "gained")
    axes.set_xscale("log")
    axes.axhspan(100 * COVERED[0], 100 * COVERED[1], color=OURS, alpha=0.10, linewidth=0)
    axes.axvline(FEW_DIFFER, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    for few, color in ((True, MUTED), (False, OURS)):
        found = [row for row in rows if (row["differ"] < FEW_DIFFER) is few]
        xs, ys = [row["differ"] for row in found], [100 * row["items covers"] for row in found]
        axes.plot(xs, ys, linestyle="none", marker="o", markersize=3.2, color=color, alpha=0.7, markeredgewidth=0)
    axes.text(0.28, 89.6, "fewer than\n10 differ:\nrough, and\nsaid to be", color=MUTED, fontsize=9)
    axes.text(330, 93.2, "93 to 97%", color=OURS, fontsize=9, horizontalalignment="right")
    ticks = [1, 3, 10, 30, 100, 300]
    _frame(axes, "How often the 95% interval holds the true gain", "items that differ, on average (log scale)", ticks)
