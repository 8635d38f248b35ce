"""The first process of a container: warms up, takes one program, and carries its talk until standard input ends.

A container has one program. It is sent over standard input with `inside`, `zygote` and the rest, so nothing of ours
need be in the image. The program runs as in `zygote`, without namespaces of its own: the container's are. It cannot
signal the first process of its container, nor look into it, and all that it could gain there is to answer.

Frames in: `r`, the request in JSON; `s`, the candidate's stream; `q`, a question for what the container used. Frames
out: `z`, ready; `s`; `o`, output; `t`, what the keeper says; `u`, processes that were killed for memory and that were
refused.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import glob
import json
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from typing import Any, NoReturn

from sluicegate.sandbox import seccomp, zygote
from sluicegate.sandbox.frames import Carrier

KILLED = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
REFUSED = ("/sys/fs/cgroup/pids.events", "/sys/fs/cgroup/pids/pids.events")
"""Control groups of version 2 and 1, as a container sees its own."""


def main() -> NoReturn:
    """Run one program; end when standard input does."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(zygote.PR_SET_DUMPABLE, 0, 0, 0, 0)  # /proc/1 is closed to the program, which has the same user
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # orphans need no burial
    for name in zygote.WARM:
        __import__(name)
    gc.collect()
    gc.freeze()
    carrier = Carrier(0, 1, {})
    carrier.send(b"z")
    data = next(_asked(carrier, b"r"))
    try:
        _start(json.loads(data), carrier, libc)
    except LookupError as fault:
        carrier.send(b"o", f"{fault.args[0]}\n".encode())
        carrier.send(b"s")
    for _ in _asked(carrier, b"q"):
        carrier.send(b"u", _used())
    os._exit(0)


def _asked(carrier: Carrier, wanted: bytes) -> Iterator[bytes]:
    """What comes with a letter, until standard input ends."""
    while not carrier.is_over:
        carrier.step()
        while carrier.told:
            letter, data = carrier.told.pop(0)
            if letter == wanted:
                yield data
    os._exit(0)


def _start(request: dict[str, Any], carrier: Carrier, libc: Any) -> None:
    """Fork the keeper, which forks the candidate.

    Raises:
        LookupError: the image has not what the program needs.
    """
    request["filter"] = seccomp.program(os.uname().machine).hex()
    if "command" in request:
        request["command"][0] = _node()
        request["environment"] = {"NODE_PATH": _packages(request["packages"])} if request["packages"] else {}
    stream, theirs = socket.socketpair()
    talk, keeper = socket.socketpair()
    output, write = os.pipe()
    if os.fork() == 0:
        try:
            for end in (stream, talk):
                end.close()
            os.close(output)
            zygote.keep(request, [theirs.detach(), write, keeper.detach()], libc)
        finally:
            os._exit(zygote.FAILED)
    theirs.close()
    keeper.close()
    os.close(write)
    carrier.carry({b"s": stream.detach(), b"o": output, b"t": talk.detach()})


def _node() -> str:
    found = shutil.which("node")
    if found is None:
        raise LookupError("the image has no node")
    return found


def _packages(pattern: str) -> str:
    found = glob.glob(f"{os.environ.get('XDG_CACHE_HOME', '')}/sluicegate/{pattern}")  # noqa: PTH207
    if not found:
        raise LookupError(f"the image has no packages {pattern}")
    return found[0]


def _used() -> bytes:
    return b"%d %d" % (_count(KILLED, "oom_kill"), _count(REFUSED, "max"))


def _count(paths: tuple[str, ...], wanted: str) -> int:
    for path in paths:
        with contextlib.suppress(OSError), open(path) as stream:  # noqa: PTH123
            for line in stream:
                name, _, value = line.partition(" ")
                if name == wanted:
                    return int(value)
    return 0
