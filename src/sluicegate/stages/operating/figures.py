"""The figures of `make operating`: rows of a group as columns, in and out of docs/operating.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sluicegate.stages.operating.grid import RETRIES, Row

Figures = Mapping[str, Mapping[str, Any]]
"""Group → its columns, its rows and what is the same in all of them."""


def grouped(groups: Sequence[str], rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Rows by group, as columns; what is the same in a whole group is said once.

    >>> grouped(["a", "a"], [{"n": 1, "k": 2}, {"n": 3, "k": 2}])
    {'a': {'same': {'k': 2}, 'columns': ['n'], 'rows': [[1], [3]]}}
    """
    found: dict[str, dict[str, Any]] = {}
    for group in dict.fromkeys(groups):
        members = [row for name, row in zip(groups, rows, strict=True) if name == group]
        names = list(dict.fromkeys(name for row in members for name in row))
        same = {name: members[0].get(name) for name in names if len({row.get(name) for row in members}) == 1}
        columns = [name for name in names if name not in same]
        found[group] = {
            "same": same,
            "columns": columns,
            "rows": [[row.get(name) for name in columns] for row in members],
        }
    return found


def rows_in(figures: Figures, *groups: str) -> list[Row]:
    """The rows of some groups, whole again."""
    return [
        {**figures[group]["same"], **dict(zip(figures[group]["columns"], row, strict=True))}
        for group in groups
        for row in figures[group]["rows"]
    ]


def older_table(group: Mapping[str, Any]) -> dict[str, Any]:
    """The data of `stages.older`."""
    columns = ["n", "metrics", "false_go", "false_go_with_retries", "power", "power_one"]
    rows = rows_in({"table": group}, "table")
    experiments = int(rows[0]["experiments"])
    table = [[row[name] for name in columns] for row in rows]
    return {"experiments": experiments, "retries": RETRIES, "columns": columns, "rows": table}


def dump(value: Mapping[str, Any], depth: int = 1) -> str:
    """JSON with one row a line, so that a change of figures reads as a change of lines."""
    parts = []
    for key, inner in value.items():
        if isinstance(inner, Mapping) and "rows" in inner:
            text = dump(inner, depth + 1).rstrip("\n")
        elif key == "rows":
            lines = ",\n".join(" " * (depth + 1) + json.dumps(row, allow_nan=False) for row in inner)
            text = f"[\n{lines}\n{' ' * depth}]"
        else:
            text = json.dumps(inner, allow_nan=False)
        parts.append(f"{' ' * depth}{json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n" + " " * (depth - 1) + "}" + ("\n" if depth == 1 else "")
