"""Small deeds on processes and folders that the worker and its candidates share."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
SWEEP_S = 10.0
"""How long killing what is left may take."""


def sweep() -> None:
    """Kill and reap whatever is left: it became ours, since we are the reaper of all that we started."""
    until = time.monotonic() + SWEEP_S
    while time.monotonic() < until:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            for orphan in children():
                kill(orphan)
            time.sleep(0.0005)


def children() -> list[int]:
    """Processes whose parent this is now; none where the system does not tell."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", "rb") as stream:  # noqa: PTH123
            return [int(pid) for pid in stream.read().split()]
    except OSError:  # not Linux
        return []


def kill(pid: int, *, group: bool = False) -> None:
    """Kill a process or its group, where there still is one."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        (os.killpg if group else os.kill)(pid, signal.SIGKILL)


def remove(folder: str) -> None:
    """Delete a folder, whatever a program made of it."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass
    except (OSError, RecursionError):  # endless nesting, locked folders: rm knows better
        subprocess.run(["/bin/rm", "-rf", folder], check=False, stderr=subprocess.DEVNULL)


def prctl(option: int, value: int) -> None:
    """Linux's prctl; elsewhere nothing happens, and what leaves its session is not found again."""
    if sys.platform == "linux":
        _LIBC.prctl(option, value, 0, 0, 0)


_LIBC = ctypes.CDLL(None)
