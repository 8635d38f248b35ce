"""Control groups, version 1 or 2: processes, memory and CPU of all that a program starts, together.

A group is made beside or below this process's own, where that is allowed, and removed with its owner. Where
it is not allowed there is none, and what a backend then cannot bound is in the head of the package.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from dataclasses import dataclass

CONTROLLERS = ("memory", "pids", "cpu")
PREFIX = "sluicegate-"
PERIOD_US = 100_000
REMOVE_S = 5.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a group may use together.

    Args:
        memory_bytes: memory and files in memory.
        processes: processes and threads.
        cores: of CPU.
    """

    memory_bytes: int
    processes: int
    cores: float = 1.0


@dataclass(frozen=True, slots=True)
class Used:
    """What a group ran into.

    Args:
        killed: processes that were killed for memory.
        refused: times that a process or thread was refused.
        cpu_s: seconds of CPU; None where it is not counted.
    """

    killed: int = 0
    refused: int = 0
    cpu_s: float | None = None

    def since(self, before: Used) -> Used:
        """What was added.

        >>> Used(3, 1, 2.5).since(Used(1, 1, 2.0))
        Used(killed=2, refused=0, cpu_s=0.5)
        """
        cpu_s = None if self.cpu_s is None or before.cpu_s is None else self.cpu_s - before.cpu_s
        return Used(self.killed - before.killed, self.refused - before.refused, cpu_s)


@dataclass(frozen=True, slots=True)
class Place:
    """Where groups can be made: controller → folder; version 2 has one folder for all."""

    version: int
    folders: dict[str, str]


def places(mounts: str, own: str) -> list[Place]:
    """Where groups might be made, the nearest to this process first.

    Args:
        mounts: the text of /proc/self/mountinfo.
        own: the text of /proc/self/cgroup.

    >>> own = "4:memory:/a\\n8:pids:/\\n1:cpu,cpuacct:/\\n0::/b/c\\n"
    >>> line = "1 1 0:1 / {} rw - {} x rw{}"
    >>> mounts = "\\n".join([line.format("/s/memory", "cgroup", ",memory"), line.format("/s/pids", "cgroup", ",pids"),
    ...     line.format("/s/cpu", "cgroup", ",cpu,cpuacct"), line.format("/s/two", "cgroup2", "")])
    >>> [place.folders["memory"] for place in places(mounts, own)]
    ['/s/two/b/c', '/s/two/b', '/s/two', '/s/memory/a']
    """
    paths = {}
    for line in own.splitlines():
        _, names, path = line.split(":", 2)
        paths.update(dict.fromkeys(names.split(","), path))
    one: dict[str, str] = {}
    found: list[Place] = []
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        root, point = left.split()[3:5]
        kind, _, *options = right.split()
        if kind == "cgroup2":
            folder = _below(point, root, paths.get("", "/"))
            while len(folder) >= len(point):
                found.append(Place(2, dict.fromkeys(CONTROLLERS, folder)))
                folder = os.path.dirname(folder)  # noqa: PTH120 - text only, and pathlib is slow to import
        elif kind == "cgroup":
            held = set(options[-1].split(",")) & {*CONTROLLERS, "cpuacct"} if options else set()
            one.update({name: _below(point, root, paths.get(name, "/")) for name in held})
    return [*found, *([Place(1, one)] if {"memory", "pids"} <= one.keys() else [])]


def _below(point: str, root: str, path: str) -> str:
    """The folder of a group's path in a mount whose root may be a group itself."""
    inner = path.removeprefix(root) if root != "/" and path.startswith(root) else path
    return f"{point}/{inner.strip('/')}".rstrip("/")


def usable() -> Place | None:
    """The first place where a group with limits can be made; None where there is none."""
    try:
        mounts, own = _read("/proc/self/mountinfo"), _read("/proc/self/cgroup")
    except OSError:
        return None
    for place in places(mounts, own):
        with contextlib.suppress(OSError):
            Group(place, f"{PREFIX}{os.getpid()}-probe", Limits(2**26, 16)).remove()
            return place
    return None


