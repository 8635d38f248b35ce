"""What the two answers that no model wrote score beside the models, as scores/baselines.json tells it."""

from __future__ import annotations

from typing import Final

from sluicegate import folder as layout
from sluicegate.evaluators import MANIFEST_METRICS, SCENARIO, baselines
from sluicegate.evaluators.baselines import Row
from sluicegate.report.clean import one_line, share
from sluicegate.study import Study

FILE: Final = f"{layout.SCORES}/{baselines.FILE}"
MOST: Final = 1 << 20
"""Bytes of the largest file that is read."""
TITLE: Final = "Answers of no model"
HEAD: Final = ("metric", "answer", "mean", "judged")
NOTE: Final = (
    "Scored on the same samples by the same metrics as the models: one fixed hardened Deployment for every sample, and "
    "each sample's own reference. They decide nothing; by a metric that the fixed one does well in, a model that does "
    "well has shown nothing."
)


def belong(study: Study | None) -> bool:
    """Whether a report of the study has these rows: it is about Kubernetes manifests.

    >>> belong(None)
    False
    """
    return study is not None and (SCENARIO in study.scenarios or not set(study.metrics).isdisjoint(MANIFEST_METRICS))


def cells(row: Row) -> tuple[str, str, str, str]:
    """A row in words, as under HEAD.

    >>> cells(Row("constant template", "k8s_bp", 1.0, 40, 50))
    ('k8s_bp', 'constant template (no model)', '100.0%', '40 of 50')
    """
    answer = f"{row.name} {baselines.NO_MODEL}"
    return one_line(row.metric, 26), answer, share(row.mean), f"{row.n:,} of {row.samples:,}"
