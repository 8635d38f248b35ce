"""The tables of the text report, each as lines of at most 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from sluicegate import folder as layout
from sluicegate.records import Comparison, Verdict
from sluicegate.report import baselines, contrasts, failures, registration, wording
from sluicegate.report import forecast as foretold
from sluicegate.report.clean import LIMIT, NONE, chance, one_line, points, share
from sluicegate.report.content import Content

WIDTH = 100
NAME = 22
"""Columns of a name before its value."""


def wrapped(line: str, indent: int = 6) -> list[str]:
    """A line on as many as it needs, the later ones indented."""
    return textwrap.wrap(line, WIDTH, subsequent_indent=" " * indent, drop_whitespace=True) or [""]


def item(line: str) -> list[str]:
    """One of a list."""
    return wrapped(f"- {one_line(line, LIMIT)}", 2)


def _named(name: str, value: str) -> list[str]:
    return wrapped(f"{name:<{NAME}}  {value}", NAME + 2)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Cells side by side, the first to the left, the others to the right, each cut at its width."""
    first, *others = [one_line(cell, width) for cell, width in zip(cells, widths, strict=True)]
    right = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
    return "  ".join([first.ljust(widths[0]), *right]).rstrip()


def needs(verdict: Verdict) -> Iterator[str]:
    """What would settle it, one row a thing that there could be more of."""
    if not verdict.needs:
        return
    for cells in (wording.NEED, *map(wording.need, verdict.needs)):
        yield _row(cells, (6, 7, 18, 22, 15, 13))
    yield wording.ALONE


def gains(content: Content) -> Iterator[str]:
    """The comparisons, the primary metric first."""
    pairs = content.pairs
    if pairs is None:
        yield f"{content.lacks(layout.COMPARISONS)}: the arms were not compared"
        return
    yield from wrapped(
        f"{one_line(pairs.experiment)} against {one_line(pairs.control)}, paired by sample; points on [0, 1]"
    )
    interval = f"{pairs.level:.0%} interval"
    head = f"{'metric':<26} {'n':>4}  {'control':>8}  {'experim.':>8}  {'gain':>6}  {interval:>17}"
    yield f"{head}  {'p':>7}  {'adjusted':>8}"
    for place, row in enumerate(pairs.rows):
        primary = row.metric == pairs.primary
        if not primary and (place == 0 or pairs.rows[place - 1].metric == pairs.primary):
            yield f"  {wording.SECONDARY}:"
        yield _gain(row, primary)
        for note in (wording.margin(content.study, row.metric), row.note):
            yield from wrapped(f"    {one_line(note)}", 4) if note else ()


def _gain(row: Comparison, primary: bool) -> str:
    interval = NONE if row.low is None or row.high is None else f"{points(row.low)} to {points(row.high)}"
    name = one_line(row.metric, 24) + (" *" if primary else "")
    return (
        f"{name:<26} {row.n:>4}  {share(row.control):>8}  {share(row.experiment):>8}  "
        f"{points(row.gain):>6}  {interval:>17}  {chance(row.p):>7}  {chance(row.p_adjusted):>8}"
    )


def beside(content: Content) -> Iterator[str]:
    """The comparisons that decide nothing, arm by arm."""
    for contrast in content.contrasts:
        yield contrasts.title(contrast)
        for cells in (contrasts.HEAD, *contrasts.cells(contrast)):
            yield _row(cells, (26, 5, 7, 7, 7, 16, 8, 8))
    if content.contrasts:
        yield from wrapped(contrasts.NOTE, 0)


def short(content: Content) -> Iterator[str]:
    """Where answers fall short, a table after the other."""
    for part in content.failures:
        width = max(8, min(14, (WIDTH - 50) // len(part.arms) - 2))
        for cells in ((part.title, *part.arms), *part.rows):
            yield _row(cells, (max(24, WIDTH - (width + 2) * len(part.arms)), *[width] * len(part.arms)))
        yield ""
    if content.failures:
        yield from wrapped(failures.NOTE, 0)


def fixed(content: Content) -> Iterator[str]:
    """What answers of no model score, two rows a metric; nothing where the study is about no manifests."""
    if content.baselines is None:
        if baselines.belong(content.study):
            yield f"{content.lacks(baselines.FILE)}: what a fixed answer scores is not known"
        return
    for metric, answer, mean, judged in (baselines.HEAD, *map(baselines.cells, content.baselines)):
        yield f"{metric:<26}  {answer:<28}  {mean:>8}  {judged:>18}"
    yield from wrapped(baselines.NOTE, 0)


def forecast(content: Content) -> Iterator[str]:
    """The quantities against what they came to, then what was said of the decision's chances."""
    found = content.forecast
    if found is None:
        yield f"{content.lacks(foretold.FILE)}: no figure has a forecast to stand beside"
        return
    if found.quantities:
        rows = [
            (", ".join(part for part in (row.name, row.machine) if part), *wording.quantity(row))
            for row in found.quantities
        ]
        for cells in (("", *wording.QUANTITY), *rows):
            yield _row(cells, (30, 12, 12, 12, 12, 6))
        yield f"{wording.RANGE}; basis: {one_line(found.basis)}"
    for note in found.notes:
        yield from item(note)
    if told := wording.testable(found):
        yield from ("", *wrapped(told, 0))
    if found.chances:
        yield from ("", f"Chances of the decision, {wording.FORESEEN}")
        for name, value in wording.chances(found.chances):
            yield from _named(name, value)


def registered(content: Content) -> Iterator[str]:
    """What was registered before the stage ran."""
    if content.registration is None:
        yield f"{content.lacks(registration.FILE)}: what was registered is not known"
        return
    for name, value in wording.registered(content.registration):
        yield from _named(name, value)
