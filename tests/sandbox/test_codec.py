"""The wire format keeps what it is given, and its reader refuses the rest."""

from __future__ import annotations

import math
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.sandbox.codec import CodecError, Reader, Writer

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text()
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.dates()
    | st.datetimes()
    | st.timedeltas()
    | st.uuids(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text() | st.integers() | st.booleans(), inner, max_size=4)
        | st.sets(st.integers() | st.text(), max_size=4)
        | st.frozensets(st.integers() | st.text(), max_size=4)
    ),
    max_leaves=12,
)


def refuse(*_: object) -> NoReturn:
    raise CodecError("not plain")


def written(value: Any) -> bytes:
    writer = Writer(refuse)
    writer.write(value)
    return bytes(writer.out)


def read(data: bytes) -> Any:
    reader = Reader(data, refuse)
    value = reader.read()
    reader.end()
    return value


def typed(value: Any) -> Any:
    """The value with the type of each part, which equality alone would not tell."""
    if isinstance(value, dict):
        return type(value), [(typed(key), typed(part)) for key, part in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [typed(part) for part in value]
    return type(value), math.copysign(1, value) if isinstance(value, float) else None, value


@given(PLAIN)
def test_plain_values_come_back_with_their_types(value: Any) -> None:
    assert typed(read(written(value))) == typed(value)


def test_aliases_and_cycles_survive() -> None:
    shared: list[Any] = [1]
    value = {"a": shared, "b": shared}
    shared.append(value)
    found = read(written(value))
    assert found["a"] is found["b"]
    assert found["a"][1] is found


class Own(int):
    """A number that is not plain."""


@pytest.mark.parametrize("value", [Own(3), object(), [Own(1)], {1: object()}, lambda: 1, Exception], ids=range(6))
def test_what_is_not_plain_is_not_written_as_plain(value: Any) -> None:
    with pytest.raises(CodecError, match="not plain"):
        written(value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"?",
        b"i\0\0\0\4\0",
        b"i\xff\xff\xff\xff",
        b"s\0\0\0\1\xff",
        b"l\xff\xff\xff\xff",
        b"@\0\0\0\0",
        b"d\0\0\0\1l\0\0\0\0N",
        b"S\0\0\0\1l\0\0\0\0",
        b"R\0\0\0\3NNN",
        b"R\0\0\0\2NN",
        b"x\0\0\0\6systemt\0\0\0\0",
        b"x\0\0\0\7Decimalt\0\0\0\1s\0\0\0\3foo",
        b"x\0\0\0\4datet\0\0\0\1f\0\0\0\0\0\0\0\0",
        b"D9Nd\0\0\0\0",
        b"D3s\0\0\0\4evald\0\0\0\0",
        b"qi\0\0\0\1\xffl\0\0\0\0",
        b"NN",
        b"t\0\0\0\1" * 1000 + b"N",
    ],
)
def test_malformed_messages_are_refused(data: bytes) -> None:
    with pytest.raises(CodecError):
        read(data)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_refused(data: bytes) -> None:
    try:
        read(data)
    except CodecError:
        return


def test_what_is_too_large_is_not_written() -> None:
    deep: list[Any] = []
    for _ in range(1000):
        deep = [deep]
    for value in (deep, "x" * 2**25, 1 << 2**24):
        with pytest.raises(CodecError):
            written(value)
