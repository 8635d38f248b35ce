"""Paths of leaves: written, read back, and never two leaves of one path."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.k8s.document import Value
from sluicegate.k8s.leaves import flat, leaves, prefix, segments, text, tree


def count(value: Value) -> int:
    if isinstance(value, dict):
        return sum(map(count, value.values())) if value else 1
    if isinstance(value, list):
        return sum(map(count, value)) if value else 1
    return 1


KEYS = st.one_of(
    st.text(max_size=8), st.sampled_from(["name", "ports", "args", "a.b", "[0]", "[*]", '"', "\\", "x#2", ""])
)
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.sampled_from(["*", "--a=b", "-x", "#2"])
    ),
    lambda below: st.one_of(st.lists(below, max_size=4), st.dictionaries(KEYS, below, max_size=4)),
    max_leaves=30,
)
BODIES = st.dictionaries(KEYS, VALUES, min_size=1, max_size=5)


@given(BODIES)
def test_every_leaf_has_a_path_of_its_own_that_can_be_read_back(body: dict[str, Value]) -> None:
    found = list(flat(tree(body)))
    assert len({path for path, _ in found}) == len(found) == count(body)
    for path, value in found:
        node: object = tree(body)
        for segment in segments(path):
            assert isinstance(node, dict)
            node = node[segment]
        assert node == value


@given(st.lists(BODIES, min_size=2, max_size=4))
def test_leaves_of_several_objects_are_told_apart_by_their_prefix(bodies: list[dict[str, Value]]) -> None:
    found = leaves(*bodies)
    assert len(found) == sum(map(count, bodies))
    for path in found:
        kind, _, rest = prefix(path)
        assert kind
        assert segments(rest)


@pytest.mark.parametrize(
    ("items", "field", "paths"),
    [
        (
            [{"name": "web", "x": 1}, {"name": "log", "x": 2}],
            "containers",
            ["[web].name", "[web].x", "[log].name", "[log].x"],
        ),
        ([{"name": "a", "x": 1}, {"name": "a", "x": 2}], "env", ["[a].name", "[a].x", "[a#2].name", "[a#2].x"]),
        ([{"containerPort": 80, "name": "http"}], "ports", ["[80].containerPort", "[80].name"]),
        ([{"port": 53, "protocol": "UDP"}, {"port": 53}], "ports", ["[53/UDP].port", "[53/UDP].protocol", "[53].port"]),
        ([{"mountPath": "/data", "name": "d"}], "volumeMounts", ["[/data].mountPath", "[/data].name"]),
        (["get", "list"], "verbs", ["[get]", "[list]"]),
        (["*"], "verbs", ['["*"]']),
        (["80"], "words", ['["80"]']),
        (["run", "--port=80", "-v", "now"], "args", ["[0]", "[--port]", "[-v]", "[1]"]),
        ([{"x": 1}, {"x": 2}], "rules", ["[0].x", "[1].x"]),
        ([[1], []], "rows", ['[0]["1"]', "[1]"]),
    ],
)
def test_items_go_by_what_they_are_and_not_by_their_place(items: list[Value], field: str, paths: list[str]) -> None:
    assert [path.removeprefix(field) for path in leaves({field: items})] == paths


@pytest.mark.parametrize("path", ["", ".", "a..b", "a.", "a[", "a]", "a[]", '"a', "a[b]c", "[[a]]"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        segments(path)


@pytest.mark.parametrize("name", ["a.b", "*", "a:b", 'say "x"', "", "ü", "a b"])
def test_a_prefix_is_read_back(name: str) -> None:
    path = next(iter(leaves({"kind": "Role", "metadata": {"name": name}}, {"kind": "Other"})))
    assert prefix(path) == ("Role", name, "kind")


def test_a_number_of_any_length_is_text() -> None:
    assert text(10**5000).startswith("0x")
    assert text(1e30) == "1e+30"


def test_a_quoted_name_is_the_json_of_it() -> None:
    (path,) = leaves({'a"b\\c\n': 1})
    assert json.loads(path) == 'a"b\\c\n'
