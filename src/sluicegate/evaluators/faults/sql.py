"""Faults of SQL: names that no table has, tables and expressions of WITH that nobody reads, repeated parts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from sluicegate.evaluators.faults import Fault
from sluicegate.evaluators.syntax import sql, too_deep

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope

Schema = Mapping[str, frozenset[str]]
"""Table → columns, in lower case."""
CREATE: Final = re.compile(r"create\s+table\s+(?:if\s+not\s+exists\s+)?(?P<table>[\"`\[]?\w+[\"`\]]?)\s*\(", re.I)
PROSE: Final = re.compile(r"(?<![\w.])(?P<table>[a-z_]\w*)\(", re.I)
"""`orders(id INTEGER, total REAL)`, as prompts describe a table."""
COLUMN: Final = re.compile(r"\s*[\"`\[]?([a-z_]\w*)[\"`\]]?(?:\s|$)", re.I)
CONSTRAINTS: Final = ("primary", "foreign", "unique", "check", "constraint", "key", "index")
ALIASED: Final = ("rowid", "oid", "_rowid_")


def schema(texts: Iterable[str]) -> Schema:
    """The tables that texts describe, by CREATE TABLE or as `name(column, column type)`.

    >>> schema(["Tables: orders(id, total REAL)"])["orders"] == {"id", "total"}
    True
    """
    found: dict[str, frozenset[str]] = {}
    for text in texts:
        patterns = (CREATE,) if CREATE.search(text) else (PROSE,)
        for pattern in patterns:
            for told in pattern.finditer(text):
                columns = _columns(_inside(text, told.end()))
                table = told["table"].strip('"`[]').lower()
                if columns:
                    found[table] = found.get(table, frozenset()) | columns
    return found


def _inside(text: str, start: int) -> str:
    """From an opening bracket to the one that closes it; nothing without one."""
    depth = 1
    for place in range(start, min(len(text), start + 5_000)):
        depth += (text[place] == "(") - (text[place] == ")")
        if depth == 0:
            return text[start:place]
    return ""


def _columns(inside: str) -> frozenset[str]:
    flat = re.sub(r"\([^()]*\)", "", inside)
    names = [told[1].lower() if (told := COLUMN.match(part)) else "" for part in flat.split(",")]
    return frozenset() if not all(names) else frozenset(name for name in names if name not in CONSTRAINTS)


def faults(text: str, dialect: str, tables: Schema) -> list[Fault]:
    """The faults of a script, by line; columns are looked up in tables that are known.

    Raises:
        UnparsableError: not SQL, too long or too deep.
    """
    statements = sql.statements(text, dialect)
    found: list[Fault] = []
    try:
        for statement in statements:
            found += _of_statement(statement.copy(), tables)
        repeated = Counter(statement.sql(dialect, comments=False) for statement in statements)
    except RecursionError:
        raise too_deep() from None
    found += [Fault(1, "a statement that is given twice") for count in repeated.values() if count > 1]
    return sorted(set(found))


def _of_statement(statement: exp.Expr, tables: Schema) -> Iterator[Fault]:
    from sqlglot import exp
    from sqlglot.errors import SqlglotError
    from sqlglot.optimizer.scope import traverse_scope

    query = statement if isinstance(statement, exp.Query) else statement.find(exp.Query)
    if query is None:
        return
    try:
        scopes = traverse_scope(query)
    except SqlglotError as fault:
        yield Fault(1, f"scopes that cannot be told: {str(fault)[:100]}")
        return
    for scope in scopes:
        yield from _undefined(scope, tables)
        yield from _repeated(scope)
    yield from _unused(query)


def _undefined(scope: Scope, tables: Schema) -> Iterator[Fault]:
    around = _known_around(scope, tables)
    named = _aliases(scope)
    everything = all(columns is not None for columns in around.values())
    all_columns = frozenset(ALIASED).union(*(columns or () for columns in around.values()))
    for column in scope.columns:
        table, name = column.table.lower(), column.name.lower()
        if table and table not in around:
            yield Fault(_line(column), f"undefined table {table}")
        elif table and (known := around[table]) is not None and name not in known and name not in ALIASED:
            yield Fault(_line(column), f"undefined column {table}.{name}")
        elif not table and everything and name not in all_columns and name not in named and name != "*":
            yield Fault(_line(column), f"undefined column {name}")
    for source in scope.sources.values():
        table = _table_name(source)
        if tables and table and table not in tables:
            yield Fault(1, f"undefined table {table}")


def _aliases(scope: Scope) -> frozenset[str]:
    """The names that a query gives to what it selects."""
    from sqlglot import exp

    select = scope.expression
    parts = select.expressions if isinstance(select, exp.Select) else []
    return frozenset(part.alias.lower() for part in parts if isinstance(part, exp.Alias))


def _known_around(scope: Scope, tables: Schema) -> dict[str, frozenset[str] | None]:
    """Name → columns, where they are known, of what a query and those around it read."""
    found: dict[str, frozenset[str] | None] = {}
    level: Scope | None = scope
    while level is not None:
        for name, source in level.sources.items():
            found.setdefault(name.lower(), _columns_of(source, tables))
        level = level.parent
    return found


def _columns_of(source: exp.Expr | Scope, tables: Schema) -> frozenset[str] | None:
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope

    if not isinstance(source, Scope):
        return tables.get(_table_name(source))
    query = source.expression
    if not isinstance(query, exp.Query):
        return None
    holder: exp.Expr | None = query.parent
    while isinstance(holder, exp.SetOperation):
        holder = holder.parent
    renamed = holder.alias_column_names if isinstance(holder, exp.CTE | exp.Subquery) else []
    names = frozenset(name.lower() for name in renamed or query.named_selects)
    return None if "*" in names or not names else names


def _table_name(source: exp.Expr | Scope) -> str:
    from sqlglot import exp

    return source.name.lower() if isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier) else ""


def _repeated(scope: Scope) -> Iterator[Fault]:
    from sqlglot import exp

    select = scope.expression
    if isinstance(select, exp.SetOperation) and select.this == select.expression:
        yield Fault(_line(select), "a query that is combined with itself")
    if not isinstance(select, exp.Select):
        return
    names = Counter(part.alias_or_name.lower() for part in select.expressions if part.alias_or_name not in ("", "*"))
    yield from (Fault(_line(select), f"column {name} given twice") for name, count in names.items() if count > 1)
    for clause in ("where", "having"):
        condition = select.args.get(clause)
        if condition is not None:
            yield from _repeated_conditions(condition.this)


def _repeated_conditions(condition: exp.Expr) -> Iterator[Fault]:
    from sqlglot import exp

    parts = list(condition.flatten()) if isinstance(condition, exp.And | exp.Or) else [condition]
    if len({hash(part) for part in parts}) < len(parts):
        yield Fault(_line(condition), "a condition that is given twice")
    if isinstance(condition, exp.Or):
        return
    for part in parts:
        if _never_holds(part):
            yield Fault(_line(part), "a condition that never holds")


def _never_holds(condition: exp.Expr) -> bool:
    """`FALSE`, or two literals that differ."""
    from sqlglot import exp

    if isinstance(condition, exp.EQ):
        sides = (condition.this, condition.expression)
        return all(isinstance(side, exp.Literal) for side in sides) and sides[0] != sides[1]
    return isinstance(condition, exp.Boolean) and not condition.this


def _unused(query: exp.Query) -> Iterator[Fault]:
    from sqlglot import exp

    parts = list(query.find_all(exp.CTE))
    named = Counter(part.alias.lower() for part in parts)
    read = {table.name.lower() for table in query.find_all(exp.Table) if not _is_its_own(table)}
    for part in parts:
        name = part.alias.lower()
        if name not in read:
            yield Fault(_line(part), f"unused expression {name}")
        if named[name] > 1:
            yield Fault(_line(part), f"expression {name} given twice")


def _is_its_own(table: exp.Expr) -> bool:
    """Whether a recursive expression reads itself, which is no use of it."""
    from sqlglot import exp

    around = table.find_ancestor(exp.CTE)
    return around is not None and around.alias.lower() == table.name.lower()


def _line(node: exp.Expr) -> int:
    lines = [part.meta["line"] for part in node.walk() if "line" in part.meta]
    return min(lines, default=1)
