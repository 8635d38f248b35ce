"""Programs that must fail a sample's tests: its reference with one thing changed, and its shell with nothing in it.

A change is an `Edit` of a span of the source, so all else stays as it was written. Which changes there are is a
language's own (`PROGRAMS`); which of them are tried is chosen here, the same ones every time. A changed program may
mean the same as the reference (an equivalent mutant), so a share of killed ones is held over a data set, and a
surviving one is a hint and no proof.

Source: DeMillo, Lipton and Sayward 1978, Hints on test data selection; Jia and Harman 2011 (kinds of mutants).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Final, Literal, Protocol, cast

Kind = Literal["operator", "constant", "condition", "statement", "return"]
PROGRAMS: Final = {
    "python": "sluicegate.audit.programs.python",
    "javascript": "sluicegate.audit.programs.script",
    "typescript": "sluicegate.audit.programs.script",
    "tsx": "sluicegate.audit.programs.script",
    "sql": "sluicegate.audit.programs.sql",
}
"""Language → the module that changes its programs."""
SHOWN: Final = 40
"""Characters of either side of a change that are told."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a program.

    Args:
        start, end: the span that is replaced, in bytes of UTF-8.
        new: what takes its place.
    """

    kind: Kind
    start: int
    end: int
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """A program with one change, and the change in words."""

    text: str
    told: str


class Program(Protocol):
    """What a module of `PROGRAMS` offers; each raises ValueError where the text is no program of the language."""

    def edits(self, text: str, language: str) -> list[Edit]:
        """All changes that there are, in the order of the source."""
        ...

    def stub(self, text: str, language: str) -> str:
        """The program with the same names and signatures and with nothing in them; empty where there are none."""
        ...

    def parses(self, text: str, language: str) -> bool:
        """Whether the text is a program of the language."""
        ...


def mutants(text: str, language: str, most: int) -> list[Mutant]:
    """At most so many changed programs, all of which parse: chosen by the text alone, the kinds in turn.

    Raises:
        KeyError: a language without a module.
        ValueError: not a program of the language.
    """
    program = _program(language)
    found: list[Mutant] = []
    source = text.encode()
    for edit in _in_turn(program.edits(text, language), text):
        if len(found) >= most:
            break
        changed = (source[: edit.start] + edit.new.encode() + source[edit.end :]).decode()
        if changed != text and program.parses(changed, language):
            found.append(Mutant(changed, _told(source, edit)))
    return found


def stub(text: str, language: str) -> str:
    """The program's shell; empty where it has none.

    Raises:
        KeyError, ValueError: as `mutants`.
    """
    return _program(language).stub(text, language)


def _program(language: str) -> Program:
    return cast(Program, import_module(PROGRAMS[language]))


def _in_turn(edits: Sequence[Edit], text: str) -> Iterator[Edit]:
    """Every change once: kinds in turn, each kind shuffled by the text."""
    dice = random.Random(hashlib.sha256(text.encode()).digest())  # noqa: S311 - a choice, no secret
    kinds: dict[str, list[Edit]] = {}
    for edit in edits:
        kinds.setdefault(edit.kind, []).append(edit)
    for rows in kinds.values():
        dice.shuffle(rows)
    while any(kinds.values()):
        for rows in kinds.values():
            if rows:
                yield rows.pop()


def _told(source: bytes, edit: Edit) -> str:
    line = source.count(b"\n", 0, edit.start) + 1
    old = source[edit.start : edit.end].decode()
    return f"line {line}, {edit.kind}: `{_short(old)}` → `{_short(edit.new)}`"


def _short(text: str) -> str:
    one = " ".join(text.split())
    return one if len(one) <= SHOWN else one[: SHOWN - 1] + "…"
