"""Sample files as users have them: JSONL or a JSON list, `prompt`/`completion` or `intent`/`yaml`.

Every bad line is reported with `file:line`, all in one go, and nothing is read unless all of it can be. The
reader does not judge what a sample says; repeated content is allowed and `content.duplicates` finds it.
"""

from __future__ import annotations

import difflib
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from sluicegate.errors import UserError, UserErrors
from sluicegate.jsonl import FAULTS_SHOWN, read_text, refuse_stream
from sluicegate.records import Sample, digest

SPELLINGS = {"intent": "prompt", "yaml": "completion"}
"""Other names of a field: those of manifest data sets."""
FIELDS = ("id", "scenario", "prompt", "completion", "context", "tests", "meta")
LINE_LIMIT = 10_000_000
"""Characters of one sample; a longer one is a broken export, not a task."""
DEPTH_LIMIT = 32
"""Levels of nesting in one sample; deeper ones break writers further down."""
ID_LIMIT = 200
UTF16 = (b"\xff\xfe", b"\xfe\xff")
WANTED = '{"prompt": "…", "completion": "…"}'
Fault = tuple[int, str]


class LineError(ValueError):
    """One fault of one line, or of one item of a list, in words."""


def read_samples(path: Path) -> list[Sample]:
    """All samples of a file, in its order.

    A sample without an id gets one from its content (16 hex digits of SHA-256; repeats get `-2`, `-3`, …), so
    the same file gives the same ids on every machine.

    Raises:
        UserError: missing, unreadable, a pipe, empty, not UTF-8.
        UserErrors: every bad line (the first 10 shown) with its number.
    """
    return [sample for _, sample in read_lines(path)]


def read_lines(path: Path) -> list[tuple[int, Sample]]:
    """As `read_samples`, each sample with the number of the line that it begins on."""
    path = Path(path)
    refuse_stream(path)
    _refuse_wide_text(path)
    samples, faults = _read(read_text(path))
    if faults:
        raise _report(path, faults)
    if not samples:
        raise UserError(f"{path}: empty", wanted=f"at least one sample, {WANTED}", seen="no samples")
    return samples


def examined(path: Path) -> tuple[list[tuple[int, Sample]], list[tuple[int | None, str]]]:
    """All that can be read of a file, with the lines, and why the rest cannot: a line (None for all of it) and words.

    A line that is not UTF-8 is a fault of that line. Of two samples with one id both are given.
    """
    try:
        _refuse_wide_text(path)
        raw = path.read_bytes()
    except UserError as fault:
        return [], [(None, f"{fault.what.removeprefix(f'{path}:1: ')}: {fault.seen}")]
    except OSError as fault:
        return [], [(None, f"cannot be read: {fault.strerror}")]
    if not raw.strip():
        return [], [(None, "empty")]
    lines = raw.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").split(b"\n")
    bad = {number: why for number, line in enumerate(lines, start=1) if (why := _undecodable(line))}
    kept = (b"" if number in bad else line for number, line in enumerate(lines, start=1))
    samples, faults = _read(b"\n".join(kept).decode())
    told = [row for row in faults if row[0] not in bad]
    return samples, sorted([*told, *bad.items()])


def _undecodable(line: bytes) -> str:
    try:
        line.decode()
    except UnicodeDecodeError as fault:
        return f"not UTF-8: byte 0x{line[fault.start]:02x} at column {fault.start + 1}"
    return ""


def _read(text: str) -> tuple[list[tuple[int, Sample]], list[Fault]]:
    """The samples that can be read, each with its line, and a fault for each that cannot, or whose id is used twice."""
    rows: list[tuple[int, dict[str, Any]]] = []
    faults: list[Fault] = []
    for line, item in items(text):
        try:
            rows.append((line, checked(item)))
        except LineError as fault:
            faults.append((line, str(fault)))
    samples, repeated = _with_ids(rows)
    return [(line, sample) for (line, _), sample in zip(rows, samples, strict=True)], faults + repeated


