"""What the referee does with a query: builds the databases, runs the reference, compares rows."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any

Rows = Sequence[Sequence[Any]]
SHOWN = 80


class QueryError(Exception):
    """How a query ended, where that is not with wrong rows: a kind of outcome and why."""


def check(query: Callable[[bytes, str], Any], given: str) -> None:
    """Hold a query against the reference and the given rows, on every database.

    Args:
        query: runs a query on a database's bytes inside the sandbox.
        given: JSON of `candidate`, `reference` and `databases`.

    Raises:
        AssertionError: other rows than wanted.
        QueryError: no rows, or tests that cannot be run.
    """
    said = json.loads(given)
    built = [_built(database) for database in said["databases"]]
    wanted = [_wanted(*pair, said["reference"]) for pair in zip(said["databases"], built, strict=True)]
    for database, connection, held in zip(said["databases"], built, wanted, strict=True):
        kind, found = _asked(query, connection.serialize(), said["candidate"])
        if kind != "rows":
            raise QueryError(f"{kind}: {found}")
        for rows, is_ordered in held:
            fault = difference(rows, found, is_ordered=is_ordered)
            assert not fault, f"database {database['name']}: {fault}"  # noqa: S101 - what a failed test raises


def _built(database: dict[str, Any]) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(database["build"])
        connection.commit()
    except sqlite3.Error as fault:
        raise QueryError(f"tests: database {database['name']}: {fault}") from None
    return connection


def _wanted(database: dict[str, Any], connection: sqlite3.Connection, reference: str) -> list[tuple[Rows, bool]]:
    """The rows to hold against, and whether their order counts."""
    is_ordered = orders(reference)
    wanted = [(database["rows"], is_ordered)] if database["rows"] is not None else []
    if reference.strip():
        try:
            rows = connection.execute(reference).fetchall()
        except (sqlite3.Error, sqlite3.Warning) as fault:
            raise QueryError(f"tests: the reference on database {database['name']}: {fault}") from None
        if wanted and (gap := difference(wanted[0][0], rows, is_ordered=is_ordered)):
            raise QueryError(f"tests: the reference on database {database['name']}: {gap}")
        wanted.append((rows, is_ordered))
    if not wanted:
        raise QueryError(f"tests: database {database['name']} has no rows, and there is no reference")
    return wanted


def _asked(query: Callable[[bytes, str], Any], data: bytes, sql: str) -> tuple[str, Any]:
    answer = query(data, sql)
    if type(answer) is not tuple or len(answer) != 2 or type(answer[0]) is not str:
        raise QueryError("error: no answer")
    return answer


def difference(wanted: Rows, found: Rows, *, is_ordered: bool) -> str:
    """How found rows differ from the wanted ones, in words; empty where they do not.

    >>> difference([(1, "a"), (2, "b")], [(2, "b"), (1.0, "a")], is_ordered=False)
    ''
    >>> difference([(1,), (2,)], [(2,), (1,)], is_ordered=True)
    'row 1: wanted (1,), seen (2,)'
    >>> difference([(1,)], [], is_ordered=False)
    'wanted 1 rows, seen 0'
    """
    if len(wanted) != len(found):
        return f"wanted {len(wanted)} rows, seen {len(found)}"
    if not is_ordered:
        wanted, found = sorted(wanted, key=_rank), sorted(found, key=_rank)
    for number, (one, other) in enumerate(zip(wanted, found, strict=True), start=1):
        if len(one) != len(other):
            return f"wanted {len(one)} columns, seen {len(other)}"
        if not all(map(_same, one, other)):
            return f"row {number}: wanted {tuple(one)!r:.{SHOWN}}, seen {tuple(other)!r:.{SHOWN}}"
    return ""


def _same(one: Any, other: Any) -> bool:
    if float in (type(one), type(other)) and _is_number(one) and _is_number(other):
        return one == other or math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return type(one) is type(other) and bool(one == other)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _rank(row: Sequence[Any]) -> tuple[list[tuple[int, Any]], list[int]]:
    """What rows are put in order by: numbers by their 9 digits, and whole ones that share these by the rest."""
    told = [
        (0, 0)
        if value is None
        else (1, float(f"{value:.9g}"))
        if _is_number(value)
        else (2 + isinstance(value, bytes), value)
        for value in row
    ]
    return told, [int(value) for value in row if _is_number(value) and math.isfinite(value) and value == int(value)]


def orders(sql: str) -> bool:
    """Whether a query orders its rows: ORDER BY outside parentheses, texts and comments.

    >>> orders("SELECT a FROM t ORDER  BY a"), orders("SELECT * FROM (SELECT a FROM t ORDER BY a) -- order by")
    (True, False)
    """
    depth, before = 0, ""
    for word in _words(sql):
        depth += (word == "(") - (word == ")")
        if not depth and word == "by" and before == "order":
            return True
        before = word
    return False


def _words(sql: str) -> Iterator[str]:
    """Words in lower case and single signs; texts, quoted names and comments are left out."""
    at, size = 0, len(sql)
    while at < size:
        sign = sql[at]
        if sql.startswith("--", at):
            at = _after(sql, "\n", at)
        elif sql.startswith("/*", at):
            at = _after(sql, "*/", at + 2)
        elif sign in "'\"`[":
            at = _after(sql, "]" if sign == "[" else sign, at + 1)
        elif sign.isalnum() or sign == "_":
            start = at
            while at < size and (sql[at].isalnum() or sql[at] == "_"):
                at += 1
            yield sql[start:at].lower()
        else:
            at += 1
            if not sign.isspace():
                yield sign


def _after(sql: str, end: str, start: int) -> int:
    found = sql.find(end, start)
    return len(sql) if found < 0 else found + len(end)
