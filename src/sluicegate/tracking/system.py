"""What the machine does while a run goes on: processor, memory, disk, network, GPUs; a line of the spool now and then.

A thread of its own asks, so that the loop waits for nothing. The names are MLflow's, whose UI shows them apart, and so
are the switches: MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING=false turns it off, MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL is
the seconds between two samples. GPUs are asked through NVML, of the package nvidia-ml-py; without it, or without a
driver, there are none.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from sluicegate.errors import UserError
from sluicegate.tracking.spool import Spool, read

SWITCH, INTERVAL = "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL"
EVERY_S, LEAST_S = 10.0, 0.1
MB = 1e6
Gpus = dict[int, Any]
"""GPU's number → NVML's handle."""


def every_s(environment: Mapping[str, str] = os.environ) -> float | None:
    """Seconds between two samples; None where they are switched off.

    >>> every_s({}), every_s({SWITCH: "false"}), every_s({INTERVAL: "2"}), every_s({INTERVAL: "soon"})
    (10.0, None, 2.0, 10.0)
    """
    if environment.get(SWITCH, "").strip().lower() in {"false", "0"}:
        return None
    try:
        asked = float(environment.get(INTERVAL, ""))
    except ValueError:
        return EVERY_S
    return max(asked, LEAST_S) if math.isfinite(asked) and asked > 0 else EVERY_S


@contextlib.contextmanager
def sampling(spool: Spool, seconds: float | None) -> Iterator[None]:
    """While inside, a thread writes a sample into the spool every `seconds`; None for never.

    A fault of the sampling ends the sampling and nothing else.
    """
    if seconds is None:
        yield
        return
    stop = threading.Event()
    thread = threading.Thread(target=_run, args=(spool, seconds, stop), name="system metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(1.0)  # a driver that hangs is left behind


def _run(spool: Spool, seconds: float, stop: threading.Event) -> None:
    with contextlib.suppress(UserError, OSError, RuntimeError, ValueError):
        machine, step = Machine(spool.folder), _samples(spool.path)
        while not stop.wait(seconds):
            values = machine.sample()
            if spool.going:
                spool.system(values, step)
                step += 1


def _samples(path: Path) -> int:
    """Samples that a spool has already; a run that goes on counts on."""
    return sum(1 for _, event in read(path) if event is not None and event["kind"] == "system")


class Machine:
    """The machine as it is asked; network counts from here on.

    Args:
        folder: whose file system's room is told.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._net = psutil.net_io_counters()
        self._gpus = gpus()
        psutil.cpu_percent()  # the first call only sets the mark that the next one counts from

    def sample(self) -> dict[str, float]:
        """MLflow's name → value; what cannot be asked is left out."""
        memory, disk = psutil.virtual_memory(), psutil.disk_usage(str(self._folder))
        found = {
            "cpu_utilization_percentage": psutil.cpu_percent(),
            "system_memory_usage_megabytes": memory.used / MB,
            "system_memory_usage_percentage": memory.percent,
            "disk_usage_percentage": disk.percent,
            "disk_usage_megabytes": disk.used / MB,
            "disk_available_megabytes": disk.free / MB,
        }
        if (net := psutil.net_io_counters()) and self._net:
            found["network_receive_megabytes"] = (net.bytes_recv - self._net.bytes_recv) / MB
            found["network_transmit_megabytes"] = (net.bytes_sent - self._net.bytes_sent) / MB
        for number, handle in self._gpus.items():
            found |= {f"gpu_{number}_{name}": value for name, value in gpu(handle).items()}
        return {f"system/{name}": round(value, 1) for name, value in found.items()}


def gpus() -> Gpus:
    """The GPUs that NVML shows and CUDA_VISIBLE_DEVICES does not hide; none without a driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
        found = {number: pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())}
        names = {number: str(pynvml.nvmlDeviceGetUUID(handle)) for number, handle in found.items()}
    except Exception:  # NVML's own faults, a missing package, a driver of another version
        return {}
    return {number: found[number] for number in shown(names, os.environ.get("CUDA_VISIBLE_DEVICES"))}


def shown(names: Mapping[int, str], visible: str | None) -> list[int]:
    """The numbers of the GPUs that a list as of CUDA_VISIBLE_DEVICES names; all where it is None.

    >>> shown({0: "GPU-aa", 1: "GPU-bb"}, "1"), shown({0: "GPU-aa", 1: "GPU-bb"}, "GPU-a"), shown({0: "GPU-aa"}, None)
    ([1], [0], [0])
    """
    if visible is None:
        return list(names)
    asked = [word.strip() for word in visible.split(",") if word.strip()]
    return [n for n, name in names.items() if any(word == str(n) or name.startswith(word) for word in asked)]


def gpu(handle: Any) -> dict[str, float]:
    """Memory, use and power of a GPU; what its driver does not tell is left out."""
    import pynvml

    found: dict[str, float] = {}
    with contextlib.suppress(pynvml.NVMLError):
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        found["memory_usage_percentage"] = 100 * memory.used / memory.total
        found["memory_usage_megabytes"] = memory.used / MB
    with contextlib.suppress(pynvml.NVMLError):
        found["utilization_percentage"] = pynvml.nvmlDeviceGetUtilizationRates(handle).gpu
    with contextlib.suppress(pynvml.NVMLError):
        watts = pynvml.nvmlDeviceGetPowerUsage(handle) / 1000
        found["power_usage_watts"] = watts
        found["power_usage_percentage"] = 100_000 * watts / pynvml.nvmlDeviceGetEnforcedPowerLimit(handle)
    return found
