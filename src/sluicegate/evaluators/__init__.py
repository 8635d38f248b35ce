"""Evaluators, one module a metric, and the literal dict of those there are.

An evaluator judges one prediction and knows nothing of files, arms or means. What it cannot judge it gives
the value None with a reason; a fault of ours (no process, no disk) is such a reason, starting with `infra`,
and never a wrong answer of the model.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib import import_module
from typing import Protocol, cast

from sluicegate.errors import UserError
from sluicegate.records import Prediction, Sample, Score

INFRA = "infra"
"""A reason that starts with this word is our failure; running the command again scores the row again."""


class Evaluator(Protocol):
    """What an evaluator module offers."""

    NAME: str

    def score(self, sample: Sample, prediction: Prediction) -> Score:
        """Judge one answer to one sample; called from several threads at once, same input, same score."""
        ...


EVALUATORS = {
    "exact_match": "sluicegate.evaluators.exact_match",
    "functional_correctness": "sluicegate.evaluators.functional_correctness",
    "k8s_parses": "sluicegate.evaluators.kubernetes.parses",
    "k8s_object": "sluicegate.evaluators.kubernetes.object",
    "k8s_schema": "sluicegate.evaluators.kubernetes.schema",
    "k8s_valid": "sluicegate.evaluators.kubernetes.valid",
    "k8s_bp": "sluicegate.evaluators.kubernetes.bp",
    "k8s_security": "sluicegate.evaluators.kubernetes.security",
    "intent_fidelity": "sluicegate.evaluators.kubernetes.fidelity",
    "codebleu_k8s": "sluicegate.evaluators.kubernetes.codebleu",
    "k8s_simplicity": "sluicegate.evaluators.kubernetes.simplicity",
    "k8s_quality": "sluicegate.evaluators.kubernetes.quality",
    "quality_gated": "sluicegate.evaluators.kubernetes.gated",
    "code_accuracy": "sluicegate.evaluators.code_accuracy",
    "codebleu": "sluicegate.evaluators.codebleu",
    "coherence": "sluicegate.evaluators.coherence",
    "judged_coherence": "sluicegate.evaluators.judged_coherence",
    "judged_relevance": "sluicegate.evaluators.judged_relevance",
    "judged_safety": "sluicegate.evaluators.judged_safety",
    "judged_similarity": "sluicegate.evaluators.judged_similarity",
    "length": "sluicegate.evaluators.length",
    "relevance": "sluicegate.evaluators.relevance",
    "safety": "sluicegate.evaluators.safety",
    "semantic_similarity": "sluicegate.evaluators.semantic_similarity",
    "structural_similarity": "sluicegate.evaluators.structural_similarity",
    "style": "sluicegate.evaluators.style",
    "token_f1": "sluicegate.evaluators.token_f1",
}
MANIFEST_METRICS = tuple(name for name, path in EVALUATORS.items() if ".kubernetes." in path)
"""Those that judge Kubernetes manifests."""
PROGRAM_METRICS = frozenset(
    {"functional_correctness", "codebleu", "coherence", "relevance", "safety", "structural_similarity", "style"}
)
"""Those that judge programs."""
SCENARIO = "kubernetes"
"""The scenario whose answers are manifests."""


def fitting(scenarios: Iterable[str]) -> list[str]:
    """The metrics that have something to say of samples of these scenarios, those that cost nothing.

    >>> fitting(["python", "sql"])[:3], fitting(["kubernetes"])[:3]
    (['exact_match', 'functional_correctness', 'code_accuracy'], ['exact_match', 'k8s_parses', 'k8s_object'])
    """
    found = {*scenarios}
    manifests, programs = SCENARIO in found, bool(found - {SCENARIO}) or not found
    left_out = {*paid(EVALUATORS), *(() if manifests else MANIFEST_METRICS), *(() if programs else PROGRAM_METRICS)}
    return [name for name in EVALUATORS if name not in left_out]


def paid(names: Iterable[str]) -> list[str]:
    """Those that a judge is asked for, which costs money.

    >>> paid(["exact_match", "judged_coherence"])
    ['judged_coherence']
    """
    return [name for name in names if name in EVALUATORS and hasattr(import_module(EVALUATORS[name]), "RUBRIC")]


def load(names: Iterable[str]) -> list[Evaluator]:
    """The evaluators of these names, in their order.

    Raises:
        UserError: an unknown name, no name, or a name given twice.
    """
    names = list(names)
    for name in names:
        if name not in EVALUATORS:
            raise _unknown(name)
    if not names or len(set(names)) < len(names):
        raise UserError(
            "metrics: no name" if not names else "metrics: a name is given twice",
            wanted=f"some of {', '.join(EVALUATORS)}",
            seen=", ".join(names) or "nothing",
        )
    return [cast(Evaluator, import_module(EVALUATORS[name])) for name in names]


def _unknown(name: str) -> UserError:
    near = difflib.get_close_matches(name, EVALUATORS, n=1)
    return UserError(
        f"metric {name!r}: unknown",
        wanted=f"one of {', '.join(EVALUATORS)}",
        seen=f"did you mean {near[0]}?" if near else "no such evaluator",
    )
