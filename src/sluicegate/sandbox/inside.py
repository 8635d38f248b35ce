"""The candidate's end: runs in the sandbox, takes its limits, then the program, then requests until the end.

It is sent over a socket with `codec`, `proxies`, `peer` and `zygote`, so nothing of ours lies in the
sandbox's files, and it knows of the tests only what they call. Whatever the program does to this process, it can do
no more than answer.
"""

from __future__ import annotations

import io
import os
import resource
import sys
import types
from collections.abc import Callable
from typing import Any, NoReturn

from sluicegate.sandbox.peer import GoneError, Peer

STREAM = 3
OUTPUT_KEPT = 2**20
"""Characters of output between two answers that the tests get to see."""
BROKEN = 70


def main(limits: dict[str, Any]) -> NoReturn:
    """Take the limits, say so, and serve."""
    leave = os._exit
    try:
        confine(limits)
        os.write(STREAM, b"R")
        peer = _peer(os.read, os.write)
        _stand_in(peer)
        peer.serve()
    except GoneError:
        leave(BROKEN)
    finally:
        leave(BROKEN)


def _peer(read: Callable[[int, int], bytes], write: Callable[[int, Any], int]) -> Peer:
    """The talk over the socket, by functions that the program cannot put others in the place of."""

    def write_all(data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[write(STREAM, view) :]

    return Peer(lambda size: read(STREAM, size), write_all)


def confine(limits: dict[str, Any]) -> None:
    """Take a folder, a clean environment, and the kernel's limits."""
    os.umask(0o077)
    os.makedirs(limits["folder"], 0o700, exist_ok=True)  # noqa: PTH103
    os.chdir(limits["folder"])
    os.environ.clear()
    os.environ["TMPDIR"] = limits["folder"]
    for name, value in limits["rlimits"].items():
        _limit(getattr(resource, name), value)


def _limit(what: int, value: int) -> None:
    most = resource.getrlimit(what)[1]
    grace = 1 if what == resource.RLIMIT_CPU else 0
    hard = value + grace if most == resource.RLIM_INFINITY else min(value + grace, most)
    resource.setrlimit(what, (min(value, hard), hard))


class _Output(io.TextIOWrapper):
    """Standard output that the tests can see too: what is printed goes with the next answer."""

    kept: list[str]
    room: int

    def write(self, text: str, /) -> int:
        """Print, and keep a copy while there is room."""
        if self.room > 0 and type(text) is str:
            self.kept.append(text[: self.room])
            self.room -= len(text)
        return super().write(text)


class _Input(io.TextIOWrapper):
    """Standard input that is the tests'."""

    peer: Peer

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
        """A line of the tests' standard input."""
        return str(self.peer.ask("input", 0))

    def read(self, size: int | None = -1, /) -> str:
        """All that is left of it."""
        return "".join(iter(self.readline, ""))

    def __next__(self) -> str:  # type: ignore[override]
        """The next line."""
        if line := self.readline():
            return line
        raise StopIteration


def _stand_in(peer: Peer) -> None:
    """Put the program's module and streams in the place of ours."""
    module = types.ModuleType("candidate")
    for name in [name for name in sys.modules if name.partition(".")[0] == "sluicegate"]:
        del sys.modules[name]
    sys.modules["__main__"] = sys.modules["candidate"] = module
    output = _Output(io.FileIO(1, "wb", closefd=False), encoding="utf-8", errors="backslashreplace", write_through=True)
    output.kept, output.room = [], OUTPUT_KEPT
    given = _Input(io.FileIO(0, "rb", closefd=False), encoding="utf-8")
    given.peer = peer
    sys.stdout, sys.stdin = output, given

    def taken() -> str:
        text = "".join(output.kept)
        output.kept, output.room = [], OUTPUT_KEPT
        return text

    def load(source: str, wanted: tuple[str, ...]) -> tuple[dict[str, Any], str]:
        """Run the program; its names that are wanted, and how it left where it left early."""
        left = ""
        try:
            exec(compile(source, "<candidate>", "exec", dont_inherit=True), module.__dict__)  # noqa: S102
        except SystemExit as leaving:
            left = f"SystemExit: {leaving.code}" if leaving.code is not None else "SystemExit"
        return {name: module.__dict__[name] for name in wanted if name in module.__dict__}, left

    peer.taken_output = taken
    peer.extra = {"load": load}
