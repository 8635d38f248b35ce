"""How much of the best practice a text follows: BP and security, as shares in [0, 1].

BP of a workload is passed checks / applicable checks; of a text, the mean over its workloads. A text without a workload
has no BP, unless the reference has one: then it is 0, since what was asked for is missing. A text that cannot be parsed
to its end has no workload. Security is the same over checks 1-6 alone.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from sluicegate.k8s.checks import CHECKS, SECURITY, Finding, State, assess
from sluicegate.k8s.checks.model import ASKED
from sluicegate.k8s.objects import Workload, objects, workloads
from sluicegate.k8s.parse import Parsed, parse

SECURITY_CHECKS = sum(check.group == SECURITY for check in CHECKS)
"""The first so many of CHECKS ask about security."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One workload and what each check says of it, in the order of CHECKS."""

    workload: Workload
    findings: tuple[Finding, ...]

    @property
    def bp(self) -> float | None:
        """Passed / applicable; None where all that apply are skipped."""
        return _share(self.findings)

    @property
    def security(self) -> float | None:
        """The same over the security checks."""
        return _share(self.findings[:SECURITY_CHECKS])


@dataclass(frozen=True, slots=True)
class Score:
    """What a text scores.

    Args:
        bp: mean BP of its workloads, in [0, 1]; None where nothing can be judged.
        security: the same over the security checks.
        judged: its workloads.
        objects: how many Kubernetes objects the text has.
        why: the reason of a None or of a 0 for want of a workload; else empty.
    """

    bp: float | None
    security: float | None
    judged: tuple[Judged, ...]
    objects: int
    why: str = ""

    @property
    def failed(self) -> list[str]:
        """Names of the checks that any of the workloads fails, in alphabetical order."""
        found = (finding for each in self.judged for finding in each.findings)
        return sorted({finding.check for finding in found if finding.state is State.FAIL})

    @property
    def coverage(self) -> float:
        """Share of the text's objects that are workloads and so were judged; 0 for a text without objects."""
        return len(self.judged) / self.objects if self.objects else 0.0


def score(text: str | bytes | Parsed, reference: str | bytes | Parsed | None = None) -> Score:
    """Judge the workloads of a text.

    Args:
        text: YAML, any number of documents; it and the reference may be parsed already.
        reference: the answer that was wanted, where there is one; it only says whether a workload was.

    >>> score("kind: Service\\napiVersion: v1\\nmetadata: {name: a}").bp is None
    True
    >>> score("no manifest", "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: []}}").bp
    0.0
    """
    parsed = text if isinstance(text, Parsed) else parse(text)
    found = objects(parsed)
    judged = judge(workloads(found)) if parsed.ok else ()
    if judged:
        return Score(mean(each.bp for each in judged), mean(each.security for each in judged), judged, len(found))
    why = "no workload" if parsed.ok else f"not parsed: {_first_fault(parsed)}"
    if reference is not None and has_workload(reference):
        return Score(0.0, 0.0, (), len(found), f"{why}, and the reference has one")
    return Score(None, None, (), len(found), why)


def has_workload(text: str | bytes | Parsed) -> bool:
    """Whether a text holds a workload."""
    parsed = text if isinstance(text, Parsed) else parse(text)
    return parsed.ok and bool(workloads(objects(parsed)))


def judge(found: Iterable[Workload], skip: Container[str] = ()) -> tuple[Judged, ...]:
    """Each workload with what the checks say of it, but for those that are skipped."""
    return tuple(Judged(workload, assess(workload, skip)) for workload in found)


def mean(shares: Iterable[float | None]) -> float | None:
    """The mean of the shares that there are; None without any.

    >>> mean([1.0, None, 0.5]), mean([None])
    (0.75, None)
    """
    values = [share for share in shares if share is not None]
    return sum(values) / len(values) if values else None


def _share(findings: Sequence[Finding]) -> float | None:
    asked = [finding.state is State.PASS for finding in findings if finding.state in ASKED]
    return sum(asked) / len(asked) if asked else None


def _first_fault(parsed: Parsed) -> str:
    return next((fault.what for fault in parsed.faults if fault.fatal), "")
