"""What was found as text for people: at most 100 columns, but for longer YAML, in colours only on a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from functools import cache

from sluicegate.k8s.checks import CHECKS
from sluicegate.k8s.checks.model import ASKED, SECURITY, Finding, State
from sluicegate.k8s.fix import Fixed
from sluicegate.k8s.output.content import (
    NEEDED,
    Linted,
    Summary,
    failed,
    line_of,
    rows,
    rules_of,
    share,
    summary,
    title,
    visible,
)
from sluicegate.k8s.score import SECURITY_CHECKS, Judged

WIDTH = 100
RED, GREEN, BOLD, PLAIN = "\x1b[31m", "\x1b[32m", "\x1b[1m", "\x1b[0m"
KINDS = {check.name: check.group == SECURITY for check in CHECKS}


def text(report: Sequence[Linted], *, colours: bool = False) -> str:
    """The whole report; what passes is only counted."""
    lines = [line for linted in report for line in _file(linted)]
    lines += [*([""] if lines else []), *_last(summary(report))]
    return "".join(f"{_coloured(line) if colours else line}\n" for line in lines)


def _file(linted: Linted) -> Iterator[str]:
    faults = [
        (fault.line, "ERROR" if fault.fatal else "note", f"{fault.kind}: {fault.what}") for fault in linted.faults
    ]
    problems = [(problem.line, "ERROR" if problem.refused else "note", problem.told) for problem in linted.problems]
    if not (faults or problems or linted.judged):
        return
    yield from _wrapped(visible(linted.name), 2)
    for line, mark, what in faults + problems:
        yield from _wrapped(f"  {mark} {_at(line)}{visible(what, 600)}", 8)
    for judged in linted.judged:
        yield from _workload(judged)


def _workload(judged: Judged) -> Iterator[str]:
    found = judged.workload.object
    security = judged.findings[:SECURITY_CHECKS]
    yield from _wrapped(
        f"  {title(found)}, {_at(line_of(found, ()))}BP {share(judged.bp)} ({_count(judged.findings)}), "
        f"security {share(judged.security)} ({_count(security)})",
        4,
    )
    for finding in failed(judged):
        yield f"    FAIL {finding.check}"
        for row in rows(judged, finding):
            yield from _wrapped(f"      {_at(row.line)}{row.path}: {row.seen}", 8)
            yield from _wrapped(f"        put under {row.under}:", 10)
            yield from (line for told in row.remedy for line in _code(told))
        yield from _rules(finding.check)


def _count(findings: Sequence[Finding]) -> str:
    passed = sum(finding.state is State.PASS for finding in findings)
    return f"{passed} of {sum(finding.state in ASKED for finding in findings)}"


def last_line(report: Sequence[Linted]) -> str:
    """The figures of the whole report, as its text ends."""
    return "".join(f"{line}\n" for line in _last(summary(report)))


def _last(figures: Summary) -> Iterator[str]:
    told = [
        _many(figures.files, "file"),
        _many(figures.objects, "object"),
        _many(figures.workloads, "workload"),
        _many(figures.flaws, "flaw"),
    ]
    if figures.unreadable:
        told.append(f"{_many(figures.unreadable, 'file')} not parsed")
    if figures.refused:
        told.append(f"{_many(figures.refused, 'reason')} to be refused")
    yield from _wrapped(f"{', '.join(told)}; BP {share(figures.bp)}, security {share(figures.security)}", 2)


def _many(count: int, name: str) -> str:
    return f"{count:,} {name}{'' if count == 1 else 's'}"


def _at(line: int | None) -> str:
    return "" if line is None else f"line {line}: "


def _code(line: str) -> list[str]:
    """A line of YAML, with its comment on the line above it where both do not fit."""
    code, mark, comment = line.partition(NEEDED)
    indent = " " * (10 + len(code) - len(code.lstrip()))
    whole = f"{' ' * 10}{line}"
    if not mark or len(whole) <= WIDTH:
        return [whole]
    return [f"{indent}{NEEDED.strip()} {comment}", f"{' ' * 10}{code}"]


def _wrapped(line: str, hang: int) -> list[str]:
    if len(line) <= WIDTH and line.isprintable() and not line.isspace():
        return [line.rstrip()]
    return textwrap.wrap(line, WIDTH, subsequent_indent=" " * hang, break_on_hyphens=False) or [""]


@cache
def _rules(check: str) -> tuple[str, ...]:
    return tuple(_wrapped(f"      rules: {rules_of(check)}", 13))


def _coloured(line: str) -> str:
    for mark, colour in (("    FAIL ", RED), ("  ERROR ", RED)):
        if line.startswith(mark):
            return f"{mark[: -len(mark.lstrip())]}{colour}{mark.strip()}{PLAIN}{line[len(mark) - 1 :]}"
    if line and not line.startswith(" "):
        return f"{BOLD}{line}{PLAIN}"
    return line


def changes(name: str, fixed: Fixed) -> str:
    """What a fix did to one text, and what it left."""
    lines = _wrapped(
        f"{visible(name)}: {_many(len(fixed.changes), 'field')} set, {_many(len(fixed.left), 'flaw')} left"
        f"{f'; {visible(fixed.fault)}' if fixed.fault else ''}",
        2,
    )
    for change in fixed.changes:
        lines += _wrapped(
            f"  set  {visible(change.place)}: {visible(change.before)} → {visible(change.after)} ({change.check})", 7
        )
    for left in fixed.left:
        lines += _wrapped(f"  left {visible(left.place)}: {visible(left.seen)}; needed: {visible(left.needs)}", 7)
    return "".join(f"{line}\n" for line in lines)
