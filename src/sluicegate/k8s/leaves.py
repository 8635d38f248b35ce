r"""A manifest as a flat map from path to scalar, in which an item of a list goes by its name and not by its place.

A path reads like `spec.template.spec.containers[web].image`. A list's item is named by the first of ITEM_KEYS that it
has (a port by its number, a mount by its path, most things by `name`), a scalar by itself (`verbs[get]`), an option of
`command` and `args` by its flag (`args[--port]`), and what has no name by its place (`rules[0]`). A second item of the
same name is `[web#2]`. What could be misread is quoted as JSON (`labels."app.kubernetes.io/name"`, `verbs["*"]`), so a
bare `[*]` is free to mean any item. An empty map or list is a leaf that says `{}` or `[]`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from json.encoder import encode_basestring
from typing import Final, TypeAlias

from sluicegate.k8s.document import Value

Scalar = str | int | float | bool | None
Tree: TypeAlias = "dict[str, Tree | Scalar]"
"""The same map before it is flat: segment → what is below it. Segments are written as in a path: `image`, `[web]`."""

ITEM_KEYS: Final = (
    "containerPort",
    "mountPath",
    "devicePath",
    "port",
    "name",
    "key",
    "topologyKey",
    "host",
    "path",
    "ip",
)
COMMANDS: Final = ("command", "args")
PORTS: Final = "ports"
FLAG: Final = re.compile(r"(--?[A-Za-z][\w.-]*)(?:=(.*))?", re.DOTALL)
PLAIN_KEY: Final = re.compile(r"[\w$-]+")
PLAIN_NAME: Final = re.compile(r"[\w.-]+")
PLAIN_ITEM: Final = re.compile(r"[\w$./:@=,+~-]+")
QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
SEGMENT: Final = re.compile(rf'\[(?:{QUOTED}|[^"\[\]]+)(?:#[0-9]+)?\]|{QUOTED}|[^."\[\]]+')
PREFIX: Final = re.compile(rf"([A-Za-z0-9]+)/({QUOTED}|[\w.*-]+)(?:#[0-9]+)?:(?=.)")


def leaves(*bodies: Mapping[str, Value]) -> dict[str, Scalar]:
    """Every scalar of one object by its path; of several objects with `Kind/name:` before each path.

    >>> leaves({"containers": [{"name": "web", "args": ["run", "--port=80"]}]})
    {'containers[web].name': 'web', 'containers[web].args[0]': 'run', 'containers[web].args[--port]': '80'}
    >>> leaves({"kind": "A", "metadata": {"name": "x"}}, {"kind": "B"})
    {'A/x:kind': 'A', 'A/x:metadata.name': 'x', 'B/"":kind': 'B'}
    """
    if len(bodies) == 1:
        return dict(flat(tree(bodies[0])))
    found: dict[str, Scalar] = {}
    taken: Counter[str] = Counter()
    for body in bodies:
        prefix = _unique(_prefix(body), taken)
        found.update((f"{prefix}:{path}", value) for path, value in flat(tree(body)))
    return found


def tree(body: Mapping[str, Value]) -> Tree:
    """An object's segments, nested as its values are."""
    return {_quoted(key, PLAIN_KEY): _node(value, key) for key, value in body.items()}


def flat(node: Tree, above: str = "") -> Iterator[tuple[str, Scalar]]:
    """Path and value of every leaf, in the order of the manifest."""
    for segment, below in node.items():
        path = f"{above}{segment}" if segment.startswith("[") or not above else f"{above}.{segment}"
        if isinstance(below, dict):
            yield from flat(below, path)
        else:
            yield path, below


