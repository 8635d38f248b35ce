"""A stage over three machines: trained on the tower, tracked on the server, scored and decided on the laptop."""

from __future__ import annotations

from hosts.experiment import ARMS, NAME, STEPS, Laptop, Ran, environment, require_tracked, results, verdict
from hosts.network import Hosts
from hosts.services import Mlflow


def test_the_tower_does_each_step_once_and_keeps_no_container(ran: Ran) -> None:
    print(f"\nstages 0 and 1 over three machines: {ran.seconds:.0f} s")
    assert ran.begun == ["base", *(f"{verb} {arm}" for verb in ("train", "generate") for arm in ARMS)]
    assert ran.left == []
    assert "docker volume rm" in ran.laptop.said()  # what is left, and how it goes


def test_the_verdict_and_the_results_are_those_of_one_machine(ran: Ran, hosts: Hosts, image: str) -> None:
    alone = Laptop(hosts, hosts.folder / "alone", environment(image))
    seconds = alone.run("--local")
    print(f"\nstages 0 and 1 on the laptop alone: {seconds:.0f} s")
    assert verdict(ran.laptop.attempt) == verdict(alone.attempt)
    assert verdict(alone.attempt)[0] == "GO"
    assert results(ran.laptop.attempt) == results(alone.attempt)


def test_the_server_has_the_stage_and_its_arms(ran: Ran, mlflow: Mlflow) -> None:
    require_tracked(mlflow.client(), ran.laptop.attempt)
    assert ran.laptop.steps() == list(range(1, STEPS + 1))
    assert f"next:   sluicegate stage 2 --study {NAME}.yaml" in ran.laptop.said()


def test_the_same_command_does_nothing_again(ran: Ran) -> None:
    before = verdict(ran.laptop.attempt)
    ran.laptop.run()
    assert verdict(ran.laptop.attempt) == before
