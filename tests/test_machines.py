"""Machines of a study file that run containers."""

from __future__ import annotations

import pytest

from sluicegate import study
from sluicegate.errors import UserErrors
from sluicegate.study import Machine, Study, dump, parse

HEAD = """\
name: x
question: x
scenarios: [python]
arms: {control: {}, experiment: {prompts: enriched}}
metrics: [exact_match]
primary: exact_match
"""


def read(machines: str) -> Study:
    return parse(f"{HEAD}machines: {machines}\n", "x.yaml")


@pytest.mark.parametrize(
    ("machine", "fault"),
    [
        ("{does: [train], runner: ssh}", "machines.t.runner"),
        ("{does: [train], host: 'ssh://tower'}", "host: wants runner: docker"),
        ("{image: x, mounts: [{source: /x, target: /y}]}", "image, mounts: wants runner: docker"),
        ("{does: [evaluate], runner: docker}", "evaluate runs where the stage is started"),
        ("{runner: docker, host: tower}", "machines.t.host"),
        ("{runner: docker, user: me}", "machines.t.user"),
        ("{runner: docker, mounts: [{source: /x, target: y}]}", "machines.t.mounts.0.target"),
        ("{runner: docker, secrets: ['HF_TOKEN=hf_x']}", "machines.t.secrets.0"),
        ("{runner: docker, env: {'A B': x}}", "machines.t.env"),
    ],
)
def test_faults_are_told_of(machine: str, fault: str) -> None:
    with pytest.raises(UserErrors) as told:
        read(f"{{t: {machine}}}")
    assert fault in str(told.value)


def test_a_machine_survives_being_written_out_and_changes_no_meaning() -> None:
    there = read("{t: {does: [train], runner: docker, host: 'ssh://a@b:22', mounts: [{source: 'H:/x', target: /x}]}}")
    assert parse(dump(there), "again") == there
    assert parse(dump(study.load("demo")), "again") == study.load("demo")
    assert there.sha256 == read("{}").sha256


def test_the_first_machine_that_does_such_steps_is_taken() -> None:
    found = read("{a: {does: [train]}, b: {does: [train, generate], runner: docker}}")
    assert found.machine_of("train") == ("a", Machine(does=("train",)))
    assert found.machine_of("generate") == ("b", Machine(does=("train", "generate"), runner="docker"))
    assert found.machine_of("evaluate") is None
