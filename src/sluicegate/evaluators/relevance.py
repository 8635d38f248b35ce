"""Whether the answer offers what the prompt asks for: the share of the functions, props, routes, columns named there.

Asked for is what the reference offers and the prompt, the context or the metadata names: functions and classes with
their methods and parameters, props of React components, Express routes and status codes, tables and columns of SQL;
and of a query the number of columns, named or not. What the reference does for itself is not asked for. It looks at
the interface and not behind it: a function of the right name that does nothing is relevant. A name in a comment or a
string is no function.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Final

from sluicegate.data.enrich import FIELDS
from sluicegate.evaluators import answer, comparison
from sluicegate.evaluators.syntax import interface
from sluicegate.evaluators.syntax.interface import Part
from sluicegate.records import Prediction, Sample, Score

NAME = "relevance"
SHOWN: Final = 5
"""Missing parts that the reason names."""


def score(sample: Sample, prediction: Prediction) -> Score:
    """The share of what is asked for that is there; None where nothing can be asked, 0 for what does not parse."""
    compare = partial(_compared, told=_told(sample))
    value, why = comparison.judged(sample, prediction, interface.LANGUAGES, interface.of, compare)
    return Score(sample.id, prediction.model, prediction.draw, NAME, value, answer.in_a_line(why))


def _compared(seen: frozenset[Part], wanted: frozenset[Part], told: str) -> comparison.Valued:
    asked = asked_for(wanted, told)
    if not asked:
        return None, "the prompt names nothing that the reference offers"
    missing = sorted(asked - seen)
    names = ", ".join(f"{part.kind} {part.of}{'.' if part.of else ''}{part.name}" for part in missing[:SHOWN])
    more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
    return (len(asked) - len(missing)) / len(asked), f"missing: {names}{more}" if missing else ""


def asked_for(offered: frozenset[Part], told: str) -> frozenset[Part]:
    """The parts of the reference's interface that a text names, and the number of a query's columns."""
    return frozenset(part for part in offered if part.kind == "columns" or _is_named(part, told))


def _is_named(part: Part, told: str) -> bool:
    if part.kind == "route":
        method, _, path = part.name.partition(" ")
        return re.search(rf"\b{method}\b\W{{0,12}}{re.escape(path)}(?![\w/]|:\w)", told, re.I) is not None
    owner = not part.of or _has_word(part.of, told)
    return owner and _has_word(part.name, told, ignoring_case=part.kind in ("table", "column"))


def _has_word(word: str, told: str, ignoring_case: bool = False) -> bool:
    flags = re.I if ignoring_case else 0
    return re.search(rf"(?<![\w$]){re.escape(word)}(?![\w$])", told, flags) is not None


def _told(sample: Sample) -> str:
    """All that the sample says of the task, apart from its tests."""
    return "\n".join([sample.prompt, sample.context, *(str(sample.meta.get(name, "")) for name in FIELDS)])
