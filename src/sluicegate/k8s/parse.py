"""YAML text to plain values, as kubectl reads them, for any input whatever.

Manifests come from models and strangers, so the size, the depth and the number of values after alias expansion are
bounded before anybody walks the result, nothing is constructed from a tag, and whatever is wrong is a `Fault`, never
an exception. Documents are split by the parser, not at `---` in the text, which may stand in a ConfigMap.

How values are read (as sigs.k8s.io/yaml does, YAML 1.1 without its traps):

- `yes`, `no`, `on`, `off`, `y`, `n`, `true`, `false` are truth values, in the spellings yes, Yes and YES;
- `017`, `0o17`, `0x0f`, `0b1111` and `1_5` are the number 15; whole numbers beyond 64 bits become floats;
- dates and `22:22` stay text, and so do `.inf`, `.nan` and `1e999`: no value is ever infinite or NaN;
- a key is the text that was written, also `on` or `1`; `<<` merges.

What this does not do: keep comments or quotes, or ask what the values mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from sluicegate.k8s.builder import Builder, Fatal
from sluicegate.k8s.document import Document, Fault, Limits, Lines, Parsed, Path, Value
from sluicegate.k8s.objects import weight

__all__ = ["Document", "Fault", "Limits", "Lines", "Parsed", "Path", "Value", "parse"]

DIRECTIVES = 100
"""libyaml compares each %TAG directive with all before it: 50,000 of them took 6.5 s."""
BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
TAG_DIRECTIVE = re.compile("(?:^|[\n\r\x85\u2028\u2029\ufeff])%TAG")
PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
WHOLE_TEXT = Limits()


def parse(text: str | bytes, limits: Limits = WHOLE_TEXT) -> Parsed:
    """Read YAML or JSON, any number of documents. Raises nothing, for any input.

    >>> parse("a: yes\\n---\\nb: [0x10, 1e3, 22:22, 2024-01-01]\\n").documents[1].value
    {'b': [16, 1000.0, '22:22', '2024-01-01']}
    >>> parse("a: 1\\na: 2\\n").faults
    (Fault(kind='duplicate key', what="the key 'a' appears twice", line=2, fatal=False),)
    >>> parse("a: [").faults[0].kind, parse(b"\\xff\\xfea\\x00").faults[0].kind
    ('syntax', 'not UTF-8')
    >>> parse("a:\\n  b:\\n  - 1\\n").documents[0].lines["a", "b", 0]
    3
    """
    builder = Builder(limits)
    try:
        builder.read(_checked(text, limits))
    except Fatal as found:
        builder.tell(found.fault)
    except yaml.YAMLError as fault:
        builder.tell(_syntax(fault, text))
    except (ValueError, OverflowError) as fault:
        # PyYAML's parser without libyaml hands absurd escapes and version numbers to chr() and int().
        builder.tell(Fault("syntax", " ".join(str(fault).split())[:200], None, fatal=True))
    documents = tuple(_within(builder, limits.objects))
    return Parsed(documents, tuple(builder.faults))


def _within(builder: Builder, most: int) -> Iterator[Document]:
    """The documents, as long as they hold no more objects than may be."""
    left = most
    for document in builder.documents:
        left -= weight(document.value)
        if left < 0:
            what = f"more than {most:,} objects in one text; split it"
            builder.tell(Fault("too many objects", what, document.line, fatal=True))
            return
        yield document


def _checked(text: str | bytes, limits: Limits) -> bytes:
    """The text as UTF-8 without a byte order mark; an encoding is never guessed."""
    if len(text) > limits.bytes:
        raise Fatal("too large", f"{len(text):,} bytes or more; at most {limits.bytes:,} are read", None)
    try:
        data, shown = (text.encode(), text) if isinstance(text, str) else (text, text.decode())
    except UnicodeEncodeError as fault:
        what = f"character {fault.start} is half of a surrogate pair"
        raise Fatal("not UTF-8", what, _line(fault.object[: fault.start])) from None
    except UnicodeDecodeError as fault:
        what = f"byte 0x{fault.object[fault.start]:02x} at offset {fault.start}"
        raise Fatal("not UTF-8", what, _line(fault.object[: fault.start].decode())) from None
    if len(data) > limits.bytes:
        raise Fatal("too large", f"{len(data):,} bytes; at most {limits.bytes:,} are read", None)
    if shown.count("%TAG") > DIRECTIVES and len(TAG_DIRECTIVE.findall(shown)) > DIRECTIVES:
        raise Fatal("syntax", f"more than {DIRECTIVES} %TAG directives", None)
    if "\\ud" in shown.casefold() and shown.lstrip("\ufeff \t\r\n").startswith("{"):
        data = PAIR.sub(_paired, shown).encode()
    return data.removeprefix(b"\xef\xbb\xbf")


def _paired(found: re.Match[str]) -> str:
    """The character that JSON writes as two halves, which YAML has no way to."""
    high, low = int(found[2], 16), int(found[3], 16)
    return found[1] + chr(0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF))


def _line(before: str) -> int:
    return len(BREAK.findall(before)) + 1


def _syntax(fault: yaml.YAMLError, text: str | bytes) -> Fault:
    """The parser's message on one line."""
    if isinstance(fault, yaml.MarkedYAMLError):
        mark = fault.problem_mark or fault.context_mark
        what = ", ".join(filter(None, (fault.context, fault.problem)))
        return Fault("syntax", " ".join(what.split()), mark.line + 1 if mark else None, fatal=True)
    # The reader's: a character that YAML forbids. Where, it counts in bytes, or in characters without libyaml.
    shown = text if isinstance(text, str) else text.decode()
    found = FORBIDDEN.search(shown)
    what = f"the character U+{ord(found[0]):04X}, which YAML forbids" if found else " ".join(str(fault).split())[:200]
    return Fault("syntax", what, _line(shown[: found.start()]) if found else None, fatal=True)


FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
"""The first of these is where the reader stops; it knows the offset alone."""
