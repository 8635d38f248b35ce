"""The arithmetic of leaves: values that are equal, items that are paired, and the assignment against all others."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.k8s.agreement import ANY, ITSELF, PAIRS_LIMIT, Tally, Work, agree, best_pairs, equal, size
from sluicegate.k8s.document import Value
from sluicegate.k8s.leaves import Scalar, tree

COUNTS = st.tuples(st.integers(0, 9), st.integers(0, 9))


@st.composite
def tables(draw: st.DrawFn) -> list[list[tuple[int, int]]]:
    columns = draw(st.integers(1, 5))
    return draw(st.lists(st.lists(COUNTS, min_size=columns, max_size=columns), min_size=1, max_size=5))


@given(tables())
def test_the_best_pairs_are_the_best_of_all(table: list[list[tuple[int, int]]]) -> None:
    pairs = best_pairs(table)
    rows, columns = len(table), len(table[0])
    assert len(pairs) == min(rows, columns) == len({row for row, _ in pairs}) == len({column for _, column in pairs})
    wide, turned = (table, False) if rows <= columns else ([list(column) for column in zip(*table, strict=True)], True)
    best = max(
        (
            sum(wide[row][place][0] for row, place in enumerate(order)),
            -sum(wide[row][place][1] for row, place in enumerate(order)),
        )
        for order in permutations(range(len(wide[0])), len(wide))
    )
    assert turned == (rows > columns)
    assert (sum(table[r][c][0] for r, c in pairs), -sum(table[r][c][1] for r, c in pairs)) == best


def test_nothing_has_no_pairs() -> None:
    assert best_pairs([]) == best_pairs([[]]) == []


@pytest.mark.parametrize(
    ("wanted", "seen", "field", "same"),
    [
        (80, "80", "", True),
        (1.0, 1, "", True),
        (True, "true", "", True),
        (None, "null", "", True),
        ("a", "a\n", "", True),
        ("a", "b", "", False),
        ("1000m", 1, "cpu", True),
        ("0.1", "100m", "cpu", True),
        (".5", "500m", "cpu", True),
        ("1Gi", "1024Mi", "memory", True),
        ("1G", "1e9", "storage", True),
        ("1G", "1Gi", "memory", False),
        ("1000m", 1, "replicas", False),
        ("lots", "1", "cpu", False),
        ("-1", "-1000m", "cpu", False),
        ("nginx", "nginx:1.27", "image", True),
        ("nginx:latest", "nginx:1.27", "image", True),
        ("nginx:1.27", "nginx", "image", False),
        ("nginx:1.27", "nginx:1.27@sha256:0", "image", True),
        ("nginx@sha256:0", "nginx:1.27", "image", False),
        ("nginx@sha256:0", "nginx:1.27@sha256:0", "image", True),
        ("registry:5000/nginx", "registry:5000/nginx:1", "image", True),
        ("registry:5000/nginx", "nginx", "image", False),
        ("index.docker.io/library/nginx", "nginx", "image", True),
        ("nginx", "nginxx", "image", False),
    ],
)
def test_values_that_are_the_same(wanted: Scalar, seen: Scalar, field: str, same: bool) -> None:
    assert equal(wanted, seen, field) is same


def tally(want: dict[str, Value], have: dict[str, Value]) -> Tally:
    return agree(tree(want), tree(have))


@pytest.mark.parametrize(
    ("want", "have", "same", "other"),
    [
        ({"a": 1}, {}, 0, 0),
        ({"a": {"b": 1}}, {"a": 1}, 0, 1),
        ({"a": 1}, {"a": {"b": 1}}, 0, 1),
        ({"replicas": 1}, {}, 1, 0),
        ({"replicas": 2}, {}, 0, 0),
        ({"v": [{"x": 1}, {"x": 2}]}, {"v": [{"x": 2}, {"x": 1}]}, 2, 0),
        ({"env": [{"name": "A", "value": 1}]}, {"env": [{"name": "B", "value": 1}]}, 0, 0),
        (
            {"volumes": [{"name": "a", "emptyDir": {}}]},
            {"volumes": [{"name": "b", "emptyDir": {"sizeLimit": "1Gi"}}]},
            1,
            1,
        ),
        ({"args": ["--a", "1"]}, {"args": ["--a", "1", "--b", "2"]}, 2, 0),
        ({"ports": [{"containerPort": 80, "name": "x"}]}, {"ports": [{"containerPort": 81, "name": "x"}]}, 1, 1),
    ],
)
def test_what_two_trees_share(want: dict[str, Value], have: dict[str, Value], same: int, other: int) -> None:
    assert tally(want, have) == (same, other)


def test_any_item_is_paired_with_the_one_that_serves_best() -> None:
    have = tree({"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y", "tty": True}]})
    assert agree({"containers": {"[*]": {"image": "y", "tty": True}}}, have) == (2, 0)
    assert agree({"containers": {"[*]": {"image": ANY}, "[a]": {"image": "x"}}}, have) == (2, 0)
    assert agree({"containers": {ITSELF: ANY, "[c]": {"image": "z"}}}, have) == (1, 1)


def test_without_work_left_items_are_matched_in_order() -> None:
    want, have = tree({"v": [{"x": 1}, {"x": 2}]}), tree({"v": [{"x": 2}, {"x": 1}]})
    assert agree(want, have, Work(0)) == (0, 2)
    long: list[Value] = [{"x": number} for number in range(PAIRS_LIMIT)]
    assert tally({"v": long}, {"v": long}) == (PAIRS_LIMIT, 0)


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.lists(st.text(max_size=3)), min_size=1))
def test_a_tree_agrees_with_itself(body: dict[str, Value]) -> None:
    assert agree(tree(body), tree(body)) == (size(tree(body)), 0)
