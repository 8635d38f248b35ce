r"""Whether the answer does what the sample's hidden tests ask: 1 or 0, in Python, JavaScript, TypeScript, React or SQL.

The candidate is one block of the answer between fences, the first that names the sample's language where one does, or
all of it (`answer.program`).

Python: the tests are statements that run with the candidate's names, and then every `test_…` function that
they define, those of their classes included. JavaScript and TypeScript: statements and functions given to
`test`, in node, and applications of Express asked over HTTP. React (JSX, TSX): the same, with Testing Library
on a page that shows what the components show. SQL: databases and, where wanted, hard-coded rows. The sample's
completion is the reference; docs/sandbox.md has the formats.

Candidates run in a sandbox that the expected values never enter; what it protects against and what not is
in the head of the package `sluicegate.sandbox`. Each reason names the backend that kept the candidate in,
with UNSAFE where that was no sandbox. What a program prints is not shown; its input is empty.
"""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from sluicegate.evaluators import INFRA
from sluicegate.evaluators.answer import language_of, program
from sluicegate.records import Prediction, Sample, Score
from sluicegate.sandbox import LANGUAGES, Outcome

NAME = "functional_correctness"


def score(sample: Sample, prediction: Prediction) -> Score:
    """1 where all tests pass, 0 where they do not, None where nothing was or could be tested."""
    value, why = _judge(sample, prediction)
    return Score(sample.id, prediction.model, prediction.draw, NAME, value, why)


class _Runner(Protocol):
    """What a module of `LANGUAGES` offers."""

    def run(self, candidate: str, tests: str, *, reference: str = "") -> Outcome:
        """Run a candidate against the tests; never raises because of it."""
        ...


def _judge(sample: Sample, prediction: Prediction) -> tuple[float | None, str]:
    language = language_of(sample)
    if not sample.tests.strip():
        return None, "the sample has no tests"
    if language not in LANGUAGES:
        return None, f"no runner for {language or 'an unnamed language (set meta.language)'} yet"
    candidate = program(prediction.text, language)
    if not candidate.strip():
        return 0.0, "empty answer"
    runner = cast(_Runner, import_module(LANGUAGES[language]))
    return _valued(runner.run(candidate, sample.tests, reference=program(sample.completion, language)))


def _valued(outcome: Outcome) -> tuple[float | None, str]:
    by = f" [{outcome.backend}]" if outcome.backend else ""
    why = (f"{outcome.kind}: {outcome.why}" if outcome.why else outcome.kind) + by
    if outcome.kind == INFRA:
        return None, why
    if outcome.kind == "tests":
        return None, f"the sample's tests cannot be run: {outcome.why}{by}"
    return float(outcome.kind == "pass"), why
