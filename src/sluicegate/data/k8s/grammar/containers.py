"""Containers: the application's own, those that run before it, and those beside it."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from sluicegate.data.k8s.grammar import images
from sluicegate.data.k8s.grammar.apps import App, Port, software
from sluicegate.data.k8s.grammar.contexts import Exposure, Guard
from sluicegate.data.k8s.grammar.draw import chance, filled, some, weighted
from sluicegate.data.k8s.grammar.house import House
from sluicegate.data.k8s.grammar.practices import Practices
from sluicegate.data.k8s.grammar.probes import probes
from sluicegate.data.k8s.grammar.resources import resources
from sluicegate.data.k8s.grammar.software import SIDECARS
from sluicegate.data.k8s.grammar.volumes import LOGS, Store, mount
from sluicegate.data.k8s.grammar.wiring import Wiring, key, placeholder
from sluicegate.data.k8s.render import Body

FIELDS: Final = (
    ("POD_NAME", "metadata.name"), ("POD_NAMESPACE", "metadata.namespace"), ("NODE_NAME", "spec.nodeName"),
    ("POD_IP", "status.podIP"), ("HOST_IP", "status.hostIP"),
)  # fmt: skip
"""Variables that hold something of the pod itself."""
WAITED_FOR: Final = (
    ("postgres", 5432),
    ("mysql", 3306),
    ("redis", 6379),
    ("rabbitmq", 5672),
    ("kafka", 9092),
    ("mongo", 27017),
)


@dataclass(frozen=True, slots=True)
class Run:
    """What all containers of a pod share: who runs them, how carefully, and how they are confined."""

    house: House
    kept: Practices
    guard: Guard
    shared: Exposure


def main(rng: Random, run: Run, app: App, wiring: Wiring, stores: tuple[Store, ...], *, ends: bool) -> Body:
    """The application's container; one that ends has no probes."""
    house, kept = run.house, run.kept
    return filled(
        name=app.short,
        image=app.image,
        imagePullPolicy=_pull(rng, house, app, kept),
        command=list(app.command),
        args=list(app.args),
        ports=[_port(port, host=run.shared.port and place == 0) for place, port in enumerate(app.ports)],
        envFrom=_sources(wiring),
        env=_environment(rng, house, app, wiring),
        resources=resources(rng, kept, tall=app.tall, gpus=app.gpus, scaled=wiring.scaled),
        volumeMounts=[mount(store) for store in stores],
        **({} if ends else probes(rng, house, app, kept)),
        lifecycle=None if ends else _lifecycle(rng, house, app),
        securityContext=deepcopy(run.guard.container),
    )


def _pull(rng: Random, house: House, app: App, kept: Practices) -> str:
    if not chance(rng, 0.12 + 0.25 * house.detail):
        return ""
    if kept.pinned:
        return weighted(rng, ((8, "IfNotPresent"), (2, "Always")))
    local = app.own and "/" not in app.base
    return weighted(rng, ((7, "Always"), (2, "IfNotPresent"), (6 if local else 0, "Never")))


def _port(port: Port, *, host: bool = False) -> Body:
    return filled(
        name=port.name,
        containerPort=port.number,
        hostPort=port.number if host else None,
        protocol=port.protocol if port.protocol != "TCP" else "",
    )


def _sources(wiring: Wiring) -> list[Body]:
    whole = [{"configMapRef": {"name": wiring.config_map}}] if wiring.whole_map else []
    return whole + ([{"secretRef": {"name": wiring.secret}}] if wiring.secret and wiring.whole_secret else [])


