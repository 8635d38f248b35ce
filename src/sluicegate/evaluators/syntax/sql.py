"""SQL statements as expressions, read by sqlglot."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from sluicegate.evaluators.syntax import KEPT, UnparsableError, refuse_long, too_deep
from sluicegate.records import Sample

if TYPE_CHECKING:
    from sqlglot import exp

DIALECT: Final = "sqlite"
BRACKETS: Final = 40
"""Nested brackets at most: the parser tries each of them in several ways."""


def dialect_of(sample: Sample) -> str:
    """The dialect that meta's `dialect` names, where sqlglot knows it; else SQLite's."""
    from sqlglot.dialects import Dialect

    told = sample.meta.get("dialect")
    return told.lower() if isinstance(told, str) and told.lower() in Dialect.classes else DIALECT


def statements(text: str, dialect: str = DIALECT) -> tuple[exp.Expr, ...]:
    """The statements of a script; shared, so nobody may change them.

    Raises:
        UnparsableError: not SQL, no statement, too long or too deep.
    """
    found = _statements(text, dialect)
    if isinstance(found, str):
        raise UnparsableError(found)
    return found


@lru_cache(maxsize=KEPT)
def _statements(text: str, dialect: str) -> tuple[exp.Expr, ...] | str:
    """The statements, or why there are none; a refusal is kept as well."""
    try:
        return _parsed(text, dialect)
    except UnparsableError as fault:
        return str(fault)


def _parsed(text: str, dialect: str) -> tuple[exp.Expr, ...]:
    from sqlglot import exp, parse
    from sqlglot.errors import SqlglotError

    refuse_long(text)
    if _brackets(text) > BRACKETS:
        raise too_deep()
    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
    try:
        found = [one for one in parse(text, dialect=dialect) if one is not None and not isinstance(one, exp.Semicolon)]
    except SqlglotError as fault:
        raise UnparsableError(f"not sql: {_in_a_line(fault)}") from None
    except RecursionError:
        raise too_deep() from None
    _refuse_other(found)
    return tuple(found)


def _refuse_other(found: list[exp.Expr]) -> None:
    """Refuse what the parser lets through: no statement, one it only passes on, an expression, a SELECT of nothing."""
    from sqlglot import exp

    known = (exp.Query, exp.DML, exp.DDL, exp.Drop, exp.Alter, exp.TruncateTable, exp.Transaction, exp.Commit)
    if not found:
        raise UnparsableError("not sql: no statement")
    for one in found:
        if isinstance(one, exp.Command):
            raise UnparsableError("not sql: a statement that is not understood")
        if not isinstance(one, known):
            raise UnparsableError("not sql: an expression and no statement")
        if any(not select.expressions for select in one.find_all(exp.Select)):
            raise UnparsableError("not sql: SELECT of nothing")


def _brackets(text: str) -> int:
    depth = most = 0
    for sign in text:
        depth += (sign in "([") - (sign in ")]")
        most = max(most, depth)
    return most


def _in_a_line(fault: Exception) -> str:
    return str(fault).splitlines()[0].split("\x1b")[0][:100] or type(fault).__name__