def _refuse_wide_text(path: Path) -> None:
    """UTF-16 would be taken for a stray byte, or without its mark for text full of NULs: name it instead."""
    try:
        with path.open("rb") as stream:
            head = stream.read(4)
    except OSError:  # who reads all of it has the words for that
        return
    if head[:2] in UTF16 or b"\0" in head:
        raise UserError(
            f"{path}:1: not UTF-8",
            wanted="UTF-8 text",
            seen=f"bytes {head.hex(' ')}: UTF-16 or UTF-32, or a binary file",
            mend=f"iconv -f UTF-16 -t UTF-8 {path} > {path.stem}.utf8{path.suffix}",
        )


def items(text: str) -> Iterator[tuple[int, Any]]:
    """Line number and parsed value, or the fault of parsing it, of each line of JSON Lines or item of a JSON list."""
    if text.lstrip().startswith("["):
        yield from _list_items(text)
        return
    text = text.rstrip()
    for number, line in enumerate(text.split("\n") if text else [], start=1):
        yield number, _parsed(line)


def _parsed(line: str) -> Any:
    if not line.strip():
        return LineError("an empty line")
    if len(line) > LINE_LIMIT:
        return LineError(f"line too long: {len(line):,} characters, wanted at most {LINE_LIMIT:,}")
    try:
        return _DECODER.decode(line)
    except (ValueError, RecursionError) as fault:
        return LineError(_why(fault, line))


def _list_items(text: str) -> Iterator[tuple[int, Any]]:
    """The items of a JSON list, each with the line it begins on; a syntax fault ends the list."""
    position, line, counted = text.index("[") + 1, 1, 0
    wanted_comma = False
    while True:
        position = _skip_space(text, position)
        line, counted = line + text.count("\n", counted, position), position
        sign = text[position : position + 1]
        if sign == "]":
            rest = _skip_space(text, position + 1)
            if rest < len(text):
                yield (
                    line,
                    LineError(f"not JSON: text after the end of the list: {_short(text[rest : rest + 100])}"),
                )
            return
        if wanted_comma:
            if sign != ",":
                yield (
                    line,
                    LineError(f"not JSON: wanted ',' or ']' after an item, seen {sign or 'the end of the file'!r}"),
                )
                return
            position, wanted_comma = position + 1, False
            continue
        try:
            item, end = _DECODER.raw_decode(text, position)
        except (ValueError, RecursionError) as fault:
            yield getattr(fault, "lineno", line), LineError(_why(fault, text[position : position + 100]))
            return
        too_long = end - position > LINE_LIMIT
        yield line, LineError(f"item too long: {end - position:,} characters") if too_long else item
        position, wanted_comma = end, True


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def _why(fault: Exception, line: str) -> str:
    """A parser's complaint in words that help; the text at fault is shown, never all of a long one."""
    if isinstance(fault, RecursionError):
        return f"nested too deep, wanted at most {DEPTH_LIMIT} levels: {_short(line)}"
    if isinstance(fault, LineError):
        return str(fault)
    if isinstance(fault, json.JSONDecodeError):
        return f"not JSON: {fault.msg[:1].lower()}{fault.msg[1:]} (column {fault.colno}): {_short(line)}"
    return f"not JSON: {fault}"


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _no_repeats(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are distinct: JSON parsers keep the last of two, which drops data in silence."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise LineError(f"field {twice!r} is given twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise LineError(f"{name} is not JSON: leave the field out, or use text")


_DECODER = json.JSONDecoder(object_pairs_hook=_no_repeats, parse_constant=_no_constant)


def checked(item: Any) -> dict[str, Any]:
    """The fields of a sample, in our spelling.

    Raises:
        LineError: every fault of the sample, in one message.
    """
    if isinstance(item, LineError):
        raise item
    if not isinstance(item, dict):
        raise LineError(f"wanted an object such as {WANTED}, seen {_kind(item)}")
    inside = fault_inside(item)
    if inside:
        raise LineError(inside)
    fields, faults = _in_our_spelling(item)
    faults += [fault for name, value in fields.items() if (fault := _field_fault(name, value))]
    for name, other in (("prompt", "intent"), ("completion", "yaml")):
        if name not in fields:
            faults.append(f"{name} is missing (or {other})")
    if faults:
        raise LineError("; ".join(faults))
    return fields


def _in_our_spelling(item: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    fields: dict[str, Any] = {}
    faults = []
    for name, value in item.items():
        ours = SPELLINGS.get(name, name)
        if ours not in FIELDS:
            faults.append(_unknown(name))
        elif ours in fields:
            faults.append(f"{ours} is given twice: {' and '.join(k for k in item if SPELLINGS.get(k, k) == ours)}")
        else:
            fields[ours] = value
    return fields, faults


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), [*FIELDS, *SPELLINGS], n=1, cutoff=0.7)
    hint = f"did you mean {near[0]}?" if near else "other facts belong in meta"
    return f"unknown field {_short(name)!r} ({hint}; known: {', '.join(FIELDS)})"


