"""ConfigMaps, Secrets, roles, claims and custom resource definitions."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from typing import Final

from sluicegate.k8s.document import Path
from sluicegate.k8s.issues import cut, said
from sluicegate.k8s.semantics.names import RBAC, is_data_key
from sluicegate.k8s.semantics.rule import Body, Found, Kind, Rule, View, at, items, listed, mapping, texts

MAPS: Final[frozenset[Kind]] = frozenset({("", "ConfigMap"), ("", "Secret")})
SECRETS: Final[frozenset[Kind]] = frozenset({("", "Secret")})
BINDINGS: Final[frozenset[Kind]] = frozenset({(RBAC, "RoleBinding"), (RBAC, "ClusterRoleBinding")})
ROLES: Final[frozenset[Kind]] = frozenset({(RBAC, "Role"), (RBAC, "ClusterRole")})
CLAIMS: Final[frozenset[Kind]] = frozenset(
    {("", "PersistentVolumeClaim"), ("", "PersistentVolume"), ("apps", "StatefulSet")}
)
DEFINITIONS: Final[frozenset[Kind]] = frozenset({("apiextensions.k8s.io", "CustomResourceDefinition")})
A_DATA_KEY = "a key of letters, digits, -, _ and ., other than . and .."
BASE64 = "base64"
MOST_BYTES = 1_048_576
KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}
"""Type of a secret → the keys that it must have."""
BASIC: Final = "kubernetes.io/basic-auth"
BASIC_KEYS: Final = ("username", "password")
TOKEN: Final = "kubernetes.io/service-account-token"  # noqa: S105 (a type)
ACCOUNT: Final = "kubernetes.io/service-account.name"
JSON_KEYS: Final = (".dockerconfigjson", ".dockercfg")


def data_keys(seen: View) -> Iterator[Found]:
    """Keys can be file names, and none is in both parts of a ConfigMap."""
    first = mapping(seen.body.get("data"))
    for field in ("data", "binaryData", "stringData"):
        for key in mapping(seen.body.get(field)):
            if not is_data_key(key):
                yield (field, key), A_DATA_KEY, cut(key)
            elif field == "binaryData" and key in first:
                yield (field, key), "a key that data has not", cut(key)


def encoded(seen: View) -> Iterator[Found]:
    """What is kept as bytes is base64: a Secret's data, a ConfigMap's binaryData."""
    field = "data" if seen.object.kind == "Secret" else "binaryData"
    for key, value in mapping(seen.body.get(field)).items():
        if isinstance(value, str) and not is_base64(value):
            told = " (stringData takes the text itself)" if seen.object.kind == "Secret" else ""
            # Never the value: it may be a password that somebody forgot to encode.
            yield (field, key), f"{BASE64}{told}", f"a text of {len(value)} characters that is none"


def is_base64(text: str) -> bool:
    """Whether a text is base64 as Go reads it: padded, breaks of lines passed over.

    >>> is_base64("aGVsbG8="), is_base64("aGVs\\nbG8=\\n"), is_base64(""), is_base64("hello"), is_base64("aGVsbG8")
    (True, True, True, False, False)
    """
    try:
        base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def sizes(seen: View) -> Iterator[Found]:
    """All of it together is at most 1 MiB."""
    values = [
        value
        for field in ("data", "binaryData", "stringData")
        for value in mapping(seen.body.get(field)).values()
        if isinstance(value, str)
    ]
    size = sum(map(len, values))
    if size > MOST_BYTES * 4 // 3 or (size > MOST_BYTES and "stringData" in seen.body):
        yield (), f"at most {MOST_BYTES:,} bytes of data", f"{size:,} characters"


def secret_keys(seen: View) -> Iterator[Found]:
    """A secret of a known type has what the type is for."""
    kind = seen.body.get("type")
    given = {**mapping(seen.body.get("data")), **mapping(seen.body.get("stringData"))}
    for key in KEYS.get(kind, ()) if isinstance(kind, str) else ():
        if key not in given:
            yield ("data", key), f"a value, since the type is {kind}", "nothing"
    if kind == BASIC and not given.keys() & set(BASIC_KEYS):
        yield ("data",), f"{' or '.join(BASIC_KEYS)}, since the type is {kind}", "neither"
    if kind == TOKEN and not at(seen.body, ("metadata", "annotations", ACCOUNT)):
        yield ("metadata", "annotations", ACCOUNT), f"the account's name, since the type is {kind}", "nothing"


def registries(seen: View) -> Iterator[Found]:
    """What a secret says of registries is JSON."""
    kind = seen.body.get("type")
    for key in KEYS.get(kind, ()) if isinstance(kind, str) else ():
        # What stringData holds replaces what data holds.
        field = "stringData" if key in mapping(seen.body.get("stringData")) else "data"
        value = mapping(seen.body.get(field)).get(key)
        if key not in JSON_KEYS or not isinstance(value, str) or (field == "data" and not is_base64(value)):
            continue
        text = value if field == "stringData" else base64.b64decode(value).decode(errors="replace")
        if not _is_json(text):
            # Never the value: it holds a password.
            yield (field, key), "a JSON object", f"a text of {len(text)} characters that is none"


def _is_json(text: str) -> bool:
    """Whether a text is a JSON object; null is an empty one.

    >>> _is_json('{"auths": {}}'), _is_json("null"), _is_json("[]"), _is_json("user:password"), _is_json("[" * 9999)
    (True, True, False, False, False)
    """
    try:
        return isinstance(json.loads(text), (dict, type(None)))
    except (ValueError, RecursionError):
        return False


def role_refs(seen: View) -> Iterator[Found]:
    """A binding names a role that it can bind."""
    ref = mapping(seen.body.get("roleRef"))
    roles = ("ClusterRole",) if seen.object.kind == "ClusterRoleBinding" else ("Role", "ClusterRole")
    if isinstance(ref.get("kind"), str) and ref["kind"] not in roles:
        yield ("roleRef", "kind"), " or ".join(roles), said(ref["kind"])
    if isinstance(ref.get("apiGroup"), str) and ref["apiGroup"] not in ("", RBAC):
        yield ("roleRef", "apiGroup"), RBAC, said(ref["apiGroup"])
    if ref.get("name") == "":
        yield ("roleRef", "name"), "a text", "nothing"


def subjects(seen: View) -> Iterator[Found]:
    """Who a role is given to: users and groups of RBAC, accounts of the core group."""
    for path, subject in items(seen.body, (), "subjects"):
        kind, group = subject.get("kind"), subject.get("apiGroup")
        if not isinstance(kind, str):
            continue
        if kind not in ("User", "Group", "ServiceAccount"):
            yield (*path, "kind"), "User, Group or ServiceAccount", said(kind)
        elif group and group != (RBAC if kind != "ServiceAccount" else ""):
            yield (*path, "apiGroup"), "nothing" if kind == "ServiceAccount" else RBAC, said(group)
        if kind == "ServiceAccount" and seen.object.kind == "ClusterRoleBinding" and not subject.get("namespace"):
            yield (*path, "namespace"), "the account's namespace", "nothing"
        if not subject.get("name"):
            yield (*path, "name"), "a text", "nothing"


def permissions(seen: View) -> Iterator[Found]:
    """A rule says which verbs, on which resources of which groups, or on which URLs."""
    for path, rule in items(seen.body, (), "rules"):
        if not texts(rule.get("verbs")):
            yield (*path, "verbs"), "at least one verb", "none"
        if listed(rule.get("nonResourceURLs")):
            if seen.object.kind == "Role":
                yield (*path, "nonResourceURLs"), "nothing: a Role is of one namespace", "a list"
            elif listed(rule.get("resources")) or listed(rule.get("apiGroups")):
                yield (*path, "nonResourceURLs"), "URLs or resources, each in a rule of its own", "both"
            continue
        for field in ("apiGroups", "resources"):
            if not listed(rule.get(field)):
                yield (
                    (*path, field),
                    'at least one (the core group is "")' if field == "apiGroups" else "at least one",
                    "none",
                )


def access_modes(seen: View) -> Iterator[Found]:
    """A claim or a volume says how it may be used, and ReadWriteOncePod stands alone."""
    claims: Iterator[tuple[Path, Body]] = iter([((), seen.body)])
    if seen.object.kind == "StatefulSet":
        claims = items(seen.body, (), "spec", "volumeClaimTemplates")
    for path, claim in claims:
        modes = texts(at(claim, ("spec", "accessModes")))
        if "spec" in claim and not modes:
            yield (*path, "spec", "accessModes"), "at least one mode", "none"
        if "ReadWriteOncePod" in modes and len(modes) > 1:
            yield (*path, "spec", "accessModes"), "ReadWriteOncePod alone", " and ".join(modes[:4])


def definition(seen: View) -> Iterator[Found]:
    """A definition is called after what it defines and has one version that is stored."""
    spec = mapping(seen.body.get("spec"))
    plural, group = mapping(spec.get("names")).get("plural"), spec.get("group")
    if isinstance(plural, str) and isinstance(group, str) and seen.object.name != f"{plural}.{group}":
        yield ("metadata", "name"), said(f"{plural}.{group}"), said(seen.object.name)
    rows = [row for _, row in items(spec, ("spec",), "versions")]
    stored = sum(row.get("storage") is True for row in rows)
    if rows and stored != 1:
        yield ("spec", "versions"), "exactly one with storage: true", str(stored)


RULES = (
    Rule("data-key", "Keys of a ConfigMap or Secret can be file names.", MAPS, data_keys),
    Rule("base64", "A Secret's data and a ConfigMap's binaryData are base64.", MAPS, encoded),
    Rule("data-size", "A ConfigMap or Secret holds 1 MiB at most.", MAPS, sizes),
    Rule("secret-type", "A Secret has the keys that its type needs.", SECRETS, secret_keys),
    Rule("registry", "What a Secret says of registries is a JSON object.", SECRETS, registries),
    Rule("role-ref", "A binding names a role that it can bind.", BINDINGS, role_refs),
    Rule("subject", "A binding's subjects are users, groups or accounts.", BINDINGS, subjects),
    Rule("role-rule", "A rule of a role has verbs, and resources or URLs.", ROLES, permissions),
    Rule("access-mode", "A claim or volume has access modes.", CLAIMS, access_modes),
    Rule(
        "definition",
        "A custom resource definition is called plural.group, one version stored.",
        DEFINITIONS,
        definition,
    ),
)
