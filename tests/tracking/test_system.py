"""System metrics: lines of their own, from a thread of their own, with and without GPUs."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from sluicegate.tracking import system
from sluicegate.tracking.carrier import carry
from sluicegate.tracking.spool import Spool, curves, read


class NVMLError(Exception):
    """As the driver raises it."""


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Two GPUs of which the second tells no power."""
    module = ModuleType("pynvml")

    def power(handle: int) -> int:
        if handle:
            raise NVMLError
        return 200_000

    module.__dict__.update(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda number: number,
        nvmlDeviceGetUUID=lambda handle: f"GPU-{handle}",
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(used=3e9, total=12e9),
        nvmlDeviceGetUtilizationRates=lambda handle: SimpleNamespace(gpu=90),
        nvmlDeviceGetPowerUsage=power,
        nvmlDeviceGetEnforcedPowerLimit=lambda handle: 400_000,
    )
    monkeypatch.setitem(sys.modules, "pynvml", module)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    yield module


def sampled(spool: Spool, count: int) -> list[dict[str, float]]:
    """Wait for so many samples of a spool that has a run."""
    with system.sampling(spool, 0.01):
        for _ in range(1000):
            lines = [event for _, event in read(spool.path) if event and event["kind"] == "system"]
            if len(lines) >= count:
                break
            threading.Event().wait(0.01)
    assert [line["step"] for line in lines] == list(range(len(lines)))
    return [line["values"] for line in lines]


def test_gpus_are_told_as_mlflow_names_them(nvml: ModuleType, tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.run("a", "demo")
    values = sampled(spool, 2)[-1]
    assert values["system/gpu_0_memory_usage_percentage"] == 25.0
    assert values["system/gpu_0_utilization_percentage"] == 90
    assert values["system/gpu_0_power_usage_watts"] == 200.0
    assert values["system/gpu_0_power_usage_percentage"] == 50.0
    assert values["system/gpu_1_memory_usage_megabytes"] == 3000.0
    assert "system/gpu_1_power_usage_watts" not in values
    assert 0 <= values["system/cpu_utilization_percentage"] <= 100


def test_hidden_gpus_are_not_asked(nvml: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert system.gpus() == {1: 1}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert system.gpus() == {}


def test_without_a_driver_there_are_none(nvml: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise NVMLError

    monkeypatch.setattr(nvml, "nvmlInit", absent)
    assert system.gpus() == {}
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert system.gpus() == {}


def test_they_are_no_figures_of_the_run_and_count_on_in_one_that_goes_on(tmp_path: Path) -> None:
    for _ in range(2):
        with Spool(tmp_path) as spool:
            spool.run("a", "demo")
            sampled(spool, 1 + sum(1 for _, event in read(spool.path) if event and event["kind"] == "system"))
    assert curves(tmp_path / "events.jsonl") == {}


def test_nothing_is_sampled_before_there_is_a_run_or_where_it_is_off(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with system.sampling(spool, 0.01):
        threading.Event().wait(0.1)
    spool.run("a", "demo")
    with system.sampling(spool, None):
        threading.Event().wait(0.1)
    assert [event["kind"] for _, event in read(spool.path) if event] == ["run"]


def test_a_fault_of_the_sampling_ends_only_the_sampling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: system.Machine) -> dict[str, float]:
        raise OSError("no /proc")

    monkeypatch.setattr(system.Machine, "sample", broken)
    spool = Spool(tmp_path)
    spool.run("a", "demo")
    with system.sampling(spool, 0.01):
        threading.Event().wait(0.1)
        spool.metrics({"train/loss": 1.0}, 1)
    assert curves(spool.path) == {"train/loss": [(1, 1.0)]}


def test_mlflow_has_them_as_metrics(nvml: ModuleType, store_uri: str, client: object, tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.run("a", "system-metrics")
    count = len(sampled(spool, 2))
    sent = carry([tmp_path], store_uri)
    (run_id,) = sent.runs.values()
    rows = client.get_metric_history(run_id, "system/gpu_0_utilization_percentage")  # type: ignore[attr-defined]
    assert [row.step for row in rows] == list(range(count))
