"""Training samples once more with security asked for, and a manifest that has it.

A request that asks for security with an unhardened answer teaches the wrong thing, so the manifest is hardened first:
what `sluicegate.k8s.fix` mends without knowing the application, and then what needs a choice: a user ID, no privileged
mode and no added capabilities, limits and requests, a probe of a port that is open, room to write under a read-only
root. Only then the request is written, from the hardened manifest, security first. A variant is kept if it is valid,
passes every security check and follows more of the best practice than its original. It is in its original's group and
belongs into the training split alone.

What this does not do: cut a workload off from its host (what uses the host's folders, ports or namespaces has no
variant), or invent an image tag.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from sluicegate.data.k8s.intents import write
from sluicegate.data.k8s.pairs import bodies
from sluicegate.data.k8s.render import Body, to_yaml
from sluicegate.k8s.fix import fix
from sluicegate.k8s.objects import PODS
from sluicegate.k8s.score import score
from sluicegate.k8s.validity import validity
from sluicegate.records import Sample

USERS = (1000, 1001, 10001, 65532)
SIZES = (("50m", "64Mi", "200m", "128Mi"), ("100m", "128Mi", "500m", "256Mi"), ("250m", "256Mi", "1", "512Mi"),
         ("500m", "512Mi", "1", "1Gi"))  # fmt: skip
"""CPU and memory that are requested, and their limits."""
SCRATCH = "/tmp"  # noqa: S108 (a path in a container)
SUFFIX = "-hardened"
DETAILS = ("normal", "full", "everything")


def variant(sample: Sample, seed: int) -> Sample | None:
    """A sample's security-emphasised variant; None where there is nothing to harden.

    >>> pod = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: 'b:1'}]}}"
    >>> made = variant(Sample("1", "a pod", pod), 0)
    >>> made.id, score(pod).bp < score(made.completion).bp
    ('1-hardened', True)
    """
    before = score(sample.completion)
    if before.bp is None or before.bp == 1.0 or not validity(sample.completion).valid:
        return None
    rng = Random(f"harden {seed} {sample.id}")  # noqa: S311
    found = hardened(bodies(sample.completion), rng)
    text = to_yaml(found)
    after = score(text)
    if after.bp is None or after.bp <= before.bp or after.security != 1.0 or not validity(text).valid:
        return None
    intent = write(found, f"{seed} {sample.id}{SUFFIX}", detail=rng.choice(DETAILS), secure=True)
    meta = {
        **sample.meta,
        "detail": intent.detail,
        "facts": [list(fact) for fact in intent.facts],
        "hardened_from": sample.id,
    }
    return replace(sample, id=f"{sample.id}{SUFFIX}", prompt=intent.text, completion=text, context="", meta=meta)


def augmented(training: Sequence[Sample], share: float, seed: int) -> list[Sample]:
    """The variants of a share of the training samples, in [0, 1], drawn by the seed and each sample's id."""
    drawn = [sample for sample in training if Random(f"augment {seed} {sample.id}").random() < share]  # noqa: S311
    return [found for sample in drawn if (found := variant(sample, seed)) is not None]


def hardened(objects: Sequence[Body], rng: Random) -> list[Body]:
    """Copies of some objects, each pod hardened as far as it can be on its own; its ties to the host are left."""
    found = [copy.deepcopy(body) for body in objects]
    for pod, job in _pods(found):
        _identify(pod, rng)
        for container in _listed(pod, "containers"):
            _measure(container, rng)
            if not job:
                _probe(container, rng)
        for container in _listed(pod, "initContainers"):
            _measure(container, rng)
        _scratch(pod)
    return bodies(fix(to_yaml(found)).text)


def _pods(objects: Sequence[Body]) -> Iterator[tuple[dict[str, Any], bool]]:
    """Each pod spec, and whether its pods end."""
    for body in objects:
        group = str(body.get("apiVersion", "")).rpartition("/")[0]
        path = PODS.get((group, str(body.get("kind"))))
        here: Any = body
        for step in path or ("",):
            here = here.get(step) if isinstance(here, dict) else None
        if isinstance(here, dict):
            yield here, group == "batch"


def _listed(pod: dict[str, Any], field: str) -> list[dict[str, Any]]:
    return [each for each in pod.get(field) or () if isinstance(each, dict)]


def _identify(pod: dict[str, Any], rng: Random) -> None:
    """A user ID other than root's, for the pod and for each container that says root itself; and nothing of root's."""
    user = rng.choice(USERS)
    context = pod.get("securityContext") or {}
    pod["securityContext"] = {**context, "runAsNonRoot": True, "runAsUser": context.get("runAsUser") or user}
    for container in (*_listed(pod, "containers"), *_listed(pod, "initContainers")):
        own = container.get("securityContext") or {}
        if own.get("runAsUser") == 0:
            container["securityContext"] = own = {**own, "runAsUser": user}
        if own.get("privileged") or (own.get("capabilities") or {}).get("add"):
            kept = {key: value for key, value in own.items() if key not in ("privileged", "capabilities")}
            container["securityContext"] = {**kept, "capabilities": {"drop": ["ALL"]}}


def _measure(container: dict[str, Any], rng: Random) -> None:
    """Requests and limits where neither is there; what is there in part is left to its owner."""
    resources = container.get("resources") or {}
    if not resources.get("requests") and not resources.get("limits"):
        cpu, memory, most_cpu, most_memory = rng.choice(SIZES)
        measures = {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": most_cpu, "memory": most_memory}}
        container["resources"] = {**resources, **measures}


def _probe(container: dict[str, Any], rng: Random) -> None:
    """Probes of the first port that is open, where there are none."""
    ports = _listed(container, "ports")
    number = ports[0].get("containerPort") if ports and ports[0].get("protocol", "TCP") == "TCP" else None
    if number is not None:
        delay = rng.choice((5, 10, 15))
        probe = {"tcpSocket": {"port": number}, "initialDelaySeconds": delay}
        container.setdefault("livenessProbe", probe)
        container.setdefault("readinessProbe", dict(probe))


def _scratch(pod: dict[str, Any]) -> None:
    """A folder to write to where the root filesystem is about to become read-only."""
    bare = [
        each
        for each in _listed(pod, "containers")
        if not (each.get("securityContext") or {}).get("readOnlyRootFilesystem") and not _mounted(each)
    ]
    if not bare:
        return
    names = {volume.get("name") for volume in _listed(pod, "volumes")}
    name = next(name for name in ("tmp", "scratch", *(f"tmp-{number}" for number in range(2, 99))) if name not in names)
    pod["volumes"] = [*(pod.get("volumes") or ()), {"name": name, "emptyDir": {}}]
    for container in bare:
        mounts = container.get("volumeMounts") or ()
        container["volumeMounts"] = [*mounts, {"name": name, "mountPath": SCRATCH}]


def _mounted(container: dict[str, Any]) -> bool:
    return any(mount.get("mountPath", "").rstrip("/") == SCRATCH for mount in _listed(container, "volumeMounts"))
