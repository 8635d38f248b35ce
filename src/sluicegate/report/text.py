"""The report for a terminal: the verdict table, the checks, the comparisons, at most 100 columns, no colours.

Needs neither jinja2 nor matplotlib, so that the command line can use it anywhere.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from sluicegate.records import Check, Comparison, Outcome, Verdict
from sluicegate.report.clean import NONE, chance, figure, one_line, points, seconds, share
from sluicegate.report.content import STAGES, Content, Pairs
from sluicegate.report.samples import RULES

WIDTH = 100
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
        lines += _wrapped(f"{MARKS[check.passed]:<4}  {one_line(check.name)}: {one_line(check.seen)}")
        if check.passed is False:
            told = (("wanted:", check.wanted), ("mend:", check.remedy))
            lines += [row for name, said in told if said for row in _wrapped(f"      {name:<7} {one_line(said)}", 14)]
    return lines


def _wrapped(line: str, indent: int = 6) -> list[str]:
    return textwrap.wrap(line, WIDTH, subsequent_indent=" " * indent, drop_whitespace=True) or [""]


def text(content: Content) -> str:
    """The whole report as text."""
    parts = [
        _head(content),
        _section("Checks", check_lines(content.verdict.checks) if content.verdict else []),
        _section(
            "What to do next", [f"- {one_line(step)}" for step in content.verdict.next_steps] if content.verdict else []
        ),
        _section(
            "Gains",
            list(_gains(content.pairs))
            if content.pairs
            else ["comparisons.json is not there: the arms were not compared"],
        ),
        _section("Models", list(_models(content))),
        _section("Samples in the HTML report", list(_samples(content))),
        _section("Time", [f"{one_line(name, 60):<32} {seconds(spent):>14}" for name, spent in content.steps.items()]),
        _section("Could not be read", [f"- {fault}" for fault in content.faults]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join([title, "=" * len(title), *lines]) if lines else ""


def _head(content: Content) -> str:
    question = textwrap.fill(one_line(content.study.question), WIDTH) if content.study else "study.yaml is not there"
    table = verdict_table([content.verdict]) if content.verdict else "verdict.json is not there: nothing is decided yet"
    return f"{one_line(content.name)}\n{question}\n\n{table}"


def _gains(pairs: Pairs) -> Iterator[str]:
    yield f"{one_line(pairs.experiment)} against {one_line(pairs.control)}, paired by sample; points on [0, 1]"
    interval = f"{pairs.level:.0%} interval"
    yield f"{'metric':<26} {'n':>4}  {'control':>8}  {'experim.':>8}  {'gain':>6}  {interval:>17}  {'p':>8}"
    for row in pairs.rows:
        yield _gain_row(row, row.metric == pairs.primary)
        if row.note:
            yield from _wrapped(f"    {one_line(row.note)}", 4)


def _gain_row(row: Comparison, primary: bool) -> str:
    interval = NONE if row.low is None or row.high is None else f"{points(row.low)} to {points(row.high)}"
    name = one_line(row.metric, 24) + (" *" if primary else "")
    return (
        f"{name:<26} {row.n:>4}  {share(row.control):>8}  {share(row.experiment):>8}  "
        f"{points(row.gain):>6}  {interval:>17}  {chance(row.p):>8}"
    )


def _models(content: Content) -> Iterator[str]:
    for model in content.models:
        result = model.result
        if result:
            done, last, kept = (figure(result.get(key)) for key in ("steps", "last_loss", "best_val_loss"))
            yield f"{one_line(model.name)}: {done} steps, last loss {last}, best validation loss {kept}"
        else:
            yield f"{one_line(model.name)}: result.json is not there: its training has not ended well"


def _samples(content: Content) -> Iterator[str]:
    for rule, _ in RULES:
        ids = [one_line(shown.id, 60) for shown in content.samples if shown.rule == rule]
        if ids:
            yield from _wrapped(f"{rule}: {', '.join(ids)}", 2)
