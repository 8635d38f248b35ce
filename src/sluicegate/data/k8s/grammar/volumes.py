"""Volumes of a pod and where its containers mount them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from sluicegate.data.k8s.grammar.apps import App
from sluicegate.data.k8s.grammar.contexts import Exposure
from sluicegate.data.k8s.grammar.draw import chance, filled, weighted
from sluicegate.data.k8s.grammar.house import House
from sluicegate.data.k8s.grammar.practices import Practices
from sluicegate.data.k8s.grammar.wiring import Wiring
from sluicegate.data.k8s.render import Body

WRITTEN: Final = frozenset(
    (
        "/dev",
        "/mnt/cache",
        "/run/xtables.lock",
        "/srv/shared",
        "/var/lib/vector",
        "/run/promtail",
        "/mnt/disks",
        "/var/lib/kubelet/device-plugins",
    )
)
"""Folders of the node that are written to."""
HOST_TYPES: Final = {
    "/var/run/docker.sock": "Socket",
    "/etc/localtime": "File",
    "/run/xtables.lock": "FileOrCreate",
    "/dev/kmsg": "CharDevice",
}
"""Folders of the node that are none."""
LOGS: Final = "logs"
"""The volume that an application writes its logs to, for a shipper beside it."""
CACHE_FOLDERS: Final = ("/cache", "/var/cache/app", "/app/cache", "/work")


@dataclass(frozen=True, slots=True)
class Store:
    """A volume with its one place in the application's container.

    Args:
        source: as under `volumes`; empty where a StatefulSet's claim template gives it.
        part: the one file of it that is mounted; empty for all of it.
    """

    name: str
    source: Body
    path: str
    read_only: bool = False
    part: str = ""


def mount(store: Store) -> Body:
    """An entry of `volumeMounts`."""
    return filled(name=store.name, mountPath=store.path, subPath=store.part, readOnly=True if store.read_only else None)


def volume(store: Store) -> Body:
    """An entry of `volumes`."""
    return {"name": store.name, **store.source}


def stores(
    rng: Random, house: House, app: App, wiring: Wiring, *, kept: Practices, shared: Exposure, templated: bool
) -> tuple[Store, ...]:
    """What a pod mounts, each place once; `templated`: its data comes from a claim template."""
    found = [
        *_configured(rng, app, wiring),
        *([_data(rng, app, wiring, shared, templated=templated)] if app.data else []),
        *(Store(name, {"hostPath": _host(rng, path)}, place, read_only=path not in WRITTEN)
          for name, path, place in shared.folders),
        *_scratch(rng, house, app, kept),
        *_mounted_secret(rng, house, app),
    ]  # fmt: skip
    paths = [store.path for store in found]
    once = [store for place, store in enumerate(found) if store.path not in paths[:place]]
    names = [store.name for store in once]
    return tuple(
        replace(store, name=f"{store.name}-{place}") if store.name in names[:place] else store
        for place, store in enumerate(once)
    )


def _configured(rng: Random, app: App, wiring: Wiring) -> list[Store]:
    if not app.config:
        return []
    folder, _, file = app.config.rpartition("/")
    source: Body = {"configMap": {"name": wiring.config_map}}
    one = Store("config", source, app.config, part=file, read_only=chance(rng, 0.3))
    return [weighted(rng, ((55, one), (45, Store("config", source, folder, read_only=chance(rng, 0.4)))))]


def _data(rng: Random, app: App, wiring: Wiring, shared: Exposure, *, templated: bool) -> Store:
    name = weighted(rng, ((80, "data"), (20, "storage")))
    if templated:
        return Store("data", {}, app.data)
    if shared.data:
        return Store(name, {"hostPath": {"path": f"/mnt/{app.name}", "type": "DirectoryOrCreate"}}, app.data)
    if wiring.claim:
        return Store(name, {"persistentVolumeClaim": {"claimName": wiring.claim}}, app.data)
    return Store(name, {"emptyDir": {}}, app.data)


def _host(rng: Random, path: str) -> Body:
    return filled(path=path, type=HOST_TYPES.get(path, "Directory") if chance(rng, 0.3) else "")


def _scratch(rng: Random, house: House, app: App, kept: Practices) -> list[Store]:
    """Folders that a program writes to: all of them where its root is read-only, else a cache now and then."""
    if kept.read_only:
        return [Store(_called(path), {"emptyDir": _empty(rng, house)}, path) for path in app.scratch]
    if app.own and app.ports and chance(rng, 0.05 * house.detail):
        return [Store(LOGS, {"emptyDir": {}}, f"/var/log/{app.component}")]
    if app.own and chance(rng, 0.02 + 0.1 * house.detail):
        return [Store("cache", {"emptyDir": _empty(rng, house)}, rng.choice(CACHE_FOLDERS))]
    return []


def _called(path: str) -> str:
    """A volume's name, after the last part of its folder.

    >>> _called("/var/cache/nginx"), _called("/tmp"), _called("/app/.next/cache")
    ('nginx', 'tmp', 'cache')
    """
    return path.rsplit("/", 1)[-1].strip(".").replace("_", "-")


def _empty(rng: Random, house: House) -> dict[str, Any]:
    if not chance(rng, 0.1 + 0.2 * house.detail):
        return {}
    size = rng.choice(("16Mi", "64Mi", "100Mi", "256Mi", "500Mi", "1Gi"))
    return weighted(rng, ((3, {"sizeLimit": size}), (1, {"medium": "Memory", "sizeLimit": size})))


def _mounted_secret(rng: Random, house: House, app: App) -> list[Store]:
    """A certificate or key that the program reads from a file."""
    if not chance(rng, 0.09 * house.detail):
        return []
    name, ending, path = rng.choice(
        (("tls", "tls", "/etc/tls"), ("certs", "certs", "/etc/ssl/app"), ("keys", "keys", "/var/run/secrets/keys"),
         ("gcp-key", "gcp-key", "/var/secrets/google"))
    )  # fmt: skip
    return [Store(name, {"secret": {"secretName": f"{app.name}-{ending}"}}, path, read_only=True)]
