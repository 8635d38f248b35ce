"""What is read of a text: values as kubectl reads them, lines, faults, and where it ends."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.k8s.document import Limits, Value
from sluicegate.k8s.parse import parse
from sluicegate.k8s.scalars import plain

USUAL = Limits()


def values(text: str | bytes) -> list[Value]:
    parsed = parse(text)
    assert parsed.ok, parsed.faults
    return [document.value for document in parsed.documents]


def fatal(text: str | bytes, limits: Limits = USUAL) -> tuple[str, int | None]:
    (fault,) = [fault for fault in parse(text, limits).faults if fault.fatal]
    return fault.kind, fault.line


def noted(text: str) -> list[tuple[str, int | None]]:
    return [(fault.kind, fault.line) for fault in parse(text).faults if not fault.fatal]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # the traps of YAML 1.1
        ("yes", True), ("No", False), ("ON", True), ("off", False), ("y", True), ("N", False), ("yEs", "yEs"),
        ("22:22", "22:22"), ("1:30:00", "1:30:00"), ("2024-01-01", "2024-01-01"),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"), ("0o17", 15), ("017", 15), ("08", 8.0), ("0x1F", 31),
        ("0b101", 5), ("1_000", 1000), ("+1", 1), ("-0", 0), ("1e3", 1000.0), ("1.", 1.0), (".5", 0.5),
        ("1.2.3", "1.2.3"), (".inf", ".inf"), ("-.INF", "-.INF"), (".nan", ".nan"), ("1e999", "1e999"), ("~", None),
        ("Null", None), ("", None), ("nuLL", "nuLL"), ("=", "="), ("<<", "<<"), ("1e", "1e"), ("0x", "0x"),
        # whole numbers of 64 bits, and floats beyond
        ("9223372036854775807", 2**63 - 1), ("18446744073709551615", 2**64 - 1), ("18446744073709551616", 2.0**64),
        ("-9223372036854775808", -(2**63)), ("-9223372036854775809", -(2.0**63)),
        # quotes and tags make a text a text; but the tag ! says nothing
        ("'yes'", "yes"), ('"1"', "1"), ("! 1", 1), ("!!str 1", "1"), ("!!int '1'", 1), ("!!float 1", 1.0),
        ("!!bool yes", True), ("!!null ''", None), ("!!int a", "a"), ("!!binary YQ==", "YQ=="), ("!a b", "b"),
        ("!!timestamp 2024-01-01", "2024-01-01"), ("!!bool 1", "1"), ("!!int yes", "yes"),
        ("!!python/object/apply:os.system ['true']", ["true"]),
        # blocks
        ("|\n  a\n  b\n", "a\nb\n"), (">-\n  a\n  b\n", "a b"), ('"\\x41\\u00e4"', "Aä"), ("\n- \n", [None]),
    ],
)  # fmt: skip
def test_scalars(text: str, value: Value) -> None:
    (found,) = values(f"a: {text}")
    assert isinstance(found, dict)
    assert found == {"a": value}
    assert type(found["a"]) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on: 1\nyes: 2\n1: 3\n0x1: 4", {"on": 1, "yes": 2, "1": 3, "0x1": 4}),  # keys are as written
        ("? a\n: b", {"a": "b"}),
        ("{a: 1, b: {c: [1, {d: e}]}}", {"a": 1, "b": {"c": [1, {"d": "e"}]}}),
        ('{"a": [true, null, 1.5, "x"]}', {"a": [True, None, 1.5, "x"]}),
        ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
        ("a: &x text\nc: [*x, *x]", {"a": "text", "c": ["text", "text"]}),
        ("&k a: *k", {"a": "a"}),
        ("a: &x b\n*x : c", {"a": "b", "b": "c"}),
        ("a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}", {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}),
        ("a: &x {b: 1}\ne: &y {b: 2, f: 3}\nd: {<<: [*x, *y]}",
         {"a": {"b": 1}, "e": {"b": 2, "f": 3}, "d": {"b": 1, "f": 3}}),
        ("a: &x {b: 1}\nd:\n  c: 3\n  <<: *x", {"a": {"b": 1}, "d": {"c": 3, "b": 1}}),
        ("'<<': 1", {"<<": 1}),
        ("&x a: 1", {"a": 1}),
    ],
)  # fmt: skip
def test_collections_aliases_and_merges(text: str, value: Value) -> None:
    assert values(text) == [value]


def test_documents_are_split_by_the_parser() -> None:
    text = "---\n---\na: |\n  ---\n  b\n...\n--- c\n---\n~\n--- # a comment\nd: 1"
    assert values(text) == [{"a": "---\nb\n"}, "c", {"d": 1}]
    assert [document.index for document in parse(text).documents] == [0, 1, 2]
    assert [document.line for document in parse(text).documents] == [3, 7, 11]


@pytest.mark.parametrize("text", ["", "   \n", "# a comment\n", "---\n---\n", "\ufeff", b"\xef\xbb\xbf"])
def test_nothing_is_no_document(text: str | bytes) -> None:
    assert parse(text).documents == ()
    assert parse(text).faults == ()


def test_a_byte_order_mark_and_line_ends() -> None:
    assert values("\ufeffa: 1\r\nb: 2\r\n") == values("\ufeffa: 1\nb: 2\n".encode()) == [{"a": 1, "b": 2}]
    assert values("a: 1\rb: 2\r") == [{"a": 1, "b": 2}]


def test_every_part_has_its_line() -> None:
    text = "# one\na:\n  b: 1\n  c:\n  - d\n  - {e: 1,\n     f: 2}\n'g':\n  h\ni: &x\n  j: 1\nk: *x\nl:\n  <<: *x\n"
    lines = parse(text).documents[0].lines
    assert {path: lines[path] for path in lines} == {
        (): 2, ("a",): 2, ("a", "b"): 3, ("a", "c"): 4, ("a", "c", 0): 5, ("a", "c", 1): 6, ("a", "c", 1, "e"): 6,
        ("a", "c", 1, "f"): 7, ("g",): 8, ("i",): 10, ("i", "j"): 11, ("k",): 12, ("k", "j"): 11, ("l",): 13,
        ("l", "j"): 11,
    }  # fmt: skip
    assert len(lines) == 15
    assert lines.under(("a", "c"))[1, "f"] == 7
    for path in (("x",), ("a", "b", "c"), ("a", "c", 2), ("a", "c", "0")):
        assert lines.get(path) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb: 2\na: 3", [("duplicate key", 3)]),
        ("a:\n  b: {c: 1, c: 2, c: 3}", [("duplicate key", 2), ("duplicate key", 2)]),
        ("a: 1\n'a': 2", [("duplicate key", 2)]),
        ("a: !x 1\nb: !!set {c}", [("tag", 1), ("tag", 2)]),
        ("a: !!str 1\nb: !!map {}\nc: !!seq []\nd: ! e", []),
    ],
)
def test_what_is_noted(text: str, told: list[tuple[str, int]]) -> None:
    assert noted(text) == told


def test_the_last_of_two_keys_counts_and_of_many_faults_a_hundred_are_kept() -> None:
    assert values("a: 1\na: 2") == [{"a": 2}]
    assert len(parse("a: 1\n" * 1000).faults) == 100
    assert len(parse("a: 1\n" * 1000 + "b: [").faults) == 101


@pytest.mark.parametrize(
    ("text", "kind", "line"),
    [
        ("a: [", "syntax", 2),
        ("a: b: c", "syntax", 1),
        ("\ta: 1", "syntax", 1),
        ("a: {{ .Values.b }}", "syntax", 1),
        ("? [a]\n: b", "syntax", 1),
        ("~: 1", "syntax", 1),
        (": 1", "syntax", 1),
        ("a: 1\nb: *c", "syntax", 2),
        ("a: &x [*x]", "syntax", 1),
        ("a: &x 1\n---\nb: *x", "syntax", 3),
        ("a: 1\n<<: 2", "syntax", 2),
        ("a: &x [b]\n*x : c", "syntax", 2),
        ("a: \x00", "syntax", 1),
        ("a: 1\nb: \x1b[0m", "syntax", 2),
        ("a: 1\n\ud800", "not UTF-8", 2),
        (b"a: 1\n\xff", "not UTF-8", 2),
        ("a: 1\n".encode("utf-16"), "not UTF-8", 1),
        ("[" * 101 + "]" * 101, "too deep", 1),
        ("%TAG !a! b:\n" * 101 + "--- c", "syntax", None),
    ],
)
def test_what_ends_the_reading(text: str | bytes, kind: str, line: int | None) -> None:
    assert fatal(text) == (kind, line)


def test_what_was_read_before_a_fault_is_kept() -> None:
    parsed = parse("a: 1\n---\nb: 2\n---\nc: [\n")
    assert [document.value for document in parsed.documents] == [{"a": 1}, {"b": 2}]
    assert not parsed.ok


@pytest.mark.parametrize(
    ("limits", "text", "kind"),
    [
        (Limits(bytes=5), "a: 123", "too large"),
        (Limits(bytes=5), "a: äö", "too large"),
        (Limits(depth=2), "a: {b: {c: 1}}", "too deep"),
        (Limits(depth=2), "a: &x {b: 1}\nc: {d: *x}", "too deep"),
        (Limits(nodes=5), "a: [1, 2, 3, 4]", "too many nodes"),
        (Limits(nodes=9), "a: &x [1, 2]\nb: [*x, *x]", "too many nodes"),
        (Limits(nodes=9), "a: " + "x" * 1000, "too many nodes"),
        (Limits(nodes=9), "a: &x " + "x" * 600 + "\nb: *x", "too many nodes"),
        (Limits(objects=2), "a\n---\nb\n---\nc", "too many objects"),
        (Limits(objects=2), "{kind: PodList, items: [{}, {}, {}]}", "too many objects"),
        (Limits(objects=2), "{kind: List, items: [{kind: List, items: [{}, {}]}, {}]}", "too many objects"),
    ],
)
def test_limits(limits: Limits, text: str, kind: str) -> None:
    assert fatal(text, limits)[0] == kind
    assert parse(text).ok


def test_as_many_objects_as_may_be_are_kept() -> None:
    assert len(parse("a\n---\nb\n---\nc", Limits(objects=2)).documents) == 2
    assert parse("a\n---\nb", Limits(objects=2)).ok


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=8)


def trees(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    numbers = st.one_of(st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False))
    return st.recursive(
        st.one_of(st.none(), st.booleans(), numbers, texts),
        lambda below: st.one_of(st.lists(below, max_size=4), st.dictionaries(texts, below, max_size=4)),
        max_leaves=20,
    )


@settings(max_examples=150, deadline=None)
@given(trees(TEXTS))
def test_json_is_read_as_json(value: Any) -> None:
    """Escaped as Python does it, wide characters as two halves."""
    assert values(json.dumps({"a": value})) == [{"a": value}]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'{"a": "\ud83d\ude00"}', "😀"),
        (r' {"a": "b\\\uD83D\uDE00c"}', "b\\😀c"),
        (r'{"a": "\\ud83d\\ude00"}', r"\ud83d\ude00"),
        (r"a: '\ud83d\ude00'", r"\ud83d\ude00"),
    ],
)
def test_halves_of_characters_in_json(text: str, value: str) -> None:
    assert values(text) == [{"a": value}]


@settings(max_examples=150, deadline=None)
@given(trees(TEXTS.filter(lambda text: plain(text) == text)))
def test_what_pyyaml_writes_is_read_back(value: Any) -> None:
    """Block style, quotes where needed, anchors for what is shared; PyYAML does not quote `y` or `1e3`."""
    text = yaml.safe_dump({"a": [value, value]}, allow_unicode=True, width=20)
    assert values(text) == [{"a": [value, value]}]


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), st.binary(), st.text("-:{}[]&*!|>'\"%@`#?, \n\t~<aA01.")))
def test_no_text_makes_it_raise_and_no_number_is_infinite(text: str | bytes) -> None:
    parsed = parse(text)
    waiting: list[Value] = [document.value for document in parsed.documents]
    while waiting:
        value = waiting.pop()
        if isinstance(value, (dict, list)):
            waiting += value.values() if isinstance(value, dict) else value
        assert not isinstance(value, float) or math.isfinite(value)
    for document in parsed.documents:
        assert all(document.lines[path] >= 1 for path in document.lines)
    assert parsed.ok or parsed.faults[-1].fatal
    assert all("\n" not in fault.what for fault in parsed.faults)
