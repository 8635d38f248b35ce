"""What starts a warm interpreter, whatever keeps it in: its command, and our code for it.

The code is read from a socket, so that none of it lies in a file of the sandbox.
"""

from __future__ import annotations

import marshal
import os
import struct
import sys
from dataclasses import dataclass
from typing import Any

from sluicegate.sandbox.limits import Limits

MODULES = ("codec", "proxies", "shared", "serving", "peer", "inside", "zygote")
"""What runs inside, in the order of its imports."""
BOOT = """\
import marshal, os, sys, types
def take(size):
    data = b""
    while len(data) < size:
        part = os.read(3, size - len(data))
        if not part:
            os._exit(71)
        data += part
    return data
parts = marshal.loads(take(int.from_bytes(take(4), "big")))
for name in ("sluicegate", "sluicegate.sandbox"):
    sys.modules[name] = types.ModuleType(name)
for name, code in parts:
    module = sys.modules["sluicegate.sandbox." + name] = types.ModuleType("sluicegate.sandbox." + name)
    setattr(sys.modules["sluicegate.sandbox"], name, module)
    exec(code, module.__dict__)
module.main()
"""
PYTHON = ("-s", "-S", "-P", "-B", "-X", "utf8")


@dataclass(frozen=True, slots=True)
class Launch:
    """How the programs of one backend are started.

    Args:
        argv: what comes before the interpreter.
        request: what each candidate is to do to itself, beside its limits; see `zygote`.
    """

    argv: list[str]
    request: dict[str, Any]


def interpreter() -> str:
    """The interpreter itself, not a virtual environment's link to it."""
    return os.path.realpath(sys.executable)


def command(launch: Launch) -> list[str]:
    """The whole command."""
    return [*launch.argv, interpreter(), *PYTHON, "-c", BOOT]


def bundle(folder: str) -> bytes:
    """The modules of `MODULES` from the package's folder, as the first lines inside read them."""
    parts = []
    for name in MODULES:
        with open(f"{folder}/{name}.py", "rb") as stream:  # noqa: PTH123
            parts.append((name, compile(stream.read(), f"<{name}>", "exec", dont_inherit=True)))
    data = marshal.dumps(parts)
    return struct.pack(">I", len(data)) + data


def rlimits_of(limits: Limits) -> dict[str, int]:
    """The kernel's limits on each process of a program."""
    return {
        "RLIMIT_CPU": limits.cpu_s,
        "RLIMIT_FSIZE": limits.file_bytes,
        "RLIMIT_NOFILE": limits.open_files,
        "RLIMIT_CORE": 0,
        "RLIMIT_AS": limits.memory_bytes,
    }
