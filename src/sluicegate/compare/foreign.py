"""Score files: ours (JSON Lines of `Score`), and JSON, JSON Lines or CSV of other tools with an id column.

A log of inspect_ai in JSON is one. Other files have one row a sample (and draw), an id column and a column for each
metric, or rows of id, metric and value. Values lie in [0, 1]; percentages only where the file says so: a column named
`x%`, `x_percent` or `x_pct`, a cell `87.3%`, or `"unit": "percent"` in JSON. Nothing is guessed from how large the
numbers are.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluicegate import jsonl
from sluicegate.compare import rows
from sluicegate.compare.rows import ID_COLUMNS, KNOWN, Row, clipped, listed
from sluicegate.errors import UserError, UserErrors
from sluicegate.records import Score

MISSING = frozenset({"", "na", "n/a", "null", "none"})
PERCENT = re.compile(r"\s*(\(%\)|%|_percent|_pct)$")
LONGEST_ID = 1000
SHOWN_A_COLUMN = 3
"""Faults of one column that are shown one by one; more of them are usually one fault of the whole column."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """What a foreign file's rows have in common.

    Args:
        key: the id column.
        percent: whether all values are percentages.
        model: the name for rows without one.
    """

    key: str
    percent: bool
    model: str


def load_scores(path: Path, *, metrics: Sequence[str] | None = None) -> list[Score]:
    """The scores of a file, ours or another tool's, all at once; see `read_scores`."""
    return list(read_scores(path, metrics=metrics))


def read_scores(path: Path, *, metrics: Sequence[str] | None = None) -> Iterator[Score]:
    """The scores of a file, ours or another tool's; ours come one by one and are never all in memory.

    Args:
        path: .jsonl, .json, .csv or .tsv.
        metrics: the columns of a foreign file to read; None for all that hold numbers.

    Returns:
        Scores; a foreign row without a model column gets the file's name, without a draw column draw 0.

    Raises:
        UserError: no id column, no metric, NaN or infinities, values outside [0, 1], all with `file:line` (`row` in
            JSON); of a file of ours when the first fault is met. Or it is a pipe.
    """
    jsonl.refuse_stream(path)
    if path.suffix.lower() in (".jsonl", ".json") and _ours(path):
        yield from (score for _, score in jsonl.each(Score, path))
        return
    text = jsonl.read_text(path)
    if not text.strip():
        raise UserError(f"{path}: empty", wanted="at least one score", seen=f"{len(text)} blank characters")
    yield from _scores(path, rows.read(path, text), metrics)


