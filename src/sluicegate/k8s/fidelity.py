"""Intent fidelity: how much of what was asked for a manifest says, and how much it says against it; in [0, 1].

Where the facts of the intent are known, the score is the F1 of recall over the facts (found with the wanted value /
all facts) and of a precision that only counts what speaks against them: found / (found + facts whose path has another
value + what nobody asked for: objects, and items of COUNTED lists of which the facts name some). What the intent is
silent about (probes, security, resources, labels, a tag) costs nothing, so a hardened manifest that also says
everything asked is as good as a bare one. Where the facts are not known, the score is the F1 over the leaves of the
reference, with what hardening and good practice add left out of both sides (NEUTRAL, COMPANIONS), and what the API
server sets by itself equal to silence (`agreement.DEFAULTS`). The kind, and the reference's apiVersion, count only
where nothing else is wanted of an object: only objects of one kind are compared, so that these agree beforehand.

Objects are matched by kind and name; those left over, within a kind, so that the most leaves agree: a renamed object
loses its name and no more. An object of another kind, or of another group's kind of the same name, is another object.
Order, quoting, comments and flow style do not reach this module.

What this does not do: ask whether the manifest is valid, or well made. A text that cannot be read to its end says
nothing (0).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from sluicegate.k8s.agreement import ANY, DEFAULTS, FREE_KEYS, ITSELF, Tally, Work, agree, best_pairs, size
from sluicegate.k8s.document import Parsed
from sluicegate.k8s.leaves import Scalar, Tree, prefix, segments, tree
from sluicegate.k8s.leaves import text as text_of
from sluicegate.k8s.objects import Object, objects
from sluicegate.k8s.parse import parse

NEUTRAL: Final[Mapping[str, frozenset[str]]] = {
    "container": frozenset(
        {
            "imagePullPolicy",
            "lifecycle",
            "livenessProbe",
            "readinessProbe",
            "resources",
            "securityContext",
            "startupProbe",
            "terminationMessagePath",
            "terminationMessagePolicy",
        }
    ),
    "pod": frozenset(
        {
            "affinity",
            "automountServiceAccountToken",
            "enableServiceLinks",
            "priorityClassName",
            "securityContext",
            "serviceAccountName",
            "terminationGracePeriodSeconds",
            "topologySpreadConstraints",
        }
    ),
    "workload": frozenset(
        {
            "minReadySeconds",
            "progressDeadlineSeconds",
            "revisionHistoryLimit",
            "strategy",
            "updateStrategy",
        }
    ),
}
"""Fields that count neither way without facts. Besides them: volumes of kind emptyDir and where they are mounted."""
COMPANIONS: Final = frozenset({"NetworkPolicy", "PodDisruptionBudget", "ServiceAccount"})
"""Objects that hardening adds: the first of each kind is not an object too many."""
INHERITED: Final = ("runAsNonRoot", "runAsUser", "runAsGroup", "seccompProfile", "appArmorProfile")
"""What a container takes from its pod's security context."""
CONTAINERS: Final = ("containers", "initContainers", "ephemeralContainers")
COUNTED: Final = ("containers", "ports")
"""Lists in which an item too many speaks against: an answer that opens every usual port has not understood which."""
CANDIDATES_LIMIT: Final = 32
"""Objects that could be partners are compared with each other up to this number a side; the others in order."""
SEGMENTS_LIMIT: Final = 100
"""Of the path of a fact."""

NO_REFERENCE: Final = "the reference is no Kubernetes manifest"

Fact = tuple[str, Scalar]


@dataclass(frozen=True, slots=True)
class Fidelity:
    """What was asked for and what came of it.

    Args:
        value: in [0, 1]; None where the reference or the facts cannot be read.
        why: in words, one line.
    """

    value: float | None
    why: str


@dataclass(frozen=True, slots=True)
class _Told:
    """What is wanted or said of one object; an empty kind or name is any."""

    kind: str
    name: str
    leaves: Tree


Pair: TypeAlias = tuple[_Told, _Told, Tally]


