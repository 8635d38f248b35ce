"""The typed wire format between a referee and a candidate: what is written, and a strict reader of it.

Plain data keep their exact type: bool is not int, a tuple is not a list, NaN and -0.0 stay what they are,
dicts keep their order. Anything else is a handle: a number that its owner serves. A reader builds plain
data only, of types that this file names, within limits of size, depth and count; it never imports, calls or
unpickles anything that the other side names. This module needs the standard library only and is sent
into the sandbox, so it imports little. It does not know what handles mean: `peer` does.

Notation: a message is one value; containers that can change (list, dict, set, bytearray, deque and the
dicts of `collections`) are numbered in the order in which they are met, and met again are written as their
number, so that aliases and cycles survive. A reply starts with the numbers of its request.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterable
from typing import Any

DEPTH_LIMIT = 200
COUNT_LIMIT = 2_000_000
MESSAGE_LIMIT = 16 * 2**20
INT_LIMIT = 2**17
"""Bytes of one whole number."""
_U32, _F64, _C128 = struct.Struct(">I"), struct.Struct(">d"), struct.Struct(">dd")
SINGLES: dict[bytes, Any] = {b"N": None, b"T": True, b"F": False, b"e": Ellipsis, b"n": NotImplemented}
NAMED = {
    "Decimal": "decimal",
    "Fraction": "fractions",
    "date": "datetime",
    "time": "datetime",
    "datetime": "datetime",
    "timedelta": "datetime",
    "UUID": "uuid",
}
"""Values of the standard library that are rebuilt from plain arguments."""
DICTS = {"OrderedDict": b"1", "Counter": b"2", "defaultdict": b"3"}
FACTORIES: dict[str, type] = {kind.__name__: kind for kind in (int, float, str, list, dict, set, tuple, bool)}


class CodecError(Exception):
    """A message that is malformed, or larger than allowed."""


class Writer:
    """Writes one message.

    Args:
        handle: writes a value that is not plain, or raises.
        known: containers that have numbers already.
    """

    def __init__(self, handle: Callable[[Writer, Any], None], known: Iterable[Any] = ()) -> None:
        self.out = bytearray()
        self.containers: list[Any] = list(known)
        self._numbers = {id(thing): number for number, thing in enumerate(self.containers)}
        self._handle = handle
        self._depth = 0

    def write(self, value: Any) -> None:
        """Append a value.

        Raises:
            CodecError: too deep or too large.
        """
        writer = _WRITERS.get(type(value))
        if writer is not None:
            writer(self, value)
        elif not self._stdlib(value):
            self._handle(self, value)
        if len(self.out) > MESSAGE_LIMIT:
            raise CodecError(f"more than {MESSAGE_LIMIT} bytes")

    def raw(self, tag: bytes, data: bytes) -> None:
        """Append a tag and bytes with their length."""
        self.out += tag + _U32.pack(len(data)) + data

    def number(self, tag: bytes, number: int) -> None:
        """Append a tag and a number below 2**32."""
        self.out += tag + _U32.pack(number)

    def items(self, tag: bytes, values: Iterable[Any], count: int) -> None:
        """Append a container's tag, its count and its items."""
        self._depth += 1
        if self._depth > DEPTH_LIMIT:
            raise CodecError(f"nested more than {DEPTH_LIMIT} deep")
        self.out += tag + _U32.pack(count)
        for value in values:
            self.write(value)
        self._depth -= 1

    def is_again(self, value: Any) -> bool:
        """Whether a container was met before, in which case its number was appended; else it gets one."""
        number = self._numbers.get(id(value))
        if number is not None:
            self.number(b"@", number)
            return True
        self._numbers[id(value)] = len(self.containers)
        self.containers.append(value)
        return False

    def _stdlib(self, value: Any) -> bool:
        """Append a value of `NAMED` or of `collections`, of exactly that type."""
        kind = type(value)
        name = kind.__name__
        module = NAMED.get(name)
        if module is not None and getattr(sys.modules.get(module), name, None) is kind:
            arguments = _arguments(name, value)
            if arguments is None:
                return False
            self.raw(b"x", name.encode())
            self.items(b"t", arguments, len(arguments))
            return True
        if getattr(sys.modules.get("collections"), name, None) is not kind:
            return False
        if name == "deque":
            if not self.is_again(value):
                self.out += b"q"
                self.write(value.maxlen)
                self.items(b"l", value, len(value))
            return True
        if name not in DICTS or (name == "defaultdict" and not _is_plain_factory(value.default_factory)):
            return False
        if not self.is_again(value):
            self.out += b"D" + DICTS[name]
            factory = value.default_factory if name == "defaultdict" else None
            self.write(factory.__name__ if factory else None)
            self.items(b"d", (part for pair in value.items() for part in pair), len(value))
        return True


