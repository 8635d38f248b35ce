"""What was found as JSON: every workload with every check, shares in [0, 1], null where nothing can be judged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sluicegate import __version__
from sluicegate.k8s.checks.model import Finding
from sluicegate.k8s.output.content import Linted, line_of, rows, summary
from sluicegate.k8s.rules import RULES
from sluicegate.k8s.score import Judged


def tree(report: Sequence[Linted]) -> str:
    """The whole report on one line; ASCII only, so that no control character of a manifest is in it."""
    figures = summary(report)
    whole = {
        "tool": "sluicegate",
        "version": __version__,
        "files": [_file(linted) for linted in report],
        "summary": {
            "files": figures.files,
            "objects": figures.objects,
            "workloads": figures.workloads,
            "flaws": figures.flaws,
            "unreadable": figures.unreadable,
            "refused": figures.refused,
            "bp": figures.bp,
            "security": figures.security,
        },
    }
    return json.dumps(whole, allow_nan=False) + "\n"


def _file(linted: Linted) -> dict[str, Any]:
    return {
        "name": linted.name,
        "objects": linted.objects,
        "faults": [
            {"kind": fault.kind, "line": fault.line, "what": fault.what, "fatal": fault.fatal}
            for fault in linted.faults
        ],
        "problems": [
            {
                "line": problem.line,
                "place": problem.place,
                "what": problem.what,
                "rule": problem.rule or None,
                "refused": problem.refused,
            }
            for problem in linted.problems
        ],
        "workloads": [_workload(judged) for judged in linted.judged],
    }


def _workload(judged: Judged) -> dict[str, Any]:
    found = judged.workload.object
    return {
        "apiVersion": found.api_version,
        "kind": found.kind,
        "namespace": found.namespace,
        "name": found.name,
        "document": found.document,
        "line": line_of(found, ()),
        "bp": judged.bp,
        "security": judged.security,
        "checks": [_check(judged, finding) for finding in judged.findings],
    }


def _check(judged: Judged, finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "state": finding.state.value,
        "looked": finding.looked,
        "rules": RULES[finding.check],
        "flaws": [
            {
                "line": row.line,
                "path": row.path,
                "seen": row.seen,
                "under": row.under,
                "remedy": "\n".join(row.remedy) + "\n",
                "needs": flaw.needs or None,
            }
            for row, flaw in zip(rows(judged, finding), finding.flaws, strict=True)
        ],
    }
