"""What an autoscaler measures and how fast it may move.

Source: validateMetrics and validateScalingRules in
https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/autoscaling/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from sluicegate.k8s.document import Path
from sluicegate.k8s.issues import said
from sluicegate.k8s.semantics.numbers import AUTOSCALERS
from sluicegate.k8s.semantics.quantities import quantity
from sluicegate.k8s.semantics.rule import Body, Found, Rule, View, at, items, mapping, out_of_range

SOURCES: Final[Mapping[str, str]] = {
    "Resource": "resource",
    "ContainerResource": "containerResource",
    "Pods": "pods",
    "Object": "object",
    "External": "external",
}
"""Type of a metric → the field that says which it is."""
TARGETS: Final[Mapping[str, tuple[str, ...]]] = {
    "resource": ("averageUtilization", "averageValue"),
    "containerResource": ("averageUtilization", "averageValue"),
    "pods": ("averageValue",),
    "object": ("value", "averageValue"),
    "external": ("value", "averageValue"),
}
"""That field → what its target may be, one of these."""
TARGET_TYPES: Final = ("Utilization", "Value", "AverageValue")
WINDOW_MOST, PERIOD_MOST = 3600, 1800


def metrics(seen: View) -> Iterator[Found]:
    """A metric is what its type says and nothing else, and has a target."""
    for path, row in items(seen.body, (), "spec", "metrics"):
        kind = row.get("type")
        field = SOURCES.get(kind) if isinstance(kind, str) else None
        if field is None:
            continue
        if row.get(field) is None:
            yield (*path, field), f"a mapping, since the type is {kind}", "nothing"
        for other in SOURCES.values():
            if other != field and row.get(other) is not None:
                yield (*path, other), f"nothing, since the type is {kind}", "a mapping"
        target = mapping(row.get(field)).get("target")
        if isinstance(target, dict):
            yield from _target(target, field, (*path, field, "target"))


def _target(target: Body, field: str, path: Path) -> Iterator[Found]:
    kind = target.get("type")
    if isinstance(kind, str) and kind not in TARGET_TYPES:
        yield (*path, "type"), f"one of {', '.join(TARGET_TYPES)}", said(kind)
    given = [name for name in TARGETS[field] if target.get(name) is not None]
    if not given or (len(given) > 1 and field != "object"):
        yield path, " or ".join(TARGETS[field]), "both" if given else "none of them"
    yield from _above_zero(target, given, path)


def _above_zero(target: Body, given: Sequence[str], path: Path) -> Iterator[Found]:
    for name in given:
        value = target[name]
        size = quantity(value)
        if isinstance(value, (str, int, float)) and not isinstance(value, bool) and (size is None or size <= 0):
            yield (
                (*path, name),
                "a number above 0" if name == "averageUtilization" else "a quantity above 0",
                said(value),
            )


def behaviours(seen: View) -> Iterator[Found]:
    """Windows, steps and periods of scaling are in range."""
    for direction in ("scaleUp", "scaleDown"):
        path: Path = ("spec", "behavior", direction)
        rules = mapping(at(seen.body, path))
        yield from out_of_range(
            rules.get("stabilizationWindowSeconds"), (*path, "stabilizationWindowSeconds"), 0, WINDOW_MOST
        )
        if rules.get("policies") == []:
            yield (*path, "policies"), "at least one policy", "none"
        for where, policy in items(rules, path, "policies"):
            yield from out_of_range(policy.get("value"), (*where, "value"), 1)
            yield from out_of_range(policy.get("periodSeconds"), (*where, "periodSeconds"), 1, PERIOD_MOST)


RULES = (
    Rule("metric", "A metric is what its type says, with a target above 0.", AUTOSCALERS, metrics),
    Rule("scaling", "Windows, steps and periods of scaling are in range.", AUTOSCALERS, behaviours),
)
