"""Requests in words for Kubernetes manifests, written by rule, with the facts that each of them states.

    bodies → what could be said (`workloads`, `pods`, `others`) → what is said, by level of detail (`sections`)
           → how it is said (`styles`, with the `phrases` of each topic and the `wording` of values)

A request says nothing that its manifest does not hold, and each thing that it says is a fact: a path and a value as
`sluicegate.k8s.fidelity` reads them. So a manifest has fidelity 1 to its own request, and a model is judged by what it
was told and nothing else. Security and reliability are asked for only where the manifest has them.

What this does not do: write everything that a manifest holds (long scripts and file contents are not said), or make up
a reason for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from sluicegate.data.k8s.intents.node import Fact
from sluicegate.data.k8s.intents.sections import CHANCES, SECURITY, marked, sections
from sluicegate.data.k8s.intents.styles import STYLES

__all__ = ["DETAILS", "SECURITY", "Fact", "Intent", "write"]

DETAILS = tuple(CHANCES)
"""Levels of detail, from least to most."""
DRAWN = (3, 4, 6, 5, 2)
"""How often each level is drawn where none is asked for."""
MARKS = ("", "", "", "`")


@dataclass(frozen=True, slots=True)
class Intent:
    """A request.

    Args:
        facts: what it states, each once, in the order of the objects.
        detail: one of `DETAILS`.
    """

    text: str
    facts: tuple[Fact, ...]
    detail: str


def write(
    bodies: Sequence[Mapping[str, Any]], key: str, *, detail: str = "", purpose: str = "", secure: bool = False
) -> Intent:
    """The request for some objects; the same arguments give the same text.

    Args:
        bodies: objects with a kind and a name, at least one.
        key: seeds every choice.
        detail: one of `DETAILS`; drawn where it is empty.
        purpose: what the objects are for, as a noun such as "the checkout api"; said in most styles, and no fact.
        secure: security is spoken of first, wherever the manifest has some.

    Raises:
        ValueError: no objects, or another level of detail.

    >>> pod = {"kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "a", "image": "nginx:1.27"}]}}
    >>> intent = write([pod], "1", detail="everything")
    >>> intent.facts[:2]
    (('kind', 'Pod'), ('metadata.name', 'a'))
    >>> "nginx:1.27" in intent.text
    True
    """
    if not bodies or (detail and detail not in DETAILS):
        raise ValueError(f"wanted objects and one of {DETAILS}, seen {len(bodies)} and {detail!r}")
    rng = Random(f"intent {key}")  # noqa: S311
    level = detail or rng.choices(DETAILS, DRAWN)[0]
    said = sections(bodies, level, rng, secure=secure)
    style = rng.choices([style for style, _ in STYLES], [weight for _, weight in STYLES])[0]
    mark = rng.choice(MARKS)
    text = style([marked(section, mark) for section in said] if mark else said, purpose, rng)
    facts = dict.fromkeys(
        fact
        for section in said
        for part in (section.facts, *(one.facts for one in section.statements))
        for fact in part
    )
    return Intent(text, tuple(facts), level)
