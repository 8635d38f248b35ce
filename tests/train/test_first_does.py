"""What several processes tell each other, without starting any."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sluicegate.errors import UserError
from sluicegate.train import processes

pytestmark = pytest.mark.torch


def _process(index: int, told: list[Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A stand-in for one of two processes; `told` is what the first has broadcast, and is set by the first."""

    def broadcast(values: list[Any]) -> None:
        if index == 0:
            told[:] = values
        else:
            values[:] = told

    monkeypatch.setattr(processes, "broadcast_object_list", broadcast)
    return SimpleNamespace(num_processes=2, is_main_process=index == 0)


def test_what_the_first_process_makes_reaches_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    assert processes.first_does(_process(0, told, monkeypatch), lambda: "made") == "made"
    assert processes.first_does(_process(1, told, monkeypatch), lambda: pytest.fail("not its work")) == "made"


def test_a_fault_of_the_first_process_ends_the_others_too(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    with pytest.raises(ZeroDivisionError):
        processes.first_does(_process(0, told, monkeypatch), lambda: 1 / 0)
    with pytest.raises(UserError, match="the first process ended"):
        processes.first_does(_process(1, told, monkeypatch), lambda: 0.0)


@pytest.mark.parametrize(("steps", "refused"), [([3, 3], False), ([3, 0], True)])
def test_processes_that_see_different_folders_are_refused(steps: list[int], refused: bool) -> None:
    accelerator: Any = SimpleNamespace(device=torch.device("cpu"), gather=lambda _: torch.tensor(steps))
    if refused:
        with pytest.raises(UserError, match="do not see the same checkpoints"):
            processes.refuse_differing(accelerator, Path("models/a"), 3)
    else:
        processes.refuse_differing(accelerator, Path("models/a"), 3)


def test_a_launch_that_accelerate_did_not_join_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = SimpleNamespace(value="NO")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(processes, "Accelerator", lambda **_: SimpleNamespace(distributed_type=kind, num_processes=1))
    with pytest.raises(UserError, match="not supported") as fault, processes.joined():
        pytest.fail("must not begin")
    assert fault.value.seen == "NO, 1 of 2 process(es)"
