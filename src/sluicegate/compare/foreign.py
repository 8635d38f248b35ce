"""Score files: ours (JSON Lines of `Score`), and JSON, JSON Lines or CSV of other tools with an id column.

A foreign file has one row a sample (and draw), an id column and a column for each metric, or rows of id, metric and
value. Values lie in [0, 1]; percentages only where the file says so: a column named `x%`, `x_percent` or `x_pct`, a
cell `87.3%`, or `"unit": "percent"` in JSON. Nothing is guessed from how large the numbers are.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluicegate import jsonl
from sluicegate.errors import UserError, UserErrors
from sluicegate.records import Score

ID_COLUMNS = ("sample_id", "id", "task_id", "item_id", "item")
MISSING = frozenset({"", "na", "n/a", "null", "none"})
ROW_KEYS = ("results", "scores", "samples", "rows", "items", "data")
KNOWN = frozenset({"model", "draw", "scenario", "why", "dollars"})
PERCENT = re.compile(r"\s*(\(%\)|%|_percent|_pct)$")
NOT_FINITE = re.compile(r'"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b')


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of a foreign file and where it stands."""

    place: str
    cells: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Layout:
    """What a foreign file's rows have in common: the id column, whether all are percentages, the model's name."""

    key: str
    percent: bool
    model: str


def load_scores(path: Path, *, metrics: Sequence[str] | None = None) -> list[Score]:
    """The scores of a file, ours or another tool's.

    Args:
        path: .jsonl, .json, .csv or .tsv.
        metrics: the columns of a foreign file to read; None for all that hold numbers.

    Returns:
        Scores; a foreign row without a model column gets the file's name, without a draw column draw 0.

    Raises:
        UserError: no id column, no metric, NaN or infinities, values outside [0, 1], all with `file:line` (`row` in
            JSON).
    """
    text = jsonl.read_text(path)
    if not text.strip():
        raise UserError(f"{path}: empty", wanted="at least one score", seen="0 lines")
    if path.suffix == ".jsonl" and _ours(text):
        return jsonl.read(Score, path)
    rows, percent = _rows(path, text)
    return _scores(path, rows, percent, metrics)


def _ours(text: str) -> bool:
    try:
        first = json.loads(text.split("\n", 1)[0])
    except ValueError:
        return False
    return isinstance(first, dict) and {"sample_id", "model", "metric", "value"} <= set(first)


def _rows(path: Path, text: str) -> tuple[list[_Row], bool]:
    """The rows, and whether the file declares percentages."""
    if path.suffix == ".jsonl":
        lines = enumerate(text.rstrip("\n").split("\n"), start=1)
        return [_Row(f"{path}:{n}", _object(f"{path}:{n}", _json(path, line, n))) for n, line in lines], False
    if path.suffix == ".json":
        return _json_rows(path, _json(path, text, 1))
    if path.suffix in (".csv", ".tsv"):
        return _csv_rows(path, text), False
    raise UserError(f"{path}: unknown kind of file", wanted=".jsonl, .json, .csv or .tsv", seen=path.suffix or "none")


def _json(path: Path, text: str, line: int) -> Any:
    for token in NOT_FINITE.finditer(text):
        if not token.group().startswith('"'):
            raise _not_finite(f"{path}:{line + text[: token.start()].count(chr(10))}", token.group())
    try:
        return json.loads(text)
    except json.JSONDecodeError as fault:
        raise UserError(f"{path}:{line + fault.lineno - 1}: not JSON", wanted="valid JSON", seen=fault.msg) from None


def _not_finite(place: str, seen: str) -> UserError:
    return UserError(f"{place}: not a finite number", wanted="a number, or null where nothing was measured", seen=seen)


def _object(place: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{place}: not a row", wanted="an object with an id and metrics", seen=type(value).__name__)
    return value


def _json_rows(path: Path, raw: Any) -> tuple[list[_Row], bool]:
    unit = raw.get("unit", "") if isinstance(raw, dict) else ""
    if isinstance(raw, dict):
        raw = next((raw[key] for key in ROW_KEYS if isinstance(raw.get(key), list)), None)
    if not isinstance(raw, list):
        raise UserError(
            f"{path}: no rows", wanted=f"a list, or an object with a list under {' or '.join(ROW_KEYS)}", seen="neither"
        )
    places = [f"{path}: row {number}" for number in range(1, len(raw) + 1)]
    rows = [_Row(place, _object(place, row)) for place, row in zip(places, raw, strict=True)]
    return rows, str(unit).lower() in ("percent", "%")


def _csv_rows(path: Path, text: str) -> list[_Row]:
    header = text.split("\n", 1)[0]
    mark = "\t" if path.suffix == ".tsv" else ";" if header.count(";") > header.count(",") else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=mark, restkey="", strict=True)
    rows: list[_Row] = []
    try:
        for cells in reader:
            place = f"{path}:{reader.line_num}"
            if "" in cells or None in cells.values():
                columns = len(reader.fieldnames or ())
                raise UserError(f"{place}: cells and header differ", wanted=f"{columns} cells", seen="more or fewer")
            rows.append(_Row(place, {key.strip(): cell for key, cell in cells.items()}))
    except csv.Error as fault:
        raise UserError(f"{path}:{reader.line_num}: not CSV", wanted="a header and rows", seen=str(fault)) from None
    return rows


