"""The checks as people read them: docs/k8s-checks.md, `--explain` and `sluicegate k8s checks`, made from CHECKS."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable
from typing import Final

from sluicegate.errors import UserError
from sluicegate.k8s.checks import CHECKS
from sluicegate.k8s.checks.model import Check
from sluicegate.k8s.checks.snippet import block
from sluicegate.k8s.rules import PEERS, RULES
from sluicegate.k8s.semantics import BUNDLE_RULES, BundleRule, Rule
from sluicegate.k8s.semantics import RULES as OBJECT_RULES

WIDTH = 100
SEMANTIC: Final[tuple[Rule | BundleRule, ...]] = (*OBJECT_RULES, *BUNDLE_RULES)


def page() -> str:
    """docs/k8s-checks.md."""
    lines = [
        "# Kubernetes checks",
        "",
        "What `sluicegate k8s check FILE|DIR|-` asks of a Deployment, StatefulSet, DaemonSet, ReplicaSet,",
        "ReplicationController, Pod, Job or CronJob. BP is passed / applicable, security the same over checks 1-6.",
        "How they agree with Checkov: [k8s-agreement.md](k8s-agreement.md).",
        "",
        "| | check | asks | looks at | not on |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [_row(check) for check in CHECKS]
    for check in CHECKS:
        lines += ["", f"## {check.name}", "", check.why, "", "```yaml", *block(check.example), "```", ""]
        lines += ["| where | rules |", "| --- | --- |"]
        lines += [f"| {peer} | {', '.join(f'`{rule}`' for rule in told)} |" for peer, told in _rules(check)]
    lines += ["", "The rules' sources stand at the head of `src/sluicegate/k8s/rules.py`.", *_validity()]
    return "\n".join(lines) + "\n"


def _validity() -> list[str]:
    """What is asked besides the checks, unless `--no-validity` is given."""
    lines = [
        "",
        "## Validity",
        "",
        "Besides the checks, and unless `--no-validity` is given, every object is held against what Kubernetes would",
        "refuse. In levels: the text parses; it is an object (`apiVersion`, `kind`, `metadata.name` or, where it fits,",
        "`generateName`); it follows the strict schema of its kind in the version of `--kube-version`, the newest by",
        "default; and it breaks none of the rules below, which no schema says. A kind that only a cluster can know is",
        "told of and refused by nobody.",
        "",
        "| rule | asks | looks at |",
        "| --- | --- | --- |",
    ]
    return lines + [f"| `{rule.name}` | {rule.asks} | {rule.looks_at} |" for rule in SEMANTIC]


def listed() -> str:
    """The checks and the rules of validity, for a terminal."""
    lines = ["checks (skip with --skip, more with sluicegate k8s check --explain CHECK):"]
    for check in CHECKS:
        not_on = f" Not on {_not_on(check)}." if _not_on(check) else ""
        lines += textwrap.wrap(
            f"{check.number:>4} {check.name:<24} {check.asks}{not_on}", WIDTH, subsequent_indent=" " * 30
        )
    lines += ["", "rules of validity (all off with --no-validity), besides schemas:"]
    for rule in SEMANTIC:
        lines += textwrap.wrap(f"     {rule.name:<24} {rule.asks}", WIDTH, subsequent_indent=" " * 30)
    return "\n".join(lines) + "\n"


def skipped(names: Iterable[str]) -> frozenset[str]:
    """Names of checks, of texts such as `image_pinned,9`.

    Raises:
        UserError: there is no such check.

    >>> sorted(skipped(["image_pinned, 9", "1"]))
    ['image_pinned', 'liveness_probe', 'run_as_non_root']
    """
    return frozenset(named(name.strip()).name for told in names for name in told.split(",") if name.strip())


def explain(name: str) -> str:
    """One check, for a terminal.

    Args:
        name: of the check, or its number.

    Raises:
        UserError: there is no such check.
    """
    check = named(name)
    lines = [f"{check.number} {check.name} ({check.group})", ""]
    for head, text in (("asks", check.asks), ("why", check.why), ("looks at", ", ".join(check.covers))):
        lines += textwrap.wrap(f"{head + ':':<10} {text}", WIDTH, subsequent_indent=" " * 11)
    if _not_on(check):
        lines.append(f"{'not on:':<10} {_not_on(check)}")
    lines += ["", *(f"    {line}" for line in block(check.example)), ""]
    for peer, told in _rules(check):
        lines += textwrap.wrap(f"{peer + ':':<23} {', '.join(told)}", WIDTH, subsequent_indent=" " * 24)
    return "\n".join(lines) + "\n"


def named(name: str) -> Check:
    """A check by its name or number.

    Raises:
        UserError: there is no such check.
    """
    for check in CHECKS:
        if name in (check.name, str(check.number)):
            return check
    names = [check.name for check in CHECKS]
    near = difflib.get_close_matches(name, names, n=1)
    raise UserError(
        f"check {name!r}: unknown",
        wanted=f"1-{len(CHECKS)}, or one of {', '.join(names)}",
        seen=f"did you mean {near[0]}?" if near else "no such check",
    )


def _row(check: Check) -> str:
    name = f"[`{check.name}`](#{check.name})"
    return f"| {check.number} | {name} | {check.asks} | {', '.join(check.covers)} | {_not_on(check)} |"


def _not_on(check: Check) -> str:
    kinds = [*(["Windows pods"] if not check.windows else []), *(["Job", "CronJob"] if not check.jobs else [])]
    return ", ".join(kinds)


def _rules(check: Check) -> list[tuple[str, tuple[str, ...]]]:
    told = RULES.get(check.name, {})
    return [(peer, told[peer]) for peer in PEERS if peer in told]