def _ours(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as stream:
            first = json.loads(stream.readline())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(first, dict) and {"sample_id", "model", "metric", "value"} <= set(first)


def _scores(path: Path, table: rows.Rows, metrics: Sequence[str] | None) -> list[Score]:
    if not table.rows:
        raise UserError(f"{path}: no rows", wanted="at least one", seen="none")
    columns = list(dict.fromkeys(column for row in table.rows for column in row.cells))
    key = next((column for column in ID_COLUMNS if column in columns), None)
    if key is None:
        seen = f"columns {listed(columns)}"
        raise UserError(
            f"{path}: no id column", wanted=f"one of {', '.join(ID_COLUMNS)}", seen=seen,
            mend="name the column that says which sample a row is about `id`",
        )  # fmt: skip
    long = {"metric", "value"} <= set(columns)
    chosen = [] if long else _metric_columns(path, table.rows, columns, key, metrics)
    layout = _Layout(key, table.percent, path.stem)
    scores: list[Score] = []
    faults: dict[str, list[UserError]] = {}
    for row in table.rows:
        wanted = [("value", row.cells.get("metric"))] if long else [(column, column) for column in chosen]
        for column, metric in wanted:
            if long and metrics is not None and PERCENT.sub("", str(metric)) not in metrics:
                continue
            try:
                scores.append(_score(layout, row, column, metric))
            except UserError as fault:
                faults.setdefault(f"{column} {metric}", []).append(fault)
    if faults:
        count = sum(len(each) for each in faults.values())
        shown = [fault for each in faults.values() for fault in _shown(each)]
        raise UserErrors(f"{path}: {count} faults; nothing was read", shown[: jsonl.FAULTS_SHOWN])
    return scores


def _shown(faults: Sequence[UserError]) -> Sequence[UserError]:
    """A column's faults one by one, or the first of many with their number."""
    if len(faults) <= SHOWN_A_COLUMN:
        return faults
    first = faults[0]
    what = f"{first.what}, and {len(faults) - 1} more like it"
    return [UserError(what, wanted=first.wanted, seen=first.seen, mend=first.mend)]


def _metric_columns(
    path: Path, found: Iterable[Row], columns: Sequence[str], key: str, metrics: Sequence[str] | None
) -> list[str]:
    """The columns that hold a number somewhere; text columns are none of ours."""
    if metrics is None:
        left = [column for column in columns if column not in KNOWN and column not in ID_COLUMNS]
        numeric = {column for row in found for column in left if _numeric(row.cells.get(column))}
        chosen = [column for column in left if column in numeric]
    else:
        chosen = [column for column in columns if PERCENT.sub("", column) in metrics]
    if not chosen:
        seen = f"columns {listed(columns)}"
        raise UserError(f"{path}: no metric column", wanted=f"numbers beside the column {key}", seen=seen)
    names = [PERCENT.sub("", column) for column in chosen]
    twice = [column for column, name in zip(chosen, names, strict=True) if names.count(name) > 1]
    if twice:
        seen = f"{listed(twice)} are the same metric"
        raise UserError(f"{path}: columns given twice", wanted="one column a metric", seen=seen, mend="leave one out")
    return chosen


def _numeric(cell: Any) -> bool:
    if isinstance(cell, bool | int | float):
        return True
    return isinstance(cell, str) and _parsed(cell) is not None


def _parsed(text: str) -> float | None:
    bare = text.strip().removesuffix("%")
    if bare.lower() in ("true", "false"):
        return float(bare.lower() == "true")
    try:
        return float(bare) if "_" not in bare else None
    except ValueError:
        return None


def _score(layout: _Layout, row: Row, column: str, metric: Any) -> Score:
    identity = _text(row, layout.key, row.cells.get(layout.key))
    said = _text(row, "metric", metric)
    name = PERCENT.sub("", said)
    divided = layout.percent or name != said
    value = _value(f"{row.place}, {clipped(column)}", row.cells.get(column), name, divided)
    why = str(row.cells.get("why") or "no value in the file") if value is None else ""
    model = str(row.cells.get("model") or layout.model)
    return Score(identity, model, _draw(row), name, value, why)


def _text(row: Row, column: str, cell: Any) -> str:
    """An id or a name: some text or a number, not too long to be one."""
    text = "" if cell is None or isinstance(cell, dict | list) else str(cell).strip()
    if not text:
        raise UserError(f"{row.place}: no {column}", wanted="one in every row, text or a number", seen=clipped(cell))
    if len(text) > LONGEST_ID or any("\ud800" <= sign <= "\udfff" for sign in text):
        wanted = f"at most {LONGEST_ID} characters, no halves of one"
        raise UserError(f"{row.place}: no {column} to go by", wanted=wanted, seen=f"{len(text)}: {clipped(text)}")
    return text


def _draw(row: Row) -> int:
    raw = row.cells.get("draw", 0)
    if not isinstance(raw, bool) and re.fullmatch(r"\d{1,9}", str(raw).strip()):
        return int(str(raw))
    raise UserError(f"{row.place}, draw: not a number of a draw", wanted="0, 1, 2, …", seen=clipped(raw))


def _value(place: str, cell: Any, metric: str, divided: bool) -> float | None:
    if cell is None or (isinstance(cell, str) and cell.strip().lower() in MISSING):
        return None
    try:
        number = float(cell) if isinstance(cell, bool | int | float) else None
    except OverflowError:
        raise rows.not_finite(place, clipped(cell)) from None
    number = _parsed(cell) if isinstance(cell, str) else number
    if number is None:
        raise UserError(f"{place}: not a number", wanted="a number in [0, 1], or nothing", seen=clipped(cell))
    if not math.isfinite(number):
        raise rows.not_finite(place, clipped(cell))
    percent = divided or (isinstance(cell, str) and cell.strip().endswith("%"))
    share = number / 100 if percent else number
    if not 0 <= share <= 1:
        raise _out_of_range(place, cell, metric, percent)
    return share


def _out_of_range(place: str, cell: Any, metric: str, percent: bool) -> UserError:
    if percent:
        return UserError(f"{place}: out of range", wanted="a percentage in [0, 100]", seen=clipped(cell))
    return UserError(
        f"{place}: out of range",
        wanted="[0, 1], higher is better",
        seen=clipped(cell),
        mend=f'percentages: name the column `{clipped(metric)}%`, or put "unit": "percent" beside JSON rows; '
        "no score: leave it out by naming the others in --metrics",
    )
