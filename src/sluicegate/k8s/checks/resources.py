"""Checks 7 and 8: a share of the node that the scheduler can count on, and a bound.

Only what is written counts, although the API server copies a limit to a request that is missing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from typing import Final

from sluicegate.k8s.checks.model import CONTAINERS, INIT, RELIABILITY, Check, Container, Flaw, Flaws, Pod, mapping, said
from sluicegate.k8s.parse import Value

WANTED: Final = ("cpu", "memory")
USUAL: Final[dict[str, dict[str, str]]] = {
    "requests": {"cpu": "100m", "memory": "128Mi"},
    "limits": {"cpu": "500m", "memory": "256Mi"},
}
QUANTITY: Final = re.compile(
    r"(?P<sign>[+-]?)(?P<digits>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?"
)
"""Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/"""


def positive(value: Value | None) -> bool:
    """Whether this is a quantity above 0.

    >>> [positive(text) for text in ("100m", "0.5", "1e3", "1Gi", 2, 0.5)]
    [True, True, True, True, True, True]
    >>> [positive(text) for text in ("0", "0.0Mi", "-1", "1 Gi", "1GB", "", "many", True, None, 0)]
    [False, False, False, False, False, False, False, False, False, False]
    """
    if isinstance(value, (int, float)):
        return not isinstance(value, bool) and 0 < value < math.inf
    found = QUANTITY.fullmatch(value) if isinstance(value, str) else None
    return found is not None and found["sign"] != "-" and any(digit in "123456789" for digit in found["digits"])


def _resources(part: str, _: Pod, container: Container) -> Flaws:
    resources = mapping(container.body.get("resources"))
    written = mapping(resources.get(part))
    missing = [name for name in WANTED if not positive(written.get(name))]
    if not missing:
        return
    limits = mapping(resources.get("limits")) if part == "requests" else {}
    known = all(written.get(name) is None and positive(limits.get(name)) for name in missing)
    yield Flaw(
        (*container.path, "resources", part),
        ", ".join(f"{part}.{name} is {said(written.get(name))}" for name in missing),
        container.path,
        # A request that is missing is set to the limit by the API server: to write it down changes nothing.
        {"resources": {part: {name: limits[name] if known else USUAL[part][name] for name in missing}}},
        "" if known else "how much cpu and memory it uses",
    )


def _look(part: str) -> Callable[[Pod, Container], Flaws]:
    return partial(_resources, part)


RESOURCE_REQUESTS = Check(
    7, "resource_requests", RELIABILITY,
    "resources.requests with cpu and memory, both quantities above 0.",
    "The scheduler places a pod by its requests; without them it may land on a full node, and is evicted first.",
    (CONTAINERS, INIT), _look("requests"), {"resources": {"requests": dict(USUAL["requests"])}},
)  # fmt: skip
RESOURCE_LIMITS = Check(
    8, "resource_limits", RELIABILITY,
    "resources.limits with cpu and memory, both quantities above 0.",
    "Without limits one container can take what its neighbours on the node need.",
    (CONTAINERS, INIT), _look("limits"), {"resources": {"limits": dict(USUAL["limits"])}},
)  # fmt: skip
