"""Steps go to the machines that the study names, with their files; time there counts although nobody looked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sluicegate import runners, study
from sluicegate.runners import Job, Result
from sluicegate.stages import run as stages
from sluicegate.stages.plan import resolve
from sluicegate.stages.run import Order
from sluicegate.stages.steps import Step, steps
from sluicegate.study import Machine

TOWER = Machine(does=("train", "generate"), runner="docker", host="ssh://tower")
STUDY = study.load("demo").model_copy(update={"machines": {"tower": TOWER, "laptop": Machine(does=("evaluate",))}})


def every(tmp_path: Path) -> dict[str, Step]:
    return {step.name: step for step in steps(STUDY, resolve(STUDY, 2), tmp_path)}


@pytest.mark.parametrize("local", [False, True])
def test_training_and_answering_go_there_and_the_rest_stays(tmp_path: Path, local: bool) -> None:
    order = Order(STUDY, tmp_path, local=local)
    there = {name for name, step in every(tmp_path).items() if stages._job(order, step, tmp_path)[0] == "docker"}
    expected = {"base"} | {f"{verb} {arm}-s0" for verb in ("train", "generate") for arm in ("control", "experiment")}
    assert there == (set() if local else expected)


def test_a_step_takes_along_what_it_reads_and_brings_back_what_it_leaves(tmp_path: Path) -> None:
    for name, step in every(tmp_path).items():
        if not step.verb:
            continue
        files = step.files(tmp_path)
        assert set(step.outputs) == set(files.marks)
        assert all(any(path.is_relative_to(left) for left in files.outputs) for path in files.marks), name
        assert all(path.is_relative_to(tmp_path) for path in (*files.inputs, *files.outputs)), name
    generate = every(tmp_path)["generate control-s0"].files(tmp_path)
    assert {tmp_path / "base", tmp_path / "arms" / "control-s0"} <= set(generate.inputs)
    assert {path.name for path in generate.outputs} == {"control-s0.jsonl", "control-s0.jsonl.request.json"}


def test_the_place_is_the_machine_and_the_key_its_inputs(tmp_path: Path) -> None:
    step = every(tmp_path)["train control-s0"]
    _, job = stages._job(Order(STUDY, tmp_path), step, tmp_path)
    assert job.place is not None and (job.place.name, job.place.machine) == ("tower", TOWER)
    assert job.files is not None and job.files.sha256 == step.inputs_sha256(tmp_path)


def test_time_that_a_job_ran_while_nobody_counted_is_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Step("train x", (), (), (tmp_path / "out",), verb="train")

    class Away:
        def run(self, job: Job, show: Callable[[str], None], over: Callable[[], bool]) -> Result:
            (tmp_path / "out").touch()
            return Result(0, 1000.0, "")

    monkeypatch.setattr(runners, "load", lambda name: Away())
    monkeypatch.setattr(stages, "steps", lambda *_: iter([step]))
    stages._do(Order(STUDY, tmp_path), resolve(STUDY, 2), tmp_path, lambda _: None)
    told = json.loads((tmp_path / "steps.json").read_text())["train x"]
    assert told["seconds"] == 1000.0
    assert told["inputs_sha256"] == step.inputs_sha256(tmp_path)
