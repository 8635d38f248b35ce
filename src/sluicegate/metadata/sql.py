"""What a SQL query tells of itself, by sqlglot's tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sluicegate.evaluators.syntax import sql
from sluicegate.metadata import complexity, distinct

if TYPE_CHECKING:
    from sqlglot import exp


def fields(text: str, language: str) -> dict[str, Any]:
    """See `Reader`."""
    del language
    from sqlglot import exp

    found = sql.statements(text)
    nodes = [node for one in found for node in one.walk()]
    own = {node.alias.lower() for node in nodes if isinstance(node, exp.CTE)}
    tables = distinct([node.name for node in nodes if isinstance(node, exp.Table) and node.name.lower() not in own])
    last = found[-1]
    names = [name for name in last.named_selects if name not in ("", "*")] if isinstance(last, exp.Query) else []
    conditions = [node for node in nodes if isinstance(node, exp.Where | exp.Having | exp.Join | exp.If)]
    return {
        "inputs": [f"table {name}" for name in tables],
        "outputs": f"columns {', '.join(names)}" if names else "",
        "edge_cases": _edges(nodes),
        "complexity": complexity(len(conditions), 0, sum(isinstance(node, exp.Connector) for node in nodes)),
        "patterns": _patterns(nodes),
    }


def _edges(nodes: list[exp.Expr]) -> list[str]:
    from sqlglot import exp

    seen = {type(node) for node in nodes}
    left = any(isinstance(node, exp.Join) and node.side == "LEFT" for node in nodes)
    told = [(exp.Coalesce, "missing values are replaced"), (exp.Distinct, "repeated rows are left out"),
            (exp.Is, "missing values are looked for")]  # fmt: skip
    return [*(["rows without a match are kept"] if left else []), *(words for kind, words in told if kind in seen)]


def _patterns(nodes: list[exp.Expr]) -> list[str]:
    from sqlglot import exp

    shapes = [
        (exp.CTE, "common table expression"), (exp.Join, "join"), (exp.Subquery | exp.Exists, "subquery"),
        (exp.Group, "grouping"), (exp.Window, "window function"), (exp.SetOperation, "set operation"),
        (exp.Case, "case distinction"), (exp.Order, "ordering"), (exp.Limit, "limit"),
    ]  # fmt: skip
    recursive = any(isinstance(node, exp.With) and node.args.get("recursive") for node in nodes)
    found = [words for kind, words in shapes if any(isinstance(node, kind) for node in nodes)]
    calls = sorted({str(node.key).upper() for node in nodes if isinstance(node, exp.AggFunc)})
    calling = [f"calls {', '.join(calls)}"] if calls else []
    return [*(["recursive query"] if recursive else []), *found, *calling]
