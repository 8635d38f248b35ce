"""comparisons.json: written in one stroke, the same bytes for the same rows; and the rows as a table for a terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict, ValidationError

from sluicegate.errors import UserError
from sluicegate.jsonl import explain, read_text, write_text
from sluicegate.records import Comparison, from_json, to_dict


@dataclass(frozen=True, slots=True)
class Comparisons:
    """The contents of comparisons.json.

    Args:
        control, experiment: names of the arms.
        comparisons: the primary metric first.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)
    control: str
    experiment: str
    primary: str
    seed: int
    level: float
    comparisons: tuple[Comparison, ...]


def write(
    path: Path,
    comparisons: Sequence[Comparison],
    *,
    control: str,
    experiment: str,
    primary: str,
    seed: int,
    level: float,
) -> None:
    """Write comparisons.json atomically.

    Raises:
        UserError: the folder cannot be written to, or the file is there and is no comparisons file.
    """
    if path.is_file() and path.stat().st_size:
        _refuse_foreign(path)
    found = Comparisons(control, experiment, primary, seed, level, tuple(comparisons))
    write_text(path, json.dumps(to_dict(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _refuse_foreign(path: Path) -> None:
    """Scores took hours to make; a slip in `--out` must not put a table in their place."""
    try:
        read(path)
    except UserError as fault:
        raise UserError(
            f"{path}: holds something else; nothing was written",
            wanted="a new file, or one of earlier comparisons",
            seen=fault.seen[:200],
            mend="choose another --out, or move this file away",
        ) from None


def read(path: Path) -> Comparisons:
    """Read comparisons.json.

    Raises:
        UserError: missing, or not what `write` writes.
    """
    try:
        return from_json(Comparisons, read_text(path))
    except ValidationError as fault:
        raise UserError(
            f"{path}: not a comparisons file",
            wanted="a file written by `sluicegate compare --out`",
            seen=explain(fault),
        ) from None


HEADINGS = ("metric", "n", "control", "experiment", "gain", "interval", "p", "p adj.", "coverage")


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
