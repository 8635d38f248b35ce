"""YAML documents as nodes, compared by what they say and not by how they are written."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from sluicegate.evaluators.syntax import DEPTH, KEPT, UnparsableError, refuse_long, too_deep

if TYPE_CHECKING:
    import yaml

NODES: Final = 20_000
"""Expanded nodes at most: a few lines of aliases stand for millions."""


@lru_cache(maxsize=KEPT)
def documents(text: str) -> tuple[yaml.Node, ...]:
    """The documents of a stream, each a tree of nodes; empty documents are left out.

    Raises:
        UnparsableError: not YAML, no document, a cycle, too many nodes, too long or too deep.
    """
    import yaml

    refuse_long(text)
    try:
        _refuse_deep(text)
        found = tuple(node for node in yaml.compose_all(text, Loader=_loader()) if node is not None)
    except yaml.YAMLError as fault:
        raise UnparsableError(f"not yaml: {str(fault).splitlines()[0][:100]}") from None
    except (RecursionError, ValueError) as fault:
        raise UnparsableError(f"not yaml: {type(fault).__name__}") from None
    if not found:
        raise UnparsableError("not yaml: no document")
    _refuse_expansion(found)
    return found


def _loader() -> Any:
    """The C parser where PyYAML was built with it, a dozen times as fast."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _refuse_deep(text: str) -> None:
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=_loader()):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH:
            raise too_deep()


def _refuse_expansion(found: tuple[yaml.Node, ...]) -> None:
    """Count the nodes with aliases written out; a cycle never ends, and so has too many."""
    seen, level = 0, list(found)
    while level:
        node = level.pop()
        seen += 1
        if seen > NODES:
            raise UnparsableError(f"not yaml: more than {NODES:,} nodes when its aliases are written out")
        level.extend(children(node))


def children(node: yaml.Node) -> list[yaml.Node]:
    """The nodes directly below: items, or keys and values by turns."""
    import yaml

    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []
