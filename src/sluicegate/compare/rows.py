"""Rows of another tool's file: JSON, JSON Lines, CSV or TSV → one mapping a row, each with its place in the file.

What is read is what the file says: a key or column given twice, a row that is longer than its header, NaN and
infinities are refused rather than guessed at. What the columns mean is `foreign`'s business.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluicegate.errors import UserError

ROW_KEYS = ("results", "scores", "samples", "rows", "items", "data")
"""Under one of these a JSON object holds its rows."""
NESTED = ("metrics", "scores")
"""An object under one of these in a row holds columns of that row."""
ID_COLUMNS = ("sample_id", "task_id", "item_id", "doc_id", "question_id", "item", "id")
"""The first that a file has; a bare `id` last, for beside another one it is often the number of a row in a table."""
KNOWN = frozenset({"model", "draw", "scenario", "why", "dollars"})
"""Columns that are no metrics."""
RESERVED = KNOWN | {*ID_COLUMNS, "metric", "value"}
GRADES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0, "yes": 1.0, "no": 0.0}
"""Words of an inspect_ai log, correct, partly, incorrect and no answer among them, as its own metrics count them."""
SUFFIXES = (".jsonl", ".json", ".csv", ".tsv")
SHOWN = 60
_NOT_FINITE = re.compile(r'"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b')


@dataclass(frozen=True, slots=True)
class Row:
    """One row and where it stands: `file:line`, or `file: row n` in JSON."""

    place: str
    cells: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows of a file, and whether it declares its numbers to be percentages."""

    rows: tuple[Row, ...]
    percent: bool = False


class _NotFiniteError(ValueError):
    """A NaN or an infinity in JSON."""


class _TwiceError(ValueError):
    """A key that an object has twice."""


def clipped(value: Any) -> str:
    """A value as a message shows it: on one line, and of a length that fits there.

    >>> clipped("a" * 100)[-5:], clipped("a\\nb")
    ('aaaa…', 'a\\\\nb')
    """
    text = value if isinstance(value, str) else repr(value)
    text = text[: SHOWN + 1].encode("unicode_escape").decode() if not text[: SHOWN + 1].isprintable() else text
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def listed(names: Any) -> str:
    """The first ten names, for a message."""
    shown = [clipped(name) for name in names]
    return ", ".join(shown[:10]) + (f" and {len(shown) - 10} more" if len(shown) > 10 else "")


