"""Quality: 0.7 · BP + 0.3 · CodeBLEU, and the same times intent fidelity, which is what a gate may use; in [0, 1].

The first is how earlier work scored manifests. One hardened template for every prompt wins it, since BP does not ask
what was wanted; times intent fidelity it does not.

BP counts where the reference has a workload; an answer without one then has BP 0, so that leaving it out never pays.
Where the reference has none there is no BP to have: it is None, CodeBLEU carries its weight, and a workload that the
answer adds counts for nothing, so that adding one does not pay either. A text that cannot be read to its end has
neither a workload nor a likeness. Without a readable reference, or with facts that cannot be read, there is no score:
None is never taken for a 0 or a 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sluicegate.k8s.codebleu import codebleu
from sluicegate.k8s.document import Parsed
from sluicegate.k8s.fidelity import NO_REFERENCE, Fidelity
from sluicegate.k8s.objects import objects, workloads
from sluicegate.k8s.parse import parse
from sluicegate.k8s.score import judge, mean

BP_WEIGHT: Final = 0.7
CODEBLEU_WEIGHT: Final = 1 - BP_WEIGHT


@dataclass(frozen=True, slots=True)
class Quality:
    """What a manifest is worth against its reference.

    Args:
        value: in [0, 1]; None without a readable reference.
        bp: the BP that counts in it; None where the reference has no workload.
        codebleu: the CodeBLEU that counts in it.
        why: the parts in words, or the reason of None.
    """

    value: float | None
    bp: float | None
    codebleu: float | None
    why: str


@dataclass(frozen=True, slots=True)
class Gated:
    """Quality times intent fidelity.

    Args:
        value: in [0, 1]; None where one of the two is.
        why: both in words, or the reason of None.
    """

    value: float | None
    why: str


def quality(text: str | Parsed, reference: str | Parsed) -> Quality:
    """How well a manifest is made and how near it is to its reference, whatever was asked for.

    >>> pod = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: 'nginx:1'}]}}"
    >>> quality(pod, pod)  # doctest: +ELLIPSIS
    Quality(value=0.427..., bp=0.181..., codebleu=1.0, why='BP 0.18, CodeBLEU 1.00')
    >>> quality("{apiVersion: v1, kind: Namespace, metadata: {name: a}}", pod).bp
    0.0
    """
    answer, wanted = (side if isinstance(side, Parsed) else parse(side) for side in (text, reference))
    likeness = codebleu(answer, wanted).value
    if likeness is None:
        return Quality(None, None, None, NO_REFERENCE)
    if not workloads(objects(wanted)):
        return Quality(likeness, None, likeness, f"no workload in the reference, CodeBLEU {likeness:.2f}")
    judged = judge(workloads(objects(answer))) if answer.ok else ()
    bp = mean(each.bp for each in judged) or 0.0
    value = BP_WEIGHT * bp + CODEBLEU_WEIGHT * likeness
    return Quality(min(1.0, value), bp, likeness, f"BP {bp:.2f}, CodeBLEU {likeness:.2f}")


def gated(found: Quality, intent: Fidelity) -> Gated:
    """Quality times intent fidelity: a well-made manifest that does not do what was asked is worth little.

    >>> from sluicegate.k8s.fidelity import fidelity
    >>> name = "{apiVersion: v1, kind: Namespace, metadata: {name: web}}"
    >>> other = name.replace("web", "db")
    >>> gated(quality(name, name), fidelity(name, name)).value, gated(quality(other, name), fidelity(other, name)).value
    (1.0, 0.0)
    """
    if found.value is None or intent.value is None:
        return Gated(None, found.why if found.value is None else intent.why)
    return Gated(found.value * intent.value, f"quality {found.value:.2f} × intent fidelity {intent.value:.2f}")
