"""The micro set: five authored samples, one a scenario, for the first run of a new machine.

Five samples prove that a pipeline moves, not that anything was learned, so nothing may be concluded from
scores on them. The `python` and `bugfix` samples carry tests; the other scenarios' tests need tools that
this stage of a project may not have yet.
"""

from __future__ import annotations

from sluicegate.records import Sample

_OURS = {"licence": "Apache-2.0"}

REACT = Sample(
    id="micro-react",
    scenario="react",
    prompt=(
        "Write a React function component SearchableList with a text box and a list. Typing filters the "
        "items by substring, ignoring case. When nothing matches, say so. Props: items, an array of "
        "{id, label}, and an optional placeholder."
    ),
    completion="""\
import { useId, useMemo, useState } from "react";

export function SearchableList({ items, placeholder = "Search" }) {
  const [query, setQuery] = useState("");
  const inputId = useId();
  const shown = useMemo(() => {
    const wanted = query.trim().toLowerCase();
    return items.filter((item) => item.label.toLowerCase().includes(wanted));
  }, [items, query]);

  return (
    <section>
      <label htmlFor={inputId}>{placeholder}</label>
      <input id={inputId} type="search" value={query} onChange={(event) => setQuery(event.target.value)} />
      {shown.length === 0 ? (
        <p role="status">No matches</p>
      ) : (
        <ul>
          {shown.map((item) => (
            <li key={item.id}>{item.label}</li>
          ))}
        </ul>
      )}
    </section>
  );
}
""",
    meta={
        **_OURS,
        "language": "javascript",
        "intent": "filter a list while the user types",
        "inputs": ["items: array of {id, label}", "placeholder: text, optional"],
        "outputs": "a section with a labelled search box and the matching items",
        "constraints": ["controlled input", "stable keys", "the box has a label for screen readers"],
        "edge_cases": ["no items", "no match shows a message", "blanks around the query are ignored"],
        "dependencies": ["react 18 or newer"],
        "complexity": "linear in the number of items for each keystroke",
    },
)

EXPRESS = Sample(
    id="micro-express",
    scenario="express",
    prompt=(
        "Write createUserRouter(users) for Express: POST / takes JSON with name and email, answers 201 with "
        "the new user and a Location header, 400 with the list of what is wrong, 409 when the email is "
        "taken, whatever its case. users is a Map from lower-case email to user. Errors go to next."
    ),
    completion="""\
const { randomUUID } = require("node:crypto");
const express = require("express");

const ADDRESS = /^[^\\s@]+@[^\\s@]+\\.[^\\s@]+$/;

function faultsOf({ name, email } = {}) {
  const faults = [];
  if (typeof name !== "string" || name.trim() === "") faults.push("name: wanted text");
  if (typeof email !== "string" || email.length > 254 || !ADDRESS.test(email)) {
    faults.push("email: wanted an address");
  }
  return faults;
}

function createUserRouter(users) {
  const router = express.Router();
  router.use(express.json({ limit: "10kb" }));
  router.post("/", (request, response, next) => {
    try {
      const faults = faultsOf(request.body);
      if (faults.length > 0) return response.status(400).json({ faults });
      const email = request.body.email.toLowerCase();
      if (users.has(email)) return response.status(409).json({ faults: ["email: taken"] });
      const user = { id: randomUUID(), name: request.body.name.trim(), email };
      users.set(email, user);
      return response.status(201).location(`${request.baseUrl}/${user.id}`).json(user);
    } catch (error) {
      return next(error);
    }
  });
  return router;
}

module.exports = { createUserRouter };
""",
    meta={
        **_OURS,
        "language": "javascript",
        "intent": "create a user over HTTP, validated and unique by email",
        "inputs": ["users: Map from lower-case email to user", "body: {name: text, email: text}"],
        "outputs": "an Express router; 201 with the user, 400 or 409 with faults",
        "constraints": ["every fault of the body in one answer", "unexpected errors are passed on"],
        "edge_cases": ["missing body", "blank name", "same email in another case"],
        "dependencies": ["express", "node:crypto"],
        "security": ["limit the size of the body", "take only known fields of the body"],
    },
)

