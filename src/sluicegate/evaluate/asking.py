"""What is asked on a command line: names of metrics, and which samples."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Sequence

from sluicegate.errors import UserError
from sluicegate.evaluators import EVALUATORS, fitting, load, paid
from sluicegate.records import Sample


def names(text: str) -> list[str]:
    """The names in a list with commas.

    >>> names(" a, b,")
    ['a', 'b']
    """
    return [name.strip() for name in text.split(",") if name.strip()]


def choose_metrics(told: str | None, samples: Iterable[Sample]) -> list[str]:
    """The metrics of a list with commas; None for every one that fits the samples.

    Those that a judge is paid for are among them only where one is named (JUDGE_BASE_URL).

    Raises:
        UserError: an unknown name, no name, or a name given twice.
    """
    if told is None:
        judged = paid(EVALUATORS) if os.environ.get("JUDGE_BASE_URL") else []
        return [*fitting(sample.scenario for sample in samples), *judged]
    load(names(told))
    return names(told)


def choose_scenarios(told: str | None, samples: Sequence[Sample]) -> list[Sample]:
    """The samples of the scenarios in a list with commas; all of them where nothing is told.

    Raises:
        UserError: a scenario that no sample has.
    """
    wanted = names(told or "")
    have = sorted({sample.scenario for sample in samples})
    for name in wanted:
        if name not in have:
            near = difflib.get_close_matches(name, have, n=1)
            raise UserError(
                f"--scenarios: none of {name}",
                wanted=f"some of {', '.join(filter(None, have)) or 'none: no sample names its scenario'}",
                seen=f"did you mean {near[0]}?" if near else told or "",
            )
    return [sample for sample in samples if not wanted or sample.scenario in wanted]
