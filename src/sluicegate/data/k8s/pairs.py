"""A manifest and where it came from, and the samples that requests make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from sluicegate.data.k8s import SCENARIO
from sluicegate.data.k8s.intents import DETAILS, write
from sluicegate.data.k8s.render import Body
from sluicegate.k8s.objects import objects
from sluicegate.k8s.parse import parse
from sluicegate.records import Sample

LANGUAGE = "yaml"


@dataclass(frozen=True, slots=True)
class Draft:
    """A manifest that will become samples.

    Args:
        id: unique among the drafts.
        bodies: its objects, at least one, each with a kind and a name.
        text: the same in the one layout of all samples.
        repository: whose manifests stay in one split; empty where there is none.
        purpose: as a noun; empty where it is not known.
        meta: what the samples say of where it came from.
    """

    id: str
    bodies: tuple[Body, ...]
    text: str
    repository: str = ""
    purpose: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)


def samples(draft: Draft, seed: int, intents: int = 1) -> list[Sample]:
    """The samples of a draft: as many requests as asked for, each of another level of detail as far as they reach."""
    rng = Random(f"details {seed} {draft.id}")  # noqa: S311
    levels = [""] if intents == 1 else [DETAILS[place % len(DETAILS)] for place in range(intents)]
    rng.shuffle(levels)
    return [_sample(draft, seed, place, level) for place, level in enumerate(levels)]


def _sample(draft: Draft, seed: int, place: int, level: str) -> Sample:
    name = draft.id if not place else f"{draft.id}-{place + 1}"
    intent = write(draft.bodies, f"{seed} {name}", detail=level, purpose=draft.purpose)
    meta = {
        "language": LANGUAGE,
        "kinds": [body["kind"] for body in draft.bodies],
        "detail": intent.detail,
        "facts": [list(fact) for fact in intent.facts],
        "repository": draft.repository,
        **draft.meta,
    }
    return Sample(
        name, intent.text, draft.text, SCENARIO, meta={key: value for key, value in meta.items() if value != ""}
    )


def bodies(manifest: str) -> list[Body]:
    """The objects of a manifest's text; none where it cannot be read."""
    return [dict(each.body) for each in objects(parse(manifest))]


def with_group(sample: Sample, group: str) -> Sample:
    """The sample as a member of a group, which data splits keep together."""
    return replace(sample, meta={**sample.meta, "group": group})
