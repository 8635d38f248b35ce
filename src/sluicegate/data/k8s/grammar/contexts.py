"""Security contexts of a pod and its containers, and what a pod shares with its node, as its practices say.

A practice that is not followed is mostly one that nobody thought of, and now and then one that is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, Final

from sluicegate.data.k8s.grammar.apps import App
from sluicegate.data.k8s.grammar.draw import chance, filled, weighted
from sluicegate.data.k8s.grammar.practices import Practices
from sluicegate.data.k8s.render import Body

PRIVILEGED_PORTS = 1024
ADDED: Final = (("NET_ADMIN",), ("SYS_ADMIN",), ("SYS_PTRACE",), ("NET_ADMIN", "NET_RAW"))
HOST_FOLDERS: Final = (
    ("localtime", "/etc/localtime", "/etc/localtime"),
    ("docker-sock", "/var/run/docker.sock", "/var/run/docker.sock"),
    ("host-logs", "/var/log", "/host/var/log"),
    ("cache", "/mnt/cache", "/cache"),
    ("shared", "/srv/shared", "/shared"),
    ("ca-certs", "/etc/ssl/certs", "/etc/ssl/certs"),
)
"""Volume, folder of the node, and where it is mounted."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """What a pod shares with its node.

    Args:
        folders: volume, folder of the node, where it is mounted.
        data: whether what must outlive the pod lies in a folder of the node.
        port: whether its first port is one of the node.
        added: capabilities.
    """

    folders: tuple[tuple[str, str, str], ...] = ()
    data: bool = False
    port: bool = False
    network: bool = False
    pid: bool = False
    privileged: bool = False
    added: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Guard:
    """Fields of the pod's security context, and of each of its containers'."""

    pod: Body
    container: Body


def exposure(rng: Random, app: App, kept: Practices, *, claimed: bool) -> Exposure:
    """Draw what is shared with the node: what the program is there for, or what a careless team opens.

    Args:
        claimed: its data has a claim, and so lies in no folder of the node.
    """
    if app.host:
        folders = tuple(
            (_volume(path), path, f"/host{path}" if path in ("/proc", "/sys", "/etc") else path) for path in app.host
        )
        return Exposure(
            folders,
            network=chance(rng, 0.3),
            pid="/proc" in app.host and chance(rng, 0.5),
            privileged=app.uid == 0 and not kept.no_escalation and chance(rng, 0.3),
        )
    if kept.isolated:
        return Exposure()
    ways: list[tuple[float, Exposure]] = [
        (24, Exposure(folders=(rng.choice(HOST_FOLDERS),))),
        (14, Exposure(network=True)),
        (3, Exposure(network=True, pid=True)),
    ]
    if app.data and not claimed:
        ways.append((30, Exposure(data=True)))
    if app.ports:
        ways.append((22, Exposure(port=True)))
    if not kept.no_escalation:
        ways.append((4 if app.tier == "batch" else 16, Exposure(privileged=True)))
    if not kept.drop_all:
        ways.append((14, Exposure(added=rng.choice(ADDED))))
    return weighted(rng, ways)


def _volume(path: str) -> str:
    """A name for the volume of a folder.

    >>> _volume("/run/xtables.lock")
    'run-xtables-lock'
    """
    return path.strip("/").replace("/", "-").replace(".", "-")


def guard(rng: Random, app: App, kept: Practices, shared: Exposure) -> Guard:
    """Draw the security contexts."""
    user_pod, user = _user(rng, app, kept)
    profile = {"type": "RuntimeDefault"} if kept.seccomp else {"type": "Unconfined"} if chance(rng, 0.03) else None
    on_pod = chance(rng, 0.7)
    group = app.uid or 1000
    return Guard(
        filled(
            **user_pod,
            fsGroup=group if user_pod and (app.data or chance(rng, 0.25)) else None,
            fsGroupChangePolicy="OnRootMismatch" if user_pod and app.stateful and chance(rng, 0.15) else None,
            seccompProfile=profile if on_pod else None,
        ),
        filled(
            **user,
            allowPrivilegeEscalation=False if kept.no_escalation else True if chance(rng, 0.07) else None,
            privileged=True if shared.privileged else False if kept.no_escalation and chance(rng, 0.08) else None,
            readOnlyRootFilesystem=True if kept.read_only else False if chance(rng, 0.08) else None,
            capabilities=_capabilities(rng, app, kept, shared),
            seccompProfile=None if on_pod else profile,
        ),
    )


def _user(rng: Random, app: App, kept: Practices) -> tuple[Body, Body]:
    """Who the program runs as, said on the pod and on its containers."""
    uid = app.uid
    flag, who, group = {"runAsNonRoot": True}, {"runAsUser": uid}, {"runAsGroup": uid}
    nothing: Body = {}
    root: Body = {"runAsUser": 0}
    careful: tuple[tuple[float, tuple[Body, Body]], ...] = (
        (30, (flag, nothing)),
        (20, ({**flag, **who}, nothing)),
        (14, ({**flag, **who, **group}, nothing)),
        (14, (nothing, flag)),
        (14, (nothing, {**flag, **who})),
        (4, (who, nothing)),
        (4, (flag, who)),
    )
    careless: tuple[tuple[float, tuple[Body, Body]], ...] = (
        (86, (nothing, nothing)),
        (8, (nothing, root)),
        (3, (root, nothing)),
        (3, (nothing, {"runAsNonRoot": False})),
    )
    return weighted(rng, careful if kept.non_root and uid else careless)


def _capabilities(rng: Random, app: App, kept: Practices, shared: Exposure) -> dict[str, Any]:
    low = any(port.number < PRIVILEGED_PORTS for port in app.ports)
    if kept.drop_all:
        return filled(drop=["ALL"], add=["NET_BIND_SERVICE"] if low and chance(rng, 0.6) else None)
    if shared.added:
        return {"add": list(shared.added)}
    ways: tuple[tuple[float, dict[str, Any]], ...] = (
        (90, {}),
        (4, {"drop": ["NET_RAW"]}),
        (3, {"drop": ["MKNOD", "NET_RAW"]}),
        (3, {"drop": ["ALL"], "add": ["CHOWN", "SETGID", "SETUID"]}),
    )
    return weighted(rng, ways)