class Group:
    """One group, which exists until it is removed."""

    def __init__(self, place: Place, name: str, limits: Limits) -> None:
        """Make it.

        Raises:
            OSError: it cannot be made, or a controller of memory or processes is missing.
        """
        self._place = place
        self.folders = {kind: f"{folder}/{name}" for kind, folder in place.folders.items()}
        self._all = sorted(set(self.folders.values()))
        try:
            for folder in self._all:
                os.mkdir(folder)  # noqa: PTH102
            self.limit(limits)
        except OSError:
            self.remove()
            raise

    def limit(self, limits: Limits) -> None:
        """Set what it may use from now on.

        Raises:
            OSError: it is refused.
        """
        quota = int(limits.cores * PERIOD_US)
        if self._place.version == 2:
            _write(f"{self.folders['memory']}/memory.max", limits.memory_bytes)
            _write(f"{self.folders['pids']}/pids.max", limits.processes)
            with contextlib.suppress(OSError):  # no swap, no such file
                _write(f"{self.folders['memory']}/memory.swap.max", 0)
            with contextlib.suppress(OSError):  # fair shares still hold
                _write(f"{self.folders['cpu']}/cpu.max", f"{quota} {PERIOD_US}")
            return
        with_swap = f"{self.folders['memory']}/memory.memsw.limit_in_bytes"
        with contextlib.suppress(OSError):  # it must never be the lower one: first when raised, last when lowered
            _write(with_swap, limits.memory_bytes)
        _write(f"{self.folders['memory']}/memory.limit_in_bytes", limits.memory_bytes)
        with contextlib.suppress(OSError):
            _write(with_swap, limits.memory_bytes)
        _write(f"{self.folders['pids']}/pids.max", limits.processes)
        if "cpu" in self.folders:
            with contextlib.suppress(OSError):
                _write(f"{self.folders['cpu']}/cpu.cfs_quota_us", quota)

    def enter(self, pid: int) -> None:
        """Put a process into it."""
        for folder in self._all:
            _write(f"{folder}/cgroup.procs", pid)

    def members(self) -> list[int]:
        """Processes in it, as this process sees them."""
        return [int(pid) for pid in _read(f"{self.folders['pids']}/cgroup.procs").split()]

    def used(self) -> Used:
        """What it ran into since it was made."""
        memory, pids = self.folders["memory"], self.folders["pids"]
        if self._place.version == 2:
            events = _pairs(f"{memory}/memory.events")
            cpu = _pairs(f"{memory}/cpu.stat").get("usage_usec")
            seconds = None if cpu is None else cpu / 1e6
        else:
            events = _pairs(f"{memory}/memory.oom_control")
            seconds = _nanoseconds(self.folders.get("cpuacct"))
        return Used(events.get("oom_kill", 0), _pairs(f"{pids}/pids.events").get("max", 0), seconds)

    def remove(self) -> None:
        """Remove it, once the last process in it is gone."""
        until = time.monotonic() + REMOVE_S
        for folder in self._all:
            while True:
                try:
                    os.rmdir(folder)  # noqa: PTH106
                except OSError as fault:
                    if fault.errno == errno.EBUSY and time.monotonic() < until:
                        time.sleep(0.001)
                        continue
                break


def sweep(place: Place) -> None:
    """Remove the groups of owners that were killed: those whose number no process has now."""
    for folder in set(place.folders.values()):
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):  # noqa: PTH208
                owner = name.removeprefix(PREFIX).partition("-")[0]
                if name.startswith(PREFIX) and owner.isdigit() and not os.path.exists(f"/proc/{owner}"):  # noqa: PTH110
                    with contextlib.suppress(OSError):
                        os.rmdir(f"{folder}/{name}")  # noqa: PTH106


def _nanoseconds(folder: str | None) -> float | None:
    if folder is None:
        return None
    with contextlib.suppress(OSError):
        return int(_read(f"{folder}/cpuacct.usage")) / 1e9
    return None


def _pairs(path: str) -> dict[str, int]:
    """Lines of a name and a number; empty where there is no such file."""
    try:
        lines = _read(path).split("\n")
    except OSError:
        return {}
    return {name: int(value) for name, _, value in (line.partition(" ") for line in lines) if value.isdigit()}


def _read(path: str) -> str:
    with open(path, encoding="ascii", errors="replace") as stream:  # noqa: PTH123
        return stream.read()


def _write(path: str, value: object) -> None:
    with open(path, "w", encoding="ascii") as stream:  # noqa: PTH123
        stream.write(str(value))
