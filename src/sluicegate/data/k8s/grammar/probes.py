"""How the kubelet asks whether a container is alive, ready or started."""

from __future__ import annotations

import shlex
from random import Random
from typing import Final

from sluicegate.data.k8s.grammar.apps import App, Port
from sluicegate.data.k8s.grammar.draw import chance, filled
from sluicegate.data.k8s.grammar.house import House
from sluicegate.data.k8s.grammar.practices import Practices
from sluicegate.data.k8s.render import Body

COMMAND: Final = "$ "
GRPC: Final = "grpc"


def probes(rng: Random, house: House, app: App, kept: Practices) -> Body:
    """The probes of a container that keeps running."""
    slow = app.slow and kept.liveness and chance(rng, 0.3 + 0.4 * house.detail)
    bare = chance(rng, 0.1)
    return filled(
        startupProbe=_handler(rng, app, app.live) | _patience(rng) if slow else None,
        livenessProbe=_handler(rng, app, app.live) | ({} if bare else _alive(rng, house, slow))
        if kept.liveness
        else None,
        readinessProbe=_handler(rng, app, app.ready) | ({} if bare else _ready(rng, house)) if kept.readiness else None,
    )


def _handler(rng: Random, app: App, asked: str) -> Body:
    """What is asked: an HTTP path, a command, gRPC or a TCP port."""
    if asked.startswith(COMMAND):
        return {"exec": {"command": shlex.split(asked.removeprefix(COMMAND))}}
    if not app.ports:
        return {"exec": {"command": ["pgrep", "-f", app.short]}}
    port = app.ports[0]
    if asked == GRPC:
        return {GRPC: {"port": port.number}}
    if asked.startswith("/"):
        return {"httpGet": {"path": asked, "port": named(rng, port)}}
    return {"tcpSocket": {"port": named(rng, port)}}


def named(rng: Random, port: Port) -> str | int:
    """A port as others refer to it: by its name where it has one, mostly."""
    return port.name if port.name and chance(rng, 0.75) else port.number


def _alive(rng: Random, house: House, slow: bool) -> Body:
    delay = None if slow or chance(rng, 0.25) else rng.choice((5, 10, 10, 15, 20, 30, 45, 60))
    period = rng.choice((5, 10, 10, 15, 20, 30))
    return filled(
        initialDelaySeconds=delay,
        periodSeconds=period if chance(rng, 0.8) else None,
        timeoutSeconds=min(period, rng.choice((1, 2, 3, 5, 10))) if chance(rng, 0.25 + 0.4 * house.detail) else None,
        failureThreshold=rng.choice((2, 3, 3, 5, 6)) if chance(rng, 0.2 + 0.4 * house.detail) else None,
    )


def _ready(rng: Random, house: House) -> Body:
    period = rng.choice((3, 5, 5, 10, 10, 15))
    return filled(
        initialDelaySeconds=rng.choice((2, 3, 5, 5, 10, 15, 20)) if chance(rng, 0.65) else None,
        periodSeconds=period if chance(rng, 0.8) else None,
        timeoutSeconds=min(period, rng.choice((1, 2, 3, 5))) if chance(rng, 0.2 + 0.4 * house.detail) else None,
        successThreshold=rng.choice((1, 1, 2)) if chance(rng, 0.08) else None,
        failureThreshold=rng.choice((2, 3, 3, 6)) if chance(rng, 0.2 + 0.3 * house.detail) else None,
    )


def _patience(rng: Random) -> Body:
    return {"periodSeconds": rng.choice((5, 10)), "failureThreshold": rng.choice((12, 20, 30, 30, 60))}