def read(path: Path, text: str) -> Rows:
    """The rows of a file.

    Args:
        path: .jsonl, .json, .csv or .tsv; a .json may hold JSON Lines.

    Raises:
        UserError: another kind of file, or one that is not well formed, with its line.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f"{path}: unknown kind of file", wanted=", ".join(SUFFIXES), seen=path.suffix or "none")
    if suffix in (".csv", ".tsv"):
        return Rows(tuple(_separated(path, text)))
    log = _log(text) if suffix == ".json" else None
    if log is not None:
        return Rows(_numbered(path, log))
    if suffix == ".jsonl" or _json_lines(text):
        lines = enumerate(text.rstrip("\n").split("\n"), start=1)
        return Rows(tuple(_row(f"{path}:{number}", _json(path, line, number)) for number, line in lines))
    return _wrapped(path, _json(path, text, 1))


def _json_lines(text: str) -> bool:
    """Whether a file has several lines and its first is an object of its own."""
    first, _, rest = text.partition("\n")
    if not rest.strip():
        return False
    try:
        return isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _json(path: Path, text: str, line: int) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_each_once)
    except _NotFiniteError:
        raise _not_finite_in(path, text, line) from None
    except _TwiceError as fault:
        where = f"{path}:{line}" if line > 1 or "\n" not in text.strip() else f"{path}"
        raise UserError(f"{where}: {fault} twice in one object", wanted="each name once", seen="two values") from None
    except json.JSONDecodeError as fault:
        where = f"{path}:{line + fault.lineno - 1}"
        raise UserError(f"{where}: not JSON", wanted="valid JSON", seen=clipped(fault.msg)) from None
    except (ValueError, RecursionError) as fault:  # a number of 5,000 digits, brackets 1,000 deep
        raise UserError(
            f"{path}: cannot be read as JSON", wanted="a table of scores", seen=clipped(str(fault))
        ) from None


def _no_constant(name: str) -> float:
    raise _NotFiniteError(name)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise _TwiceError(clipped(next(name for name in names if names.count(name) > 1)))
    return found


def not_finite(place: str, seen: str) -> UserError:
    """The message for NaN and infinities."""
    return UserError(f"{place}: not a finite number", wanted="a number, or null where nothing was measured", seen=seen)


def _not_finite_in(path: Path, text: str, line: int) -> UserError:
    for token in _NOT_FINITE.finditer(text):
        if not token.group().startswith('"'):
            return not_finite(f"{path}:{line + text.count(chr(10), 0, token.start())}", token.group())
    return not_finite(f"{path}:{line}", "NaN or Infinity")


def _row(place: str, value: Any) -> Row:
    if not isinstance(value, dict):
        raise UserError(f"{place}: not a row", wanted="an object with an id and metrics", seen=type(value).__name__)
    cells = {key: cell for key, cell in value.items() if not (key in NESTED and isinstance(cell, dict))}
    for key in NESTED:
        inner = value.get(key)
        if isinstance(inner, dict):
            twice = sorted(cells.keys() & inner.keys())
            if twice:
                seen = f"{listed(twice)} also under {key}"
                raise UserError(f"{place}: columns given twice", wanted="each name once", seen=seen)
            cells |= inner
    return Row(place, cells)


def _wrapped(path: Path, raw: Any) -> Rows:
    """JSON rows: a list, a list somewhere under `ROW_KEYS`, or one list a column."""
    percent = False
    while isinstance(raw, dict):
        percent = percent or str(raw.get("unit", "")).lower() in ("percent", "%")
        inner = next((raw[key] for key in ROW_KEYS if isinstance(raw.get(key), list | dict)), None)
        if inner is None:
            raw = _turned(path, raw)
            break
        raw = inner
    if not isinstance(raw, list):
        raise UserError(
            f"{path}: no rows",
            wanted=f"a list of objects, on its own or under {' or '.join(ROW_KEYS)}",
            seen=type(raw).__name__ if raw is not None else "none of them",
            mend="from pandas: table.to_json(path, orient='records')",
        )
    return Rows(_numbered(path, raw), percent)


def _numbered(path: Path, values: list[Any]) -> tuple[Row, ...]:
    """Rows of a list, each by its number."""
    return tuple(_row(f"{path}: row {number}", value) for number, value in enumerate(values, start=1))


def _log(text: str) -> list[Any] | None:
    """The samples of a log of inspect_ai as rows; None where it is none.

    What was not scored has NaN there, and so have totals, which are not looked at.
    """
    if not ('"eval"' in text and '"samples"' in text):
        return None
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError):
        return None
    is_log = isinstance(raw, dict) and isinstance(raw.get("eval"), dict) and isinstance(raw.get("samples"), list)
    return [_inspected(sample) for sample in raw["samples"]] if is_log else None


def _inspected(sample: Any) -> Any:
    """A sample of such a log as a row: each scorer's value, and the epoch, from 1, as the draw.

    >>> _inspected({"id": "a", "epoch": 2, "time": 0.5, "scores": {"match": {"value": "C"}, "id": {"value": 0.5}}})
    {'sample_id': 'a', 'draw': 1, 'match': 1.0, 'scorer id': 0.5}
    """
    if not isinstance(sample, dict):
        return sample
    epoch, scores = sample.get("epoch", 1), sample.get("scores")
    found = {"sample_id": sample.get("id"), "draw": epoch - 1 if isinstance(epoch, int) else epoch}
    for name, score in (scores if isinstance(scores, dict) else {}).items():
        value = score.get("value") if isinstance(score, dict) else score
        own = f"scorer {name}" if name in RESERVED else name
        several = {f"{own}/{part}": each for part, each in value.items()} if isinstance(value, dict) else {own: value}
        found |= {key: _graded(each) for key, each in several.items()}
    return found


def _graded(value: Any) -> Any:
    if isinstance(value, str):
        return GRADES.get(value, GRADES.get(value.lower(), value))
    return None if isinstance(value, float) and math.isnan(value) else value


def _turned(path: Path, raw: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Columns of equal length turned into rows; None where it is no such table."""
    columns = {name: column for name, column in raw.items() if isinstance(column, list)}
    if len(columns) < 2:
        return None
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        seen = listed(f"{name}: {length}" for name, length in lengths.items())
        raise UserError(f"{path}: columns of different lengths", wanted="one value a row in each", seen=seen)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _separated(path: Path, text: str) -> list[Row]:
    header = text.split("\n", 1)[0]
    mark = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    rows: list[Row] = []
    try:
        names = _header(path, next(reader, []))
        for cells in reader:
            place = f"{path}:{reader.line_num}"
            if cells and len(cells) != len(names):
                seen = f"{len(cells)}"
                raise UserError(f"{place}: cells and header differ", wanted=f"{len(names)} cells", seen=seen)
            if cells:
                rows.append(Row(place, {name: cell for name, cell in zip(names, cells, strict=True) if name}))
    except csv.Error as fault:
        where = f"{path}:{reader.line_num}"
        raise UserError(f"{where}: not CSV", wanted="a header and rows", seen=clipped(str(fault))) from None
    return rows


def _header(path: Path, cells: list[str]) -> list[str]:
    """The columns' names; the first may have none, as pandas writes the numbers of its rows."""
    names = [cell.strip() for cell in cells]
    if "" in names[1:]:
        seen = f"none for column {names.index('', 1) + 1}"
        raise UserError(f"{path}:1: a column without a name", wanted="a name for every column", seen=seen)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{path}:1: columns given twice", wanted="each name once", seen=listed(twice))
    return names
