"""Who writes a manifest: a team with its care, its way to label, its namespace, its registry.

One house is drawn for a manifest, and all of its objects follow it: that is why a bundle looks like one hand's work.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from sluicegate.data.k8s.grammar import words
from sluicegate.data.k8s.grammar.draw import chance, some, weighted
from sluicegate.data.k8s.grammar.words import Words

NAME, INSTANCE, COMPONENT, PART_OF, VERSION, MANAGED = (
    f"app.kubernetes.io/{word}" for word in ("name", "instance", "component", "part-of", "version", "managed-by")
)
MANAGERS: Final[Words] = ("Helm", "kustomize", "argocd", "flux", "terraform")
SCHEMES: Final[tuple[tuple[float, tuple[Words, Words]], ...]] = (
    (34, (("app",), ("version", "team", "tier", "environment", "component", PART_OF, "owner"))),
    (6, (("app", "tier"), ("team", "environment", "version", "owner"))),
    (5, (("app", "component"), ("version", "team", "release"))),
    (3, (("app", "environment"), ("team", "tier", "owner"))),
    (3, (("app", "release"), ("chart", "heritage", "component"))),
    (9, ((NAME,), (PART_OF, COMPONENT, VERSION, MANAGED, INSTANCE, "team"))),
    (14, ((NAME, INSTANCE), (PART_OF, COMPONENT, VERSION, MANAGED, "team", "environment"))),
    (5, ((NAME, COMPONENT), (PART_OF, VERSION, MANAGED, INSTANCE))),
    (4, (("k8s-app",), ("version", "tier", "team"))),
    (2, (("run",), ())),
    (2, (("name",), ("role", "team"))),
    (2, (("service",), ("team", "environment", "version"))),
)
"""Labels that pods are selected by, and those that may stand beside them."""
LEAST, MOST = -0.12, 1.1
"""Care is drawn evenly beyond 0 and 1, so that some teams follow nothing and some everything."""


@dataclass(frozen=True, slots=True)
class House:
    """A team as far as its manifests show it.

    Args:
        care: how much of the best practice it follows, about 0 to 1.
        detail: how much that is optional it writes down, 0 to 1.
        namespace: empty where its manifests name none.
        environment: production, staging, dev or qa.
        company: for registries and domains.
        selected, beside: keys of labels that pods are selected by, and those that stand beside them.
        manager: what applies its manifests.
        named: whether its ports have names.
        labelled: whether objects other than workloads carry labels.
    """

    care: float
    detail: float
    team: str
    company: str
    namespace: str
    environment: str
    domain: str
    selected: Words
    beside: Words
    manager: str
    named: bool
    labelled: bool


def house(rng: Random) -> House:
    """Draw a team."""
    selected, beside = weighted(rng, SCHEMES)
    care, detail = rng.uniform(LEAST, MOST), rng.betavariate(1.1, 2.3)
    team, environment = rng.choice(words.TEAMS), rng.choice(words.ENVIRONMENTS)
    return House(
        care=care,
        detail=detail,
        team=team,
        company=rng.choice(words.HOUSES),
        namespace=_namespace(rng, team, environment),
        environment=environment,
        domain=rng.choice(words.DOMAINS),
        selected=selected,
        beside=tuple(some(rng, beside, 0, 1 + round(3 * detail))),
        manager=rng.choice(MANAGERS),
        named=chance(rng, 0.45 + 0.3 * care),
        labelled=chance(rng, 0.45 + 0.45 * detail),
    )


def _namespace(rng: Random, team: str, environment: str) -> str:
    """None as often as not, since many leave it to kubectl."""
    short = {"production": "prod", "staging": "stage"}.get(environment, environment)
    return weighted(
        rng,
        (
            (42, ""),
            (12, rng.choice(words.ROOMS)),
            (8, environment),
            (8, team),
            (10, f"{team}-{short}"),
            (4, f"team-{team}"),
            (6, rng.choice(words.SUBJECTS)),
            (10, f"{rng.choice(words.SUBJECTS)}-{short}"),
        ),
    )
