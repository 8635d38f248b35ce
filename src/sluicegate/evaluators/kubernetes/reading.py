"""What the manifest evaluators share: the manifests of an answer and of its reference, and which samples they judge.

Each metric is asked of an answer by itself, one soon after the other, so the last few texts stay parsed. What is kept
is never changed, and may be used by several threads at once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeAlias

from sluicegate.evaluators import SCENARIO
from sluicegate.k8s.answer import manifest
from sluicegate.k8s.document import Parsed
from sluicegate.k8s.objects import objects
from sluicegate.k8s.parse import parse
from sluicegate.records import Prediction, Sample, Score

OTHER: Final = "no Kubernetes sample: neither its scenario nor its reference is"
KEPT: Final = 64
"""Texts that stay parsed; a worker comes back to one within some ten others."""
LONG: Final = 50_000
"""Characters of a text that is not kept, for the memory it takes; few real files are longer."""

Judged: TypeAlias = tuple[float | None, str]
"""A value and its reason."""


def judged(name: str, sample: Sample, prediction: Prediction, judge: Callable[[Parsed, Parsed], Judged]) -> Score:
    """The score that `judge` gives, of the answer's manifest and the reference; None for a sample about no manifest."""
    answer, wanted = read(manifest(prediction.text)), read(manifest(sample.completion))
    about = sample.scenario == SCENARIO or objects(wanted)
    value, why = judge(answer, wanted) if about else (None, OTHER)
    return Score(sample.id, prediction.model, prediction.draw, name, value, why)


def read(text: str) -> Parsed:
    """A text, parsed."""
    return _kept(text) if len(text) <= LONG else parse(text)


@lru_cache(KEPT)
def _kept(text: str) -> Parsed:
    return parse(text)


def facts(sample: Sample) -> object:
    """The facts of the intent, where the sample's meta names them: a list of [path, value]."""
    return sample.meta.get("facts")
