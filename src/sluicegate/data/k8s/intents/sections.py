"""What a request will say of each object, chosen from what could be said, by the level of detail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from sluicegate.data.k8s.intents.node import Fact, Node, roots
from sluicegate.data.k8s.intents.others import OTHERS, anything, labels
from sluicegate.data.k8s.intents.statement import USUAL, Statement
from sluicegate.data.k8s.intents.workloads import POD_AT, of_workload

CHANCES: dict[str, tuple[float, float, float]] = {
    "terse": (0.25, 0.0, 0.0),
    "brief": (0.6, 0.2, 0.0),
    "normal": (0.9, 0.55, 0.12),
    "full": (1.0, 0.85, 0.5),
    "everything": (1.0, 1.0, 1.0),
}
"""Level of detail → the chance of a statement, by its weight."""
SECURITY = frozenset(
    ("non_root", "no_escalation", "drop_all", "read_only", "seccomp", "user", "group", "fs_group", "no_token")
)
"""Topics that are asked for together or not at all."""
RESTRICTED = ("non_root", "no_escalation", "drop_all", "seccomp")
"""What the restricted Pod Security Standard asks of a pod that needs nothing special."""
NAMELESS = ("terse", "brief")
MOST = {"terse": 3, "brief": 6, "normal": 16, "full": 26, "everything": 40}
"""Level of detail → statements of one request at most."""


@dataclass(frozen=True, slots=True)
class Section:
    """One object as the request speaks of it.

    Args:
        name: empty where it is not said.
        image: of its first container; empty where there is none or it is not said.
        facts: that kind, name and image state.
    """

    kind: str
    name: str
    image: str
    facts: tuple[Fact, ...]
    statements: tuple[Statement, ...]


def sections(bodies: Sequence[Mapping[str, Any]], detail: str, rng: Random, *, secure: bool) -> list[Section]:
    """The objects of a manifest, each with what will be said of it.

    Args:
        secure: security is spoken of first, wherever there is something to say of it.
    """
    parts = roots(bodies)
    spaces = {part.word("metadata", "namespace") for part in parts}
    shared = len(spaces) == 1
    left = MOST[detail]
    found = []
    for place, part in enumerate(parts):
        every = [] if shared and place else list(_namespace(parts if shared else [part]))
        every += _once([statement for statement in _statements(part, rng) if statement.sayable])
        chosen = _chosen(every, detail, rng, secure=secure)[:left]
        left -= len(chosen)
        named = len(parts) > 1 or detail not in NAMELESS or rng.random() < 0.75
        found.append(_section(part, chosen, named=named))
    return found


def _once(every: Sequence[Statement]) -> list[Statement]:
    """Statements that would be said in the same words are one, with the facts of all."""
    found: dict[tuple[str, ...], Statement] = {}
    for each in every:
        key = (each.topic, *each.fills.values())
        found[key] = replace(found[key], facts=(*found[key].facts, *each.facts)) if key in found else each
    return list(found.values())


def _section(part: Node, chosen: Sequence[Statement], *, named: bool) -> Section:
    kind, name = part.word("kind"), part.word("metadata", "name")
    container = _first_container(part)
    image = container.word("image") if container else ""
    image = image if image.isprintable() else ""
    named = named or not image
    facts = (
        *part.facts("kind"),
        *(part.facts("metadata", "name") if named else ()),
        *(container.facts("image") if container and image else ()),
    )
    return Section(kind, name if named else "", image, facts, tuple(chosen))


def _first_container(part: Node) -> Node | None:
    at = POD_AT.get(part.word("kind"))
    containers = part.children(*at, "containers") if at else []
    return containers[0] if containers else None


def _namespace(parts: Sequence[Node]) -> Iterator[Statement]:
    value = parts[0].word("metadata", "namespace")
    if value:
        facts = tuple(fact for part in parts for fact in part.facts("metadata", "namespace"))
        yield Statement("namespace", {"value": value}, facts, USUAL)


def _statements(part: Node, rng: Random) -> Iterator[Statement]:
    kind = part.word("kind")
    if kind in POD_AT:
        yield from of_workload(part, kind, rng)
    elif kind in OTHERS:
        yield from OTHERS[kind](part, rng)
    else:
        yield from anything(part)
    yield from labels(part, part.word("metadata", "name"))


def _chosen(every: Sequence[Statement], detail: str, rng: Random, *, secure: bool) -> list[Statement]:
    """What is said, in an order that people write in: the main things first, or all mixed."""
    chances = CHANCES[detail]
    asked = secure or rng.random() < chances[1]
    kept = [
        statement
        for statement in every
        if (asked if statement.topic in SECURITY else rng.random() < chances[statement.weight - 1])
    ]
    kept = _merged(kept, rng)
    if rng.random() < 0.35:
        rng.shuffle(kept)
    if secure:
        return sorted(kept, key=lambda statement: statement.topic not in (*SECURITY, "restricted"))
    return (
        sorted(kept, key=lambda statement: statement.weight) if len(kept) > MOST[detail] or rng.random() < 0.5 else kept
    )


def _merged(kept: Sequence[Statement], rng: Random) -> list[Statement]:
    """At times all that a security standard asks for is said by its name."""
    whole = [one for one in kept if one.topic in RESTRICTED and not one.fills["where"]]
    if {one.topic for one in whole} != set(RESTRICTED) or rng.random() < 0.7:
        return list(kept)
    facts = tuple(fact for one in whole for fact in one.facts)
    first = kept.index(whole[0])
    rest = [one for one in kept if one not in whole]
    return [*rest[:first], Statement("restricted", {}, facts, USUAL), *rest[first:]]


def marked(section: Section, mark: str) -> Section:
    """The section with its names and values between marks, as in Markdown."""

    def said(statement: Statement) -> Statement:
        fills = {key: f"{mark}{text}{mark}" if key in CODE and text else text for key, text in statement.fills.items()}
        return replace(statement, fills=fills)

    name, image = (f"{mark}{text}{mark}" if text else "" for text in (section.name, section.image))
    return replace(section, name=name, image=image, statements=tuple(map(said, section.statements)))


CODE = frozenset(("name", "image", "value", "key", "path", "url", "service", "secret", "source", "taint", "pair"))
"""Fills that are written as code where a request marks code."""
