"""What a text of YAML is once it was read: documents of plain values, where each part stands, and what was wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

Value: TypeAlias = "dict[str, Value] | list[Value] | str | int | float | bool | None"
Path: TypeAlias = tuple[str | int, ...]
Spots: TypeAlias = "dict[str | int, Spot]"
"""Entry → its spot, of a mapping or a list."""
Spot: TypeAlias = "int | tuple[int, Spots]"
"""The line of an entry and, of a list or a mapping, the spots of the entries within it."""
DUPLICATE: Final = "duplicate key"
"""The kind of fault that a key which is there twice is."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is read.

    Args:
        bytes: of the text in UTF-8.
        depth: of lists and mappings within one another, aliases expanded.
        nodes: values of all documents together, aliases expanded; a long text counts as one more for each 100
            characters, so that aliases do not multiply it for nothing.
        objects: documents that are not empty, lists of objects expanded; what is said of each takes its time.
    """

    bytes: int = 1_000_000
    depth: int = 100
    nodes: int = 50_000
    objects: int = 2_000


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with the text.

    Args:
        kind: one of "not UTF-8", "too large", "too deep", "too many nodes", "too many objects", "syntax",
            "duplicate key", "tag".
        what: the fault on one line.
        line: 1-based; None where the text as a whole is at fault.
        fatal: nothing after it was read. A duplicate key (the last one counts) and a tag (it is ignored) are not.
    """

    kind: str
    what: str
    line: int | None
    fatal: bool


class Lines(Mapping[Path, int]):
    """The 1-based line of each mapping entry and list item, by path; of the whole, by the empty path.

    An entry's line is its key's. What came by an alias or a merge has the line where it was written.
    """

    __slots__ = ("_spot",)

    def __init__(self, spot: Spot) -> None:
        self._spot = spot

    def under(self, path: Path) -> Lines:
        """The lines of a part, by path within that part.

        >>> Lines((1, {"a": (2, {"b": 3})})).under(("a",))["b",]
        3
        """
        return Lines(self._found(path))

    def _found(self, path: Path) -> Spot:
        spot = self._spot
        for step in path:
            if isinstance(spot, int):
                raise KeyError(path)
            spot = spot[1][step]
        return spot

    def __getitem__(self, path: Path) -> int:
        spot = self._found(path)
        return spot if isinstance(spot, int) else spot[0]

    def __iter__(self) -> Iterator[Path]:
        waiting: list[tuple[Path, Spot]] = [((), self._spot)]
        while waiting:
            path, spot = waiting.pop()
            yield path
            if not isinstance(spot, int):
                waiting += [((*path, step), part) for step, part in reversed(spot[1].items())]

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True, slots=True)
class Document:
    """One document that is not empty.

    Args:
        index: 0-based, among those that are not empty.
        line: 1-based, where its content starts.
        lines: where each part of it stands.
    """

    index: int
    line: int
    value: Value
    lines: Lines


@dataclass(frozen=True, slots=True)
class Parsed:
    """What was read: the documents before a fatal fault, if there is one, and the faults, at most 101."""

    documents: tuple[Document, ...]
    faults: tuple[Fault, ...]

    @property
    def ok(self) -> bool:
        """Whether the text was read to its end."""
        return not any(fault.fatal for fault in self.faults)
