"""Micro-batches that are read beside the device's work: the device is played, and says in which order things happen."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from sluicegate.train import feeding

pytestmark = pytest.mark.torch
CPU, GPU = torch.device("cpu"), torch.device("cuda")


def _read(number: int) -> dict[str, Any]:
    return {"ids": torch.tensor([number]), "longest": number}


class _Event:
    def __init__(self, told: list[str], name: str) -> None:
        self._told, self._name = told, name

    def synchronize(self) -> None:
        self._told.append(f"awaited {self._name}")


class _Stream:
    def __init__(self, told: list[str], name: str) -> None:
        self._told, self._name, self._events = told, name, 0
        self.device = torch.device("cuda", 1)

    def record_event(self) -> _Event:
        self._events += 1
        return _Event(self._told, f"{self._name} {self._events}")

    def wait_event(self, event: _Event) -> None:
        self._told.append(f"{self._name} waits for {event._name}")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happens on a device that is played."""
    said: list[str] = []
    main, side = _Stream(said, "main"), _Stream(said, "side")

    @contextlib.contextmanager
    def on(stream: Any) -> Iterator[None]:
        assert stream is side
        assert threading.current_thread() is not threading.main_thread()
        yield

    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: main)

    def on_device(device: torch.device) -> None:
        assert device.index is not None  # as torch has it
        said.append(f"on {device}")

    monkeypatch.setattr(torch.cuda, "set_device", on_device)
    monkeypatch.setattr(feeding, "_now", lambda stream: stream.record_event())
    monkeypatch.setattr(torch.cuda, "stream", on)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda part, stream: said.append(f"kept {int(part)}"))
    monkeypatch.setattr(feeding, "_stream", lambda _: side)
    monkeypatch.setattr(feeding, "moved", lambda batch, _: dict(batch))
    return said


def test_on_a_cpu_a_batch_is_read_when_it_is_asked_for() -> None:
    seen: list[int] = []

    def reading(number: int) -> dict[str, Any]:
        seen.append(number)
        return _read(number)

    made = feeding.fed([1, 2], reading, CPU)
    assert not seen
    assert next(made)["longest"] == 1
    assert seen == [1]
    assert [batch["longest"] for batch in made] == [2]


def test_on_a_gpu_all_come_in_order_and_are_waited_for(told: list[str]) -> None:
    seen = [(int(batch["ids"]), batch["longest"]) for batch in feeding.fed([1, 2, 3], _read, GPU)]
    assert seen == [(1, 1), (2, 2), (3, 3)]
    assert [said for said in told if "waits" in said] == [f"main waits for side {number}" for number in (1, 2, 3)]
    assert [said for said in told if "kept" in said] == ["kept 1", "kept 2", "kept 3"]
    assert told[0] == "on cuda:1"
    assert list(feeding.fed([], _read, GPU)) == []


def test_the_next_is_read_while_one_is_used_and_no_third_is_there(told: list[str]) -> None:
    second = threading.Event()
    read: list[int] = []

    def reading(number: int) -> dict[str, Any]:
        read.append(number)
        if number == 2:
            second.set()
        return _read(number)

    made = feeding.fed([1, 2, 3], reading, GPU)
    first = next(made)
    assert second.wait(10)  # nobody asked for it yet
    assert read == [1, 2]
    later = next(made)
    assert first == {}
    assert later["longest"] == 2
    made.close()


def test_what_goes_wrong_in_reading_comes_out_where_the_batch_was_due(told: list[str]) -> None:
    def broken(number: int) -> dict[str, Any]:
        if number == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return _read(number)

    made = feeding.fed([1, 2], broken, GPU)
    assert next(made)["longest"] == 1
    with pytest.raises(torch.OutOfMemoryError):
        next(made)


def test_a_user_who_stops_early_leaves_no_thread(told: list[str]) -> None:
    before = threading.active_count()
    made = feeding.fed([1, 2, 3], _read, GPU)
    next(made)
    made.close()
    assert threading.active_count() == before
