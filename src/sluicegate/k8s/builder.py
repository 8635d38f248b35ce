"""libyaml's events to plain values, on a stack of its own, inside the limits.

No node tree and no constructor of PyYAML is used: both are slower, neither counts what aliases expand to, and one of
them can be told by a tag to build any object.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Final, TypeAlias

from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from sluicegate.k8s.document import DUPLICATE, Document, Fault, Limits, Lines, Spots, Value
from sluicegate.k8s.scalars import NULLS, Scalar, plain

try:
    from yaml._yaml import CParser as Events
except ImportError:  # a PyYAML without libyaml: the same events, some thirty times slower
    from yaml import SafeLoader as Events  # type: ignore[assignment]

FAULTS_KEPT = 100
TEXT_PER_NODE = 100
SHOWN = 60
SPECIAL: Final = NULLS | {"<<"}
"""Keys that are not the text that was written, where they are without quotes."""
TAGS = "tag:yaml.org,2002:"
NUMBERS: Final[dict[str, tuple[type, ...]]] = {
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "null": (type(None),),
}
Event: TypeAlias = Any
"""One of PyYAML's events, whose stubs allow marks and names that are not there."""
Shared: TypeAlias = "tuple[Value, Spots | None, int]"
"""What an anchor stands for: value, spots, nodes."""


class Fatal(Exception):
    """Nothing after this can be read."""

    def __init__(self, kind: str, what: str, line: int | None) -> None:
        super().__init__(what)
        self.fault = Fault(kind, what, line, fatal=True)


class Next(Enum):
    """What comes next, where it is not the value of a key."""

    KEY, ITEM, MERGE = "a key of a mapping", "an item of a list", "a mapping to merge"


# Bound once: looking a member up in its class takes as long as the rest of an event.
KEY: Final = Next.KEY
ITEM: Final = Next.ITEM
MERGE: Final = Next.MERGE


class Frame:
    """A list or mapping that is being filled.

    Args:
        value: it.
        key: the key whose value comes next, or what else does.
        line: of itself; of `key`, once there is one, `at`.
        before: nodes counted before it.
    """

    __slots__ = ("anchor", "at", "before", "key", "line", "merges", "spots", "value")

    def __init__(self, value: Any, key: Next, line: int, anchor: str | None, before: int) -> None:
        self.value, self.line, self.at, self.anchor, self.before = value, line, line, anchor, before
        self.key: str | Next = key
        self.spots: Spots = {}
        self.merges: list[tuple[dict[str, Value], Spots]] = []


