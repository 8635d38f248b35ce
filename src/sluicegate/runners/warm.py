"""Python processes that begin with their libraries loaded: a server loads them once, and forks one for each job.

Loading torch and transformers takes seconds, in every step of a stage anew. A job here is still a process of its own
with its own arguments, environment and folder; only the loaded modules it has in common with the others. The server
runs one thread and one job at a time, says how that ended, and ends when the process that started it does.

What it does not do: read changed code. A job has the modules as they were when the server began. Where it cannot serve
(no fork, more threads than one, a GPU in use by what was loaded, a module that fails to load) there is no child, and
the job is to be started as any other.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from sluicegate import cores

DEVICES = ("/dev/nvidia", "/dev/dxg", "/dev/kfd")
"""What a process has open that has begun to use a GPU (natively, in WSL2, of AMD); what it forks could not use it."""
ANSWER = struct.Struct("=ci")
BEGUN, ENDED = b"B", b"E"
"""What is answered, with a number: the process that was forked, and how it ended."""


class Child:
    """A job that was forked: as much of a `subprocess.Popen` as the local runner needs.

    Args:
        pid: of the process, which leads a session of its own.
        stdout: what it writes to standard output and to standard error.
    """

    def __init__(self, pid: int, stdout: IO[str], server: Server) -> None:
        self.pid, self.stdout, self._server = pid, stdout, server
        self._code: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; negative: the signal that killed it.

        Raises:
            subprocess.TimeoutExpired: it runs on.
        """
        if self._code is None:
            self._code = self._server.ended(timeout)
        return self._code


class Server:
    """The server, seen by the process that starts it.

    Args:
        modules: that are loaded before anything is forked, in this order.
        env: what they read from the environment while they are loaded, and so the same for all jobs.
    """

    def __init__(self, modules: Sequence[str], env: Mapping[str, str]) -> None:
        self.modules, self.env = tuple(modules), dict(env)
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                (sys.executable, "-m", __name__, *modules), env=self.env, stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip

    def start(self, argv: Sequence[str], env: Mapping[str, str]) -> Child | None:
        """A process that runs `python -m argv…` in the folder of this one; None where the server cannot serve.

        The job before it must have ended.
        """
        told = {"argv": list(argv), "env": dict(env), "folder": str(Path.cwd())}
        out, into = os.pipe()
        pid = None
        with contextlib.suppress(OSError):
            socket.send_fds(self._socket, [b"\n"], [into])
            self._socket.sendall(json.dumps(told).encode() + b"\n")
            pid = self._answer(BEGUN)
        os.close(into)
        if pid is None:
            os.close(out)
            return None
        return Child(pid, os.fdopen(out, encoding="utf-8", errors="replace"), self)

    def ended(self, timeout: float | None) -> int:
        """The exit code of the job that was started last; as if killed, where the server was.

        Raises:
            subprocess.TimeoutExpired: it runs on.
        """
        if not select.select([self._socket], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(self.modules, timeout or 0.0)
        code = self._answer(ENDED)
        return -signal.SIGKILL if code is None else code

    def _answer(self, wanted: bytes) -> int | None:
        """The number behind what is wanted; None where the server has ended."""
        try:
            said = self._socket.recv(ANSWER.size, socket.MSG_WAITALL)
        except OSError:
            return None
        kind, number = ANSWER.unpack(said) if len(said) == ANSWER.size else (b"", 0)
        return number if kind == wanted else None

    def close(self) -> None:
        """End the server; a job that runs goes on."""
        self._socket.close()
        self._process.terminate()
        self._process.wait()


_servers: list[Server] = []
"""The one of this process, once there is one."""


def child(argv: Sequence[str], env: Mapping[str, str], modules: Sequence[str]) -> Child | None:
    """A process that runs `python -m argv…` with these modules loaded; None where it has to be started as any other.

    Args:
        env: the whole environment of the process.
        modules: what the server loads; it is another one where they, or this process's environment, have changed.
    """
    if sys.platform != "linux" or not modules:
        return None
    if not _servers:
        atexit.register(_close)
    elif (_servers[0].modules, _servers[0].env) != (tuple(modules), dict(os.environ)):
        _close()
    if not _servers:
        _servers.append(Server(modules, os.environ))
    return _servers[0].start(argv, env)


def _close() -> None:
    while _servers:
        _servers.pop().close()


def main() -> None:
    """Load modules, then serve orders from standard input, which is a socket."""
    cores.share()
    for name in sys.argv[1:]:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what is never collected stays in pages that all jobs share
    if threading.active_count() == 1 and not _uses_gpu() and (order := _serve(socket.socket(fileno=0))) is not None:
        _become(order)


def _uses_gpu() -> bool:
    return any(str(opened.resolve()).startswith(DEVICES) for opened in Path("/proc/self/fd").iterdir())


def _serve(orders: socket.socket) -> dict[str, Any] | None:
    """Fork for each order until nobody asks any more; in what was forked: its order."""
    lines = orders.makefile("r")
    with contextlib.suppress(OSError):
        while into := socket.recv_fds(orders, 1, 1)[1]:
            order: dict[str, Any] = json.loads(lines.readline())
            pid = os.fork()
            if pid == 0:
                _begin(orders, into[0])
                return order
            os.close(into[0])
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            orders.sendall(ANSWER.pack(ENDED, code))
    return None


def _begin(orders: socket.socket, into: int) -> None:
    """A session of one's own, and output that goes where it was asked for; then whoever asked is told."""
    os.setsid()
    for stream in (1, 2):
        os.dup2(into, stream)
    os.close(into)
    orders.sendall(ANSWER.pack(BEGUN, os.getpid()))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, orders.fileno())
    os.close(nothing)
    orders.detach()


def _become(order: Mapping[str, Any]) -> None:
    """Run the module as Python would with `-m`."""
    os.chdir(order["folder"])
    sys.path[0] = order["folder"]
    os.environ.clear()
    os.environ.update(order["env"])
    sys.argv = list(order["argv"])
    # That a module which is run has been loaded before is what this is for.
    warnings.filterwarnings("ignore", category=RuntimeWarning, module="runpy")
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
