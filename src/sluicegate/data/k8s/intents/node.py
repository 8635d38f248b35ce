"""A place in a manifest's tree of leaves: what stands there, and the facts that saying it states."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sluicegate.k8s.document import Value
from sluicegate.k8s.leaves import Scalar, Tree, flat, leaves, text, tree

Fact = tuple[str, Scalar]
"""A path as `sluicegate.k8s.leaves` writes it, and the value there; the value "*" is any."""
ANY = "*"


@dataclass(frozen=True, slots=True)
class Node:
    """A part of an object.

    Args:
        path: from the object on, with the object's prefix where a manifest has several.
        below: the part itself, as a tree of segments or a scalar.
    """

    path: str
    below: Tree | Scalar

    def at(self, *segments: str) -> Node | None:
        """The part at some segments; None where there is none.

        >>> Node("", {"spec": {"replicas": 3}}).at("spec", "replicas")
        Node(path='spec.replicas', below=3)
        """
        path, below = self.path, self.below
        for segment in segments:
            if not isinstance(below, dict) or segment not in below:
                return None
            path, below = _joined(path, segment), below[segment]
        return Node(path, below)

    def word(self, *segments: str) -> str:
        """The scalar at some segments as YAML would write it; empty where there is none."""
        found = self.at(*segments)
        return "" if found is None or isinstance(found.below, dict) or found.below is None else text(found.below)

    def children(self, *segments: str) -> list[Node]:
        """The entries of the map or the items of the list at some segments."""
        found = self.at(*segments)
        if found is None or not isinstance(found.below, dict):
            return []
        return [Node(_joined(found.path, segment), below) for segment, below in found.below.items()]

    def pairs(self, *segments: str) -> list[tuple[str, Node]]:
        """Key and entry of the map at some segments, keys as they are written in the manifest."""
        found = self.at(*segments)
        keys = found.below if found is not None and isinstance(found.below, dict) else {}
        return [(_unquoted(key), node) for key, node in zip(keys, self.children(*segments), strict=True)]

    def facts(self, *segments: str) -> tuple[Fact, ...]:
        """Every leaf at some segments as a fact; none where there is nothing."""
        found = self.at(*segments)
        if found is None:
            return ()
        if not isinstance(found.below, dict):
            return ((found.path, found.below),)
        return tuple(_leaves(found))

    def some(self, *names: str) -> tuple[Fact, ...]:
        """The leaves at some fields of this part, those that there are."""
        return tuple(fact for name in names for fact in self.facts(*name.split("/")))

    def any(self) -> tuple[Fact, ...]:
        """The fact that this part is there, whatever it says."""
        return ((self.path, ANY),)


def _leaves(node: Node) -> Iterator[Fact]:
    for path, value in flat(node.below if isinstance(node.below, dict) else {}):
        yield _joined(node.path, path), value


def _joined(path: str, segment: str) -> str:
    return f"{path}{segment}" if segment.startswith("[") or not path or path.endswith(":") else f"{path}.{segment}"


def _unquoted(key: str) -> str:
    inside = key[1:-1] if key.startswith("[") else key
    return str(json.loads(inside)) if inside.startswith('"') else inside


def roots(bodies: Sequence[Mapping[str, Any]]) -> list[Node]:
    """Each object of a manifest, its path the prefix that its facts have.

    >>> [node.path for node in roots([{"kind": "Pod", "metadata": {"name": "a"}}, {"kind": "Secret"}])]
    ['Pod/a:', 'Secret/"":']
    """
    if len(bodies) == 1:
        return [Node("", tree(bodies[0]))]
    # A prefix depends on kind and name alone, so two leaves of each object are enough to see it.
    stubs: list[dict[str, Value]] = [
        {"kind": str(body.get("kind")), "metadata": {"name": _name(body)}} for body in bodies
    ]
    prefixes = [path.removesuffix("kind") for path in list(leaves(*stubs))[::2]]
    return [Node(prefix, tree(body)) for prefix, body in zip(prefixes, bodies, strict=True)]


def _name(body: Mapping[str, Any]) -> str:
    metadata = body.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return name if isinstance(name, str) else ""
