"""How far a text is valid: it parses, it holds Kubernetes objects, their schema holds, and so do the semantic rules.

Each level is said of each object and of the text, so that a study can report all four; what it calls "YAML validity"
is `Validity.valid`, the last two together. A kind without a schema is neither valid nor invalid: it is the third state,
and it counts as not valid, since nobody looked at it. What only a cluster can know (admission, quotas, custom resource
definitions, whether a name is taken) is not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from sluicegate.k8s.document import DUPLICATE, Fault, Parsed, Path, Value
from sluicegate.k8s.issues import Issue, allowed, said
from sluicegate.k8s.objects import LIST, Entry, Object, entries
from sluicegate.k8s.parse import parse
from sluicegate.k8s.schema import Checked, Kinds, State, check, kinds, resolved
from sluicegate.k8s.semantics import semantics

OBJECT: Final = "object"
"""The rule that issues of the second level cite."""
NAMED_BY_CONTENT: Final = frozenset(
    (
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("apiregistration.k8s.io", "APIService"),
    )
)
"""Kinds whose name must repeat what they hold, so that a generated one never fits."""
NAMELESS: Final = frozenset(
    (
        ("authentication.k8s.io", "TokenReview"),
        ("authentication.k8s.io", "TokenRequest"),
        ("authentication.k8s.io", "SelfSubjectReview"),
        ("authorization.k8s.io", "SubjectAccessReview"),
        ("authorization.k8s.io", "LocalSubjectAccessReview"),
        ("authorization.k8s.io", "SelfSubjectAccessReview"),
        ("authorization.k8s.io", "SelfSubjectRulesReview"),
    )
)
"""Kinds that are questions to the API server: they are answered, not kept, and need no name."""


@dataclass(frozen=True, slots=True)
class Levels:
    """What the levels say of one document, or of one item of a list.

    Args:
        document: index of its document.
        path: where in that document it stands; empty unless it came from a list.
        line: 1-based.
        object: None where it has no apiVersion or no kind; its schema and the rules were then not asked.
        unfit: why it is no Kubernetes object; empty where it is one.
        schema: what the schema says.
        semantic: what the semantic rules say, at most 20 issues.
    """

    document: int
    path: Path
    line: int | None
    object: Object | None
    unfit: tuple[Issue, ...]
    schema: Checked | None
    semantic: tuple[Issue, ...]

    @property
    def is_object(self) -> bool:
        """Level 2: apiVersion, kind and a name."""
        return not self.unfit

    @property
    def state(self) -> State | None:
        """Level 3: what its schema says; None where there was no kind to ask for."""
        return None if self.schema is None else self.schema.state

    @property
    def strict(self) -> bool:
        """Level 3, and those before it: a known kind, every field known and of the right type."""
        return self.is_object and self.state is State.VALID

    @property
    def clean(self) -> bool:
        """Level 4 alone: no semantic rule is broken."""
        return not self.semantic

    @property
    def valid(self) -> bool:
        """Every level."""
        return self.strict and self.clean

    @property
    def issues(self) -> tuple[Issue, ...]:
        """What is wrong, level by level."""
        return (*self.unfit, *(self.schema.issues if self.schema else ()), *self.semantic)


@dataclass(frozen=True, slots=True)
class Validity:
    """What the levels say of a text. A text without an object passes the first level alone.

    Args:
        version: of Kubernetes, whose schemas were asked.
        faults: of parsing, those that are not fatal included.
        entries: its documents, lists expanded, in order.
    """

    version: str
    faults: tuple[Fault, ...]
    entries: tuple[Levels, ...]

    @property
    def parses(self) -> bool:
        """Level 1: the text was read to its end."""
        return not any(fault.fatal for fault in self.faults)

    @property
    def objects(self) -> bool:
        """Level 2: it parses, and all that it holds are Kubernetes objects, at least one."""
        return self._all(lambda each: each.is_object)

    @property
    def strict(self) -> bool:
        """Level 3: all of them follow their schema, and no key is there twice."""
        return self._all(lambda each: each.strict) and not any(fault.kind == DUPLICATE for fault in self.faults)

    @property
    def clean(self) -> bool:
        """Level 4 alone: it holds objects, and none of them breaks a semantic rule."""
        return self._all(lambda each: each.is_object and each.clean)

    @property
    def valid(self) -> bool:
        """Strict-valid and semantically clean: what a study calls YAML validity."""
        return self.strict and self.clean

    @property
    def unknown(self) -> int:
        """How many of its objects are of a kind that has no schema."""
        return sum(each.state is State.UNKNOWN for each in self.entries)

    @property
    def why(self) -> str:
        """The first thing that keeps it from being valid, on one line; empty where it is valid."""
        faults = [fault for fault in self.faults if fault.fatal or fault.kind == DUPLICATE]
        told = [f"line {fault.line}: {fault.kind}: {fault.what}" for fault in faults]
        told += [f"line {each.line}: {issue}" for each in self.entries for issue in each.issues]
        return next(iter(told), "" if self.entries else "no Kubernetes object")

    def _all(self, holds: Callable[[Levels], bool]) -> bool:
        return self.parses and bool(self.entries) and all(map(holds, self.entries))


def validity(text: str | bytes | Parsed, version: str = "") -> Validity:
    """Hold a text against every level. Raises nothing, for any text.

    Args:
        text: YAML or JSON, any number of documents; or what was parsed of it.
        version: of Kubernetes, such as `1.31`; the newest that there are schemas of, where it is empty.

    Raises:
        UserError: there are no schemas of that version, or none at all; never because of the text.

    >>> pod = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: b, image: c}]}}"
    >>> validity(pod).valid, validity("just words").objects, validity("a: [").parses
    (True, False, False)
    >>> told = validity(pod.replace("{name: b", "{nmae: b"))
    >>> told.objects, told.strict, told.clean
    (True, False, False)
    >>> validity(pod.replace("name: a", "name: A")).why[:56]
    'line 1: metadata.name: wanted a DNS name: at most 253 of'
    """
    known = kinds(resolved(version))
    parsed = text if isinstance(text, Parsed) else parse(text)
    return Validity(known.version, parsed.faults, _levels(list(entries(parsed)), known))


def _levels(found: list[Entry], known: Kinds) -> tuple[Levels, ...]:
    told = iter(semantics([entry.object for entry in found if entry.object is not None]))
    rows: list[Levels] = []
    count = 0
    for entry in found:
        rows.append(_entry(entry, () if entry.object is None else next(told), known, allowed(count)))
        count += len(rows[-1].schema.issues) if rows[-1].schema else 0
    return tuple(rows)


def _entry(entry: Entry, broken: tuple[Issue, ...], known: Kinds, most: int) -> Levels:
    item, line = entry.object, entry.document.lines.get(entry.path)
    place = entry.document.index, entry.path, line
    if item is None:
        return Levels(*place, None, tuple(_untold(entry.value)), None, ())
    told = check(item.body, item.api_version, item.kind, known, most)
    return Levels(*place, item, tuple(_unnamed(item)), told, broken)


def _untold(value: Value) -> Iterator[Issue]:
    """Why a value is none of Kubernetes' objects, where apiVersion or kind is amiss."""
    if not isinstance(value, dict):
        yield Issue(OBJECT, (), "a mapping with apiVersion and kind", said(value))
        return
    for field in ("apiVersion", "kind"):
        told = value.get(field)
        if not isinstance(told, str) or not told:
            yield Issue(OBJECT, (field,), "a text", said(told) if field in value else "nothing")


def _unnamed(item: Object) -> Iterator[Issue]:
    """Why an object has no name; questions to the API server need none, nor does a list."""
    kind = item.group, item.kind
    if item.kind == LIST and not item.group:
        yield Issue(OBJECT, ("items",), "a list of objects", said(item.body.get("items")))
    elif not item.name and kind not in NAMELESS and not (_generated(item) and kind not in NAMED_BY_CONTENT):
        metadata = item.body.get("metadata")
        told = metadata.get("name") if isinstance(metadata, dict) else None
        yield Issue(OBJECT, ("metadata", "name"), "a text", "nothing" if told is None else said(told))


def _generated(item: Object) -> bool:
    metadata = item.body.get("metadata")
    told = metadata.get("generateName") if isinstance(metadata, dict) else None
    return isinstance(told, str) and bool(told)