PYTHON = Sample(
    id="micro-python",
    scenario="python",
    prompt=(
        "Write merge_intervals(intervals). It takes (start, end) pairs in any order and returns the sorted "
        "list of merged ones; intervals that touch are merged. Raise ValueError if a start is after its end. "
        "Leave the argument as it is."
    ),
    completion='''\
from collections.abc import Iterable


def merge_intervals(intervals: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Merge intervals that overlap or touch."""
    merged: list[tuple[float, float]] = []
    for start, end in sorted(intervals):
        if start > end:
            raise ValueError(f"start after end: ({start}, {end})")
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged
''',
    tests="""\
assert merge_intervals([]) == []
assert merge_intervals([(1, 2)]) == [(1, 2)]
assert merge_intervals([(1, 3), (2, 4)]) == [(1, 4)]
assert merge_intervals([(1, 2), (2, 3)]) == [(1, 3)]
assert merge_intervals([(8, 9), (1, 2), (4, 5)]) == [(1, 2), (4, 5), (8, 9)]
assert merge_intervals([(1, 10), (2, 3), (4, 12)]) == [(1, 12)]
assert merge_intervals([(0, 0), (-2, -1), (0, 1)]) == [(-2, -1), (0, 1)]
given = [(5, 6), (1, 2)]
merge_intervals(given)
assert given == [(5, 6), (1, 2)]
try:
    merge_intervals([(1, 2), (4, 3)])
except ValueError:
    pass
else:
    raise AssertionError("wanted ValueError for a start after its end")
""",
    meta={
        **_OURS,
        "language": "python",
        "intent": "merge overlapping intervals",
        "inputs": "intervals: iterable of (start, end) numbers",
        "outputs": "sorted list of disjoint (start, end)",
        "constraints": ["touching intervals merge", "the argument is not changed"],
        "edge_cases": ["no intervals", "one interval inside another", "start after end raises ValueError"],
        "complexity": "n log n for sorting",
    },
)

BUGFIX = Sample(
    id="micro-bugfix",
    scenario="bugfix",
    prompt='''\
This binary search never ends for some lists, and misses the last item. Fix it; keep the signature.

def find(items, wanted):
    """Index of wanted in the sorted list items, or -1."""
    low, high = 0, len(items) - 1
    while low < high:
        middle = (low + high) // 2
        if items[middle] == wanted:
            return middle
        if items[middle] < wanted:
            low = middle
        else:
            high = middle
    return -1
''',
    completion='''\
def find(items, wanted):
    """Index of wanted in the sorted list items, or -1."""
    low, high = 0, len(items) - 1
    while low <= high:
        middle = (low + high) // 2
        if items[middle] == wanted:
            return middle
        if items[middle] < wanted:
            low = middle + 1
        else:
            high = middle - 1
    return -1
''',
    tests="""\
assert find([], 1) == -1
assert find([7], 7) == 0
assert find([7], 8) == -1
for size in range(1, 12):
    items = [2 * number for number in range(size)]
    for index, item in enumerate(items):
        assert find(items, item) == index
        assert find(items, item + 1) == -1
    assert find(items, -1) == -1
assert find(["ant", "bee", "cat"], "cat") == 2
""",
    meta={
        **_OURS,
        "language": "python",
        "intent": "repair a binary search",
        "inputs": ["items: sorted list", "wanted: a value comparable to the items"],
        "outputs": "index as int, -1 where it is missing",
        "constraints": ["the signature stays", "logarithmic time"],
        "edge_cases": ["empty list", "one item", "last item", "a value between two items"],
    },
)

SQL = Sample(
    id="micro-sql",
    scenario="sql",
    prompt="""\
Given the SQLite tables
  customers(id INTEGER PRIMARY KEY, name TEXT NOT NULL)
  orders(id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL, placed_on TEXT NOT NULL, cents INTEGER)
where placed_on is an ISO date: list every customer with the number of orders placed in 2024 and their total \
in cents, the largest total first, equal totals by name. Customers without orders count as 0 and 0.
""",
    completion="""\
SELECT
  customers.name,
  COUNT(orders.id) AS orders_placed,
  COALESCE(SUM(orders.cents), 0) AS total_cents
FROM customers
LEFT JOIN orders
  ON orders.customer_id = customers.id
  AND orders.placed_on >= '2024-01-01'
  AND orders.placed_on < '2025-01-01'
GROUP BY customers.id, customers.name
ORDER BY total_cents DESC, customers.name;
""",
    meta={
        **_OURS,
        "language": "sql",
        "intent": "yearly revenue for each customer",
        "inputs": ["customers(id, name)", "orders(id, customer_id, placed_on, cents)"],
        "outputs": "rows of name, number of orders, total in cents",
        "constraints": ["customers without orders stay in", "two customers of one name stay apart"],
        "edge_cases": ["no orders at all", "orders of other years", "an order on the last day of the year"],
    },
)

SAMPLES = (REACT, EXPRESS, PYTHON, BUGFIX, SQL)
SCENARIOS = tuple(sample.scenario for sample in SAMPLES)