def segments(path: str) -> tuple[str, ...]:
    r"""The segments of a path without a prefix.

    >>> segments('metadata.labels."app.kubernetes.io/name"'), segments("rules[0].verbs[*]")
    (('metadata', 'labels', '"app.kubernetes.io/name"'), ('rules', '[0]', 'verbs', '[*]'))

    Raises:
        ValueError: this is not a path.
    """
    found: list[str] = []
    at = 0
    while at < len(path):
        if found and path[at] == ".":
            at += 1
        elif found and path[at] != "[":
            raise ValueError(f"{path!r} is no path, from character {at + 1} on")
        match = SEGMENT.match(path, at)
        if match is None:
            raise ValueError(f"{path!r} is no path, from character {at + 1} on")
        found.append(match[0])
        at = match.end()
    if not found:
        raise ValueError("an empty path")
    return tuple(found)


def prefix(path: str) -> tuple[str, str, str]:
    """A path's kind, name and rest; kind and name are empty where it has no prefix.

    >>> prefix("Service/web:spec.type"), prefix("spec.type"), prefix('Role/"a:b":kind')
    (('Service', 'web', 'spec.type'), ('', '', 'spec.type'), ('Role', 'a:b', 'kind'))
    """
    match = PREFIX.match(path)
    if match is None:
        return "", "", path
    name = json.loads(match[2]) if match[2].startswith('"') else match[2]
    return match[1], name, path[match.end() :]


def _prefix(body: Mapping[str, Value]) -> str:
    metadata = body.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    kind = re.sub(r"[^A-Za-z0-9]", "", str(body.get("kind"))) or "Unknown"
    return f"{kind}/{_quoted(name if isinstance(name, str) else '', PLAIN_NAME)}"


def _node(value: Value, field: str) -> Tree | Scalar:
    if isinstance(value, dict):
        return tree(value) if value else "{}"
    if isinstance(value, list):
        return _items(value, field) if value else "[]"
    return value


def _items(values: Sequence[Value], field: str) -> Tree:
    named: Tree = {}
    taken: Counter[str] = Counter()
    place = 0
    for index, item in enumerate(values):
        name, value = _command(item) if field in COMMANDS else (_name(item, field), item)
        if name is None:
            # Words of a command are counted among themselves, so that an option more does not move them.
            name, place = str(place if field in COMMANDS else index), place + 1
        named[f"[{_unique(name, taken)}]"] = _node(value, "")
    return named


def _command(item: Value) -> tuple[str | None, Value]:
    flag = FLAG.fullmatch(item) if isinstance(item, str) else None
    if flag is None:
        return None, item
    return flag[1], True if flag[2] is None else flag[2]


def _name(item: Value, field: str) -> str | None:
    """How an item goes, written as in a path; None where it has no name."""
    if not isinstance(item, dict):
        return None if isinstance(item, list) else _quoted(text(item), PLAIN_ITEM)
    key = next((key for key in ITEM_KEYS if isinstance(item.get(key), (str, int, float))), None)
    if key is None:
        return None
    name = text(item[key])
    if field != PORTS:
        return _quoted(name, PLAIN_ITEM)
    protocol = item.get("protocol")
    return f"{_quoted(name, PLAIN_ITEM, digits=True)}" + (f"/{protocol}" if protocol in ("UDP", "SCTP") else "")


def text(value: Value) -> str:
    """A scalar as YAML would write it without quotes.

    >>> [text(value) for value in (True, None, 80, 1.0, 0.5, "80")]
    ['true', 'null', '80', '1', '0.5', '80']
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    try:
        return str(value)
    except ValueError:  # an integer of more than 4,300 digits
        return hex(value) if isinstance(value, int) else ""


def _quoted(name: str, plain: re.Pattern[str], *, digits: bool = False) -> str:
    """A name as it stands where it cannot be misread, else as JSON; bare digits are a place."""
    clear = plain.fullmatch(name) and (digits or plain is not PLAIN_ITEM or not name.isdigit())
    return name if clear else encode_basestring(name)


def _unique(name: str, taken: Counter[str]) -> str:
    """The name, with a number behind it where it was taken before; a name with "#" in it is quoted, so none is hit."""
    taken[name] += 1
    return name if taken[name] == 1 else f"{name}#{taken[name]}"
