"""Label selectors: well-formed, and a controller's selects the pods of its own template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from sluicegate.k8s.document import Path, Value
from sluicegate.k8s.issues import said
from sluicegate.k8s.semantics.names import label_faults
from sluicegate.k8s.semantics.rule import Body, Found, Kind, Rule, View, at, items, job_path, mapping, texts

CONTROLLERS: Final[frozenset[Kind]] = frozenset(
    {("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet"), ("apps", "ReplicaSet")}
)
REPLICATION: Final[frozenset[Kind]] = frozenset({("", "ReplicationController")})
JOBS: Final[frozenset[Kind]] = frozenset({("batch", "Job"), ("batch", "CronJob")})
GENERATED: Final = frozenset(
    prefix + name for prefix in ("", "batch.kubernetes.io/") for name in ("controller-uid", "job-name")
)
"""Labels by which Kubernetes selects the pods of a Job."""
PLACES: Final[Mapping[Kind, tuple[Path, ...]]] = {
    **dict.fromkeys(CONTROLLERS, (("spec", "selector"),)),
    ("batch", "Job"): (("spec", "selector"),),
    ("policy", "PodDisruptionBudget"): (("spec", "selector"),),
    ("networking.k8s.io", "NetworkPolicy"): (("spec", "podSelector"),),
    ("", "PersistentVolumeClaim"): (("spec", "selector"),),
}
"""Kind → where its label selectors stand."""
WITH_VALUES, WITHOUT = ("In", "NotIn"), ("Exists", "DoesNotExist")
TEMPLATE: Final[Path] = ("spec", "template", "metadata", "labels")


def faults(selector: Body, path: Path) -> Iterator[Found]:
    """What is wrong with one label selector."""
    yield from label_faults(selector.get("matchLabels"), (*path, "matchLabels"))
    for where, row in items(selector, path, "matchExpressions"):
        operator, values = row.get("operator"), row.get("values")
        if operator in WITH_VALUES:
            if not values:
                yield (*where, "values"), f"some values, since the operator is {operator}", "none"
        elif operator in WITHOUT:
            if values:
                yield (*where, "values"), f"nothing, since the operator is {operator}", said(values)
        elif isinstance(operator, str):
            yield (*where, "operator"), " or ".join((*WITH_VALUES, *WITHOUT)), said(operator)


def well_formed(seen: View) -> Iterator[Found]:
    """Keys, values and operators of the object's selectors."""
    for path in PLACES[seen.object.group, seen.object.kind]:
        yield from faults(mapping(at(seen.body, path)), path)


def _matches(row: Body, labels: Body) -> bool:
    """Whether labels fulfil one expression; one that is not well-formed is passed over."""
    key, operator = row.get("key"), row.get("operator")
    if not isinstance(key, str):
        return True
    value = labels.get(key)
    if operator == "In":
        return key in labels and value in texts(row.get("values"))
    if operator == "NotIn":
        return key not in labels or value not in texts(row.get("values"))
    return (key in labels) == (operator == "Exists") if operator in WITHOUT else True


def own_pods(seen: View) -> Iterator[Found]:
    """A controller that does not select its own pods is refused, since it would start them for ever."""
    path: Path = ("spec", "selector")
    selector, labels = mapping(at(seen.body, path)), mapping(at(seen.body, TEMPLATE))
    wanted = mapping(selector.get("matchLabels"))
    if "spec" in seen.body and not wanted and not selector.get("matchExpressions"):
        yield path, "labels of the pod template", "no labels"
    yield from _missing(wanted, labels, (*path, "matchLabels"))
    for where, row in items(selector, path, "matchExpressions"):
        if not _matches(row, labels):
            yield where, "an expression that the labels of the pod template fulfil", "one that they do not"


def replicated_pods(seen: View) -> Iterator[Found]:
    """A ReplicationController selects by the template's labels unless it says others."""
    path: Path = ("spec", "selector")
    yield from _missing(mapping(at(seen.body, path)), mapping(at(seen.body, TEMPLATE)), path)


def _missing(wanted: Body, labels: Body, path: Path) -> Iterator[Found]:
    for key, value in wanted.items():
        if labels.get(key) != value:
            has: Value = labels.get(key)
            seen = (
                f"{said(value)}, and the template has {said(has)}"
                if key in labels
                else f"{said(value)}, and the template has no such label"
            )
            yield (*path, key), "a label of the pod template", seen


def job_pods(seen: View) -> Iterator[Found]:
    """A Job is given its selector; its own needs manualSelector, which those of a CronJob cannot have."""
    path = job_path(seen)
    spec = mapping(at(seen.body, path))
    selector, manual = spec.get("selector"), spec.get("manualSelector") is True
    if not isinstance(selector, dict):
        return
    wanted = mapping(selector.get("matchLabels"))
    if seen.object.kind == "CronJob":
        yield (*path, "selector"), "nothing: each job of a CronJob is given its own", said(selector)
    elif manual:
        yield from _missing(wanted, mapping(at(seen.body, TEMPLATE)), (*path, "selector", "matchLabels"))
    elif not wanted.keys() <= GENERATED:
        yield (*path, "selector"), "nothing, unless manualSelector is true", said(selector)


RULES = (
    Rule("selector", "Label selectors are well-formed.", frozenset(PLACES), well_formed),
    Rule("selector-template", "A controller selects the pods of its own template.", CONTROLLERS, own_pods),
    Rule("selector-replication", "So does a ReplicationController.", REPLICATION, replicated_pods),
    Rule("selector-job", "A Job is given its selector, unless manualSelector is true.", JOBS, job_pods),
)
