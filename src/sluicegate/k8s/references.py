"""What refers to what within a manifest: its data flow, as a bag of edges.

An edge says who refers, by which words, and what stands at the other end: a selector and the labels that it finds, a
mount and the kind of its volume, a container and the ConfigMap or Secret that it reads, a Service's port and the
container's port behind it, what an autoscaler scales, an Ingress's backends, a binding's role and subjects. A selector,
a mount or a port that finds nothing is no edge; a reference by name is one either way, and says whether the object is
part of the manifest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, TypeAlias

from sluicegate.k8s.document import Value
from sluicegate.k8s.leaves import text
from sluicegate.k8s.objects import Object, get

Edge: TypeAlias = tuple[str, ...]
Map: TypeAlias = dict[str, Value]

SOURCES: Final = {
    "configMap": ("ConfigMap", "name"),
    "secret": ("Secret", "secretName"),
    "persistentVolumeClaim": ("PersistentVolumeClaim", "claimName"),
}
"""Volume sources that name an object: its kind, and the field with its name."""
READ: Final = {
    "configMapKeyRef": "ConfigMap",
    "configMapRef": "ConfigMap",
    "secretKeyRef": "Secret",
    "secretRef": "Secret",
}
"""What `env` and `envFrom` may read, and the kind that holds it."""
OBJECTS_LIMIT: Final = 500
EDGES_LIMIT: Final = 10_000
"""More than this of a manifest is not looked at."""


def edges(found: Sequence[Object]) -> Counter[Edge]:
    """The references of a manifest.

    >>> from sluicegate.k8s.objects import objects
    >>> from sluicegate.k8s.parse import parse
    >>> service = "{apiVersion: v1, kind: Service, spec: {selector: {app: a}, ports: [{port: 80}]}}"
    >>> pod = '''{apiVersion: v1, kind: Pod, metadata: {name: p, labels: {app: a}}, spec: {containers: [
    ...   {name: c, ports: [{containerPort: 80}], envFrom: [{secretRef: {name: x}}]}]}}'''
    >>> sorted(edges(objects(parse(f"{service}\\n---\\n{pod}"))))
    [('port', '80', '80'), ('read', 'Secret', 'x', '', 'outside'), ('select', 'Service', 'Pod', 'app', 'a')]
    """
    first = found[:OBJECTS_LIMIT]
    bundle = _Bundle(first)
    return Counter(islice((edge for each in first for edge in bundle.edges(each)), EDGES_LIMIT))


class _Bundle:
    """The objects of a manifest, where its references look for what they name."""

    def __init__(self, found: Sequence[Object]) -> None:
        self.names = {(each.kind, each.name) for each in found}
        self.pods = [
            (each.kind, _map(get(template, "metadata", "labels")), _numbers(pod))
            for each, template, pod in _pods(found)
        ]

    def edges(self, each: Object) -> Iterator[Edge]:
        """What one object refers to."""
        spec = get(each.body, "spec")
        for _, template, pod in _pods([each]):
            yield from _own_labels(each.kind, spec, _map(get(template, "metadata", "labels")))
            yield from _mounts(pod, spec)
            yield from self._reads(pod)
        yield from self._selected(each.kind, spec)
        target = get(spec, "scaleTargetRef")
        yield from self._named("scale", target, get(target, "kind"))
        for subject in (get(each.body, "roleRef"), *_maps(get(each.body, "subjects"))):
            yield from self._named("bind", subject, get(subject, "kind"))
        if each.kind == "Ingress":
            for backend in _backends(spec):
                service = backend.get("service", {"name": backend.get("serviceName")})
                port = get(service, "port", "number", default=get(service, "port", "name"))
                yield from self._named("route", service, "Service", port or backend.get("servicePort"))

    def _named(
        self, verb: str, reference: Value, kind: Value, detail: Value = None, field: str = "name"
    ) -> Iterator[Edge]:
        """The edge to an object that a reference names, if it names one."""
        name = get(reference, field)
        if isinstance(kind, str) and isinstance(name, str):
            where = "here" if (kind, name) in self.names else "outside"
            yield verb, kind, name, "" if detail is None else text(detail), where

    def _reads(self, pod: Map) -> Iterator[Edge]:
        """Objects that a pod's containers and volumes take something from."""
        for container in _containers(pod):
            sources = [get(entry, "valueFrom") for entry in _maps(container.get("env"))]
            for source in (*sources, *_maps(container.get("envFrom"))):
                for field, kind in READ.items():
                    reference = get(source, field)
                    yield from self._named("read", reference, kind, get(reference, "key"))
        for volume in _maps(pod.get("volumes")):
            for source, (kind, field) in SOURCES.items():
                yield from self._named("read", volume.get(source), kind, field=field)
        account = {"name": pod.get("serviceAccountName")}
        yield from self._named("run as", account, "ServiceAccount")
        for secret in _maps(pod.get("imagePullSecrets")):
            yield from self._named("pull", secret, "Secret")

    def _selected(self, kind: str, spec: Value) -> Iterator[Edge]:
        """The pods that a Service or a policy finds by their labels, and the ports behind a Service's."""
        field = "podSelector" if kind == "NetworkPolicy" else "selector"
        wanted = _labels(get(spec, field)) if kind in ("Service", "NetworkPolicy", "PodDisruptionBudget") else {}
        for of, labels, numbers in self.pods if wanted else ():
            if all(key in labels and labels[key] == value for key, value in wanted.items()):
                yield from (("select", kind, of, key, text(value)) for key, value in wanted.items())
                if kind == "Service":
                    yield from _ports(spec, numbers)


