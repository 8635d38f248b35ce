"""What a check is, what it may look at, and what it says: plain data, no rule of its own.

A check has three states on a workload: it passes, it fails with at least one flaw, or it is not applicable. A fourth is
for those that somebody chose to skip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from sluicegate.k8s.parse import Path, Value

CONTAINERS, INIT, EPHEMERAL = "containers", "initContainers", "ephemeralContainers"
SECURITY, RELIABILITY = "security", "reliability"
EMPTY: Final[Mapping[str, Value]] = {}
"""Stands for a mapping that is missing or is no mapping: nothing is set in it."""


class State(StrEnum):
    """What a check says of one workload."""

    PASS = "pass"  # noqa: S105 (no password)
    FAIL = "fail"
    NOT_APPLICABLE = "not applicable"
    SKIPPED = "skipped"


ASKED: Final = frozenset((State.PASS, State.FAIL))
"""The states of a check that was asked; a share is over these."""


@dataclass(frozen=True, slots=True)
class Container:
    """One container.

    Args:
        path: of the container within the object's body.
        body: as written.
        context: its `securityContext`; empty where there is none or it is no mapping.
    """

    path: Path
    body: Mapping[str, Value]
    context: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Pod:
    """The pod of one workload, as the checks see it.

    Args:
        path: of the pod spec within the object's body.
        spec: as written.
        context: the pod's `securityContext`; empty where there is none or it is no mapping.
        groups: the field of the pod spec → its containers; malformed entries are left out.
        has_root: whether a container asks for user 0: with runAsNonRoot on the pod it would no longer start.
    """

    path: Path
    spec: Mapping[str, Value]
    context: Mapping[str, Value]
    groups: Mapping[str, tuple[Container, ...]]
    has_root: bool


@dataclass(frozen=True, slots=True)
class Flaw:
    """One place where a workload fails a check.

    Args:
        path: the field that is at fault, within the object's body; it need not exist.
        seen: what was found there.
        under: the mapping, within the object's body, that `remedy` is merged into.
        remedy: the fields to set, which is YAML to paste under `under`.
        needs: what must be known of the application to mend it; empty: nothing, the remedy is safe to apply as it is.
    """

    path: Path
    seen: str
    under: Path
    remedy: Mapping[str, Value]
    needs: str = ""


Flaws: TypeAlias = Iterable[Flaw]
FLAWS_KEPT = 100
"""Of one check in one workload; a pod that has more of them is no pod that somebody runs."""


def nothing(_: Pod) -> Flaws:
    """The flaws of a pod that a check does not look at as a whole."""
    return ()


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Args:
        number: 1-11, its place in the tuple.
        name: identifier in reports.
        group: security or reliability.
        asks: what must hold, in one sentence.
        why: what goes wrong otherwise.
        covers: the fields of the pod spec whose containers it looks at.
        container: the flaws of one container.
        pod: the flaws of the pod as a whole.
        example: the remedy as `--explain` shows it, in the place it belongs to.
        windows: whether it applies to Windows pods.
        jobs: whether it applies to Job and CronJob.
    """

    number: int
    name: str
    group: str
    asks: str
    why: str
    covers: tuple[str, ...]
    container: Callable[[Pod, Container], Flaws]
    example: Mapping[str, Value]
    pod: Callable[[Pod], Flaws] = nothing
    windows: bool = True
    jobs: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check says of one workload.

    Args:
        check: its name.
        looked: how many containers it looked at; a check that looked at none did not pass, and one that has found a
            hundred flaws looks no further.
        flaws: empty unless it fails; the first 100 of them.
    """

    check: str
    state: State
    looked: int
    flaws: tuple[Flaw, ...] = ()


def mapping(value: object) -> Mapping[str, Value]:
    """The value, or an empty mapping where it is none.

    >>> mapping({"a": 1}), mapping(["a"]), mapping(None)
    ({'a': 1}, {}, {})
    """
    return value if isinstance(value, dict) else EMPTY


def whole(value: Value | None) -> int | None:
    """The value as a whole number where Kubernetes reads one: no text, no truth value.

    >>> whole(0), whole(1000.0), whole("1000"), whole(True), whole(1.5)
    (0, 1000, None, None, None)
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else None


def said(value: Value | None) -> str:
    """A value as it is shown: short, and a text told apart from a number or truth value.

    >>> said(None), said(False), said(0), said("0"), said([]), said({"a": {}})
    ('not set', 'false', '0', "the text '0'", 'an empty list', 'a mapping')
    """
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (dict, list)):
        kind = "mapping" if isinstance(value, dict) else "list"
        return f"a {kind}" if value else f"an empty {kind}"
    return f"the text {value[:60]!r}" if isinstance(value, str) else str(value)[:60]


def shown(path: Path, body: Value) -> str:
    """A path as people write it, list items by name where they have one.

    >>> shown(("spec", "containers", 0, "securityContext"), {"spec": {"containers": [{"name": "web"}]}})
    'spec.containers[web].securityContext'
    >>> shown(("spec", "containers", 1, "image"), {"spec": None})
    'spec.containers[1].image'
    """
    parts: list[str] = []
    here: Value = body
    for step in path:
        if isinstance(step, int):
            here = here[step] if isinstance(here, list) and step < len(here) else None
            name = mapping(here).get("name")
            parts.append(f"[{name if isinstance(name, str) and name else step}]")
        else:
            here = mapping(here).get(step)
            parts.append(f".{step}" if parts else step)
    return "".join(parts)
