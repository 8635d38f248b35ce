"""What the objects of one text must have to do with one another.

A reference to what is not in the text is no fault: it may be in the cluster. What is in the text must fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sluicegate.k8s.document import Path
from sluicegate.k8s.issues import said
from sluicegate.k8s.objects import Object
from sluicegate.k8s.semantics.containers import INIT, port_fault
from sluicegate.k8s.semantics.rule import Body, Found, View, at, items, mapping, named

PAIRS = 50_000
"""Services times workloads that are compared; those after that are not, so that no text takes long."""


@dataclass(frozen=True, slots=True)
class BundleRule:
    """One rule about all objects of a text: `find` gives what is wrong, with the object that is to be mended."""

    name: str
    asks: str
    find: Callable[[Sequence[View]], Iterator[tuple[Object, Found]]]
    looks_at: str = "all objects of a text"


def twice(seen: Sequence[View]) -> Iterator[tuple[Object, Found]]:
    """Two objects of one kind, name and namespace: the second replaces the first."""
    met: set[tuple[str, str, str, str]] = set()
    for one in seen:
        item = one.object
        key = (item.group, item.kind, item.namespace, item.name)
        if item.name and key in met:
            yield item, (("metadata", "name"), f"a name that no other {item.kind} of the text has", said(item.name))
        met.add(key)


def target_ports(seen: Sequence[View]) -> Iterator[tuple[Object, Found]]:
    """A port that a service names is one of the pods that it selects, where the text has such pods."""
    pods = [(one.object.namespace, _labels(one), _port_names(one)) for one in seen if one.pod_path]
    budget = PAIRS
    for one in seen:
        if (one.object.group, one.object.kind) != ("", "Service"):
            continue
        selector = mapping(at(one.body, ("spec", "selector")))
        wanted = list(_named_targets(one))
        if not selector or not wanted:
            continue
        budget -= len(pods)
        if budget < 0:
            return
        chosen = [
            names for space, labels, names in pods if space == one.object.namespace and _selects(selector, labels)
        ]
        known = set().union(*chosen)
        for path, name in wanted if chosen else ():
            if name not in known:
                told = f"one of {', '.join(sorted(known)[:5])}" if known else "a number, since no port has a name"
                yield one.object, (path, f"a port of the pods that are selected: {told}", said(name))


def _labels(one: View) -> Body:
    return mapping(at(one.body, (*one.pod_path[:-1], "metadata", "labels")))


def _port_names(one: View) -> set[str]:
    """The names of a pod's ports; of init containers too, since those that restart serve."""
    return {
        name
        for path, container in one.containers
        if path[-2] in ("containers", INIT)
        for _, name in named(items(container, path, "ports"))
    }


def _selects(selector: Body, labels: Body) -> bool:
    return all(labels.get(key) == value for key, value in selector.items())


def _named_targets(one: View) -> Iterator[tuple[Path, str]]:
    for path, port in items(one.body, (), "spec", "ports"):
        target = port.get("targetPort")
        if isinstance(target, str) and not port_fault(target):
            yield (*path, "targetPort"), target


RULES = (
    BundleRule("object-twice", "No object is in the text twice.", twice),
    BundleRule("target-port", "A port that a service names is one of its pods in the text.", target_ports),
)
