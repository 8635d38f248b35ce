"""Quantities such as `500m` and `1Gi`: well-formed, not negative, and no request above its limit.

Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from sluicegate.k8s.document import Path, Value
from sluicegate.k8s.issues import said
from sluicegate.k8s.semantics.names import is_label_key
from sluicegate.k8s.semantics.rule import WORKLOADS, Body, Found, Kind, Rule, View, at, items, mapping

QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30}))"
    r"(?P<unit>[KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,3})?",
    re.ASCII,
)
POWERS: Final = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY: Final = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
STANDARD: Final = frozenset({"cpu", "memory", "ephemeral-storage"})
HUGE = "hugepages-"
A_QUANTITY = "a quantity such as 500m, 2 or 1Gi"
CLAIMS: Final[frozenset[Kind]] = frozenset({("", "PersistentVolumeClaim"), ("apps", "StatefulSet")})
CAPACITY: Final[frozenset[Kind]] = frozenset({("", "PersistentVolume")})
QUOTAS: Final[frozenset[Kind]] = frozenset({("", "ResourceQuota"), ("", "LimitRange")})


def quantity(value: Value) -> Decimal | None:
    """The size of a quantity; None where it is none.

    >>> [str(quantity(value)) for value in ("500m", "1Ki", 2, 0.5, "1e3", "1E", ".5")]
    ['0.500', '1024', '2', '0.5', '1E+3', '1E+18', '0.5']
    >>> [quantity(value) for value in ("1 Gi", "1GB", "", "m", True, None, [])]
    [None, None, None, None, None, None, None]
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    match = QUANTITY.fullmatch(str(value)) if not isinstance(value, str) or len(value) <= 80 else None
    if match is None:
        return None
    number, unit = Decimal(match["number"]), match["unit"] or ""
    if unit in BINARY:
        return number * BINARY[unit]
    # "E" alone is exa; "E3" is a power of ten.
    power = POWERS[unit] if unit in POWERS else int(unit[1:]) if unit else 0
    return number.scaleb(power)


def _faulty(value: Value, path: Path, *, positive: bool = False) -> Iterator[Found]:
    """A quantity that is none, or is too small. Null is the schema's business."""
    if value is None or isinstance(value, (bool, dict, list)) or (isinstance(value, int) and value > 0):
        return
    size = quantity(value)
    if size is None:
        yield path, A_QUANTITY, said(value)
    elif size < 0 or (positive and not size):
        yield path, "more than 0" if positive else "0 or more", said(value)


def _all(body: Body, path: Path, *, positive: bool = False) -> Iterator[Found]:
    for name, value in body.items():
        yield from _faulty(value, (*path, name), positive=positive)


def container_quantities(seen: View) -> Iterator[Found]:
    """What containers ask for and are limited to."""
    for path, container in seen.containers:
        resources = mapping(container.get("resources"))
        for field in ("requests", "limits"):
            yield from _all(mapping(resources.get(field)), (*path, "resources", field))


def resource_names(seen: View) -> Iterator[Found]:
    """Resources that containers can have: the standard ones, huge pages, and those of a vendor with its domain."""
    for path, container in seen.containers:
        resources = mapping(container.get("resources"))
        for field in ("requests", "limits"):
            for name in mapping(resources.get(field)):
                if not (name in STANDARD or name.startswith(HUGE) or ("/" in name and is_label_key(name))):
                    wanted = f"{', '.join(sorted(STANDARD))}, hugepages-… or a name with a domain"
                    yield (*path, "resources", field, name), wanted, said(name)


def requests_and_limits(seen: View) -> Iterator[Found]:
    """A request is at most its limit; of a vendor's resources and huge pages it is the limit."""
    for path, container in seen.containers:
        resources = mapping(container.get("resources"))
        limits = mapping(resources.get("limits"))
        for name, value in mapping(resources.get("requests")).items():
            wanted, limit = quantity(value), quantity(limits.get(name))
            exact = "/" in name or name.startswith(HUGE)
            if wanted is not None and limit is not None and (wanted > limit or (exact and wanted != limit)):
                most = "exactly" if exact else "at most"
                yield (*path, "resources", "requests", name), f"{most} the limit, {limits[name]}", said(value)
            elif exact and limits.get(name) is None and value is not None:
                yield (*path, "resources", "limits", name), f"the request, {said(value)}", "nothing"


def storage(seen: View) -> Iterator[Found]:
    """What claims ask for; a claim must ask for storage."""
    claims: Iterator[tuple[Path, Body]] = iter([((), seen.body)])
    if seen.object.kind == "StatefulSet":
        claims = items(seen.body, (), "spec", "volumeClaimTemplates")
    for path, claim in claims:
        spec = mapping(claim.get("spec"))
        requests = mapping(mapping(spec.get("resources")).get("requests"))
        if requests.get("storage") is None:
            yield (*path, "spec", "resources", "requests", "storage"), A_QUANTITY, "nothing"
        yield from _all(requests, (*path, "spec", "resources", "requests"), positive=True)


def capacity(seen: View) -> Iterator[Found]:
    """What a volume holds."""
    path = ("spec", "capacity")
    found = mapping(at(seen.body, path))
    if found.get("storage") is None:
        yield (*path, "storage"), A_QUANTITY, "nothing"
    yield from _all(found, path, positive=True)


def quotas(seen: View) -> Iterator[Found]:
    """What namespaces are limited to."""
    yield from _all(mapping(at(seen.body, ("spec", "hard"))), ("spec", "hard"))
    for path, limit in items(seen.body, (), "spec", "limits"):
        for field in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio"):
            yield from _all(mapping(limit.get(field)), (*path, field))


def volume_sizes(seen: View) -> Iterator[Found]:
    """The size limits of emptyDir volumes."""
    for path, volume in items(seen.pod, seen.pod_path, "volumes"):
        size = mapping(volume.get("emptyDir")).get("sizeLimit")
        yield from _faulty(size, (*path, "emptyDir", "sizeLimit"))


RULES = (
    Rule("quantity", "Requests and limits are quantities, 0 or more.", WORKLOADS, container_quantities),
    Rule("resource-name", "Containers ask for resources that there are.", WORKLOADS, resource_names),
    Rule("request-limit", "No container asks for more than its limit.", WORKLOADS, requests_and_limits),
    Rule("volume-size", "The size limit of an emptyDir is a quantity.", WORKLOADS, volume_sizes),
    Rule("storage", "A claim asks for more than 0 of storage.", CLAIMS, storage),
    Rule("capacity", "A volume has more than 0 of storage.", CAPACITY, capacity),
    Rule("quota", "Quotas and limit ranges are quantities, 0 or more.", QUOTAS, quotas),
)
