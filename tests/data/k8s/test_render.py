"""Manifest bodies as text: what was written is what kubectl reads."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.data.k8s.render import height, shortest, to_yaml
from sluicegate.k8s.parse import parse

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=40)
NUMBERLIKE = st.text("0123456789eE+-._xobnfaNy~", max_size=12)
BARE = ["yes", "y", "N", "Off", "null", "~", "", "1e3", "0968164", "017", "0o17", "0x1F", "1_000", ".5", "22:22", "="]
QUOTED = [
    "<<",
    "2024-01-01",
    "-",
    "- a",
    "a: b",
    "# a",
    "*",
    "&a",
    "!a",
    "%a",
    "@a",
    "`a",
    " a",
    "a ",
    "---",
    "{{ a }}",
]
BLOCKS = ["a\n", "\na", "a\n\n", "\n", "a\n b\n", "a \nb", "a\tb", "---\na\n", "...\n", "\u2028", "\ufeffa", "é"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXTS | NUMBERLIKE,
    lambda part: st.lists(part, max_size=3) | st.dictionaries(TEXTS | NUMBERLIKE, part, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize("text", BARE + QUOTED + BLOCKS)
def test_a_text_stays_that_text(text: str) -> None:
    parsed = parse(to_yaml([{"a": text, "b": [text]}]))
    assert (parsed.faults, parsed.documents[0].value) == ((), {"a": text, "b": [text]})


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.lists(st.dictionaries(TEXTS | NUMBERLIKE, VALUES, min_size=1, max_size=3), min_size=1, max_size=3))
def test_bodies_are_read_as_they_were(bodies: list[dict[str, object]]) -> None:
    parsed = parse(to_yaml(bodies))
    assert ([document.value for document in parsed.documents], parsed.ok) == (bodies, True)


@settings(max_examples=300)
@given(st.lists(st.dictionaries(TEXTS | NUMBERLIKE, VALUES, min_size=1, max_size=3), min_size=1, max_size=3))
def test_no_text_is_shorter_than_it_can_be(bodies: list[dict[str, object]]) -> None:
    assert sum(map(shortest, bodies)) <= len(to_yaml(bodies))


def test_the_layout_is_one_for_all() -> None:
    shared = {"app": "web"}
    text = to_yaml([{"kind": "A", "z": [{"b": 1, "a": shared}, "on"], "s": "x\ny\n", "l": shared}, {"e": {}, "f": []}])
    assert text == (
        "kind: A\nz:\n- b: 1\n  a:\n    app: web\n- 'on'\ns: |\n  x\n  y\nl:\n  app: web\n---\ne: {}\nf: []\n"
    )


def test_long_lines_are_not_folded() -> None:
    assert to_yaml([{"a": "b " * 200 + "c"}]).count("\n") == 1


@pytest.mark.parametrize(
    "body",
    [
        {"a": 1},
        {"a": {"b": {"c": []}}, "d": {}},
        {"a": [1, 2], "b": [{"c": 1, "d": 2}, {"e": [{"f": 1}]}]},
        {"a": "one\ntwo\n", "b": "one\ntwo"},
        {"a": [[1, 2], {"b": None}]},
    ],
)
def test_height_counts_the_lines(body: dict[str, object]) -> None:
    assert height(body) == to_yaml([body]).count("\n")