def _field_fault(name: str, value: Any) -> str:
    """What is wrong with one field, or nothing."""
    if name == "meta":
        return "" if isinstance(value, dict) else f"meta: wanted an object, seen {_kind(value)}"
    if not isinstance(value, str):
        return f"{name}: wanted text, seen {_kind(value)}"
    if name in {"prompt", "completion", "id"} and not value.strip():
        return f"{name} is empty"
    if name == "id" and (len(value) > ID_LIMIT or not value.isprintable() or value != value.strip()):
        return f"id: wanted up to {ID_LIMIT} printable characters, no space around, seen {_short(value)!r}"
    return ""


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def fault_inside(item: Any) -> str:
    """A value that files or tokenizers cannot hold: NUL, half a surrogate pair, infinity, endless nesting."""
    todo = [(item, 1)]
    while todo:
        value, depth = todo.pop()
        if depth > DEPTH_LIMIT:
            return f"nested too deep, wanted at most {DEPTH_LIMIT} levels"
        if isinstance(value, dict):
            todo += [(part, depth + 1) for pair in value.items() for part in pair]
        elif isinstance(value, list):
            todo += [(part, depth + 1) for part in value]
        elif isinstance(value, str) and (fault := _text_fault(value)):
            return fault
        elif isinstance(value, float) and not math.isfinite(value):
            return "a number is too large for a float"
    return ""


def _text_fault(text: str) -> str:
    if "\0" in text:
        return f"a NUL character in {_short(text)!r}"
    try:
        text.encode()
    except UnicodeEncodeError as fault:
        return f"half a surrogate pair (\\u{ord(text[fault.start]):04x}) in {_short(ascii(text))}"
    return ""


def _with_ids(rows: Sequence[tuple[int, dict[str, Any]]]) -> tuple[list[Sample], list[Fault]]:
    """Samples with an id each, and a fault for each id that is used twice."""
    samples: list[Sample] = []
    faults: list[Fault] = []
    lines: dict[str, int] = {}
    repeats: Counter[str] = Counter()
    for line, fields in rows:
        name = fields.get("id") or _derived(fields, repeats)
        if name in lines:
            faults.append((line, f"id {name!r} is used before, on line {lines[name]}"))
        lines.setdefault(name, line)
        samples.append(Sample(**{**fields, "id": name}))
    return samples, faults


def _derived(fields: Mapping[str, Any], repeats: Counter[str]) -> str:
    short = digest(fields)[:16]
    repeats[short] += 1
    return short if repeats[short] == 1 else f"{short}-{repeats[short]}"


def _report(path: Path, faults: Sequence[Fault]) -> UserErrors:
    more = f" (first {FAULTS_SHOWN} shown)" if len(faults) > FAULTS_SHOWN else ""
    count = f"{len(faults)} bad line{'s' if len(faults) > 1 else ''}"
    shown = [UserError(f"{path}:{line}: {why}") for line, why in sorted(faults)[:FAULTS_SHOWN]]
    return UserErrors(f"{path}: {count}{more}; nothing was read", shown)