class Builder:
    """Builds documents of events. What was built before a `Fatal` or an error of the parser can be used."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.documents: list[Document] = []
        self.faults: list[Fault] = []
        self.nodes = 0
        self.anchors: dict[str, Shared | None] = {}
        self.stack: list[Frame] = []
        self.frame = Frame([], ITEM, 1, None, 0)

    def read(self, data: bytes) -> None:
        """Read to the end.

        Raises:
            Fatal: the text goes beyond a limit, or is YAML without being JSON (a list as a key, …).
            yaml.YAMLError: it is no YAML.
        """
        act: dict[type, Callable[[Any], None]] = {
            ScalarEvent: self._scalar,
            MappingStartEvent: self._mapping,
            MappingEndEvent: self._end,
            SequenceStartEvent: self._sequence,
            SequenceEndEvent: self._end,
            AliasEvent: self._alias,
            DocumentStartEvent: self._document,
            DocumentEndEvent: self._document_end,
            StreamStartEvent: lambda _: None,
            StreamEndEvent: lambda _: None,
        }
        following = Events(data).get_event
        event = following()
        while event is not None:
            act[event.__class__](event)
            event = following()

    def tell(self, fault: Fault) -> None:
        """Keep a fault; of those that are not fatal, the first 100."""
        if fault.fatal or len(self.faults) < FAULTS_KEPT:
            self.faults.append(fault)

    def _count(self, nodes: int, line: int) -> None:
        self.nodes += nodes
        if self.nodes > self.limits.nodes:
            what = f"more than {self.limits.nodes:,} values, aliases expanded and long texts counted by length"
            raise Fatal("too many nodes", what, line)

    def _document(self, event: Event) -> None:
        line = event.start_mark.line + 1
        self._count(1, line)
        self.anchors = {}
        self.frame = Frame([], ITEM, line, None, self.nodes)

    def _document_end(self, _: DocumentEndEvent) -> None:
        value = self.frame.value[0]
        if value is not None:
            lines = Lines(self.frame.spots[0])
            self.documents.append(Document(len(self.documents), lines[()], value, lines))

    def _scalar(self, event: Event) -> None:
        frame, text, line = self.frame, event.value, event.start_mark.line + 1
        if frame.key is KEY:
            self._key(frame, text, event)
            return
        value: Scalar = text
        if event.implicit[0]:
            value = plain(text)
        elif event.tag is not None:
            value = self._tagged(event.tag, text, line)
        if len(text) >= TEXT_PER_NODE:
            self._count(len(text) // TEXT_PER_NODE, line)
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, None, 1 + len(text) // TEXT_PER_NODE)
        self._put(frame, value, None, line)

    def _key(self, frame: Frame, text: str, event: Event) -> None:
        line = event.start_mark.line + 1
        if event.anchor is not None:
            self.anchors[event.anchor] = (text, None, 1 + len(text) // TEXT_PER_NODE)
        if event.tag is not None:
            self._tagged(event.tag, text, line)
        elif text in SPECIAL and event.implicit[0]:
            if text in NULLS:
                raise Fatal("syntax", "a key that is null", line)
            frame.key, frame.at = MERGE, line
            return
        self._named(frame, text, line)

    def _named(self, frame: Frame, text: str, line: int) -> None:
        """The value of this key comes next."""
        if text in frame.value and len(self.faults) < FAULTS_KEPT:
            self.tell(Fault(DUPLICATE, f"the key {text[:SHOWN]!r} appears twice", line, fatal=False))
        if len(text) >= TEXT_PER_NODE:
            self._count(len(text) // TEXT_PER_NODE, line)
        frame.key, frame.at = text, line

    def _tagged(self, tag: str, text: str, line: int) -> Scalar:
        """A text with an explicit tag: of the five that say what kubectl reads, what they say; else the text."""
        name = tag.removeprefix(TAGS)
        if tag in ("!", f"{TAGS}str"):
            return text
        value = plain(text)
        if (
            tag.startswith(TAGS)
            and isinstance(value, NUMBERS.get(name, ()))
            and (type(value) is bool) == (name == "bool")
        ):
            return float(value) if name == "float" and value is not None else value
        self._ignored(tag, line)
        return text

    def _ignored(self, tag: str, line: int) -> None:
        self.tell(Fault("tag", f"the tag {tag[:SHOWN]!r} is ignored", line, fatal=False))

    def _mapping(self, event: Event) -> None:
        self._start({}, KEY, event, ("!", f"{TAGS}map"))

    def _sequence(self, event: Event) -> None:
        self._start([], ITEM, event, ("!", f"{TAGS}seq"))

    def _start(self, value: Value, key: Next, event: Event, tags: tuple[str, str]) -> None:
        line = event.start_mark.line + 1
        if self.frame.key is KEY:
            raise Fatal("syntax", "a key that is a list or a mapping (a template without quotes?)", line)
        if len(self.stack) >= self.limits.depth:
            self._too_deep(line)
        if event.tag is not None and event.tag not in tags:
            self._ignored(event.tag, line)
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        self.stack.append(self.frame)
        self.frame = Frame(value, key, line, event.anchor, self.nodes)

    def _too_deep(self, line: int) -> None:
        raise Fatal("too deep", f"more than {self.limits.depth} lists and mappings within one another", line)

    def _end(self, _: MappingEndEvent | SequenceEndEvent) -> None:
        done, self.frame = self.frame, self.stack.pop()
        for value, spots in done.merges:
            for key in value.keys() - done.value.keys():
                done.value[key], done.spots[key] = value[key], spots[key]
        if done.anchor is not None:
            self.anchors[done.anchor] = (done.value, done.spots, self.nodes + 1 - done.before)
        self._put(self.frame, done.value, done.spots, done.line)

    def _alias(self, event: Event) -> None:
        line, name, frame = event.start_mark.line + 1, event.anchor, self.frame
        if name not in self.anchors:
            raise Fatal("syntax", f"the alias {name[:SHOWN]!r} has no anchor before it", line)
        shared = self.anchors[name]
        if shared is None:
            raise Fatal("syntax", f"the alias {name[:SHOWN]!r} stands inside what it names", line)
        value, spots, nodes = shared
        if frame.key is KEY:
            if not isinstance(value, str):
                raise Fatal("syntax", f"a key that is an alias of what is no text: {name[:SHOWN]!r}", line)
            self._named(frame, value, line)
            return
        self._count(nodes - 1, line)
        self._put(frame, self._copy(value, len(self.stack), line), spots, line)

    def _copy(self, value: Value, depth: int, line: int) -> Value:
        """A copy, since what is changed in one place must not change in another; recursion ends at the depth limit."""
        if not isinstance(value, (dict, list)):
            return value
        if depth >= self.limits.depth:
            self._too_deep(line)
        if isinstance(value, dict):
            return {key: self._copy(part, depth + 1, line) for key, part in value.items()}
        return [self._copy(part, depth + 1, line) for part in value]

    def _put(self, frame: Frame, value: Value, within: Spots | None, line: int) -> None:
        """Put a finished value where it belongs."""
        self.nodes += 1
        if self.nodes > self.limits.nodes:
            self._count(0, line)
        key = frame.key
        if key is ITEM:
            frame.spots[len(frame.value)] = line if within is None else (line, within)
            frame.value.append(value)
        elif key is MERGE:
            self._merge(frame, value, within)
        elif isinstance(key, str):
            frame.spots[key] = frame.at if within is None else (frame.at, within)
            frame.value[key] = value
            frame.key = KEY

    def _merge(self, frame: Frame, value: Value, within: Spots | None) -> None:
        """Note what `<<` names; its entries are added at the end, where they are not written."""
        if isinstance(value, list):
            for index, source in enumerate(value):
                spot = (within or {})[index]
                self._merge(frame, source, None if isinstance(spot, int) else spot[1])
        elif isinstance(value, dict):
            frame.merges.append((value, within or {}))
        else:
            raise Fatal("syntax", "<< wants a mapping or a list of mappings", frame.at)
        frame.key = KEY