def fidelity(text: str | Parsed, reference: str | Parsed, facts: object = None) -> Fidelity:
    """Judge a manifest by the facts of its intent, or without facts by the reference.

    Args:
        text: the manifest, any number of documents; it and the reference may be parsed already.
        reference: an answer that does what was asked. With facts it only says which objects are not too many.
        facts: (path, value) pairs as `leaves` writes them, or None. The value "*" is any, also on the path of a map or
            list; `[*]` is an item of any name, and `Kind/*:` an object of any name.

    >>> pod = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: nginx}]}}"
    >>> fidelity(pod, pod).value
    1.0
    >>> fidelity(pod, pod, [["kind", "Pod"], ["metadata.name", "b"], ["spec.containers[*].image", "nginx"]])
    Fidelity(value=0.5, why='1 of 2 facts, 1 contradicted')
    """
    wanted = reference if isinstance(reference, Parsed) else parse(reference)
    known = objects(wanted)
    if not wanted.ok or not known:
        return Fidelity(None, NO_REFERENCE)
    try:
        asked = tuple(_facts(facts)) if facts else ()
    except (ValueError, TypeError) as fault:
        return Fidelity(None, f"the facts cannot be read: {fault}")
    parsed = text if isinstance(text, Parsed) else parse(text)
    found = objects(parsed)
    if not parsed.ok or not found:
        return Fidelity(0.0, "no Kubernetes object" if parsed.ok else f"not parsed: {first_fault(parsed)}")
    return _by_facts(asked, known, found) if asked else _by_reference(known, found)


def _by_facts(asked: Sequence[_Told], known: Sequence[Object], found: Sequence[Object]) -> Fidelity:
    total = sum(size(each.leaves) for each in asked)
    kinds = _kinds(known, found)
    pairs = _pairs(
        asked, [_Told(kind, each.name, _effective(tree(each.body))) for kind, each in zip(kinds, found, strict=True)]
    )
    same, other = _sum(pairs)
    objects_more = _surplus(Counter(each.kind for each in asked), known, kinds).total()
    items_more = _items_surplus(pairs, known)
    told = [f"{same} of {total} facts"]
    told += [f"{other} contradicted"] * bool(other)
    told += [f"{objects_more} object{'s' * (objects_more > 1)} too many"] * bool(objects_more)
    told += [f"{items_more} item{'s' * (items_more > 1)} too many"] * bool(items_more)
    return Fidelity(_f1(same, total, same + other + objects_more + items_more), ", ".join(told))


def _by_reference(known: Sequence[Object], found: Sequence[Object]) -> Fidelity:
    asked = [_whole(each) for each in known]
    # A companion that the reference lacks stands aside; a second one of its kind does not.
    beside = COMPANIONS - {each.kind for each in known}
    firsts = {each.kind: index for index, each in reversed(list(enumerate(found))) if each.kind in beside}
    judged = [_whole(each) for index, each in enumerate(found) if firsts.get(each.kind) != index]
    total, said = (sum(size(each.leaves) for each in side) for side in (asked, judged))
    same = _sum(_pairs(asked, judged)).same
    return Fidelity(_f1(same, total, said), f"{same} of the reference's {total} leaves, {said} said")


def _whole(each: Object) -> _Told:
    """All that an object says, its kind aside; of one that says nothing else, the kind."""
    kind = full_kind(each.group, each.kind)
    said = _telling(tree({key: value for key, value in each.body.items() if key not in ("apiVersion", "kind")}))
    return _Told(kind, each.name, said or {"kind": kind})


def full_kind(group: str, kind: str) -> str:
    """A kind, with its group where that is none of Kubernetes' own: Knative's Service is no Service.

    >>> full_kind("apps", "Deployment"), full_kind("serving.knative.dev", "Service")
    ('Deployment', 'Service.serving.knative.dev')
    """
    return f"{kind}.{group}" if "." in group and not group.endswith(".k8s.io") else kind


def _f1(same: int, wanted: int, said: int) -> float:
    return min(1.0, 2 * same / (wanted + said)) if same else 0.0


def _kinds(known: Sequence[Object], found: Sequence[Object]) -> list[str]:
    """The kinds of the objects as facts name them; another group's kind of the same name is not the reference's."""
    own = {(each.kind, full_kind(each.group, each.kind)) for each in known}
    named = {kind for kind, _ in own}
    return [
        f"{each.kind}.{each.group}"
        if each.kind in named and (each.kind, full_kind(each.group, each.kind)) not in own
        else each.kind
        for each in found
    ]


def _surplus(asked: Counter[str], known: Sequence[Object], kinds: Sequence[str]) -> Counter[str]:
    """How many objects of a kind are there beyond what was asked for, the reference has, or hardening adds."""
    reference = Counter(each.kind for each in known)
    allowed = {kind: max(asked[kind], reference[kind], kind in COMPANIONS) for kind in set(kinds)}
    return Counter(kinds) - Counter(allowed)


def _items_surplus(pairs: Iterable[Pair], known: Sequence[Object]) -> int:
    """How many items there are beyond those asked for or the reference's; a list that nobody named is free."""
    most: Counter[tuple[str, str]] = Counter()
    for each in known:
        for field, count in _counts(tree(each.body)).items():
            most[each.kind, field] = max(most[each.kind, field], count)
    surplus = 0
    for asked, seen, _ in pairs:
        named, said = _counts(asked.leaves), _counts(seen.leaves)
        surplus += sum(max(0, said[field] - max(count, most[seen.kind, field])) for field, count in named.items())
    return surplus


