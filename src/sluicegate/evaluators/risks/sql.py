"""Risks of SQL scripts: what destroys, what lets everybody in, what leaves the database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from sluicegate.evaluators.risks import HIGH, LOW, MEDIUM, Risk
from sluicegate.evaluators.syntax import sql, too_deep

if TYPE_CHECKING:
    from sqlglot import exp

LEAVING: Final = frozenset((
    "load_extension", "readfile", "writefile", "edit", "xp_cmdshell", "pg_read_file", "pg_ls_dir", "lo_import",
    "lo_export", "load_file", "dblink", "fts3_tokenizer",
))  # fmt: skip
"""Functions that read files, write them or run programs."""
SECRETS: Final = ("password", "passwd", "secret", "api_key", "token")


def risks(text: str, dialect: str) -> list[Risk]:
    """The findings in a script, in the order of its statements; the line is the statement's number.

    Raises:
        UnparsableError: not SQL, too long or too deep.
    """
    try:
        return [risk for number, statement in enumerate(sql.statements(text, dialect), start=1)
                for risk in _of_statement(statement, number)]  # fmt: skip
    except RecursionError:
        raise too_deep() from None


def _of_statement(statement: exp.Expr, number: int) -> Iterator[Risk]:
    from sqlglot import exp

    if isinstance(statement, exp.Drop | exp.TruncateTable):
        yield Risk(number, "sql-drop", HIGH, "drops or empties what was there")
    if isinstance(statement, exp.Delete | exp.Update) and statement.args.get("where") is None:
        yield Risk(number, "sql-all-rows", HIGH, "changes every row: no WHERE")
    if isinstance(statement, exp.Alter):
        yield Risk(number, "sql-alter", MEDIUM, "changes a table's definition")
    for node in statement.walk():
        yield from _of_node(node, number)


def _of_node(node: exp.Expr, number: int) -> Iterator[Risk]:
    from sqlglot import exp

    if isinstance(node, exp.Func) and _function(node) in LEAVING:
        yield Risk(number, "sql-leaves", HIGH, f"{_function(node)} leaves the database")
    elif isinstance(node, exp.EQ):
        column = node.this
        if isinstance(column, exp.Literal) and column == node.expression and node.find_ancestor(exp.Or):
            yield Risk(number, "sql-tautology", HIGH, "a condition that always holds")
        named = isinstance(column, exp.Column) and column.name.lower() in SECRETS
        if named and isinstance(node.expression, exp.Literal) and node.expression.is_string:
            yield Risk(number, "sql-secret", MEDIUM, "a secret in the text")
    elif isinstance(node, exp.Star) and isinstance(node.parent, exp.Select):
        yield Risk(number, "sql-star", LOW, "reads every column there is or will be")


def _function(node: exp.Func) -> str:
    from sqlglot import exp

    return node.name.lower() if isinstance(node, exp.Anonymous) else node.sql_name().lower()
