"""The report for a terminal: verdict, claim, checks, gains, forecast; at most 100 columns, no colours.

Needs neither jinja2 nor matplotlib, so that the command line can use it anywhere.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from sluicegate.folder import ARMS
from sluicegate.records import Check, Outcome, Verdict
from sluicegate.report import baselines, contrasts, failures, tables, wording
from sluicegate.report.clean import LIMIT, NONE, figure, one_line, points, seconds
from sluicegate.report.content import STAGES, Content
from sluicegate.report.samples import RULES, WORST
from sluicegate.report.tables import WIDTH, item, wrapped

MARKS = {True: "ok", False: "FAIL", None: "--"}


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """One row a verdict: stage, name, outcome, gain of the primary metric with its interval, and why.

    A stage that compares nothing has no gain.
    """
    widths = (5, 11, 12, 24)
    rows = [("stage", "name", "outcome", "gain in points", "why")]
    rows += [(str(v.stage), STAGES.get(v.stage, ""), v.outcome.value, _gain(v), why(v)) for v in verdicts]
    lines = []
    for *cells, reason in rows:
        left = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        wrapped = textwrap.wrap(reason, WIDTH - len(left) - 2, max_lines=3, placeholder=" …") or [""]
        lines += [f"{left}  {wrapped[0]}".rstrip(), *(f"{'':{len(left) + 2}}{rest}" for rest in wrapped[1:])]
    return "\n".join([lines[0], "-" * WIDTH, *lines[1:]])


def _gain(verdict: Verdict) -> str:
    row = verdict.primary
    if row is None or row.gain is None:
        return NONE
    return f"{points(row.gain)} ({points(row.low)} to {points(row.high)})"


def why(verdict: Verdict) -> str:
    """The reason of an outcome: the first failed check that blames it, or how many hold."""
    blamed = [check for check in verdict.checks if check.passed is False and check.blames is verdict.outcome]
    if blamed:
        more = f" (and {len(blamed) - 1} more)" if len(blamed) > 1 else ""
        return f"{one_line(blamed[0].name, 60)}: {one_line(blamed[0].seen)}{more}"
    held = sum(check.passed is True for check in verdict.checks)
    return f"all {held} checks hold" if verdict.outcome is Outcome.GO else "no check says why"


def check_lines(checks: Sequence[Check]) -> list[str]:
    """The checks: mark, name, what was seen; of a failed one also what was wanted and how to mend it.

    >>> print("\\n".join(check_lines([Check("disk", False, "10 GB free", "2 GB", "df -h")])))
    FAIL  disk: 2 GB
          wanted: 10 GB free
          mend:   df -h
    """
    lines: list[str] = []
    for check in checks:
        lines += wrapped(f"{MARKS[check.passed]:<4}  {one_line(check.name)}: {one_line(check.seen, LIMIT)}")
        if check.passed is False:
            told = (("wanted:", check.wanted), ("mend:", check.remedy))
            lines += [row for name, said in told if said for row in wrapped(f"      {name:<7} {one_line(said)}", 14)]
    return lines


def text(content: Content) -> str:
    """The whole report as text."""
    verdict = content.verdict
    parts = [
        _head(content),
        _section("OVERRIDDEN", list(_overrides(content))),
        _section("Checks", check_lines(verdict.checks) if verdict else []),
        _section("What to do next", [row for step in verdict.next_steps for row in item(step)] if verdict else []),
        _section("What would settle it", list(tables.needs(verdict)) if verdict and verdict.needs else []),
        _section("Gains", list(tables.gains(content))),
        _section(contrasts.TITLE, list(tables.beside(content))),
        _section(baselines.TITLE, list(tables.fixed(content))),
        _section(failures.TITLE, list(tables.short(content))),
        _section("Forecast against actual", list(tables.forecast(content))),
        _section("Registered before the stage ran", list(tables.registered(content))),
        _section("Models", list(_models(content))),
        _section("Samples in the HTML report", list(_samples(content))),
        _section("Time", [f"{one_line(name, 60):<32} {seconds(spent):>14}" for name, spent in content.steps.items()]),
        _section("Could not be read", [row for fault in content.faults for row in item(fault)]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join([title, "=" * len(title), *lines]) if lines else ""


def _head(content: Content) -> str:
    question = textwrap.fill(one_line(content.study.question), WIDTH) if content.study else content.lacks("study.yaml")
    verdict = content.verdict
    table = verdict_table([verdict]) if verdict else f"{content.lacks('verdict.json')}: nothing is decided yet"
    told = [
        content.claim,
        content.decision,
        wording.ran_out(content.overrun) if content.overrun else "",
        f"used {wording.used(verdict.hours, content.budget.get('hours'), 'h')} and "
        f"{wording.used(verdict.dollars, content.budget.get('dollars'), '$')}"
        if verdict
        else "",
    ]
    below = [row for line in told if line for row in wrapped(line, 0)]
    return "\n".join([one_line(content.name), question, "", table, *([""] if below else []), *below])


def _overrides(content: Content) -> Iterator[str]:
    """Every override of the study so far, or that they are not known."""
    if content.doubt:
        yield from wrapped(content.doubt, 0)
    if content.overrides:
        yield wording.OVERRIDDEN
    for row in content.overrides:
        yield from wrapped(f"! stage {row.stage}, {one_line(row.time)}: {one_line(row.reason, LIMIT)}", 2)


def _models(content: Content) -> Iterator[str]:
    for model in content.models:
        result = model.result
        if result:
            done, last, kept = (figure(result.get(key)) for key in ("steps", "last_loss", "best_val_loss"))
            yield f"{one_line(model.name)}: {done} steps, last loss {last}, best validation loss {kept}"
        else:
            file = f"{ARMS}/{model.name}/result.json"
            yield from wrapped(f"{one_line(content.lacks(file))}: its training has not ended well")


def _samples(content: Content) -> Iterator[str]:
    for rule, _ in (*RULES, WORST):
        ids = [one_line(shown.id, 60) for shown in content.samples if shown.rule == rule]
        if ids:
            yield from wrapped(f"{rule}: {', '.join(ids)}", 2)
