"""How simple the answer is beside its reference: 1 where it says no more than that, less the more it says.

A manifest's complexity is the number of its leaves, the scalars and empty lists and maps of all its objects: each is
one thing to read and to keep right. How deep they stand is not counted, for that is the API's choice. What an answer
says less than the reference is not simpler but missing, and other metrics say so; hardening does cost something here.
"""

from __future__ import annotations

from sluicegate.evaluators.kubernetes.reading import Judged, judged
from sluicegate.k8s.document import Parsed
from sluicegate.k8s.fidelity import NO_REFERENCE
from sluicegate.k8s.leaves import flat, tree
from sluicegate.k8s.objects import objects
from sluicegate.records import Prediction, Sample, Score

NAME = "k8s_simplicity"


def score(sample: Sample, prediction: Prediction) -> Score:
    """Complexity of the reference / complexity of the answer, at most 1; 0 without an object, None without a reference.

    An answer that cannot be read to its end scores 0.
    """
    return judged(NAME, sample, prediction, _judge)


def _judge(answer: Parsed, wanted: Parsed) -> Judged:
    allowed, used = complexity(wanted), complexity(answer)
    if not wanted.ok or not allowed:
        return None, NO_REFERENCE
    if not answer.ok or not used:
        return 0.0, "no manifest"
    return min(1.0, allowed / used), f"{used} leaves, the reference has {allowed}"


def complexity(text: Parsed) -> int:
    """Leaves of all Kubernetes objects of a text.

    >>> from sluicegate.k8s.parse import parse
    >>> complexity(parse("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {}}"))
    4
    """
    return sum(1 for found in objects(text) for _ in flat(tree(found.body)))
