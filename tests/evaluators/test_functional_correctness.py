import errno
import os
import subprocess

import pytest

from sluicegate.evaluators.functional_correctness import score
from sluicegate.records import Prediction, Sample, Score
from sluicegate.sandbox import python
from sluicegate.sandbox.backends import choose

pytestmark = pytest.mark.process

TESTS = "assert add(1, 2) == 3\nassert add(-1, 1) == 0\n"
RIGHT = "def add(a, b):\n    return a + b\n"


def judged(text: str, tests: str = TESTS, **fields: object) -> Score:
    sample = Sample("s", "p", RIGHT, tests=tests, scenario=str(fields.pop("scenario", "python")), meta=fields)
    return score(sample, Prediction("s", "m", 3, text, 1, 0.1, "stop"))


@pytest.mark.parametrize(
    ("text", "value", "why"),
    [
        (RIGHT, 1.0, "pass"),
        (f"Here you are:\n```python\n{RIGHT}```\n", 1.0, "pass"),
        (RIGHT.replace("+", "-"), 0.0, "fail: AssertionError (tests, line 1: assert add(1, 2) == 3)"),
        ("def ad(a, b): ...", 0.0, "error: NameError: name 'add' is not defined (tests, line 1: "),
        ("def add(a, b):\n    return a +", 0.0, "error: SyntaxError: invalid syntax (<candidate>, line 2)"),
        ("  \n", 0.0, "empty answer"),
        ("```\n```", 0.0, "empty answer"),
    ],
)
def test_an_answer_is_valued_with_its_reason(text: str, value: float, why: str) -> None:
    said = judged(text)
    assert (said.value, said.draw, said.metric) == (value, 3, "functional_correctness")
    assert said.why.startswith(why)


def test_every_reason_names_what_kept_the_candidate_in() -> None:
    assert judged(RIGHT).why == f"pass [{choose().label}]"
    assert judged(RIGHT.replace("+", "-")).why.endswith(f"[{choose().label}]")


def test_without_a_sandbox_every_reason_says_unsafe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python, "choose", lambda name: choose("rlimits"))
    for text in (RIGHT, RIGHT.replace("+", "-"), "raise ValueError"):
        assert judged(text).why.endswith(" [rlimits, UNSAFE]")


@pytest.mark.parametrize(
    ("tests", "fields", "why"),
    [
        ("", {}, "the sample has no tests"),
        ("assert (", {}, "the sample's tests cannot be run: SyntaxError"),
        (TESTS, {"language": "rust"}, "no runner for rust yet"),
        (TESTS, {"scenario": "kubernetes"}, "no runner for yaml yet"),
        (TESTS, {"scenario": "unheard-of"}, "no runner for an unnamed language"),
    ],
)
def test_what_cannot_be_tested_has_no_value(tests: str, fields: dict[str, str], why: str) -> None:
    said = judged(RIGHT, tests, **fields)
    assert said.value is None
    assert said.why.startswith(why)


def test_functions_named_test_are_called_too() -> None:
    tests = "def test_sum():\n    assert add(1, 2) == 3\n"
    assert judged(RIGHT, tests).value == 1.0
    assert judged(RIGHT.replace("+", "*"), tests).value == 0.0


def test_a_worker_that_cannot_be_started_is_our_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    choose()  # before nothing can be started

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    python.close()
    monkeypatch.setattr(subprocess, "Popen", refuse)
    said = judged(RIGHT)
    assert said.value is None
    assert said.why.startswith("infra: no worker could be started")
