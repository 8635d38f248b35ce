"""Checks 9 and 10: the kubelet can tell a container that hangs, and one that is not ready yet."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from sluicegate.k8s.checks.model import CONTAINERS, RELIABILITY, Check, Container, Flaw, Flaws, Pod, mapping, said
from sluicegate.k8s.parse import Value

HANDLERS: Final = ("exec", "httpGet", "tcpSocket", "grpc")


def _probe(field: str, _: Pod, container: Container) -> Flaws:
    written = container.body.get(field)
    probe = mapping(written)
    handlers = [name for name in HANDLERS if probe.get(name) is not None]
    if len(handlers) == 1 and mapping(probe[handlers[0]]):
        return
    if not probe:
        seen = f"{field} is {said(written)}"
    elif len(handlers) == 1:
        seen = f"{field}.{handlers[0]} is {said(probe[handlers[0]])}"
    else:
        seen = f"{field} has {' and '.join(handlers) or 'no handler'}; exactly one of {', '.join(HANDLERS)} is wanted"
    yield Flaw(
        (*container.path, field), seen, container.path, {field: _suggested(field, container)},
        "where it answers that it is well",
    )  # fmt: skip


def _suggested(field: str, container: Container) -> Value:
    """A probe of the container's first port, by name where it has one."""
    ports = container.body.get("ports")
    first = mapping(ports[0]) if isinstance(ports, list) and ports else {}
    port = first.get("name") or first.get("containerPort") or 8080
    path = "/healthz" if field == "livenessProbe" else "/ready"
    return {"httpGet": {"path": path, "port": port if isinstance(port, (str, int)) else 8080}}


def _look(field: str) -> Callable[[Pod, Container], Flaws]:
    return partial(_probe, field)


LIVENESS_PROBE = Check(
    9, "liveness_probe", RELIABILITY,
    f"livenessProbe with exactly one handler: {', '.join(HANDLERS)}.",
    "A process that hangs is restarted only if something asks it whether it is alive.",
    (CONTAINERS,), _look("livenessProbe"), {"livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}}},
    jobs=False,
)  # fmt: skip
READINESS_PROBE = Check(
    10, "readiness_probe", RELIABILITY,
    f"readinessProbe with exactly one handler: {', '.join(HANDLERS)}.",
    "A Service sends requests to a container that is still starting, or that cannot answer, unless it says so.",
    (CONTAINERS,), _look("readinessProbe"), {"readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}}},
    jobs=False,
)  # fmt: skip
