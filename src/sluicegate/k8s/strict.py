"""The part of JSON Schema that Kubernetes' schemas use, compiled once into small functions.

A general validator spends its time on what these schemas never ask for. This one knows `type`, `properties`,
`additionalProperties`, `items`, `required`, `enum`, `oneOf` and `$ref`; and, beyond what JSON Schema asserts, the
ranges of `int32` and `int64`, outside of which Kubernetes cannot read a number. `accepts` says yes or no, and only
where it says no does `explain` walk the value again for the reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import pairwise
from typing import Any, Final, TypeAlias

from sluicegate.k8s.document import Path, Value
from sluicegate.k8s.issues import Issue, said

Schema: TypeAlias = Mapping[str, Any]
Test: TypeAlias = Callable[[Any], bool]
RULE: Final = "schema"
REF: Final = "#/$defs/"
LONGEST = 60
"""Characters of an unknown field that are compared with known ones."""
ANYTHING: Final[Schema] = {}
NOTHING: Final[Schema] = {"enum": []}
"""What no value follows: `additionalProperties: false`."""
USED: Final = frozenset(
    (
        "type",
        "properties",
        "additionalProperties",
        "items",
        "required",
        "enum",
        "oneOf",
        "$ref",
        "format",
        "description",
    )
)
"""Every keyword that a schema may have; others start with `x-`. A test holds all versions to it."""
CLASSES: Final[Mapping[str, type]] = {
    "object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": int, "null": type(None),
}  # fmt: skip
WORDS: Final[Mapping[str, str]] = {
    "object": "a mapping", "array": "a list", "string": "a text", "boolean": "true or false",
    "integer": "a whole number", "number": "a number", "null": "null",
}  # fmt: skip
RANGES: Final[Mapping[str, tuple[int, int]]] = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}


class Schemas:
    """Definitions by name, each compiled when it is first asked for."""

    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self.definitions = definitions
        self._tests: dict[str, Test] = {}

    def accepts(self, name: str, value: Value) -> bool:
        """Whether a value follows a definition.

        >>> known = Schemas({"Port": {"type": "object", "properties": {"port": {"type": "integer"}},
        ...                           "additionalProperties": False, "required": ["port"]}})
        >>> known.accepts("Port", {"port": 80}), known.accepts("Port", {"port": "80"})
        (True, False)
        >>> [str(issue) for issue in known.explain("Port", {"prot": 80})]
        ['prot: wanted one of port, seen an unknown field', 'port: wanted a whole number, seen nothing']
        """
        return self._named(name)(value)

    def explain(self, name: str, value: Value) -> Iterator[Issue]:
        """What is wrong with a value, in its order; nothing where it is accepted."""
        return self._faults(self.definitions[name], value, ())

    def _named(self, name: str) -> Test:
        test = self._tests.get(name)
        if test is None:
            test = self._tests[name] = self._compiled(self.definitions[name])
        return test

    def _compiled(self, schema: Schema) -> Test:
        if "$ref" in schema:
            # Looked up when there is a value, since definitions name themselves (JSONSchemaProps).
            return partial(self.accepts, schema["$ref"].removeprefix(REF))
        if "oneOf" in schema:
            return partial(_one_of, [self._compiled(option) for option in schema["oneOf"]])
        if "enum" in schema:
            return partial(_among, schema["enum"])
        types = _types(schema)
        return self._typed(schema, types) if types else _anything

    def _typed(self, schema: Schema, types: Sequence[str]) -> Test:
        nullable = "null" in types
        if "object" in types:
            return self._mapping(schema, nullable)
        if "array" in types:
            return partial(_list, nullable, self._compiled(schema.get("items", ANYTHING)))
        if "integer" in types or "number" in types:
            return partial(_number, nullable, "integer" in types, RANGES.get(schema.get("format", "")))
        return partial(_scalar, frozenset(CLASSES[name] for name in types))

    def _mapping(self, schema: Schema, nullable: bool) -> Test:
        known = {name: self._compiled(part) for name, part in schema.get("properties", {}).items()}
        return partial(_object, nullable, known, self._compiled(_rest(schema)), schema.get("required", ()))

    def _faults(self, schema: Schema, value: Value, path: Path) -> Iterator[Issue]:
        while "$ref" in schema:
            schema = self.definitions[schema["$ref"].removeprefix(REF)]
        types = _types(schema)
        if isinstance(value, dict) and "object" in types:
            yield from self._mapping_faults(schema, value, path)
        elif isinstance(value, list) and "array" in types:
            for index, item in enumerate(value):
                yield from self._faults(schema.get("items", ANYTHING), item, (*path, index))
        elif not self._compiled(schema)(value):
            yield Issue(RULE, path, self.wanted(schema), said(value))

    def _mapping_faults(self, schema: Schema, value: Mapping[str, Value], path: Path) -> Iterator[Issue]:
        known, rest = schema.get("properties", {}), _rest(schema)
        for key, part in value.items():
            if key not in known and rest is NOTHING:
                yield Issue(RULE, (*path, key), f"one of {', '.join(_near(key, known))}", "an unknown field")
            else:
                yield from self._faults(known.get(key, rest), part, (*path, key))
        for key in schema.get("required", ()):
            if key not in value:
                yield Issue(RULE, (*path, key), self.wanted(known.get(key, ANYTHING)), "nothing")

    def wanted(self, schema: Schema) -> str:
        """What a schema asks for, in words."""
        while "$ref" in schema:
            schema = self.definitions[schema["$ref"].removeprefix(REF)]
        if "enum" in schema:
            return " or ".join(str(option) for option in schema["enum"])
        options = schema.get("oneOf", [schema])
        words = dict.fromkeys(WORDS[name] for option in options for name in _types(option) if name != "null")
        bits = schema.get("format", "")
        return (" or ".join(words) or "a value") + (f" of {bits[3:]} bits" if bits in RANGES else "")


def _rest(schema: Schema) -> Schema:
    """What a field that is not named must follow."""
    rest = schema.get("additionalProperties", True)
    return rest if isinstance(rest, Mapping) else ANYTHING if rest else NOTHING


def _types(schema: Schema) -> Sequence[str]:
    types = schema.get("type", ())
    return (types,) if isinstance(types, str) else types


def _near(key: str, known: Mapping[str, Schema]) -> list[str]:
    """Some of the known fields, the one most like what was written first.

    >>> _near("imgae", {"name": {}, "image": {}, "imagePullPolicy": {}, "args": {}})
    ['image', 'name', 'imagePullPolicy']
    """
    written = _pairs(key[:LONGEST].lower())
    return sorted(known, key=lambda name: -_likeness(written, _pairs_of_field(name)))[:3]


def _pairs(name: str) -> frozenset[tuple[str, str]]:
    """The pairs of neighbours in a name, its ends included."""
    return frozenset(pairwise(f"^{name}$"))


@cache
def _pairs_of_field(name: str) -> frozenset[tuple[str, str]]:
    return _pairs(name.lower())


def _likeness(one: frozenset[tuple[str, str]], other: frozenset[tuple[str, str]]) -> float:
    """How many of their pairs two names share, in [0, 1] (Dice's coefficient)."""
    return 2 * len(one & other) / (len(one) + len(other))


def _object(nullable: bool, known: Mapping[str, Test], rest: Test, required: Sequence[str], value: Any) -> bool:
    if value.__class__ is not dict:
        return nullable and value is None
    for key, part in value.items():
        if not known.get(key, rest)(part):
            return False
    return all(key in value for key in required)


def _list(nullable: bool, item: Test, value: Value) -> bool:
    return all(map(item, value)) if isinstance(value, list) else nullable and value is None


def _number(nullable: bool, whole: bool, limits: tuple[int, int] | None, value: Value) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return nullable and value is None
    if whole and isinstance(value, float) and not value.is_integer():
        return False
    return limits is None or limits[0] <= value <= limits[1]


def _scalar(classes: frozenset[type], value: Value) -> bool:
    return value.__class__ in classes


def _one_of(options: Sequence[Test], value: Value) -> bool:
    """Exactly one, as JSON Schema says: a null that two options allow is refused."""
    return sum(option(value) for option in options) == 1


def _among(options: Sequence[Value], value: Value) -> bool:
    return value in options


def _anything(_: Value) -> bool:
    return True
