"""The last resort: a process with the kernel's older limits, in a folder of its own. No sandbox: UNSAFE.

It bounds honest mistakes (loops, floods, forks) and nothing more: the program has the user's files, the
network and the right to signal the user's processes.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from sluicegate.sandbox.launch import Launch, rlimits_of
from sluicegate.sandbox.limits import Limits

NAME, SAFE = "rlimits", False


def refused() -> str:
    """Why it cannot be used here; empty where it can."""
    return "" if os.name == "posix" else "programs need a POSIX system: use WSL or the evaluation image"


def launch(modules: str = "") -> Launch:
    """How its interpreter is started."""
    environment = {"NODE_PATH": modules} if modules else {}
    return Launch(argv=[], request={"namespaces": False, "uid": None, "environment": environment})


def limited(limits: Limits) -> dict[str, Any]:
    """What the limits ask of a candidate."""
    kept = rlimits_of(limits)
    if sys.platform != "linux":  # macOS refuses it
        del kept["RLIMIT_AS"]
    return {"rlimits": kept}