def _is_plain_factory(factory: Any) -> bool:
    return factory is None or any(factory is kind for kind in FACTORIES.values())


def _arguments(name: str, value: Any) -> tuple[Any, ...] | None:  # noqa: PLR0911 - one a type
    """What rebuilds a value of `NAMED`; None where it holds more than plain data."""
    if name == "Decimal":
        return (str(value),)
    if name == "Fraction":
        return (value.numerator, value.denominator)
    if name == "UUID":
        return (str(value),)
    if name == "timedelta":
        return (value.days, value.seconds, value.microseconds)
    if name == "date":
        return (value.year, value.month, value.day)
    clock = (value.hour, value.minute, value.second, value.microsecond)
    offset: Any = None
    if value.tzinfo is not None:
        if type(value.tzinfo) is not sys.modules["datetime"].timezone:
            return None
        gap = value.tzinfo.utcoffset(None)
        offset = (gap.days, gap.seconds, gap.microseconds)
    return ((value.year, value.month, value.day) if name == "datetime" else ()) + clock + (offset,)


def _write_int(self: Writer, value: int) -> None:
    size = value.bit_length() // 8 + 1
    if size > INT_LIMIT:
        raise CodecError(f"a whole number of more than {INT_LIMIT} bytes")
    self.raw(b"i", value.to_bytes(size, "big", signed=True))


def _write_single(self: Writer, value: Any) -> None:
    self.out += _TAG_OF[value]


def _write_list(self: Writer, value: list[Any]) -> None:
    if not self.is_again(value):
        self.items(b"l", list(value), len(value))


def _write_dict(self: Writer, value: dict[Any, Any]) -> None:
    if not self.is_again(value):
        pairs = list(value.items())
        self.items(b"d", (part for pair in pairs for part in pair), len(pairs))


def _write_set(self: Writer, value: set[Any]) -> None:
    if not self.is_again(value):
        self.items(b"S", list(value), len(value))


def _write_bytearray(self: Writer, value: bytearray) -> None:
    if not self.is_again(value):
        self.raw(b"a", bytes(value))


def _write_range(self: Writer, value: range) -> None:
    self.items(b"R", (value.start, value.stop, value.step), 3)


def _write_slice(self: Writer, value: Any) -> None:
    self.items(b"L", (value.start, value.stop, value.step), 3)


def _write_float(self: Writer, value: float) -> None:
    self.out += b"f" + _F64.pack(value)


def _write_complex(self: Writer, value: complex) -> None:
    self.out += b"c" + _C128.pack(value.real, value.imag)


_TAG_OF = {None: b"N", True: b"T", False: b"F", Ellipsis: b"e", NotImplemented: b"n"}
_WRITERS: dict[type, Callable[[Writer, Any], None]] = {
    **{type(single): _write_single for single in SINGLES.values()},
    int: _write_int,
    float: _write_float,
    complex: _write_complex,
    str: lambda self, value: self.raw(b"s", value.encode("utf-8", "surrogatepass")),
    bytes: lambda self, value: self.raw(b"b", value),
    bytearray: _write_bytearray,
    list: _write_list,
    dict: _write_dict,
    set: _write_set,
    frozenset: lambda self, value: self.items(b"Z", value, len(value)),
    tuple: lambda self, value: self.items(b"t", value, len(value)),
    range: _write_range,
    slice: _write_slice,
}


class Reader:
    """Reads one message.

    Args:
        data: the message.
        handle: reads what begins with a tag that is not plain, or raises.
        known: containers that have numbers already.
    """

    def __init__(self, data: bytes, handle: Callable[[Reader, bytes], Any], known: Iterable[Any] = ()) -> None:
        self._data = data
        self._at = 0
        self._depth = 0
        self._count = 0
        self._handle = handle
        self.containers: list[Any] = list(known)

    def end(self) -> None:
        """Refuse more than was read.

        Raises:
            CodecError: there is more.
        """
        if self._at != len(self._data):
            raise CodecError("more than one message")

    def take(self, count: int) -> bytes:
        """The next bytes."""
        end = self._at + count
        if end > len(self._data):
            raise CodecError("ends too early")
        taken, self._at = self._data[self._at : end], end
        return taken

    def number(self) -> int:
        """The next number below 2**32."""
        return int(_U32.unpack(self.take(4))[0])

    def text(self) -> str:
        """The next text, which must be one."""
        value = self.read()
        if type(value) is not str:
            raise CodecError("wanted text")
        return value

    def read(self) -> Any:
        """The next value."""
        self._count += 1
        if self._count > COUNT_LIMIT:
            raise CodecError(f"more than {COUNT_LIMIT} parts")
        tag = self.take(1)
        if tag in SINGLES:
            return SINGLES[tag]
        reader = _READERS.get(tag)
        if reader is None:
            return self._handle(self, tag)
        self._depth += 1
        if self._depth > DEPTH_LIMIT + 20:  # a message is a few levels around its values
            raise CodecError(f"nested more than {DEPTH_LIMIT} deep")
        value = reader(self)
        self._depth -= 1
        return value

    def many(self) -> list[Any]:
        """The next counted items."""
        return [self.read() for _ in range(self.number())]

    def fill(self, empty: Any, add: Callable[[Any], object]) -> Any:
        """Number a container that can change, then read its items into it."""
        self.containers.append(empty)
        for _ in range(self.number()):
            add(self.read())
        return empty

    def fill_dict(self, empty: dict[Any, Any]) -> dict[Any, Any]:
        """The same for key and value pairs."""
        self.containers.append(empty)
        for _ in range(self.number()):
            key = self.read()
            empty[_hashable(key)] = self.read()
        return empty


