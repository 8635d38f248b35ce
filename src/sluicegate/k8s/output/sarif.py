"""What was found as SARIF 2.1.0, which code hosts show beside the lines of a change.

Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/sarif-v2.1.0-os.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import quote

from sluicegate import __version__
from sluicegate.k8s.checks import CHECKS
from sluicegate.k8s.checks.model import SECURITY, Check
from sluicegate.k8s.checks.snippet import block
from sluicegate.k8s.output.content import INVALID, UNPARSED, Linted, Row, failed, rows, rules_of, visible

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
BESIDES: Final = {
    UNPARSED: "The text cannot be read as YAML within the limits.",
    INVALID: "Kubernetes would refuse the object, or does not know its kind.",
}
"""The rules besides the checks."""
NUMBERS: Final = {name: place for place, name in enumerate([*(check.name for check in CHECKS), *BESIDES])}


def sarif(report: Sequence[Linted]) -> str:
    """The whole report on one line; ASCII only, so that no control character of a manifest is in it."""
    run = {
        "tool": {
            "driver": {
                "name": "sluicegate",
                "semanticVersion": __version__,
                "rules": [
                    *(_rule(check) for check in CHECKS),
                    *({"id": name, "shortDescription": {"text": text}} for name, text in BESIDES.items()),
                ],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [result for linted in report for result in _results(linted)],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, allow_nan=False) + "\n"


def _rule(check: Check) -> dict[str, Any]:
    example = "\n".join(block(check.example))
    return {
        "id": check.name,
        "shortDescription": {"text": check.asks},
        "fullDescription": {"text": check.why},
        "help": {
            "text": f"{check.why}\n\n{example}\n\n{rules_of(check.name)}",
            "markdown": f"{check.why}\n\n```yaml\n{example}\n```\n\n{rules_of(check.name)}",
        },
        "defaultConfiguration": {"level": "warning"},
        "properties": {"tags": ["kubernetes", check.group], "precision": "high"}
        | ({"security-severity": "5.0"} if check.group == SECURITY else {}),
    }


def _results(linted: Linted) -> Iterator[dict[str, Any]]:
    for fault in linted.faults:
        level = "error" if fault.fatal else "note"
        yield _result(linted.name, UNPARSED, level, visible(f"{fault.kind}: {fault.what}", 600), fault.line)
    for problem in linted.problems:
        level = "error" if problem.refused else "note"
        yield _result(linted.name, INVALID, level, visible(problem.told, 600), problem.line)
    for judged in linted.judged:
        for finding in failed(judged):
            for row in rows(judged, finding):
                told = f"{row.object}, {row.path}: {row.seen}. Put under {row.under}:\n" + "\n".join(row.remedy)
                yield _result(linted.name, row.check, "warning", told, row.line, row=row)


def _result(
    name: str, rule: str, level: str, message: str, line: int | None, *, row: Row | None = None
) -> dict[str, Any]:
    place: dict[str, Any] = {"physicalLocation": {"artifactLocation": {"uri": _uri(name)}}}
    if line is not None:
        place["physicalLocation"]["region"] = {"startLine": line}
    if row is not None:
        place["logicalLocations"] = [{"fullyQualifiedName": f"{row.object}/{row.path}"}]
    identity = "\0".join([name, rule, row.object, row.path] if row else [name, rule, message])
    return {
        "ruleId": rule,
        "ruleIndex": NUMBERS[rule],
        "level": level,
        "message": {"text": message},
        "locations": [place],
        "partialFingerprints": {"sluicegate/v1": hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()},
    }


def _uri(name: str) -> str:
    """A path as a URI reference.

    >>> _uri("a b/ü.yaml"), _uri("-")
    ('a%20b/%C3%BC.yaml', 'stdin')
    """
    return "stdin" if name == "-" else quote(name.replace("\\", "/").encode("utf-8", "surrogateescape"))
