"""Facts get the paths that leaves have, whatever the objects are called."""

from __future__ import annotations

from typing import Any

import pytest

from sluicegate.data.k8s.intents.node import Node, roots
from sluicegate.k8s.leaves import leaves


def body(kind: Any, name: Any, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name}, **more}


@pytest.mark.parametrize(
    "bodies",
    [
        [body("Pod", "a")],
        [body("Pod", "a"), body("Pod", "a", spec={"x": [1, {"name": "b", "y": 2}]})],
        [body("Pod", "a:b c"), body("Pod", "a.b"), body("Role", '"')],
        [body("Pod", None), {"kind": "Pod"}, {"kind": "Pod", "metadata": "x"}, body("Pod", 3)],
        [body(None, "a"), body("A/B", "a"), {"metadata": {"labels": {"a.b/c": "d"}}}],
    ],
)
def test_facts_of_all_roots_are_the_leaves(bodies: list[dict[str, Any]]) -> None:
    found = [fact for root in roots(bodies) for fact in root.facts()]
    assert found == list(leaves(*bodies).items())


def test_parts_are_found_by_segment_and_keys_come_unquoted() -> None:
    (root,) = roots([{"a": {"b/c": 1, "d": [{"name": "e", "f": True}]}, "g": None}])
    assert root.word("a", '"b/c"') == "1" and root.word("g") == "" and root.word("a") == ""
    assert root.pairs("a")[0] == ("b/c", Node('a."b/c"', 1))
    assert root.pairs("a", "d")[0][0] == "e"
    assert [child.path for child in root.children("a", "d")] == ["a.d[e]"]
    assert root.at("a", "x") is None and root.facts("x") == () and root.children("x") == []
    assert root.children("a", "d")[0].some("f", "nothing", "name") == (("a.d[e].f", True), ("a.d[e].name", "e"))
    assert root.any() == (("", "*"),)
