"""How many pods there are, and how many must stay: HorizontalPodAutoscaler, PodDisruptionBudget."""

from __future__ import annotations

from random import Random

from sluicegate.data.k8s.grammar.apps import App, selector
from sluicegate.data.k8s.grammar.draw import chance, filled, weighted
from sluicegate.data.k8s.grammar.house import House
from sluicegate.data.k8s.grammar.workloads import metadata
from sluicegate.data.k8s.render import Body

PER_POD = ("http_requests_per_second", "queue_depth", "active_connections", "messages_in_flight")


def autoscaler(rng: Random, house: House, app: App, kind: str, *, memory: bool = True) -> Body:
    """An autoscaler of an application's workload; `memory`: whether its pods ask for some, to be measured by."""
    least = rng.choice((1, 1, 2, 2, 2, 3, 3, 4, 5))
    most = least + rng.choice((1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 18, 20, 27))
    metrics = weighted(
        rng,
        (
            (50, [_resource(rng, "cpu")]),
            (26 * memory, [_resource(rng, "cpu"), _resource(rng, "memory")]),
            (10 * memory, [_resource(rng, "memory")]),
            (8, [_resource(rng, "cpu"), _pods(rng)]),
            (6, [_pods(rng)]),
        ),
    )
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(house, app, name=weighted(rng, ((55, app.name), (45, f"{app.name}-hpa")))),
        "spec": filled(
            scaleTargetRef={"apiVersion": "apps/v1", "kind": kind, "name": app.name},
            minReplicas=least,
            maxReplicas=most,
            metrics=metrics,
            behavior=_behavior(rng) if chance(rng, 0.08 + 0.35 * house.detail) else {},
        ),
    }


def _resource(rng: Random, name: str) -> Body:
    percent = rng.choice((50, 55, 60, 65, 70, 70, 75, 80, 80, 85, 90))
    value = rng.choice(
        ("200m", "400m", "500m", "800m") if name == "cpu" else ("200Mi", "400Mi", "500Mi", "800Mi", "1Gi")
    )
    target = {"type": "Utilization", "averageUtilization": percent}
    return {
        "type": "Resource",
        "resource": {
            "name": name,
            "target": weighted(rng, ((88, target), (12, {"type": "AverageValue", "averageValue": value}))),
        },
    }


def _pods(rng: Random) -> Body:
    value = rng.choice(("10", "30", "50", "100", "250", "500", "1k"))
    return {
        "type": "Pods",
        "pods": {"metric": {"name": rng.choice(PER_POD)}, "target": {"type": "AverageValue", "averageValue": value}},
    }


def _behavior(rng: Random) -> Body:
    down = filled(
        stabilizationWindowSeconds=rng.choice((60, 120, 180, 300, 600)),
        policies=_policies(rng) if chance(rng, 0.5) else [],
    )
    up = filled(
        stabilizationWindowSeconds=rng.choice((0, 15, 30, 60)), policies=_policies(rng) if chance(rng, 0.6) else []
    )
    return weighted(rng, ((55, {"scaleDown": down}), (35, {"scaleDown": down, "scaleUp": up}), (10, {"scaleUp": up})))


def _policies(rng: Random) -> list[Body]:
    pods = {"type": "Pods", "value": rng.choice((1, 2, 4)), "periodSeconds": rng.choice((15, 30, 60, 120))}
    percent = {"type": "Percent", "value": rng.choice((10, 20, 25, 50, 100)), "periodSeconds": rng.choice((15, 30, 60))}
    return weighted(rng, ((40, [pods]), (40, [percent]), (20, [pods, percent])))


def disruption_budget(rng: Random, house: House, app: App) -> Body:
    """How many of an application's pods must stay while nodes are drained: always fewer than there are."""
    kept: Body = weighted(
        rng,
        (
            (36, {"minAvailable": 1}),
            (30, {"maxUnavailable": 1}),
            (14, {"minAvailable": rng.choice(("50%", "60%", "66%", "75%"))}),
            (14, {"maxUnavailable": rng.choice(("20%", "25%", "30%", "33%", "50%"))}),
        ),
    )
    always = {"unhealthyPodEvictionPolicy": "AlwaysAllow"} if chance(rng, 0.08 + 0.1 * house.detail) else {}
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(
            house, app, name=weighted(rng, ((50, f"{app.name}-pdb"), (40, app.name), (10, f"{app.name}-budget")))
        ),
        "spec": {**kept, **always, "selector": {"matchLabels": selector(house, app)}},
    }
