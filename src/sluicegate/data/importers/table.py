"""Tables with a line of names: CSV with commas, semicolons or tabs, which the first line tells apart."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from sluicegate.data.importers import Asked, Draft, Rows, columns
from sluicegate.data.importers.rows import decoded, row_of
from sluicegate.data.reader import LINE_LIMIT, LineError
from sluicegate.errors import UserError

SCENARIO, LANGUAGE = "csv", ""
DELIMITERS: Final = (",", ";", "\t")


def rows(path: Path, asked: Asked) -> Rows:
    """See `Format`."""
    before = csv.field_size_limit(LINE_LIMIT)  # of the process
    try:
        told = decoded(path).rstrip("\n")
        names, delimiter = _names(path, told, asked)
        lines = _lines(told, delimiter)
        next(lines)
        for line, found in lines:
            yield f"{path}:{line}", found if isinstance(found, LineError) else _row(names, found)
    finally:
        csv.field_size_limit(before)


def draft(row: Mapping[str, Any], asked: Asked) -> Draft:
    """See `Format`."""
    return columns.draft(row, asked)


def _row(names: list[str], found: list[str]) -> Mapping[str, Any] | LineError:
    if not found:
        return LineError("an empty line")
    if len(found) != len(names):
        return LineError(f"wanted {len(names)} fields, seen {len(found)}")
    return row_of(dict(zip(names, found, strict=True)))


def _names(path: Path, told: str, asked: Asked) -> tuple[list[str], str]:
    """The names of the columns, and what stands between them."""
    wanted = {asked.prompt or "prompt", asked.completion or "completion"}
    seen: list[str] = []
    for delimiter in DELIMITERS:
        _, first = next(_lines(told, delimiter))
        names = [] if isinstance(first, LineError) else [name.strip() for name in first]
        if wanted <= set(names):
            twice = [name for name, count in Counter(names).items() if count > 1]
            if twice:
                raise UserError(f"{path}:1: column {twice[0]!r} is there twice", wanted="names used once")
            return names, delimiter
        seen = max(seen, names, key=len)
    raise UserError(
        f"{path}:1: no column {' and no column '.join(sorted(wanted - set(seen)))}", wanted=", ".join(sorted(wanted)),
        seen=", ".join(seen)[:200], mend="name the columns with --prompt-column and --completion-column",
    )  # fmt: skip


def _lines(told: str, delimiter: str) -> Iterator[tuple[int, list[str] | LineError]]:
    """The fields of each row, with the line that it begins on; a row at fault does not end the table."""
    reader = csv.reader(io.StringIO(told, newline=""), delimiter=delimiter, strict=True)
    while True:
        start = reader.line_num + 1
        try:
            yield start, next(reader)
        except StopIteration:
            return
        except csv.Error as fault:
            upto = f" (read up to line {reader.line_num})" if reader.line_num > start else ""
            yield start, LineError(f"not CSV: {fault}{upto}")
