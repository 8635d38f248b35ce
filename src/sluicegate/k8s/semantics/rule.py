"""What a semantic rule is, and how it looks at an object whose schema may be broken.

A rule reports what the API server would refuse, or what starts no pod although the schema holds. Values of a wrong type
are the schema's business: a rule passes over them, and none may raise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sluicegate.k8s.document import Path, Value
from sluicegate.k8s.objects import PODS, Object, Workload

Kind: TypeAlias = tuple[str, str]
Body: TypeAlias = Mapping[str, Value]
Found: TypeAlias = tuple[Path, str, str]
"""Path within the object's body, what was wanted, what was seen."""
EMPTY: Final[Body] = {}
WORKLOADS: Final = frozenset(PODS)
ANY: Final[frozenset[Kind]] = frozenset()
"""Every kind."""


@dataclass(frozen=True, slots=True)
class View:
    """An object as the rules see it.

    Args:
        containers: of its pod, with their paths: containers, then init, then ephemeral ones; entries that are no
            mapping are left out.
        pod: the pod spec at `pod_path`; empty where the object starts no pods.
    """

    object: Object
    body: Body
    pod_path: Path
    pod: Body
    containers: tuple[tuple[Path, Body], ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Args:
        name: as issues cite it.
        asks: what must hold, in one sentence.
        kinds: group and kind of the objects it looks at; empty: all.
        find: what is wrong with one of them.
    """

    name: str
    asks: str
    kinds: frozenset[Kind]
    find: Callable[[View], Iterator[Found]]

    @property
    def looks_at(self) -> str:
        """The kinds in words."""
        if not self.kinds:
            return "every object"
        return "workloads" if self.kinds == WORKLOADS else ", ".join(sorted(kind for _, kind in self.kinds))


def view(item: Object) -> View:
    """An object with its pod, if it starts any."""
    path = PODS.get((item.group, item.kind))
    if path is None:
        return View(item, item.body, (), EMPTY, ())
    pod = at(item.body, path)
    load = Workload(item, path, pod if isinstance(pod, dict) else {})
    containers = load.containers + load.init_containers + load.ephemeral_containers
    return View(item, item.body, path, load.pod, containers)


def mapping(value: Value) -> Body:
    """The value, or an empty mapping where it is none."""
    return value if isinstance(value, dict) else EMPTY


def job_path(seen: View) -> Path:
    """Where the spec of a Job stands, or of those that a CronJob makes."""
    return ("spec", "jobTemplate", "spec") if seen.object.kind == "CronJob" else ("spec",)


def at(body: Any, path: Path) -> Value:
    """What stands at a path of keys; None where there is nothing."""
    for step in path:
        body = body.get(step) if isinstance(body, dict) else None
    found: Value = body
    return found


def items(body: Body, path: Path, *fields: str) -> Iterator[tuple[Path, Body]]:
    """The mappings of the list at `fields` of a body that stands at `path`, each with its path.

    >>> list(items({"a": {"b": [{"c": 1}, 2]}}, ("x",), "a", "b"))
    [(('x', 'a', 'b', 0), {'c': 1})]
    """
    for index, item in enumerate(listed(at(body, fields))):
        if isinstance(item, dict):
            yield (*path, *fields, index), item


def listed(value: Value) -> Sequence[Value]:
    """The value, or nothing where it is no list."""
    return value if isinstance(value, list) else ()


def texts(value: Value) -> list[str]:
    """The texts of a list; empty for what is no list."""
    return [item for item in listed(value) if isinstance(item, str)]


def whole(value: Value) -> int | None:
    """The value as a whole number where Kubernetes reads one.

    >>> whole(3), whole(3.0), whole("3"), whole(True)
    (3, 3, None, None)
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) else None


def out_of_range(value: Value, path: Path, least: int, most: int | None = None, wanted: str = "") -> Iterator[Found]:
    """A whole number below `least` or above `most`; `wanted` says the range in other words."""
    number = whole(value)
    if number is not None and (number < least or (most is not None and number > most)):
        yield path, wanted or (f"{least} or more" if most is None else f"{least} to {most}"), str(number)


def repeated(named: Iterator[tuple[Path, str]]) -> Iterator[tuple[Path, str]]:
    """Those that bear a name which one before them has; empty names are passed over.

    >>> list(repeated(iter([((0,), "a"), ((1,), "b"), ((2,), "a")])))
    [((2,), 'a')]
    """
    seen: set[str] = set()
    for path, name in named:
        if name in seen:
            yield path, name
        elif name:
            seen.add(name)


def named(rows: Iterator[tuple[Path, Body]], field: str = "name") -> Iterator[tuple[Path, str]]:
    """The path and text of a field of each mapping that has it."""
    for path, body in rows:
        value = body.get(field)
        if isinstance(value, str):
            yield (*path, field), value
