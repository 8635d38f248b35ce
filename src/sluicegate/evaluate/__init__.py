"""Predictions × evaluators → scores, written as they come and put in order at the end.

What was scored is not scored again: a run that was killed goes on where it stopped, added predictions or
metrics are added, and the file is the same to the byte whatever the workers, their number or interruptions.
Predictions and scores are read and written one at a time: only where each stands is held. Nothing here knows
what a metric means, and nothing is compared.
"""

from sluicegate.evaluate.asking import choose_metrics, choose_scenarios, names
from sluicegate.evaluate.pools import BACKENDS
from sluicegate.evaluate.score_file import unsettled
from sluicegate.evaluate.scoring import Scores, evaluate
from sluicegate.evaluate.summing import out_of_budget, summary

__all__ = [
    "BACKENDS",
    "Scores",
    "choose_metrics",
    "choose_scenarios",
    "evaluate",
    "names",
    "out_of_budget",
    "summary",
    "unsettled",
]
