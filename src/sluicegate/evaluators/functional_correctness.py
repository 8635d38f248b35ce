r"""Whether the answer does what the sample's hidden tests ask of it: 1 or 0, for Python programs.

The candidate is the answer as it stands, or, where a line of it begins with three backticks in the first
column, the text between that line and the next such line (or the end). The tests are Python source:
statements that run in a copy of the candidate's namespace, and then every `test_…` function that they
define.

Both run in a process of their own (`python_runner`), so a program that loops, floods, crashes or exits is
judged like any other. Exiting early, `os._exit(0)`, raising SystemExit or printing a word of success does
not pass: a pass is told over a pipe, after the tests ended, with a number that is new for each run and not
among the candidate's globals. What a program prints goes to /dev/null; its input is empty.

What this does **not** protect against: a program that sets out to cheat from within, by objects that equal
everything, by walking frames to the harness, by patching or shadowing built-ins, or by reading the tests in
its own process; and a program that sets out to harm, since it runs as the user who evaluates, with the
network and the files that this user has, and may start processes faster than they are killed. Run programs
that you do not trust in the evaluation container.
"""

from __future__ import annotations

from sluicegate.evaluators import INFRA
from sluicegate.evaluators.python_runner import Outcome, run
from sluicegate.records import Prediction, Sample, Score

NAME = "functional_correctness"
LANGUAGE_OF_SCENARIO = {"python": "python", "bugfix": "python"}
"""The language where a sample's meta does not name one."""
FENCE = "```"


def score(sample: Sample, prediction: Prediction) -> Score:
    """1 where all tests pass, 0 where they do not, None where nothing was or could be tested."""
    value, why = _judge(sample, prediction)
    return Score(sample.id, prediction.model, prediction.draw, NAME, value, why)


def _judge(sample: Sample, prediction: Prediction) -> tuple[float | None, str]:
    language = language_of(sample)
    if not sample.tests.strip():
        return None, "the sample has no tests"
    if language != "python":
        return None, f"no runner for {language or 'an unnamed language (set meta.language)'} yet"
    candidate = program(prediction.text)
    if not candidate.strip():
        return 0.0, "empty answer"
    return _valued(run(candidate, sample.tests))


def _valued(outcome: Outcome) -> tuple[float | None, str]:
    why = f"{outcome.kind}: {outcome.why}" if outcome.why else outcome.kind
    if outcome.kind == INFRA:
        return None, why
    if outcome.kind == "tests":
        return None, f"the sample's tests cannot be run: {outcome.why}"
    return float(outcome.kind == "pass"), why


def language_of(sample: Sample) -> str:
    """The language of the tests: meta's `language` in lower case, else the scenario's, else empty."""
    told = sample.meta.get("language")
    return told.lower() if isinstance(told, str) and told else LANGUAGE_OF_SCENARIO.get(sample.scenario, "")


def program(text: str) -> str:
    r"""The program in an answer: its first block between fences in the first column, or all of it.

    >>> program("Here:\n```python\nx = 1\n```\nDone.")
    'x = 1'
    >>> program("x = 1\n")
    'x = 1\n'
    """
    lines = text.replace("\r\n", "\n").split("\n")
    fences = [number for number, line in enumerate(lines) if line.startswith(FENCE)]
    if not fences:
        return text
    end = fences[1] if len(fences) > 1 else len(lines)
    return "\n".join(lines[fences[0] + 1 : end])
