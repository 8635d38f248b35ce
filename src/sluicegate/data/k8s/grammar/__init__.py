"""A grammar of Kubernetes manifests: what teams of all degrees of care write, drawn from a seed.

Every object is valid in the newest Kubernetes of `sluicegate.k8s.schema` and clean by its semantic rules, and those of
one manifest agree with each other. How well a workload is kept runs from nothing to all of the eleven best practices,
evenly, so that there is something to learn.

`words`, `stacks`, `software`, `chores` and `permissions` are the vocabulary; `house`, `practices`, `apps` and `wiring`
are what is drawn first; the other modules write objects from that, and `lone` and `bundles` are the recipes below.
What it does not do: copy the shares of any real repository, or write requests, which is the business of `intents`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from random import Random
from typing import Final

from sluicegate.data.k8s.grammar import bundles, lone
from sluicegate.data.k8s.grammar.draw import weighted
from sluicegate.data.k8s.grammar.house import house
from sluicegate.data.k8s.grammar.made import Made, Recipe
from sluicegate.data.k8s.render import height

__all__ = ["KINDS", "RECIPES", "Made", "make"]

KINDS: Final[tuple[str, ...]] = (
    "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Pod", "Job", "CronJob", "Service", "Ingress",
    "NetworkPolicy", "ConfigMap", "Secret", "PersistentVolumeClaim", "HorizontalPodAutoscaler", "PodDisruptionBudget",
    "ServiceAccount", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding",
)  # fmt: skip
"""The kinds that can come out, alone or in bundles."""
RECIPES: Final[tuple[tuple[float, Recipe], ...]] = (
    (25.0, lone.deployment),
    (5.5, lone.stateful_set),
    (4.5, lone.daemon_set),
    (3.8, lone.pod),
    (0.8, lone.replica_set),
    (4.5, lone.job),
    (6.0, lone.cron_job),
    (4.8, lone.service),
    (2.2, lone.ingress),
    (3.8, lone.network_policy),
    (4.4, lone.config_map),
    (1.5, lone.secret),
    (1.3, lone.claim),
    (2.0, lone.autoscaler),
    (0.5, lone.disruption_budget),
    (5.8, bundles.served),
    (3.8, bundles.configured),
    (2.5, bundles.site),
    (2.0, bundles.scaled),
    (1.9, bundles.guarded),
    (1.2, bundles.whole),
    (1.8, bundles.stored),
    (2.7, bundles.stateful),
    (1.4, bundles.agent),
    (1.2, bundles.scheduled),
    (1.8, bundles.prepared),
    (1.3, bundles.pair),
    (1.5, bundles.backed),
    (2.6, bundles.account),
    (1.8, bundles.rights),
    (0.8, bundles.isolated),
    (0.8, bundles.exposed),
    (0.6, bundles.settings),
)
"""How often each manifest is written, and how."""
LONG: Final = frozenset(
    (bundles.whole, bundles.agent, bundles.scheduled, bundles.pair, bundles.backed, bundles.guarded)
)
"""Recipes of so many objects that each is written down in less detail."""
LONGEST: Final = 160
"""Lines of a manifest."""
SHARES: Final = (1, 0.6, 0.3, 0)
"""What came out too long is written again in so much of its detail; after the last, something else is."""


def make(seed: int, place: int) -> Made:
    """One manifest: a pure function of its arguments, so that any part of a set can be made alone.

    >>> made = make(0, 7)
    >>> made == make(0, 7), made == make(1, 7), {body["kind"] for body in made.bodies} <= set(KINDS)
    (True, False, True)
    """
    made = next(made for made in _tries(seed, place) if _lines(made) <= LONGEST)
    return replace(made, bodies=tuple(json.loads(json.dumps(made.bodies))))


def _tries(seed: int, place: int) -> Iterator[Made]:
    """The same manifest in less and less detail, then another one."""
    for turn in count():
        rng = Random(f"{seed}/{place}/{turn}")  # noqa: S311 (a choice of words, not a secret)
        recipe, team = weighted(rng, RECIPES), house(rng)
        for share in SHARES:
            yield recipe(rng, replace(team, detail=team.detail * share / (2 if recipe in LONG else 1)))


def _lines(made: Made) -> int:
    """Of all documents, and of the lines between them."""
    return sum(map(height, made.bodies)) + len(made.bodies) - 1
