"""Whether an object follows the schema of its kind in a chosen Kubernetes version: valid, invalid, or unknown kind.

The schemas are data of the package `kubernetes-validate`. Its code is not run: it reads and prepares them anew for each
document, and makes a file name of the object's kind. Kinds are looked up here by their exact apiVersion and kind, so
`serving.knative.dev/v1` and `apps.example.com/v1` are unknown, and nothing of an object ever reaches a path.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import islice
from pathlib import Path as FilePath
from typing import Any

from sluicegate.errors import UserError
from sluicegate.k8s.document import Value
from sluicegate.k8s.issues import ISSUES_KEPT, Issue, visible
from sluicegate.k8s.strict import RULE, Schemas

PACKAGE = "kubernetes_validate"
FOLDER = re.compile(r"v(\d+)\.(\d+)\.\d+-local-strict")
VERSION = re.compile(r"v?(\d+\.\d+)(?:\.\d+)?")
SHARED_KINDS = 10
"""A definition that stands for more kinds than these (DeleteOptions, WatchEvent) is a message, not an object."""


class State(StrEnum):
    """What a schema says of an object."""

    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "unknown kind"


@dataclass(frozen=True, slots=True)
class Checked:
    """What a schema says of an object.

    Args:
        issues: of an invalid object at most 20; of an unknown kind the one that says where it is known, if anywhere.
    """

    state: State
    issues: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True)
class Kinds:
    """The kinds of one Kubernetes version.

    Args:
        names: (apiVersion, kind) → the name of its definition.
        spelled: kind in lower case → each kind that is spelled so, and its apiVersions.
        groups: of the API server itself; nobody else can add kinds to them.
    """

    version: str
    names: Mapping[tuple[str, str], str]
    schemas: Schemas
    spelled: Mapping[str, tuple[tuple[str, str], ...]]
    groups: frozenset[str]

    def own(self, group: str) -> bool:
        """Whether a kind of this group that has no schema would be refused: definitions must have a dot in theirs.

        >>> [kinds("1.37").own(name) for name in ("apps", "extensions", "networking.k8s.io", "serving.knative.dev")]
        [True, True, True, False]
        """
        return "." not in group or group in self.groups


@cache
def _folders() -> dict[str, FilePath]:
    """Kubernetes version → its folder of strict schemas, oldest first."""
    found = importlib.util.find_spec(PACKAGE)  # finds the package without running it
    if found is None or not found.submodule_search_locations:
        mend = "pip install kubernetes-validate; --no-validity does without"
        raise UserError("the Kubernetes schemas are missing", wanted=f"the package {PACKAGE}", seen="none", mend=mend)
    base = FilePath(found.submodule_search_locations[0]) / "kubernetes-json-schema"
    named = [(match, path) for path in base.iterdir() if (match := FOLDER.fullmatch(path.name))]
    ordered = sorted(named, key=lambda row: (int(row[0][1]), int(row[0][2])))
    return {f"{match[1]}.{match[2]}": path for match, path in ordered}


def versions() -> tuple[str, ...]:
    """The Kubernetes versions that there are schemas of, oldest first.

    Raises:
        UserError: the package with the schemas is not installed.
    """
    return tuple(_folders())


def resolved(version: str = "") -> str:
    """A version as `versions` spells it; the newest for an empty text.

    Raises:
        UserError: there are no schemas of it.

    >>> resolved("v1.31.2"), resolved() == versions()[-1]
    ('1.31', True)
    """
    known = versions()
    if not version:
        return known[-1]
    match = VERSION.fullmatch(version)
    if match is None or match[1] not in known:
        what, wanted = "there are no schemas of this Kubernetes version", f"one of {', '.join(known)}"
        raise UserError(what, wanted=wanted, seen=repr(version)[:80])
    return match[1]


@cache
def kinds(version: str) -> Kinds:
    """The kinds of a version, as `resolved` spells it; read once a process."""
    text = (_folders()[version] / "_definitions.json").read_text(encoding="utf-8")
    definitions: dict[str, dict[str, Any]] = json.loads(text)["$defs"]
    names = {
        (f"{kind['group']}/{kind['version']}".lstrip("/"), kind["kind"]): name
        for name, schema in definitions.items()
        if len(told := schema.get("x-kubernetes-group-version-kind", ())) <= SHARED_KINDS
        for kind in told
    }
    spelled: dict[str, tuple[tuple[str, str], ...]] = {}
    for told in sorted(names):
        spelled[told[1].lower()] = (*spelled.get(told[1].lower(), ()), told)
    groups = frozenset(api_version.rpartition("/")[0] for api_version, _ in names)
    return Kinds(version, names, Schemas(definitions), spelled, groups)


def check(body: dict[str, Value], api_version: str, kind: str, known: Kinds, most: int = ISSUES_KEPT) -> Checked:
    """Hold an object's body against the schema of its kind.

    Args:
        most: how many issues are told of an invalid one.

    >>> told = check({"apiVersion": "extensions/v1beta1"}, "extensions/v1beta1", "Deployment", kinds("1.37"))
    >>> told.state.value, str(told.issues[0])
    ('unknown kind', 'apiVersion: wanted apps/v1 for a Deployment, seen extensions/v1beta1 Deployment')
    """
    name = known.names.get((api_version, kind))
    if name is None:
        return Checked(State.UNKNOWN, (_unknown(api_version, kind, known),))
    if known.schemas.accepts(name, body):
        return Checked(State.VALID)
    return Checked(State.INVALID, tuple(islice(known.schemas.explain(name, body), most)))


def _unknown(api_version: str, kind: str, known: Kinds) -> Issue:
    """Names the apiVersion that was meant where a kind of Kubernetes has an old or a mistyped one."""
    seen = visible(f"{api_version} {kind}")
    group = api_version.rpartition("/")[0]
    if "." not in group or group.endswith(".k8s.io"):
        meant = known.spelled.get(kind.lower(), ())
        if meant:
            return Issue(RULE, ("apiVersion",), f"{' or '.join(told for told, _ in meant)} for a {meant[0][1]}", seen)
    return Issue(RULE, ("kind",), f"a kind of Kubernetes {known.version}", seen)
