"""Programs that were scored without a sandbox: marked, allowed by the user or not, and scored again when that helps."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate import jsonl
from sluicegate.evaluate import evaluate, unsettled
from sluicegate.evaluate.unconfined import VARIABLE
from sluicegate.evaluators import functional_correctness
from sluicegate.records import Prediction, Sample, Score
from sluicegate.sandbox import backends
from sluicegate.sandbox.backends import Choice

METRICS = ["functional_correctness", "exact_match"]


class Machine:
    """A machine with or without a sandbox, and one user's predictions on it."""

    def __init__(self, folder: Path) -> None:
        self.data, self.predictions, self.out = (folder / f"{name}.jsonl" for name in ("test", "answers", "scores"))
        jsonl.write(self.data, [Sample(f"s{n}", "p", "c", tests="assert f()") for n in range(3)])
        jsonl.write(self.predictions, [Prediction(f"s{n}", "m", 0, "c", 1, 0.1, "stop") for n in range(3)])
        self.label, self.ran = "rlimits, UNSAFE", 0

    def choose(self, name: str = "") -> Choice:
        return Choice(self.label.split(",", maxsplit=1)[0], "UNSAFE" not in self.label)

    def score(self, sample: Sample, answer: Prediction) -> Score:
        self.ran += 1
        return Score(sample.id, answer.model, answer.draw, "functional_correctness", 1.0, f"pass [{self.label}]")

    def whys(self, metrics: list[str] = METRICS) -> set[str]:
        rows = list(evaluate(self.data, self.predictions, self.out, metrics, workers=1))
        return {row.why for row in rows if row.metric == "functional_correctness"}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path)
    monkeypatch.setattr(backends, "choose", machine.choose)
    monkeypatch.setattr(functional_correctness, "score", machine.score)
    monkeypatch.delenv(VARIABLE, raising=False)
    return machine


def test_without_leave_it_is_scored_and_marked_and_not_scored_again_for_nothing(machine: Machine) -> None:
    assert machine.whys() == {"pass [rlimits, UNSAFE]"}
    assert not unsettled(machine.out)
    assert machine.whys() == {"pass [rlimits, UNSAFE]"}
    assert machine.ran == 3


def test_when_a_sandbox_appears_the_programs_are_scored_again_in_it(machine: Machine) -> None:
    machine.whys()
    machine.label = "bwrap"
    assert unsettled(machine.out)
    assert machine.whys() == {"pass [bwrap]"}
    assert not unsettled(machine.out)
    assert machine.whys() == {"pass [bwrap]"}
    assert machine.ran == 6


def test_leave_is_written_where_it_is_given_and_outlives_the_variable(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.whys()
    monkeypatch.setenv(VARIABLE, "1")
    assert unsettled(machine.out)
    assert machine.whys() == {"pass [rlimits, UNSAFE, allowed]"}
    monkeypatch.delenv(VARIABLE)
    machine.label = "bwrap"
    assert not unsettled(machine.out)
    assert machine.whys() == {"pass [rlimits, UNSAFE, allowed]"}
    assert machine.ran == 6


@pytest.mark.parametrize("said", ["0", "", "yes"])
def test_leave_is_the_number_1_and_nothing_else(machine: Machine, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv(VARIABLE, said)
    assert machine.whys() == {"pass [rlimits, UNSAFE]"}


def test_rows_that_would_be_scored_again_stay_where_another_metric_is_asked(machine: Machine) -> None:
    machine.whys()
    machine.label = "bwrap"
    assert machine.whys(["exact_match"]) == set()
    kept = [row.why for row in jsonl.read(Score, machine.out) if row.metric == "functional_correctness"]
    assert kept == ["pass [rlimits, UNSAFE]"] * 3
    assert unsettled(machine.out)


def test_a_sandboxed_program_is_never_marked(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.label = "bwrap"
    monkeypatch.setenv(VARIABLE, "1")
    assert machine.whys() == {"pass [bwrap]"}
