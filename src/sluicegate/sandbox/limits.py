"""What one program may use, and how it ended: plain records that every part of the sandbox shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["pass", "fail", "error", "timeout", "memory", "limit", "crash", "infra", "tests"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use.

    Args:
        wall_s: seconds on the clock, for the program, all that it starts, and its tests.
        cpu_s: seconds of CPU, for each of its processes.
        memory_bytes: address space of each of its processes, and, where control groups can be made, memory of
            all of them together.
        processes: processes and threads.
        disk_bytes: of /tmp, and again of /dev/shm.
        file_bytes: of one file.
        open_files: of each process.
        output_bytes: written to standard output and error.
    """

    wall_s: float = 10.0
    cpu_s: int = 3
    memory_bytes: int = 2**30
    processes: int = 64
    disk_bytes: int = 64 * 2**20
    file_bytes: int = 16 * 2**20
    open_files: int = 64
    output_bytes: int = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended.

    Args:
        kind: `pass`; `fail` (an assertion of the tests); `error` (any other exception, or an end before the
            tests' end); `timeout`; `memory`; `limit` (output, disk, files, processes); `crash` (a signal);
            `infra` (our failure); `tests` where the tests themselves cannot be run.
        why: in words, one line.
        backend: what kept it in, with `UNSAFE` where that is no sandbox; empty where it never ran.
    """

    kind: Kind
    why: str = ""
    backend: str = ""
