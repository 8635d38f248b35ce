"""The two figures of the report as SVG inside the page: paired gains with their intervals, and loss curves.

Drawn by matplotlib with colours that stand for CSS variables, so that one drawing serves light, dark and print.
The same figures give the same bytes (`drawing`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sluicegate.records import Comparison
from sluicegate.report.clean import one_line, points
from sluicegate.report.drawing import styled, svg

INK, MUTED, LINE, TRAIN, VAL, BOUND = "#010101", "#020202", "#030303", "#040404", "#050505", "#060606"
VARIABLES = {INK: "--ink", MUTED: "--muted", LINE: "--line", TRAIN: "--train", VAL: "--val", BOUND: "--go"}
STYLE = {
    "axes.edgecolor": LINE, "axes.labelcolor": MUTED, "xtick.color": MUTED, "ytick.color": MUTED, "text.color": INK,
    "axes.spines.top": False, "axes.spines.right": False, "savefig.transparent": True,
}  # fmt: skip
WIDE, ROW = 4.6, 0.58
"""Inches: the width of the gains' figure and the height of one metric in it."""


def forest(rows: Sequence[Comparison], primary: str, bounds: Mapping[str, float], prefix: str) -> str:
    """Gains in points with their intervals, one line a metric, a mark at nought and one at the metric's bound.

    Rows without a gain are named and left empty. Empty where there is nothing to draw.

    Args:
        bounds: metric → the gain that its interval is held against: the smallest one worth having, or the fall that
            must not be.
    """
    if not any(row.gain is not None for row in rows):
        return ""
    tall = 0.6 + ROW * len(rows)
    with styled(STYLE):
        figure = Figure(figsize=(WIDE, tall))
        axes = figure.add_axes((0.03, 0.55 / tall, 0.94, ROW * len(rows) / tall))
        for place, row in enumerate(reversed(rows)):
            _interval(axes, place, row, row.metric == primary)
            _mark(axes, place, 0.0, INK, "-")
            if bounds.get(row.metric):
                _mark(axes, place, 100 * bounds[row.metric], BOUND, (0, (3, 2)))
        axes.set_ylim(-0.4, len(rows) - 0.4)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.margins(x=0.06)
        axes.set_xlabel("gain in points")
        return _svg(figure, prefix)


def _mark(axes: Any, place: float, at: float, color: str, style: object) -> None:
    """A short upright line across one row, clear of the label above it."""
    axes.plot([at, at], [place - 0.4, place + 0.2], color=color, linewidth=1, linestyle=style, zorder=1)


def _interval(axes: Any, place: int, row: Comparison, primary: bool) -> None:
    weight = "bold" if primary else "normal"
    label = f"{one_line(row.metric, 40)}   {points(row.gain)}"
    beside = axes.get_yaxis_transform()
    axes.text(0.0, place + 0.26, label, transform=beside, weight=weight, verticalalignment="bottom")
    if row.gain is None:
        return
    if row.low is not None and row.high is not None:
        axes.plot([100 * row.low, 100 * row.high], [place - 0.1] * 2, color=TRAIN, linewidth=3 if primary else 2)
    size, shape = (8, "D") if primary else (6, "o")
    axes.plot([100 * row.gain], [place - 0.1], marker=shape, markersize=size, color=TRAIN, linestyle="none")


def losses(curves: Mapping[str, Sequence[tuple[int, float]]], top: float | None, prefix: str) -> str:
    """Training and validation loss over the optimizer steps; empty where there are none.

    Args:
        top: upper end of the axis, the same for every model, so that the pictures can be compared.
    """
    train, val = curves.get("train/loss", []), curves.get("val/loss", [])
    if not train and not val:
        return ""
    with styled(STYLE):
        figure = Figure(figsize=(4.2, 2.5))
        axes = figure.add_axes((0.12, 0.19, 0.84, 0.74))
        axes.grid(axis="y", color=LINE, linewidth=0.7)
        axes.set_axisbelow(True)
        _curve(axes, train, TRAIN, "-", "" if len(train) > 1 else "o")
        _curve(axes, val, VAL, (0, (5, 2)), "o")
        axes.set_ylim(0, top)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.set_xlabel("optimizer step")
        return _svg(figure, prefix)


def _curve(axes: Any, points_: Sequence[tuple[int, float]], color: str, style: object, marker: str) -> None:
    if points_:
        axes.plot(
            [step for step, _ in points_], [value for _, value in points_], color=color, linestyle=style, linewidth=1.8,
            marker=marker, markersize=4,
        )  # fmt: skip


def _svg(figure: Figure, prefix: str) -> str:
    """The figure as an `<svg>` element: CSS variables for colours, its size left to the page."""
    drawn = svg(figure, prefix)
    drawn = drawn[drawn.index("<svg") :].strip()
    drawn = re.sub(r"<metadata>.*?</metadata>\s*", "", drawn, flags=re.DOTALL)
    drawn = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", drawn, count=1)
    drawn = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", drawn, count=1)
    for color, variable in VARIABLES.items():
        drawn = drawn.replace(color, f"var({variable})")
    return drawn
