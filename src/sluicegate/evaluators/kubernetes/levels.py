"""The levels of validity as scores, for the evaluators that each report one of them.

A kind without a schema (a custom resource) is neither valid nor invalid. Where the reference is of such a kind too,
nobody can judge the answer and there is no score; a model that brings one up by itself gets a 0, so that it cannot
leave the field. Missing schemas are our failure.
"""

from __future__ import annotations

from collections.abc import Callable

from sluicegate.errors import UserError
from sluicegate.evaluators import INFRA
from sluicegate.evaluators.kubernetes.reading import Judged
from sluicegate.k8s.document import DUPLICATE, Parsed
from sluicegate.k8s.objects import objects
from sluicegate.k8s.schema import State
from sluicegate.k8s.validity import Levels, Validity, validity


def level(answer: Parsed, wanted: Parsed, holds: Callable[[Validity], bool]) -> Judged:
    """1 where a level holds for the answer, 0 where it does not, None where the schemas cannot say."""
    try:
        found = validity(answer)
    except (UserError, OSError) as fault:
        return None, f"{INFRA}: {' '.join(str(fault).split())}"
    if holds(found):
        return 1.0, ""
    custom = [each for each in found.entries if each.state is State.UNKNOWN]
    if custom and _only(custom, found) and _kinds(custom) <= {(each.group, each.kind) for each in objects(wanted)}:
        return (
            None,
            f"no schema of {', '.join(sorted(kind for _, kind in _kinds(custom)))}, which the reference has too",
        )
    return 0.0, found.why


def _only(custom: list[Levels], found: Validity) -> bool:
    """Whether nothing else keeps it from being valid."""
    others = [each for each in found.entries if each.state is not State.UNKNOWN]
    clean = all(each.is_object and each.clean for each in custom) and all(each.valid for each in others)
    return clean and not any(fault.fatal or fault.kind == DUPLICATE for fault in found.faults)


def _kinds(entries: list[Levels]) -> set[tuple[str, str]]:
    return {(each.object.group, each.object.kind) for each in entries if each.object is not None}
