"""What the linter found, as every output format reads it, and foreign text made fit to be shown.

A manifest may hold escape sequences, NUL, or controls that turn a line around; none of them reaches a terminal or page.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sluicegate.k8s.checks.model import Finding, Flaw, State, shown
from sluicegate.k8s.checks.snippet import block
from sluicegate.k8s.objects import Object
from sluicegate.k8s.parse import Fault, Path
from sluicegate.k8s.rules import PEERS, RULES
from sluicegate.k8s.score import Judged, mean

NEEDED = "  # needed: "
"""Starts the comment that says what a remedy cannot know."""
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
UNPARSED, INVALID = "not_parsed", "not_valid"
"""Names of what is found besides the checks: a text that cannot be read, an object that Kubernetes would refuse."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason for which Kubernetes would refuse an object, or would not know it.

    Args:
        place: object and path.
        refused: whether it would be refused; a kind without a schema is only told of.
        rule: `schema`, `object`, or the semantic rule that is broken; empty where none is.
    """

    line: int | None
    place: str
    what: str
    refused: bool = True
    rule: str = ""

    @property
    def told(self) -> str:
        """Place, fault and rule on one line."""
        return f"{self.place}: {self.what}{f' ({self.rule})' if self.rule else ''}"


@dataclass(frozen=True, slots=True)
class Linted:
    """What was found in one file.

    Args:
        name: as it was given; `-` is the standard input.
        faults: of parsing.
        problems: of validity.
        objects: how many Kubernetes objects it holds.
        judged: its workloads.
    """

    name: str
    faults: tuple[Fault, ...]
    problems: tuple[Problem, ...]
    objects: int
    judged: tuple[Judged, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One flaw, ready to be shown.

    Args:
        object: kind and name.
        path: within the object.
        under: where the remedy belongs, within the object.
        remedy: lines of YAML.
    """

    line: int | None
    object: str
    check: str
    path: str
    seen: str
    under: str
    remedy: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of a whole run; the means are over all workloads, None without any."""

    files: int
    objects: int
    workloads: int
    flaws: int
    unreadable: int
    refused: int
    bp: float | None
    security: float | None

    @property
    def clean(self) -> bool:
        """Whether there is nothing to mend."""
        return not (self.flaws or self.unreadable or self.refused)


def summary(report: Sequence[Linted]) -> Summary:
    """The figures of what was found."""
    judged = [each for linted in report for each in linted.judged]
    return Summary(
        files=len(report),
        objects=sum(linted.objects for linted in report),
        workloads=len(judged),
        flaws=sum(len(finding.flaws) for each in judged for finding in each.findings),
        unreadable=sum(any(fault.fatal for fault in linted.faults) for linted in report),
        refused=sum(problem.refused for linted in report for problem in linted.problems),
        bp=mean(each.bp for each in judged),
        security=mean(each.security for each in judged),
    )


def rows(judged: Judged, finding: Finding) -> Iterator[Row]:
    """The flaws of one finding."""
    found = judged.workload.object
    for flaw in finding.flaws:
        yield Row(
            line_of(found, flaw.path),
            title(found),
            finding.check,
            visible(shown(flaw.path, found.body)),
            visible(flaw.seen),
            visible(shown(flaw.under, found.body)),
            tuple(visible(line) for line in remedy(flaw)),
        )


def remedy(flaw: Flaw) -> list[str]:
    """The lines of YAML that mend a flaw, to be pasted into the mapping at its `under`."""
    lines = block(flaw.remedy)
    return [f"{lines[0]}{NEEDED}{flaw.needs}", *lines[1:]] if flaw.needs else lines


def title(found: Object) -> str:
    """Kind, namespace and name of an object."""
    space = f"{found.namespace}/" if found.namespace else ""
    return visible(f"{found.kind}/{space}{found.name or '(no name)'}")


def line_of(found: Object, path: Path) -> int | None:
    """The line of a field, or of the nearest thing around it that is written."""
    while path:
        line = found.line(path)
        if line is not None:
            return line
        path = path[:-1]
    return found.line(())


def rules_of(check: str) -> str:
    """The peers' rules that a check matches, on one line."""
    told = RULES.get(check, {})
    return "; ".join(f"{peer} {', '.join(told[peer])}" for peer in PEERS if peer in told)


def failed(judged: Judged) -> list[Finding]:
    """The checks that a workload fails."""
    return [finding for finding in judged.findings if finding.state is State.FAIL]


def share(value: float | None) -> str:
    """A share in percent.

    >>> share(3 / 11), share(None)
    ('27.3%', 'none')
    """
    return "none" if value is None else f"{100 * value:.1f}%"


def visible(text: str, limit: int = 300) -> str:
    r"""The text on one line, every control made visible and its end cut.

    >>> visible("a\x1b[31mb\n\0"), visible("x\u202ey"), visible("abcdef", limit=3)
    ('a⟨U+001B⟩[31mb⟨U+000A⟩⟨U+0000⟩', 'x⟨U+202E⟩y', 'abc…')
    """
    if text.isprintable() and len(text) <= limit:
        return text
    shown_ = "".join(f"⟨U+{ord(c):04X}⟩" if unicodedata.category(c) in _HIDDEN else c for c in text[:limit])
    return shown_ if len(text) <= limit else f"{shown_}…"
