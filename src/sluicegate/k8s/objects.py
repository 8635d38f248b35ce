"""Parsed documents to Kubernetes objects, and objects to the pods that they start.

`kind: List` and typed lists (`PodList`) are expanded, as kubectl does, within one another too. An object is any mapping
that says its apiVersion and its kind as text; whether it is a valid one is asked elsewhere. The group of the apiVersion
matters: `serving.knative.dev/v1` has a `Service` that is no Service.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from sluicegate.k8s.document import Document, Lines, Parsed, Path, Value

LIST = "List"
TEMPLATE: Final[Path] = ("spec", "template", "spec")
PODS: Final[dict[tuple[str, str], Path]] = {
    ("apps", "Deployment"): TEMPLATE,
    ("apps", "StatefulSet"): TEMPLATE,
    ("apps", "DaemonSet"): TEMPLATE,
    ("apps", "ReplicaSet"): TEMPLATE,
    ("", "ReplicationController"): TEMPLATE,
    ("", "Pod"): ("spec",),
    ("batch", "Job"): TEMPLATE,
    ("batch", "CronJob"): ("spec", "jobTemplate", *TEMPLATE),
}
"""Group and kind of each workload → where its pod spec is."""


@dataclass(frozen=True, slots=True)
class Object:
    """One Kubernetes object.

    Args:
        group: of the apiVersion; empty for the core group.
        name: `metadata.name`; empty where it is missing or no text. So with `namespace`.
        body: as written. Items of a typed list that leave out apiVersion and kind have them here.
        document: index of its document.
        path: where in that document it stands; empty unless it came from a list.
        lines: where each part of `body` stands.
    """

    api_version: str
    group: str
    kind: str
    name: str
    namespace: str
    body: dict[str, Value]
    document: int
    path: Path
    lines: Lines

    def line(self, path: Path) -> int | None:
        """The 1-based line of a part of the body; None where there is no such part."""
        return self.lines.get(path)


@dataclass(frozen=True, slots=True)
class Entry:
    """What should be an object: a document, or an item of a list. `object` is None where it is none."""

    document: Document
    path: Path
    value: Value
    object: Object | None


@dataclass(frozen=True, slots=True)
class Workload:
    """An object that starts pods.

    Args:
        pod_path: of the pod spec within the object's body.
        pod: the pod spec; empty where it is missing or no mapping.
    """

    object: Object
    pod_path: Path
    pod: dict[str, Value]

    @property
    def containers(self) -> tuple[tuple[Path, dict[str, Value]], ...]:
        """Path within the object's body, and container; entries that are no mapping are skipped."""
        return self._listed("containers")

    @property
    def init_containers(self) -> tuple[tuple[Path, dict[str, Value]], ...]:
        """As `containers`."""
        return self._listed("initContainers")

    @property
    def ephemeral_containers(self) -> tuple[tuple[Path, dict[str, Value]], ...]:
        """As `containers`."""
        return self._listed("ephemeralContainers")

    @property
    def job(self) -> bool:
        """Whether its pods end: Job and CronJob."""
        return self.object.group == "batch"

    @property
    def windows(self) -> bool:
        """Whether its pods say that they run on Windows."""
        return get(self.pod, "os", "name") == "windows"

    def _listed(self, field: str) -> tuple[tuple[Path, dict[str, Value]], ...]:
        found = self.pod.get(field)
        if not isinstance(found, list):
            return ()
        rows = enumerate(found)
        return tuple(((*self.pod_path, field, index), item) for index, item in rows if isinstance(item, dict))


def get(value: Value, *path: str | int, default: Value = None) -> Value:
    """What stands at a path, or `default` where there is nothing.

    >>> get({"a": [{"b": 1}]}, "a", 0, "b"), get({"a": 1}, "a", "b"), get([], 0, default=2)
    (1, None, 2)
    """
    for step in path:
        if isinstance(value, dict) and step in value:  # noqa: SIM114 (types)
            value = value[step]
        elif isinstance(value, list) and isinstance(step, int) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return default
    return value


def weight(value: Value) -> int:
    """How many objects a document holds at most: the items of a list, those of lists within it, else one.

    >>> weight({"kind": "List", "items": [1, {"kind": "PodList", "items": [2, 3]}]}), weight("text")
    (3, 1)
    """
    if isinstance(value, dict):
        kind, items = value.get("kind"), value.get("items")
        # Items of a typed list may leave out their kind, so that a list within one is met without it.
        if isinstance(items, list) and (kind is None or (isinstance(kind, str) and kind.endswith(LIST))):
            return sum(map(weight, items))
    return 1


def objects(parsed: Parsed) -> tuple[Object, ...]:
    """The objects of a text in order, lists expanded. What is none is left out; `validity` tells of it.

    >>> from sluicegate.k8s.parse import parse
    >>> text = "{apiVersion: v1, kind: PodList, items: [{metadata: {name: a}}, {kind: Secret, apiVersion: v1}]}"
    >>> [(found.kind, found.name, found.path) for found in objects(parse(text))]
    [('Pod', 'a', ('items', 0)), ('Secret', '', ('items', 1))]
    """
    return tuple(entry.object for entry in entries(parsed) if entry.object is not None)


def entries(parsed: Parsed) -> Iterator[Entry]:
    """What should be an object, in order: each document, or in a list's place its items."""
    for document in parsed.documents:
        yield from _expanded(document, (), document.value, "", "")


def _expanded(document: Document, path: Path, value: Value, api_version: str, kind: str) -> Iterator[Entry]:
    """An entry, or the entries of a list; the last two are what items of a typed list may leave out."""
    if not isinstance(value, dict):
        yield Entry(document, path, value, None)
        return
    told_version, told_kind = value.get("apiVersion") or api_version, value.get("kind") or kind
    if not (isinstance(told_version, str) and isinstance(told_kind, str) and told_version and told_kind):
        yield Entry(document, path, value, None)
        return
    items = value.get("items")
    if told_kind.endswith(LIST) and isinstance(items, list):
        of = told_kind.removesuffix(LIST)
        for index, item in enumerate(items):
            yield from _expanded(document, (*path, "items", index), item, told_version if of else "", of)
        return
    whole = value.get("apiVersion") and value.get("kind")
    body = value if whole else {**value, "apiVersion": told_version, "kind": told_kind}
    yield Entry(document, path, value, _object(document, path, body, told_version, told_kind))


def _object(document: Document, path: Path, body: dict[str, Value], api_version: str, kind: str) -> Object:
    metadata = body.get("metadata")
    name, namespace = (metadata.get("name"), metadata.get("namespace")) if isinstance(metadata, dict) else (None, None)
    return Object(
        api_version=api_version,
        group=api_version.rpartition("/")[0],
        kind=kind,
        name=name if isinstance(name, str) else "",
        namespace=namespace if isinstance(namespace, str) else "",
        body=body,
        document=document.index,
        path=path,
        lines=document.lines.under(path) if path else document.lines,
    )


def workloads(found: Iterable[Object]) -> tuple[Workload, ...]:
    """Those of the objects that start pods (`PODS`), each of the right group."""
    return tuple(
        Workload(item, path, pod if isinstance(pod := get(item.body, *path), dict) else {})
        for item in found
        if (path := PODS.get((item.group, item.kind))) is not None
    )
