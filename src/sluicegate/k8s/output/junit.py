"""What was found as JUnit XML: a suite a file, a case a workload and check.

A character that XML 1.0 cannot hold, escaped or not, is shown by its number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape, quoteattr

from sluicegate.k8s.checks.model import Finding, State
from sluicegate.k8s.output.content import Linted, line_of, rows, rules_of, title, visible
from sluicegate.k8s.score import Judged

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def junit(report: Sequence[Linted]) -> str:
    """The whole report."""
    suites = [_suite(linted) for linted in report]
    counts = [sum(part) for part in zip(*(numbers for numbers, _ in suites), strict=True)] or [0, 0, 0, 0]
    lines = [line for _, told in suites for line in told]
    return HEAD + "\n".join(
        [f'<testsuites name="sluicegate k8s check" {_counts(counts)}>', *lines, "</testsuites>", ""]
    )


def _suite(linted: Linted) -> tuple[list[int], list[str]]:
    cases = [*_errors(linted), *(case for judged in linted.judged for case in _cases(judged))]
    text = "\n".join(cases)
    numbers = [text.count(f"<{mark}") for mark in ("testcase ", "failure ", "error ", "skipped ")]
    return numbers, [f"  <testsuite name={_attribute(linted.name)} {_counts(numbers)}>", *cases, "  </testsuite>"]


def _counts(numbers: Sequence[int]) -> str:
    tests, failures, errors, skipped = numbers
    return f'tests="{tests}" failures="{failures}" errors="{errors}" skipped="{skipped}"'


def _errors(linted: Linted) -> Iterator[str]:
    """One case for all that keeps the file from being read or accepted."""
    faults = [f"line {fault.line}: {fault.kind}: {fault.what}" for fault in linted.faults if fault.fatal]
    refused = [f"line {problem.line}: {problem.told}" for problem in linted.problems if problem.refused]
    for name, told in (("parses", faults), ("valid", refused)):
        if told:
            yield f'    <testcase classname={_attribute(linted.name)} name="{name}">'
            yield f"      <error message={_attribute(told[0])}>{_text(chr(10).join(told))}</error>"
            yield "    </testcase>"


def _cases(judged: Judged) -> Iterator[str]:
    found = judged.workload.object
    for finding in judged.findings:
        opening = (
            f"    <testcase classname={_attribute(title(found))} name={_attribute(finding.check)}"
            f' line="{line_of(found, ()) or 0}"'
        )
        if finding.state is State.PASS:
            yield f"{opening}/>"
        elif finding.state is not State.FAIL:
            yield from (f"{opening}>", f'      <skipped message="{finding.state}"/>', "    </testcase>")
        else:
            yield from (f"{opening}>", *_failure(judged, finding), "    </testcase>")


def _failure(judged: Judged, finding: Finding) -> Iterator[str]:
    told = list(rows(judged, finding))
    lines: list[str] = []
    for row in told:
        lines += [f"line {row.line}: {row.path}: {row.seen}", f"put under {row.under}:", *row.remedy]
    lines.append(rules_of(finding.check))
    message = _attribute(f"{told[0].path}: {told[0].seen}")
    yield f'      <failure type="{finding.check}" message={message}>{_text(chr(10).join(lines))}</failure>'


def _attribute(text: str) -> str:
    return quoteattr(visible(text, 600))


def _text(text: str) -> str:
    return escape("\n".join(visible(line, 600) for line in text.split("\n")))