def _counts(node: Tree) -> Counter[str]:
    """Field of COUNTED → how many items lists of this name have."""
    found: Counter[str] = Counter()
    for segment, below in node.items():
        if isinstance(below, dict):
            found += _counts(below)
            if segment in COUNTED:
                found[segment] += sum(item.startswith("[") for item in below)
    return found


def _pairs(asked: Sequence[_Told], seen: Sequence[_Told]) -> list[Pair]:
    """The best pairing of objects: those of one kind and name, then within a kind, then any for an unknown kind."""
    work, found = Work(), list[Pair]()
    left, spare = list(asked), list(seen)
    for key in (_kind_and_name, _kind, _nothing):
        of_key: dict[object, tuple[list[_Told], list[_Told]]] = {}
        for each in left:
            if key(each) is not None and (key is not _nothing or not each.kind):
                of_key.setdefault(key(each), ([], []))[0].append(each)
        for each in spare:
            if key(each) in of_key:
                of_key[key(each)][1].append(each)
        found += [pair for sides in of_key.values() for pair in _matched(*sides, work)]
        used = {id(each) for pair in found for each in pair[:2]}
        left, spare = ([each for each in side if id(each) not in used] for side in (left, spare))
    return found


def _kind_and_name(each: _Told) -> tuple[str, str] | None:
    return (each.kind, each.name) if each.kind and each.name else None


def _kind(each: _Told) -> str | None:
    return each.kind or None


def _nothing(_: _Told) -> str:
    return ""


def _matched(wanted: Sequence[_Told], seen: Sequence[_Told], work: Work) -> Iterator[Pair]:
    """Pairs under which most agrees, of the first CANDIDATES_LIMIT; the others in an order that is their content's."""
    if max(len(wanted), len(seen)) > CANDIDATES_LIMIT:
        wanted, seen = sorted(wanted, key=_spelled), sorted(seen, key=_spelled)
    chosen = _chosen(wanted[:CANDIDATES_LIMIT], seen[:CANDIDATES_LIMIT], work)
    chosen += list(zip(wanted[CANDIDATES_LIMIT:], seen[CANDIDATES_LIMIT:], strict=False))
    return ((one, another, agree(one.leaves, another.leaves, work)) for one, another in chosen)


def _chosen(wanted: Sequence[_Told], seen: Sequence[_Told], work: Work) -> list[tuple[_Told, _Told]]:
    """Who goes with whom: the best assignment, or in order where there is no choice or no work left."""
    if len(wanted) == len(seen) == 1:
        return [(wanted[0], seen[0])]
    table = [[agree(one.leaves, another.leaves, work) for another in seen if work.left >= 0] for one in wanted]
    if work.left < 0:
        return list(zip(wanted, seen, strict=False))
    return [(wanted[row], seen[column]) for row, column in best_pairs(table)]


def _spelled(each: _Told) -> str:
    return json.dumps([each.name, each.leaves], sort_keys=True)


def _sum(pairs: Sequence[Pair]) -> Tally:
    return Tally(sum(tally.same for _, _, tally in pairs), sum(tally.other for _, _, tally in pairs))


def _facts(facts: object) -> Iterable[_Told]:
    """The facts as trees, one an object.

    Raises:
        ValueError, TypeError: they are no list of (path, scalar) pairs, or a path is none.
    """
    if not isinstance(facts, Sequence) or isinstance(facts, str):
        raise TypeError("wanted a list of [path, value]")
    groups: dict[str, tuple[str, str, Tree]] = {}
    for fact in facts:
        path, value = _fact(fact)
        kind, name, rest = prefix(path)
        wanted = groups.setdefault(path.removesuffix(rest), (kind, name, {}))[2]
        steps = segments(rest)
        if len(steps) > SEGMENTS_LIMIT:
            raise ValueError(f"a path of {len(steps)} steps, at most {SEGMENTS_LIMIT} are read")
        _put(wanted, steps, ANY if value == "*" else value)
    for kind, name, wanted in groups.values():
        told_name = _told(wanted.get("metadata"), "name") if not name else "" if name == "*" else name
        leaves = {segment: below for segment, below in wanted.items() if segment != "kind"}
        yield _Told(kind or _told(wanted, "kind"), told_name, leaves or wanted)


