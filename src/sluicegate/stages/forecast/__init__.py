"""What each stage of a study takes and can find out, before any money is spent; and afterwards, what it took.

`of` makes the forecast of one stage, `write` and `settle` keep it in a run folder, `table`, `as_json` and `html` show
those of a whole study. Nothing here decides anything, and nothing here runs anything but `nvidia-smi`.
"""

from __future__ import annotations

from pathlib import Path

from sluicegate.stages.forecast import show
from sluicegate.stages.forecast.actual import FILE, settle
from sluicegate.stages.forecast.command import command
from sluicegate.stages.forecast.making import of, write
from sluicegate.stages.forecast.records import Chances, Forecast, Needed, Quantity
from sluicegate.study import Study

__all__ = [
    "FILE",
    "Chances",
    "Forecast",
    "Needed",
    "Quantity",
    "as_json",
    "command",
    "html",
    "of",
    "settle",
    "table",
    "write",
]


def table(study: Study, runs: Path | None = None) -> str:
    """The plan of a study as text of at most 100 columns.

    >>> from sluicegate import study
    >>> print(table(study.load("demo")).splitlines()[0])
    demo: Does metadata in the prompt help a tiny model to write small Python functions?
    """
    return show.text(show.content(study, runs))


def as_json(study: Study, runs: Path | None = None) -> str:
    """The plan of a study as JSON."""
    return show.json_text(show.content(study, runs))


def html(study: Study, runs: Path | None = None) -> str:
    """The plan of a study as one HTML page.

    Raises:
        UserError: the package for pages is not installed.
    """
    return show.page(show.content(study, runs))