def _environment(rng: Random, house: House, app: App, wiring: Wiring) -> list[Body]:
    """Variables: fields of the pod, settings, then secrets."""
    rows: list[Body] = []
    if chance(rng, 0.04 + 0.16 * house.detail):
        rows += [
            {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in some(rng, FIELDS, 1, 2)
        ]
    rows += [{"name": name, "value": value} for name, value in wiring.inline]
    if wiring.mapped and not wiring.whole_map:
        rows += [
            {"name": name, "valueFrom": {"configMapKeyRef": {"name": wiring.config_map, "key": key(wiring, name)}}}
            for name, _ in wiring.mapped
        ]
    return rows + _secret_variables(rng, app, wiring)


def _secret_variables(rng: Random, app: App, wiring: Wiring) -> list[Body]:
    if not wiring.secret:
        return [{"name": name, "value": placeholder(rng)} for name, _ in app.secrets]
    if wiring.whole_secret:
        return []
    return [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": wiring.secret, "key": entry}}}
        for name, entry in app.secrets
    ]


def _lifecycle(rng: Random, house: House, app: App) -> Body:
    """A pause before the end, so that the load balancer forgets the pod first."""
    if not app.ports or not chance(rng, 0.12 * house.detail):
        return {}
    seconds = rng.choice((5, 10, 15, 20))
    return {
        "preStop": rng.choice(
            ({"exec": {"command": ["/bin/sh", "-c", f"sleep {seconds}"]}}, {"sleep": {"seconds": seconds}})
        )
    }


def before(rng: Random, run: Run, app: App, wiring: Wiring, stores: tuple[Store, ...]) -> list[Body]:
    """Containers that end before the application starts."""
    ways: list[tuple[float, Any]] = [(3, _waiting), (1.5, _fetching)] if app.own else []
    if app.own and app.secrets:
        ways.append((2, _migrating))
    if app.data and not run.kept.non_root:
        ways.append((3, _owning))
    wanted = bool(ways) and chance(rng, 0.04 + 0.2 * run.house.detail)
    return [weighted(rng, ways)(rng, run, app, wiring, stores)] if wanted else []


def _small(rng: Random, run: Run, name: str, image: tuple[str, str], *, command: list[str], **more: Any) -> Body:
    """A container of a few lines, confined and measured as the others are; `image`: name and tag."""
    return filled(
        name=name,
        image=images.named(rng, *image, pinned=run.kept.pinned),
        command=command,
        resources=resources(rng, run.kept, tall=1),
        securityContext=deepcopy(run.guard.container),
    ) | filled(**more)


def _waiting(rng: Random, run: Run, app: App, wiring: Wiring, stores: tuple[Store, ...]) -> Body:
    host, port = rng.choice(WAITED_FOR)
    where = rng.choice((host, f"{app.subject}-{host}"))
    script = f"until nc -z {where} {port}; do sleep {rng.choice((1, 2, 3, 5))}; done"
    image = ("busybox", rng.choice(("1.36", "1.36.1", "1.37.0")))
    return _small(rng, run, f"wait-for-{host}", image, command=["sh", "-c", script])


def _fetching(rng: Random, run: Run, app: App, wiring: Wiring, stores: tuple[Store, ...]) -> Body:
    """A file that the program needs, into the last folder that may be written to."""
    file = rng.choice(("model.bin", "assets.tgz", "geo.mmdb", "plugins.zip"))
    folder = next((store for store in reversed(stores) if not store.read_only and not store.part), None)
    target = folder.path if folder else "/tmp"  # noqa: S108 (a path in the container)
    url = f"https://downloads.example.com/{app.subject}/{file}"
    name, image = rng.choice(("fetch", "download")), ("curlimages/curl", rng.choice(("8.9.1", "8.10.1")))
    command = ["curl", "-fsSL", "-o", f"{target}/{file}", url]
    return _small(rng, run, name, image, command=command, volumeMounts=[mount(folder)] if folder else None)


def _owning(rng: Random, run: Run, app: App, wiring: Wiring, stores: tuple[Store, ...]) -> Body:
    """The data handed to the program's user, which takes root."""
    user = app.uid or 1000
    return _small(
        rng,
        run,
        rng.choice(("fix-permissions", "init-chown", "volume-permissions")),
        ("busybox", "1.36"),
        command=["sh", "-c", f"chown -R {user}:{user} {app.data}"],
        securityContext={**deepcopy(run.guard.container), "runAsUser": 0},
        volumeMounts=[mount(store) for store in stores if store.path == app.data],
    )


def _migrating(rng: Random, run: Run, app: App, wiring: Wiring, stores: tuple[Store, ...]) -> Body:
    command = rng.choice(
        (["/app/migrate", "up"], ["bin/migrate"], ["npm", "run", "migrate"], ["python", "manage.py", "migrate"])
    )
    return filled(
        name=rng.choice(("migrate", "db-migrate", "migrations")),
        image=app.image,
        command=command,
        envFrom=_sources(wiring),
        env=_secret_variables(rng, app, wiring)[:1],
        resources=resources(rng, run.kept, tall=app.tall - 2),
        securityContext=deepcopy(run.guard.container),
    )


def beside(rng: Random, run: Run, app: App, stores: tuple[Store, ...]) -> list[Body]:
    """Containers that run as long as the application does; those of another team may be less well kept."""
    logs = [mount(store) for store in stores if store.name == LOGS]
    if not app.own or not app.ports or not (logs or chance(rng, 0.02 + 0.12 * run.house.detail)):
        return []
    fitting = [kind for kind in SIDECARS if kind.fits in ((LOGS,) if logs else ("", app.tier))]
    side = software(rng, run.house, rng.choice(fitting), pinned=run.kept.pinned)
    taken, names = {port.number for port in app.ports}, {port.name for port in app.ports}
    ports = tuple(
        replace(port, name="" if port.name in names else port.name) for port in side.ports if port.number not in taken
    )
    side = replace(side, ports=ports)
    careless = chance(rng, 0.2)
    return [
        filled(
            name=side.base.rsplit("/", 1)[-1],
            image=side.image,
            args=list(side.args),
            ports=[_port(port) for port in ports],
            env=_secret_variables(rng, side, Wiring((), secret=f"{app.name}-oauth")),
            resources={} if careless else resources(rng, run.kept, tall=side.tall),
            volumeMounts=logs,
            **({} if careless or not ports else probes(rng, run.house, side, run.kept)),
            securityContext=deepcopy(run.guard.container),
        )
    ]
