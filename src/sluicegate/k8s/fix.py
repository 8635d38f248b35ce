"""A hardened copy of a text: what can be mended without knowing the application is, and the rest is told.

Mended: runAsNonRoot, allowPrivilegeEscalation, drop ALL, readOnlyRootFilesystem, the seccomp profile, and requests that
the limits already imply. Left alone, with a reason: a user ID to run as, privileged, added capabilities, what is shared
with the host, probes, image tags, limits, requests without limits, and a text or list where a mapping belongs. A
container that needs what was taken from it then fails to start or to write; nothing here can know that.

The text is changed in place, character by character elsewhere. The result is parsed again and must differ from the
original in the named fields alone; a document in which an anchor, an alias or a merge key would carry a change to
another place is left as it was.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import yaml

from sluicegate.k8s.checks.model import FLAWS_KEPT, Flaw, said, shown
from sluicegate.k8s.checks.security import listed
from sluicegate.k8s.objects import get, objects, workloads
from sluicegate.k8s.parse import Limits, Path, Value, parse
from sluicegate.k8s.score import Judged, judge
from sluicegate.k8s.splice import documents, pieces, spliced

MARK = "\ufeff"
READ = Limits(nodes=25_000, objects=1_000)
"""A text is read twice more to be changed, so that it may hold less than one that is only checked."""
ROUNDS = 4
"""Times that what came out wrong is left as it was and the rest tried again."""
MAPPING = "a mapping belongs there"
ELSEWHERE = "an anchor, alias or merge key would carry the change to another place"


@dataclass(frozen=True, slots=True)
class Change:
    """One field that was set.

    Args:
        place: object and path, as people write them.
        before: what stood there.
        after: what stands there now.
    """

    check: str
    place: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Left:
    """One flaw that was left.

    Args:
        needs: what must be known to mend it, or why its document was not touched.
    """

    check: str
    place: str
    seen: str
    needs: str


@dataclass(frozen=True, slots=True)
class Fixed:
    """The hardened text, what was changed in it and what was not."""

    text: str
    changes: tuple[Change, ...]
    left: tuple[Left, ...]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Edit:
    """One field to set in one document."""

    document: int
    path: Path
    value: Value
    check: str
    judged: Judged
    flaw: Flaw


def fix(text: str, skip: Container[str] = ()) -> Fixed:
    """Harden a text.

    Args:
        skip: names of checks for which nothing is changed.

    >>> pod = "apiVersion: v1\\nkind: Pod\\nmetadata: {name: a}\\nspec:\\n  containers:\\n  - image: a:1  # old\\n"
    >>> print(fix(pod).text, end="")
    apiVersion: v1
    kind: Pod
    metadata: {name: a}
    spec:
      containers:
      - image: a:1  # old
        securityContext:
          allowPrivilegeEscalation: false
          capabilities:
            drop:
            - ALL
          readOnlyRootFilesystem: true
      securityContext:
        runAsNonRoot: true
        seccompProfile:
          type: RuntimeDefault
    """
    mark, body = (MARK, text[1:]) if text.startswith(MARK) else ("", text)
    parsed = parse(body, READ)
    if not parsed.ok:
        why = next((fault.what for fault in parsed.faults if fault.fatal), "")
        return Fixed(text, (), (), f"not parsed: {why}")
    judged = judge(workloads(objects(parsed)), skip)
    if any(len(finding.flaws) >= FLAWS_KEPT for each in judged for finding in each.findings):
        return Fixed(text, (), (), f"{FLAWS_KEPT} flaws of one check in one workload, or more: nothing was changed")
    values = {document.index: document.value for document in parsed.documents}
    edits = [edit for each in judged for edit in _edits(each, values)]
    changed, held = _apply(body, values, edits) if edits else (body, set())
    return Fixed(
        mark + changed,
        tuple(dict.fromkeys(_told(edit, values) for edit in edits if edit.document not in held)),
        tuple(
            left
            for each in judged
            for finding in each.findings
            for flaw in finding.flaws
            if (left := _left(each, finding.check, flaw, values, held)) is not None
        ),
    )


def _edits(judged: Judged, values: Mapping[int, Value]) -> Iterator[Edit]:
    place = judged.workload.object
    for finding in judged.findings:
        for flaw in finding.flaws:
            if not _needs(judged, flaw, values):
                for path, value in _fields(flaw.remedy):
                    yield Edit(
                        place.document, (*place.path, *flaw.under, *path), value, finding.check, judged, flaw
                    )  # fmt: skip


def _needs(judged: Judged, flaw: Flaw, values: Mapping[int, Value]) -> str:
    """What must be known to mend a flaw, of the application or of what was written; empty: nothing."""
    if flaw.needs:
        return flaw.needs
    place = judged.workload.object
    for path, _ in _fields(flaw.remedy):
        whole = (*place.path, *flaw.under, *path)
        for depth in range(1, len(whole)):
            found = get(values[place.document], *whole[:depth])
            if isinstance(whole[depth], str) and found is not None and not isinstance(found, dict):
                return f"what is meant by {said(found)}: {MAPPING}"
    return ""


def _fields(remedy: Mapping[str, Value]) -> Iterator[tuple[Path, Value]]:
    """The fields of a remedy: a path to each scalar or list."""
    for key, value in remedy.items():
        if isinstance(value, dict):
            yield from (((key, *path), leaf) for path, leaf in _fields(value))
        else:
            yield (key,), value


def _apply(text: str, values: Mapping[int, Value], edits: Sequence[Edit]) -> tuple[str, set[int]]:
    """The text with the edits, and the documents that could not be changed without changing more.

    Args:
        values: index of each document → what it holds.
    """
    wanted: dict[int, dict[Path, Value]] = {}
    for edit in edits:
        wanted.setdefault(edit.document, {})[edit.path] = edit.value
    try:
        nodes = documents(text)
    except yaml.YAMLError:  # the composer is stricter in a few things, such as an anchor that is set twice
        return text, set(wanted)
    if len(nodes) != len(values):
        return text, set(wanted)
    written = dict(zip(wanted, pieces(text, [(nodes[number], part) for number, part in wanted.items()]), strict=True))
    meant = {**values, **{number: _with(values[number], part) for number, part in wanted.items()}}
    good = set(wanted)
    for _ in range(ROUNDS):
        changed = spliced(text, [piece for number in wanted if number in good for piece in written[number]])
        spoiled = _spoiled(changed, [(meant if number in good else values)[number] for number in values])
        if spoiled is None:
            return changed, set(wanted) - good
        good -= spoiled & good or good
    return text, set(wanted)


def _spoiled(changed: str, meant: Sequence[Value]) -> set[int] | None:
    """The documents that are not what they were meant to be, as far as they can be named; None where all are."""
    again = parse(changed)
    has = [document.value for document in again.documents]
    if again.ok and has == meant:
        return None
    differ = {number for number, (one, other) in enumerate(zip(has, meant, strict=False)) if one != other}
    return differ or {len(has)}


def _with(value: Value, edits: Mapping[Path, Value]) -> Value:
    """A copy of a value with fields set."""
    whole = _copied(value)
    for path, leaf in edits.items():
        here: object = whole
        for step, following in pairwise(path):
            here = _below(here, step, following)
        if isinstance(here, dict):
            here[path[-1]] = leaf
    return whole


def _copied(value: Value) -> Value:
    """A copy in which no two places share a value, as an alias makes them."""
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    return [_copied(part) for part in value] if isinstance(value, list) else value


def _below(here: object, step: str | int, following: str | int) -> object:
    """The value at a step, made a mapping where the path goes on by name and there is none."""
    if isinstance(here, list) and isinstance(step, int):
        return here[step]
    if isinstance(here, dict):
        if isinstance(following, str) and not isinstance(here.get(step), dict):
            here[step] = {}
        return here[step]
    return None


def _told(edit: Edit, values: Mapping[int, Value]) -> Change:
    before = get(values[edit.document], *edit.path)
    return Change(edit.check, _place(edit.judged, edit.path), _brief(before), _brief(edit.value))


def _brief(value: Value | None) -> str:
    return listed(value) if isinstance(value, list) else value if isinstance(value, str) else said(value)


def _left(judged: Judged, check: str, flaw: Flaw, values: Mapping[int, Value], held: set[int]) -> Left | None:
    needs = _needs(judged, flaw, values) or (ELSEWHERE if judged.workload.object.document in held else "")
    place = _place(judged, (*judged.workload.object.path, *flaw.path))
    return Left(check, place, flaw.seen, needs) if needs else None


def _place(judged: Judged, path: Path) -> str:
    """Object and path, from a path in its document."""
    found = judged.workload.object
    inside = path[len(found.path) :]
    return f"{found.kind}/{found.name} {shown(inside, found.body)}"