def _hashable(value: Any) -> Any:
    try:
        hash(value)
    except TypeError as fault:
        raise CodecError(str(fault)) from None
    return value


def _read_int(self: Reader) -> int:
    size = self.number()
    if size > INT_LIMIT:
        raise CodecError("a whole number too large")
    return int.from_bytes(self.take(size), "big", signed=True)


def _read_text(self: Reader) -> str:
    try:
        return self.take(self.number()).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as fault:
        raise CodecError("text is not UTF-8") from fault


def _read_list(self: Reader) -> list[Any]:
    found: list[Any] = []
    return self.fill(found, found.append)  # type: ignore[no-any-return]


def _read_set(self: Reader) -> set[Any]:
    found: set[Any] = set()
    return self.fill(found, lambda value: found.add(_hashable(value)))  # type: ignore[no-any-return]


def _read_bytearray(self: Reader) -> bytearray:
    found = bytearray(self.take(self.number()))
    self.containers.append(found)
    return found


def _read_again(self: Reader) -> Any:
    number = self.number()
    if number >= len(self.containers):
        raise CodecError("a number that no container has")
    return self.containers[number]


def _three(self: Reader) -> list[Any]:
    parts = self.many()
    if len(parts) != 3:
        raise CodecError("wanted three parts")
    return parts


def _read_range(self: Reader) -> range:
    parts = _three(self)
    if any(type(part) is not int for part in parts) or not parts[2]:
        raise CodecError("not a range")
    return range(*parts)


def _read_frozenset(self: Reader) -> frozenset[Any]:
    return frozenset(_hashable(value) for value in self.many())


def _read_collection(self: Reader) -> dict[Any, Any]:
    import collections

    tag, name = self.take(1), self.read()
    if tag == b"3" and (name is None or (type(name) is str and name in FACTORIES)):
        made: dict[Any, Any] = collections.defaultdict(FACTORIES[name] if name else None)
    elif tag == b"1" and name is None:
        made = collections.OrderedDict()
    elif tag == b"2" and name is None:
        made = collections.Counter()
    else:
        raise CodecError("no such dict")
    if self.take(1) != b"d":
        raise CodecError("wanted a dict's items")
    return self.fill_dict(made)


def _read_deque(self: Reader) -> Any:
    import collections

    size = self.read()
    if size is not None and (type(size) is not int or not 0 <= size < 2**31):
        raise CodecError("not a deque")
    if self.take(1) != b"l":
        raise CodecError("wanted a deque's items")
    made: collections.deque[Any] = collections.deque(maxlen=size)
    return self.fill(made, made.append)


def _read_named(self: Reader) -> Any:
    name = _read_text(self)
    arguments = self.read()
    if name not in NAMED or type(arguments) is not tuple:
        raise CodecError("no such type")
    if any(type(part) not in (int, str, tuple, type(None)) for part in arguments):
        raise CodecError(f"not a {name}")
    module = __import__(NAMED[name])
    try:
        if name in ("time", "datetime") and arguments and arguments[-1] is not None:
            zone = module.timezone(module.timedelta(*arguments[-1]))
            return getattr(module, name)(*arguments[:-1], zone)
        return getattr(module, name)(*arguments)
    except Exception as fault:
        raise CodecError(f"not a {name}") from fault


_READERS: dict[bytes, Callable[[Reader], Any]] = {
    b"i": _read_int,
    b"f": lambda self: _F64.unpack(self.take(8))[0],
    b"c": lambda self: complex(*_C128.unpack(self.take(16))),
    b"s": _read_text,
    b"b": lambda self: self.take(self.number()),
    b"a": _read_bytearray,
    b"l": _read_list,
    b"d": lambda self: self.fill_dict({}),
    b"S": _read_set,
    b"Z": _read_frozenset,
    b"t": lambda self: tuple(self.many()),
    b"R": _read_range,
    b"L": lambda self: slice(*_three(self)),
    b"D": _read_collection,
    b"q": _read_deque,
    b"x": _read_named,
    b"@": _read_again,
}