def _pods(found: Sequence[Object]) -> Iterator[tuple[Object, Value, Map]]:
    """Objects that start pods, with the template and the pod spec."""
    for each in found:
        spec = get(each.body, "spec")
        cron = get(spec, "jobTemplate", "spec", "template")
        template = each.body if each.kind == "Pod" else get(spec, "template", default=cron)
        pod = get(template, "spec")
        if isinstance(pod, dict) and "containers" in pod:
            yield each, template, pod


def _own_labels(kind: str, spec: Value, labels: Map) -> Iterator[Edge]:
    wanted = _labels(get(spec, "selector"))
    found = ((key, value) for key, value in wanted.items() if key in labels and labels[key] == value)
    return (("own", kind, key, text(value)) for key, value in found)


def _mounts(pod: Map, spec: Value) -> Iterator[Edge]:
    """Mounts that find their volume: where they are, and of which kind it is."""
    kinds = {_name(claim): "volumeClaimTemplate" for claim in _maps(get(spec, "volumeClaimTemplates"))}
    kinds |= {_name(volume): min(volume.keys() - {"name"}, default="") for volume in _maps(pod.get("volumes"))}
    for container in _containers(pod):
        for mount in _maps(container.get("volumeMounts")):
            path, name = mount.get("mountPath"), _name(mount)
            if isinstance(path, str) and name and name in kinds:
                yield "mount", path, kinds[name]


def _numbers(pod: Map) -> dict[int | str, int]:
    """The ports of a pod's containers by number and by name."""
    found: dict[int | str, int] = {}
    for container in _containers(pod):
        for port in _maps(container.get("ports")):
            number = port.get("containerPort")
            if isinstance(number, int):
                found |= {number: number, _name(port) or number: number}
    return found


def _ports(spec: Value, numbers: dict[int | str, int]) -> Iterator[Edge]:
    """A Service's ports that a container has."""
    for port in _maps(get(spec, "ports")):
        target = port.get("targetPort", port.get("port"))
        if isinstance(target, (int, str)) and target in numbers:
            yield "port", text(port.get("port")), text(numbers[target])


def _backends(spec: Value) -> Iterator[Map]:
    """Where an Ingress sends its requests, in the fields of any version."""
    paths = [path for rule in _maps(get(spec, "rules")) for path in _maps(get(rule, "http", "paths"))]
    found = [get(path, "backend") for path in paths]
    for backend in (*found, get(spec, "defaultBackend"), get(spec, "backend")):
        if isinstance(backend, dict):
            yield backend


def _containers(pod: Map) -> list[Map]:
    return [*_maps(pod.get("containers")), *_maps(pod.get("initContainers"))]


def _labels(selector: Value) -> Map:
    """The labels that a selector wants, in either of its forms; scalars only."""
    wanted = get(selector, "matchLabels", default=selector)
    return {key: value for key, value in _map(wanted).items() if not isinstance(value, (dict, list))}


def _name(value: Map) -> str:
    name = value.get("name")
    return name if isinstance(name, str) else ""


def _map(value: Value) -> Map:
    return value if isinstance(value, dict) else {}


def _maps(value: Value) -> list[Map]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