def _scores(path: Path, rows: Sequence[_Row], percent: bool, metrics: Sequence[str] | None) -> list[Score]:
    if not rows:
        raise UserError(f"{path}: no rows", wanted="at least one", seen="none")
    columns = list(dict.fromkeys(column for row in rows for column in row.cells))
    key = next((column for column in ID_COLUMNS if column in columns), None)
    if key is None:
        seen = ", ".join(columns[:10])
        raise UserError(f"{path}: no id column", wanted=f"one of {', '.join(ID_COLUMNS)}", seen=seen)
    long = {"metric", "value"} <= set(columns)
    chosen = [] if long else _metric_columns(path, rows, columns, key, metrics)
    layout = _Layout(key, percent, path.stem)
    scores: list[Score] = []
    faults: list[UserError] = []
    for row in rows:
        wanted = [("value", row.cells.get("metric"))] if long else [(column, column) for column in chosen]
        for column, metric in wanted:
            try:
                scores.append(_score(layout, row, column, str(metric)))
            except UserError as fault:
                faults.append(fault)
    if faults:
        raise UserErrors(f"{path}: {len(faults)} faults; nothing was read", faults[: jsonl.FAULTS_SHOWN])
    return scores if not long or metrics is None else [score for score in scores if score.metric in metrics]


def _metric_columns(
    path: Path, rows: Sequence[_Row], columns: Iterable[str], key: str, metrics: Sequence[str] | None
) -> list[str]:
    """The columns that hold a number somewhere; text columns are none of ours."""
    numeric = [
        column
        for column in columns
        if column not in KNOWN and column not in ID_COLUMNS and any(_numeric(row.cells.get(column)) for row in rows)
    ]
    chosen = numeric if metrics is None else [column for column in columns if PERCENT.sub("", column) in metrics]
    if not chosen:
        seen = f"columns {', '.join(columns)}"
        raise UserError(f"{path}: no metric column", wanted=f"numbers beside the column {key}", seen=seen)
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


def _score(layout: _Layout, row: _Row, column: str, metric: str) -> Score:
    identity = row.cells.get(layout.key)
    if identity is None or not str(identity).strip():
        raise UserError(f"{row.place}: no {layout.key}", wanted="an id in every row", seen="nothing")
    name = PERCENT.sub("", metric)
    divided = layout.percent or name != metric
    value = _value(f"{row.place}, {column}", row.cells.get(column), divided)
    why = str(row.cells.get("why") or "no value in the file") if value is None else ""
    model = str(row.cells.get("model") or layout.model)
    return Score(str(identity).strip(), model, _draw(row), name, value, why)


def _draw(row: _Row) -> int:
    raw = row.cells.get("draw", 0)
    if not isinstance(raw, bool) and re.fullmatch(r"\d+", str(raw).strip()):
        return int(str(raw))
    raise UserError(f"{row.place}, draw: not a number of a draw", wanted="0, 1, 2, …", seen=repr(raw))


def _value(place: str, cell: Any, divided: bool) -> float | None:
    if cell is None or (isinstance(cell, str) and cell.strip().lower() in MISSING):
        return None
    number = float(cell) if isinstance(cell, bool | int | float) else _parsed(cell) if isinstance(cell, str) else None
    if number is None:
        raise UserError(f"{place}: not a number", wanted="a number in [0, 1], or nothing", seen=repr(cell)[:60])
    if not math.isfinite(number):
        raise _not_finite(place, str(cell))
    if divided or (isinstance(cell, str) and cell.strip().endswith("%")):
        number /= 100
    if not 0 <= number <= 1:
        raise UserError(
            f"{place}: out of range",
            wanted="[0, 1]; percentages in a column named `<metric>%`",
            seen=str(cell),
            mend="rename the column if these are percentages; leave it out if it is no score",
        )
    return number
