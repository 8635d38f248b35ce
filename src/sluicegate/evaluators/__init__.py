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
    "code_accuracy": "sluicegate.evaluators.code_accuracy",
    "codebleu": "sluicegate.evaluators.codebleu",
    "coherence": "sluicegate.evaluators.coherence",
    "length": "sluicegate.evaluators.length",
    "relevance": "sluicegate.evaluators.relevance",
    "safety": "sluicegate.evaluators.safety",
    "semantic_similarity": "sluicegate.evaluators.semantic_similarity",
    "structural_similarity": "sluicegate.evaluators.structural_similarity",
    "style": "sluicegate.evaluators.style",
    "token_f1": "sluicegate.evaluators.token_f1",
}


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
