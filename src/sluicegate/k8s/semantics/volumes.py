"""Volumes and where containers mount them.

Source: ValidateVolumes, ValidateVolumeMounts in
https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/core/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sluicegate.k8s.issues import said
from sluicegate.k8s.semantics.names import A_LABEL, is_label
from sluicegate.k8s.semantics.rule import (
    WORKLOADS,
    Found,
    Kind,
    Rule,
    View,
    at,
    items,
    listed,
    mapping,
    named,
    repeated,
)

NAMED_BY: Final = {
    "secret": "secretName",
    "configMap": "name",
    "persistentVolumeClaim": "claimName",
    "hostPath": "path",
}
"""Source of a volume → the field without which it names nothing."""
PERSISTENT: Final = frozenset(
    ("awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "csi", "fc", "flexVolume", "flocker",
     "gcePersistentDisk", "glusterfs", "hostPath", "iscsi", "local", "nfs", "photonPersistentDisk", "portworxVolume",
     "quobyte", "rbd", "scaleIO", "storageos", "vsphereVolume")
)  # fmt: skip
"""Sources of a volume of the cluster."""
VOLUMES: Final[frozenset[Kind]] = frozenset({("", "PersistentVolume")})
CLAIMED: Final = frozenset({"persistentVolumeClaim", "ephemeral"})


def _templates(seen: View) -> set[str]:
    """Names of the claims that a StatefulSet makes for each pod."""
    if seen.object.kind != "StatefulSet":
        return set()
    rows = items(seen.body, (), "spec", "volumeClaimTemplates")
    names = (mapping(claim.get("metadata")).get("name") for _, claim in rows)
    return {name for name in names if isinstance(name, str)}


def volumes(seen: View) -> Iterator[Found]:
    """Names are DNS labels, each once, and a volume has one source at most (none is an emptyDir)."""
    for path, volume in items(seen.pod, seen.pod_path, "volumes"):
        name = volume.get("name")
        if isinstance(name, str) and not is_label(name):
            yield (*path, "name"), A_LABEL, said(name)
        given = [field for field in volume if field != "name" and volume[field] is not None]
        if len(given) > 1:
            yield path, "one source", " and ".join(sorted(given)[:5])
    for path, name in repeated(named(items(seen.pod, seen.pod_path, "volumes"))):
        yield path, "a name that no other volume of the pod has", said(name)


def volume_sources(seen: View) -> Iterator[Found]:
    """A source says what it takes its content from."""
    for path, volume in items(seen.pod, seen.pod_path, "volumes"):
        for source, field in NAMED_BY.items():
            if isinstance(volume.get(source), dict) and not mapping(volume[source]).get(field):
                yield (*path, source, field), "a text", "nothing"
        place = mapping(volume.get("hostPath")).get("path")
        if isinstance(place, str) and ".." in place.split("/"):
            yield (*path, "hostPath", "path"), "a path without ..", said(place)
        nfs = volume.get("nfs")
        if isinstance(nfs, dict):
            if nfs.get("server") == "":
                yield (*path, "nfs", "server"), "a text", "nothing"
            place = nfs.get("path")
            if isinstance(place, str) and not place.startswith("/"):
                yield (*path, "nfs", "path"), "a path that starts with /", said(place) if place else "nothing"


def mounts(seen: View) -> Iterator[Found]:
    """What a container mounts is a volume of its pod."""
    known = {name for _, name in named(items(seen.pod, seen.pod_path, "volumes"))} | _templates(seen)
    for path, container in seen.containers:
        for field in ("volumeMounts", "volumeDevices"):
            for where, name in named(items(container, path, field)):
                if name not in known:
                    wanted = f"a volume of the pod: {', '.join(sorted(known)[:5])}" if known else "a volume of the pod"
                    yield where, wanted, f"{said(name)}{'' if known else ', and the pod has no volumes'}"


def devices(seen: View) -> Iterator[Found]:
    """A raw device comes from a claim."""
    rows = items(seen.pod, seen.pod_path, "volumes")
    other = {
        volume.get("name") for _, volume in rows if not CLAIMED & volume.keys() and isinstance(volume.get("name"), str)
    }
    for path, container in seen.containers:
        for where, name in named(items(container, path, "volumeDevices")):
            if name in other:
                yield where, "a volume that is a claim", said(name)


def mount_paths(seen: View) -> Iterator[Found]:
    """Each place in a container has one mount; a part of a volume is named from its root."""
    for path, container in seen.containers:
        for where, mount in items(container, path, "volumeMounts"):
            if mount.get("mountPath") == "":
                yield (*where, "mountPath"), "a path", "nothing"
            for field in ("subPath", "subPathExpr"):
                part = mount.get(field)
                if isinstance(part, str) and (part.startswith("/") or ".." in part.split("/")):
                    yield (*where, field), "a path without / at its start and without ..", said(part)
            if mount.get("subPath") and mount.get("subPathExpr"):
                yield (*where, "subPathExpr"), "either subPath or subPathExpr", "both"
        for where, place in repeated(named(items(container, path, "volumeMounts"), "mountPath")):
            yield where, "a place that no other mount of the container has", said(place)


def projections(seen: View) -> Iterator[Found]:
    """The files that a volume is made of stay inside it."""
    for path, volume in items(seen.pod, seen.pod_path, "volumes"):
        for source in ("secret", "configMap", "downwardAPI"):
            for where, item in items(mapping(volume.get(source)), (*path, source), "items"):
                place = item.get("path")
                if isinstance(place, str) and (not place or place.startswith("/") or ".." in place.split("/")):
                    yield (*where, "path"), "a path without / at its start and without ..", said(place)
        projected = volume.get("projected")
        if isinstance(projected, dict):
            for where, part in items(projected, (*path, "projected"), "sources"):
                given = sum(value is not None for value in part.values())
                if given != 1:
                    yield where, "one source", f"{given} of them"


def persistent_sources(seen: View) -> Iterator[Found]:
    """A volume of the cluster has exactly one source, which says where its content lies."""
    spec = mapping(seen.body.get("spec"))
    given = [field for field in sorted(PERSISTENT & spec.keys()) if spec[field] is not None]
    if "spec" in seen.body and len(given) != 1:
        yield ("spec",), "one source, such as csi, nfs or hostPath", " and ".join(given[:5]) or "none"
    for field in ("hostPath", "local", "nfs"):
        place = mapping(spec.get(field)).get("path")
        if not isinstance(place, str):
            continue
        if not place or (field == "nfs" and not place.startswith("/")):
            yield ("spec", field, "path"), "a path that starts with /", said(place) if place else "nothing"
        elif field != "nfs" and ".." in place.split("/"):
            yield ("spec", field, "path"), "a path without ..", said(place)
    if isinstance(spec.get("local"), dict) and not at(spec, ("nodeAffinity", "required")):
        yield ("spec", "nodeAffinity", "required"), "the nodes that have it, since the source is local", "nothing"


def claim_templates(seen: View) -> Iterator[Found]:
    """A StatefulSet's claims have names to mount them by."""
    for index, claim in enumerate(listed(mapping(seen.body.get("spec")).get("volumeClaimTemplates"))):
        if isinstance(claim, dict) and not mapping(claim.get("metadata")).get("name"):
            yield ("spec", "volumeClaimTemplates", index, "metadata", "name"), "a text", "nothing"


RULES = (
    Rule("volume", "Volumes have names of their own and one source at most.", WORKLOADS, volumes),
    Rule("volume-source", "A volume's source says what it holds.", WORKLOADS, volume_sources),
    Rule("volume-mount", "What is mounted is a volume of the pod.", WORKLOADS, mounts),
    Rule("volume-device", "What is used as a device is a claim.", WORKLOADS, devices),
    Rule("mount-path", "Each place in a container is mounted once.", WORKLOADS, mount_paths),
    Rule("volume-path", "The files of a volume stay inside it.", WORKLOADS, projections),
    Rule("persistent-source", "A persistent volume has one source.", VOLUMES, persistent_sources),
    Rule("claim-template", "Claim templates have names.", frozenset({("apps", "StatefulSet")}), claim_templates),
)
