"""Micro-batches as CUDA graphs: the device is played by work that is done again at each replay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from sluicegate.train import replay
from sluicegate.train.replay import Replay

pytestmark = pytest.mark.torch
ROWS = [[1.0, 2.0], [3.0, -1.0], [0.5, 0.25]]


class Played:
    """Captures as a GPU does: nothing is done then, and each replay does it to what lies where it lay.

    Args:
        off: share by which what is replayed is wrong.
        fails: what is raised instead of capturing.
    """

    def __init__(self, *, off: float = 0.0, fails: Exception | None = None) -> None:
        self.captured = self.replayed = 0
        self.off, self.fails = off, fails

    def capture(self, work: Callable[[], Any], _: Any) -> tuple[Callable[[], None], Any]:
        if self.fails:
            raise self.fails
        self.captured += 1
        seen = torch.zeros(())

        def again() -> None:
            self.replayed += 1
            seen.copy_(work() * (1 + self.off))

        return again, seen


def _played(monkeypatch: pytest.MonkeyPatch, **how: Any) -> Played:
    device = Played(**how)
    monkeypatch.setattr(replay, "capture", device.capture)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", object)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch.cuda, "get_rng_state", torch.get_rng_state)
    monkeypatch.setattr(torch.cuda, "set_rng_state", torch.set_rng_state)
    return device


def _model(*, drops: float = 0.0) -> tuple[list[torch.nn.Parameter], Callable[[dict[str, Any], Any], Any]]:
    weight = torch.nn.Parameter(torch.tensor([0.5, -0.25]))
    bias = torch.nn.Parameter(torch.tensor(0.1))

    def work(batch: dict[str, Any], share: Any) -> Any:
        seen = torch.nn.functional.dropout(batch["rows"], drops)
        part = ((seen @ weight + bias) ** 2).sum() * batch["times"] * share
        part.backward()
        return part.detach()

    return [weight, bias], work


def _batch(*rows: list[float], times: int = 1) -> dict[str, Any]:
    return {"rows": torch.tensor(rows), "times": times}


def _told(run: Callable[[dict[str, Any], float], Any], parts: list[torch.nn.Parameter]) -> list[float]:
    """Losses and gradients of a few micro-batches of several shapes, over two steps."""
    found = []
    for step in range(2):
        for part in parts:
            if part.grad is not None:
                part.grad.zero_()
        batches = [_batch(*ROWS[:2]), _batch(*ROWS[1:]), _batch(ROWS[0]), _batch(*ROWS[:2]), _batch(ROWS[2], times=3)]
        for number, batch in enumerate(batches):
            found.append(float(run(batch, 0.5 + number + step)))
        found += [float(value) for part in parts for value in part.grad.flatten()]
    return found


def test_what_is_replayed_gives_what_the_work_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    parts, work = _model()
    wanted = _told(work, parts)
    parts, work = _model()
    device = _played(monkeypatch)
    runner = Replay(parts)
    assert _told(lambda batch, share: runner.run(work, batch, share), parts) == pytest.approx(wanted, rel=1e-6)
    assert device.replayed > device.captured >= 3


def test_what_is_dropped_at_random_is_the_same_too(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    for graphs in (False, True):
        parts, work = _model(drops=0.5)
        torch.manual_seed(3)
        if graphs:
            _played(monkeypatch)
            runner = Replay(parts)
            told.append(_told(lambda batch, share: runner.run(work, batch, share), parts))  # noqa: B023
        else:
            told.append(_told(work, parts))
    assert told[1] == pytest.approx(told[0], rel=1e-6)


def test_a_shape_is_recorded_once_and_again_where_its_gradients_have_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    device = _played(monkeypatch)
    parts, work = _model()
    runner = Replay(parts)
    for _ in range(4):
        runner.run(work, _batch(*ROWS), 1.0)
    assert device.captured == 1
    for part in parts:
        part.grad = None
    wanted = float(work(_batch(*ROWS), 1.0))
    grads = [part.grad.clone() for part in parts]
    for part in parts:
        part.grad = None
    assert float(runner.run(work, _batch(*ROWS), 1.0)) == pytest.approx(wanted)
    assert device.captured == 2
    for part, grad in zip(parts, grads, strict=True):
        assert torch.allclose(part.grad, grad)
    runner.drop()
    runner.run(work, _batch(*ROWS), 1.0)
    assert device.captured == 3


def test_a_micro_batch_that_does_not_count_proves_no_graph(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _played(monkeypatch, off=0.1)
    parts, work = _model()
    runner = Replay(parts)
    runner.run(work, _batch(*ROWS), 0.0)
    assert "kernel by kernel" not in capsys.readouterr().err
    runner.run(work, _batch(*ROWS), 1.0)
    assert "a graph gives other gradients" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"off": 0.1}, "a graph gives other gradients, relative difference 0.1"),
        ({"fails": torch.OutOfMemoryError("CUDA out of memory. Tried")}, "OutOfMemoryError: CUDA out of memory"),
        ({"fails": RuntimeError("operation not permitted\nwhen stream is capturing")}, "operation not permitted"),
    ],
)
def test_where_a_graph_is_wrong_or_cannot_be_had_the_work_is_done_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], how: dict[str, Any], why: str
) -> None:
    parts, work = _model()
    wanted = _told(work, parts)
    parts, work = _model()
    _played(monkeypatch, **how)
    runner = Replay(parts)
    assert _told(lambda batch, share: runner.run(work, batch, share), parts) == pytest.approx(wanted, rel=1e-6)
    said = capsys.readouterr().err
    assert said.count("kernel by kernel") == 1
    assert why in said


def test_a_batch_that_was_copied_is_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    _played(monkeypatch)
    parts, work = _model()
    runner = Replay(parts)
    runner.run(work, _batch(*ROWS), 1.0)
    batch = _batch(*ROWS)
    runner.run(work, batch, 1.0)
    assert batch == {}


def test_no_more_graphs_are_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    device = _played(monkeypatch)
    parts, work = _model()
    runner = Replay(parts)
    few = replay.SHAPES
    for _ in range(2):
        for times in range(2 * few):
            runner.run(work, _batch(ROWS[0], times=times), 1.0)
            assert len(runner._graphs) <= few
    captured = []
    for _ in range(3):
        for times in range(few, 2 * few):
            runner.run(work, _batch(ROWS[0], times=times), 1.0)
        captured.append(device.captured)
    assert captured[0] == captured[-1]  # those that are there are not recorded again