def _fact(fact: object) -> Fact:
    if not isinstance(fact, Sequence) or isinstance(fact, str) or len(fact) != 2:
        raise TypeError(f"wanted [path, value], seen {str(fact)[:80]}")
    path, value = fact
    if not isinstance(path, str) or not isinstance(value, (str, int, float, bool, type(None))):
        raise TypeError(f"wanted a path and a scalar, seen {str(fact)[:80]}")
    return path, value


def _put(node: Tree, path: Sequence[str], value: Scalar) -> None:
    """Add a wanted leaf; one that stands above others is kept beside them as what is wanted of the whole."""
    for segment in path[:-1]:
        below = node.get(segment)
        if not isinstance(below, dict):
            below = {} if segment not in node else {ITSELF: below}
            node[segment] = below
        node = below
    at = node.get(path[-1])
    if isinstance(at, dict):
        at[ITSELF] = value
    else:
        node[path[-1]] = value


def _told(node: object, field: str) -> str:
    value = node.get(field) if isinstance(node, Mapping) else None
    return value if isinstance(value, str) and value is not ANY else ""


def _telling(node: Tree) -> Tree:
    """A tree without what hardening adds and without what says nothing: nulls, defaults, status."""
    silent = {"status"}
    if isinstance(node.get("containers"), dict):
        silent |= NEUTRAL["pod"]
        node = _without_scratch(node)
    if isinstance(node.get("template"), dict):
        silent |= NEUTRAL["workload"]
    kept: Tree = {}
    for segment, below in node.items():
        if isinstance(below, dict):
            told = _told_of(segment, below) if segment not in silent else {}
            if told:
                kept[segment] = told
        elif segment not in silent and below is not None and (segment, text_of(below)) not in DEFAULTS:
            kept[segment] = below
    return kept


def _told_of(field: str, node: Tree) -> Tree:
    """What a map or list tells that stands in a field."""
    if field in FREE_KEYS:
        return {key: value for key, value in node.items() if value is not None}
    return _telling(_bare(node) if field in CONTAINERS else node)


def _bare(containers: Tree) -> Tree:
    """Containers without the neutral fields."""
    return {
        name: {field: below for field, below in body.items() if field not in NEUTRAL["container"]}
        if isinstance(body, dict)
        else body
        for name, body in containers.items()
    }


def _without_scratch(pod: Tree) -> Tree:
    """A pod without its emptyDir volumes and their mounts, which a read-only root file system needs."""
    volumes = pod.get("volumes")
    if not isinstance(volumes, dict):
        return pod
    scratch = {name: body for name, body in volumes.items() if isinstance(body, dict) and "emptyDir" in body}
    names = {body.get("name") for body in scratch.values()}
    kept: Tree = {**pod, "volumes": {name: body for name, body in volumes.items() if name not in scratch}}
    for part in CONTAINERS:
        containers = pod.get(part)
        if isinstance(containers, dict):
            kept[part] = {name: _without_mounts(body, names) for name, body in containers.items()}
    return kept


def _without_mounts(container: Tree | Scalar, names: Container[Tree | Scalar]) -> Tree | Scalar:
    mounts = container.get("volumeMounts") if isinstance(container, dict) else None
    if not isinstance(container, dict) or not isinstance(mounts, dict):
        return container
    kept = {path: body for path, body in mounts.items() if not (isinstance(body, dict) and body.get("name") in names)}
    return {**container, "volumeMounts": kept}


def _effective(node: Tree) -> Tree:
    """A tree in which a pod's security context and its containers' say all that holds for either.

    "Runs as non-root" is the same fact on the pod and on every container, whichever of them the facts name.
    """
    full: Tree = {key: _effective(below) if isinstance(below, dict) else below for key, below in node.items()}
    containers = [item for part in CONTAINERS for item in _maps(full.get(part))]
    if not isinstance(full.get("containers"), dict) or not containers:
        return full
    of_pod = dict(_map(full.get("securityContext")))
    for container in containers:
        own = _map(container.get("securityContext"))
        container["securityContext"] = {**{key: of_pod[key] for key in INHERITED if key in of_pod}, **own}
    for key in INHERITED:
        values = [_map(container["securityContext"]).get(key) for container in containers]
        if key not in of_pod and values[0] is not None and all(value == values[0] for value in values):
            of_pod[key] = values[0]
    full["securityContext"] = of_pod
    return full


def _map(node: Tree | Scalar) -> Tree:
    return node if isinstance(node, dict) else {}


def _maps(node: Tree | Scalar) -> list[Tree]:
    return [item for item in _map(node).values() if isinstance(item, dict)]


def first_fault(parsed: Parsed) -> str:
    """What ended the reading of a text; empty where it was read to its end."""
    return next((fault.what for fault in parsed.faults if fault.fatal), "")
