"""A model that judges answers, at any OpenAI-compatible endpoint, under a hard cap on what it may cost.

`sitting` opens one for a score file from the environment (`settings.VARIABLES`), finds out on known pairs whether it is
fit, and `grade` asks it. Money is in `ledger`, words are in `rubrics`, tries and replies in `asking`. A judge's scores
are opinions: docs/judge.md says what they are good for.
"""

from __future__ import annotations

from sluicegate.judge.asking import Judge, OutOfBudget, Unanswered
from sluicegate.judge.bench import NOTE, Judged, Note, current, read_note, sitting
from sluicegate.judge.fitness import AT_ONCE, LEAST
from sluicegate.judge.grading import Graded, grade
from sluicegate.judge.rubrics import RUBRICS, Rubric
from sluicegate.judge.settings import VARIABLES

OUT_OF_BUDGET = "infra: budget"
"""A reason that starts so: the cap did not allow the call; under a larger one the row is judged."""

__all__ = [
    "AT_ONCE",
    "LEAST",
    "NOTE",
    "OUT_OF_BUDGET",
    "RUBRICS",
    "VARIABLES",
    "Graded",
    "Judge",
    "Judged",
    "Note",
    "OutOfBudget",
    "Rubric",
    "Unanswered",
    "current",
    "grade",
    "read_note",
    "sitting",
]
