"""Where pods run: node selectors, tolerations, affinity, spreading, priority."""

from __future__ import annotations

from random import Random
from typing import Any

from sluicegate.data.k8s.grammar import words
from sluicegate.data.k8s.grammar.draw import chance, filled, weighted
from sluicegate.data.k8s.grammar.house import House
from sluicegate.data.k8s.render import Body

LINUX = ("kubernetes.io/os", "linux")
CONTROL_PLANE = {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"}


def scheduling(rng: Random, house: House, selected: dict[str, str], *, spread: bool) -> Body:
    """Fields of a pod spec; `spread`: whether there are several pods that had better not share a node."""
    detail = house.detail
    apart = spread and chance(rng, 0.05 + 0.12 * detail + 0.12 * max(house.care, 0))
    way = rng.choice(("spread", "affinity", "required")) if apart else ""
    return filled(
        priorityClassName=rng.choice(words.PRIORITIES) if chance(rng, 0.06 * detail) else "",
        nodeSelector=dict([rng.choice(words.POOLS)]) if chance(rng, 0.02 + 0.14 * detail) else {},
        affinity=_affinity(rng, selected, way) if way in ("affinity", "required") else _nodes(rng, detail),
        tolerations=[_toleration(rng)] if chance(rng, 0.02 + 0.1 * detail) else [],
        topologySpreadConstraints=_constraints(rng, selected) if way == "spread" else [],
    )


def everywhere(rng: Random, house: House) -> Body:
    """The same of a pod that every node runs."""
    wanted = weighted(
        rng, ((45, []), (25, [dict(CONTROL_PLANE)]), (20, [{"operator": "Exists"}]), (10, [_toleration(rng)]))
    )
    return filled(
        priorityClassName="system-node-critical" if chance(rng, 0.15) else "",
        nodeSelector=dict([LINUX]) if chance(rng, 0.25) else {},
        tolerations=wanted,
    )


def _toleration(rng: Random) -> Body:
    key, value = rng.choice(words.TAINTS)
    effect = rng.choice(("NoSchedule", "NoSchedule", "NoExecute"))
    return weighted(
        rng,
        (
            (7, {"key": key, "operator": "Equal", "value": value, "effect": effect}),
            (3, {"key": key, "operator": "Exists", "effect": effect}),
        ),
    )


def _affinity(rng: Random, selected: dict[str, str], way: str) -> dict[str, Any]:
    term = {"labelSelector": {"matchLabels": dict(selected)}, "topologyKey": rng.choice(words.ZONES)}
    if way == "required":
        return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    preferred = [{"weight": rng.choice((50, 100, 100)), "podAffinityTerm": term}]
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}


def _nodes(rng: Random, detail: float) -> dict[str, Any]:
    """Nodes of some sort alone."""
    if not chance(rng, 0.06 * detail):
        return {}
    key, value = rng.choice(words.POOLS)
    term = {"matchExpressions": [{"key": key, "operator": "In", "values": [value]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}


def _constraints(rng: Random, selected: dict[str, str]) -> list[Body]:
    return [
        {
            "maxSkew": rng.choice((1, 1, 1, 2)),
            "topologyKey": rng.choice(words.ZONES),
            "whenUnsatisfiable": rng.choice(("ScheduleAnyway", "ScheduleAnyway", "DoNotSchedule")),
            "labelSelector": {"matchLabels": dict(selected)},
        }
    ]
