"""What Kubernetes' schemas do not say: the semantic rules, each a small pure function, in a fixed order.

They report what the API server refuses, or what can never run, in objects of Kubernetes' own kinds. What is merely bad
practice is the business of `k8s.checks`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice

from sluicegate.k8s.issues import ISSUES_KEPT, Issue, allowed
from sluicegate.k8s.objects import Object
from sluicegate.k8s.semantics import (
    bundles,
    choices,
    containers,
    content,
    jobs,
    names,
    network,
    numbers,
    pods,
    quantities,
    scaling,
    selectors,
    volumes,
)
from sluicegate.k8s.semantics.bundles import BundleRule
from sluicegate.k8s.semantics.rule import Kind, Rule, View, view

__all__ = ["BUNDLE_RULES", "RULES", "BundleRule", "Rule", "semantics"]

RULES: tuple[Rule, ...] = (
    *names.RULES,
    *selectors.RULES,
    *containers.RULES,
    *quantities.RULES,
    *volumes.RULES,
    *pods.RULES,
    *choices.RULES,
    *numbers.RULES,
    *jobs.RULES,
    *scaling.RULES,
    *network.RULES,
    *content.RULES,
)
"""Rules about one object."""
BUNDLE_RULES: tuple[BundleRule, ...] = bundles.RULES
"""Rules about all objects of a text."""


@cache
def _rules(kind: Kind) -> tuple[Rule, ...]:
    return tuple(rule for rule in RULES if not rule.kinds or kind in rule.kinds)


def semantics(found: Sequence[Object]) -> tuple[tuple[Issue, ...], ...]:
    """What is wrong with each object of a text, at most 20 issues each, in the order of the objects and the rules.

    Of a text with more than 1,000 issues, only one is told of each object after these.

    >>> from sluicegate.k8s.objects import objects
    >>> from sluicegate.k8s.parse import parse
    >>> text = "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 99999}]}}"
    >>> [str(issue) for issue in semantics(objects(parse(text)))[0]]
    ['spec.ports[0].port: wanted 1 to 65535, seen 99999']
    """
    seen = [view(item) for item in found]
    told: list[list[Issue]] = []
    count = 0
    for one in seen:
        told.append(list(islice(_issues(one), allowed(count))))
        count += len(told[-1])
    places = {id(item): index for index, item in enumerate(found)}
    for bundle_rule in BUNDLE_RULES:
        for item, row in bundle_rule.find(seen):
            issues = told[places[id(item)]]
            if len(issues) < ISSUES_KEPT:
                issues.append(Issue(bundle_rule.name, *row))
    return tuple(map(tuple, told))


def _issues(one: View) -> Iterator[Issue]:
    for rule in _rules((one.object.group, one.object.kind)):
        for row in rule.find(one):
            yield Issue(rule.name, *row)
