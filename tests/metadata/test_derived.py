"""What parsing tells of an answer, in every language; authored fields stay, and nothing gives the answer away."""

from typing import Any

import pytest

from sluicegate.data.enrich import FIELDS, leaks_answer
from sluicegate.metadata import derived
from sluicegate.records import Sample

PYTHON = '''\
"""Notes of a store."""
from __future__ import annotations

import json
from collections.abc import Iterator

from . import own


class Store:
    """Keeps notes.

    More of it.
    """

    def __init__(self, limit: int = 3) -> None:
        self.notes = {}

    @property
    def full(self) -> bool:
        return len(self.notes) >= self.limit or not self.limit

    def _check(self, name):
        if name in self.notes:
            raise KeyError(name)

    async def names(self, *, upper: bool) -> Iterator[str]:
        for name in sorted(self.notes):
            yield name.upper() if upper else name


def depth(tree: dict) -> int:
    """How deep."""
    try:
        return 1 + max(depth(one) for one in tree.values())
    except ValueError:
        raise own.DepthError from None
'''
EXPRESS = """\
const express = require("express");
const { randomUUID } = require("node:crypto");
const own = require("./own");

/**
 * Keeps notes.
 * @param store the store
 */
function createApp(store, clock) {
  const app = express();
  app.use((req, res, next) => { next(); });
  app.post("/notes/:id", async (req, res) => {
    if (!req.body.text || !store) {
      return res.status(400).json({ error: "text" });
    }
    return res.status(201).json({ id: randomUUID() });
  });
  return app;
}
module.exports = { createApp };
"""
REACT = """\
import { useState } from "react";
export default function Counter({ start = 0, label }) {
  const [n, setN] = useState(start);
  return <div><button onClick={() => setN((v) => v + 1)} disabled={n >= 3}>{n > 0 && label}</button></div>;
}
export const useTotals = (items, rate) => {
  if (rate < 0) throw new RangeError("rate");
  return items.map((one) => one.price * rate);
};
"""
SQL = """\
WITH paid AS (SELECT customer_id, SUM(cents) AS total FROM orders WHERE paid = 1 AND cents > 0 GROUP BY customer_id)
SELECT c.name, COALESCE(p.total, 0) AS total
FROM customers AS c
LEFT JOIN paid AS p ON p.customer_id = c.id
ORDER BY total DESC
"""


def of(text: str, language: str, **meta: Any) -> dict[str, Any]:
    return derived(Sample("a", "p", text, meta={"language": language, **meta}))


def test_a_python_program() -> None:
    assert of(PYTHON, "python") == {
        "intent": "Notes of a store.",
        "inputs": ["Store(limit: int=3)", "Store.full()", "Store.names(*, upper: bool)", "depth(tree: dict)"],
        "outputs": "full: bool; names: Iterator[str]; depth: int",
        "dependencies": ["json", "collections"],
        "edge_cases": ["KeyError is raised", "own.DepthError is raised"],
        "complexity": "cyclomatic 7: 3 branches, 2 loops, 1 switch",
        "patterns": [
            "class", "recursion", "@property", "async", "generator", "comprehension",
            "calls len, max, sorted, upper, values",
        ],
    }  # fmt: skip


def test_an_express_program() -> None:
    assert of(EXPRESS, "javascript") == {
        "intent": "Keeps notes.",
        "inputs": ["route POST /notes/:id"],
        "outputs": "status 201",
        "dependencies": ["express", "crypto"],
        "edge_cases": ["status 400 is answered"],
        "complexity": "cyclomatic 3: 1 branch, 1 switch",
        "patterns": ["middleware", "calls json, next, post, randomUUID, status, use"],
    }


def test_react_programs() -> None:
    assert of(REACT, "jsx") == {
        "inputs": ["Counter props: label, start", "useTotals(items, rate)"],
        "outputs": "a React element",
        "dependencies": ["react"],
        "edge_cases": ["RangeError is thrown"],
        "complexity": "cyclomatic 4: 1 branch, 1 loop, 1 switch",
        "patterns": ["hook useState", "JSX", "calls map"],
    }


def test_types_of_typescript_are_outputs() -> None:
    found = of("export function half(n: number, by = 2): number {\n  return n / by;\n}\n", "ts")
    assert (found["inputs"], found["outputs"]) == (["half(n, by)"], "half: number")


def test_a_query() -> None:
    assert of(SQL, "sql") == {
        "inputs": ["table customers", "table orders"],
        "outputs": "columns name, total",
        "edge_cases": ["rows without a match are kept", "missing values are replaced"],
        "complexity": "cyclomatic 4: 2 branches, 1 switch",
        "patterns": ["common table expression", "join", "grouping", "ordering", "calls SUM"],
    }


@pytest.mark.parametrize(
    ("text", "language"), [(PYTHON, "python"), (EXPRESS, "javascript"), (REACT, "tsx"), (SQL, "sql")]
)
def test_it_is_the_same_every_time_in_fields_that_are_shown_and_gives_nothing_away(text: str, language: str) -> None:
    found = of(text, language)
    assert found == of(text, language)
    assert set(found) <= set(FIELDS)
    assert leaks_answer(Sample("a", "p", text, meta={"language": language, **found})) == ""


def test_authored_fields_stay_even_an_empty_list() -> None:
    found = of(PYTHON, "python", intent="mine", dependencies=[], outputs="")
    assert not {"intent", "dependencies"} & set(found)
    assert found["outputs"].startswith("full: bool")


def test_a_field_that_would_give_the_answer_away_is_left_out() -> None:
    text = 'def f():\n    """Returns a + b * c - d."""\n    return a + b * c - d\n'
    assert "intent" not in of(text, "python")
    assert of(text.replace("a + b * c - d.", "all."), "python")["intent"] == "Returns all."


@pytest.mark.parametrize("text", ["def f(:", "x" * 20_001, "f(" * 300])
def test_what_is_no_program_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not python|longer than|too deep|deeper than"):
        of(text, "python")


def test_a_language_that_nothing_reads_is_refused() -> None:
    with pytest.raises(KeyError):
        of("kind: Pod\n", "yaml")
