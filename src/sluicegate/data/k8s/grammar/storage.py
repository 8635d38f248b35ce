"""What pods read and keep: ConfigMap, Secret, PersistentVolumeClaim."""

from __future__ import annotations

from random import Random
from string import Template
from typing import Final

from sluicegate.data.k8s.grammar import words
from sluicegate.data.k8s.grammar.apps import App
from sluicegate.data.k8s.grammar.draw import chance, filled, some, weighted
from sluicegate.data.k8s.grammar.house import House
from sluicegate.data.k8s.grammar.wiring import Wiring, key, placeholder
from sluicegate.data.k8s.grammar.workloads import metadata
from sluicegate.data.k8s.render import Body

SHARED_SECRETS: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    ("tls", "kubernetes.io/tls", ("tls.crt", "tls.key")),
    ("basic-auth", "kubernetes.io/basic-auth", ("username", "password")),
    ("deploy-key", "kubernetes.io/ssh-auth", ("ssh-privatekey",)),
)
"""Ending of the name, type, and keys of secrets that Kubernetes knows."""
FILES: Final[tuple[tuple[float, tuple[str, str]], ...]] = (
    (4, ("application.yaml",
         "server:\n  port: $port\nlogging:\n  level: $level\ndatabase:\n  host: $store\n  pool: $pool\n")),
    (3, ("config.yaml", "listen: :$port\nlog:\n  level: $level\ncache:\n  ttl: ${ttl}s\n")),
    (3, ("application.properties",
         "server.port=$port\nspring.datasource.hikari.maximum-pool-size=$pool\nlogging.level.root=$loud\n")),
    (2, ("settings.json", '{\n  "port": $port,\n  "logLevel": "$level",\n  "cacheSeconds": $ttl\n}\n')),
    (2, ("app.toml", '[server]\nport = $port\n\n[log]\nlevel = "$level"\n\n[db]\nhost = "$store"\nmax_open = $pool\n')),
    (2, ("app.ini", "[app]\nport = $port\nworkers = $pool\n[cache]\nttl = $ttl\n")),
)  # fmt: skip
"""Name of a settings file, and what is in it."""


def config_map(rng: Random, house: House, app: App, wiring: Wiring) -> Body:
    """The ConfigMap that an application is wired to."""
    file = {app.config.rsplit("/", 1)[-1]: app.config_text or f"# settings of {app.name}\n"} if app.config else {}
    data = {**{key(wiring, name): value for name, value in wiring.mapped}, **file}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(house, app, name=wiring.config_map),
        "data": data,
    }


def secret(rng: Random, house: House, app: App, wiring: Wiring) -> Body:
    """The Secret that an application is wired to: placeholders, since nobody keeps the values in a repository."""
    entries = {name if wiring.whole_secret else entry: placeholder(rng) for name, entry in app.secrets}
    return _secret(house, app, wiring.secret, "Opaque" if chance(rng, 0.75) else "", entries)


def _secret(house: House, app: App, name: str, kind: str, entries: dict[str, str]) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(house, app, name=name),
        **filled(type=kind),
        "stringData": entries,
    }


def lone_config_map(rng: Random, house: House, app: App) -> Body:
    """Settings of an application that is deployed elsewhere."""
    file = weighted(rng, ((40, {}), (60, dict([_file(rng, app)]))))
    count = 1 if file else 3
    pairs = dict(app.settings) | {
        name: rng.choice(values) for name, values in some(rng, words.COMMON, count, count + 5)
    }
    dashed = chance(rng, 0.3)
    data = {name.lower().replace("_", "-") if dashed else name: value for name, value in pairs.items()} | file
    fixed = {"immutable": True} if chance(rng, 0.06) else {}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(house, app, name=f"{app.name}-config"),
        "data": data,
        **fixed,
    }


def _file(rng: Random, app: App) -> tuple[str, str]:
    """A settings file of a program of the team's own."""
    name, text = weighted(rng, FILES)
    level = rng.choice(("info", "debug", "warn"))
    return name, Template(text).substitute(
        port=app.ports[0].number if app.ports else 8080,
        level=level,
        loud=level.upper(),
        pool=rng.choice((5, 10, 20, 50)),
        ttl=rng.choice((30, 60, 300, 900)),
        store=rng.choice(("postgres", "mysql", "db")),
    )


def lone_secret(rng: Random, house: House, app: App) -> Body:
    """A secret of one of Kubernetes' types, or one of the team's own keys."""
    if chance(rng, 0.25):
        ending, kind, keys = rng.choice(SHARED_SECRETS)
        return _secret(house, app, f"{app.name}-{ending}", kind, {name: placeholder(rng) for name in keys})
    chosen = some(rng, words.SECRETS, 2, 6)
    upper = chance(rng, 0.5)
    return _secret(
        house,
        app,
        f"{app.name}-secrets",
        "Opaque",
        {name if upper else entry: placeholder(rng) for name, entry in chosen},
    )


def claim(rng: Random, house: House, app: App, name: str) -> Body:
    """A claim for storage that outlives pods."""
    shared = chance(rng, 0.22)
    storage_class = rng.choice(words.SHARED_CLASSES if shared else words.STORAGE_CLASSES) if chance(rng, 0.75) else ""
    mode = (
        weighted(rng, ((80, "ReadWriteMany"), (20, "ReadOnlyMany")))
        if shared
        else weighted(rng, ((92, "ReadWriteOnce"), (8, "ReadWriteOncePod")))
    )
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata(house, app, name=name),
        "spec": filled(
            accessModes=[mode],
            storageClassName=storage_class,
            volumeMode="Filesystem" if chance(rng, 0.1) else "",
            resources={"requests": {"storage": rng.choice(words.SIZES)}},
            dataSource=_source(app) if chance(rng, 0.05) else {},
        ),
    }


def _source(app: App) -> Body:
    return {"name": f"{app.name}-snapshot", "kind": "VolumeSnapshot", "apiGroup": "snapshot.storage.k8s.io"}
