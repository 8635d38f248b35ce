"""One candidate's process as the worker sees it: its socket, its output, what its keeper says, and its end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import sys

from sluicegate.sandbox.limits import Limits
from sluicegate.sandbox.processes import SWEEP_S, kill

SO_PASSCRED, SCM_CREDENTIALS = 16, 2
LEAVING_S = 5.0
"""How long a process that closed its socket may take to end by itself."""


class LostError(Exception):
    """The interpreter that forks candidates is gone, or something of a program could not be ended."""


class Candidate:
    """One program's processes.

    Args:
        limits: on it.
        stream: the socket to its inside.
        output: the pipe that standard output and error write to.
        talk: the socket to its keeper.
        folder: of its own on this side, or empty.
        has_namespaces: which die with the keeper; else it says when nothing is left.
    """

    def __init__(
        self,
        limits: Limits,
        stream: socket.socket,
        output: int,
        talk: socket.socket,
        folder: str,
        *,
        has_namespaces: bool,
    ) -> None:
        self.limits, self.stream, self.output, self.talk = limits, stream, output, talk
        self.folder, self.has_namespaces = folder, has_namespaces
        self.written = 0
        self.said = b""
        self.first = 0
        """The process whose end is the end of all, as this process sees it."""
        self.session = 0
        """The candidate's own number, where it has no namespace."""
        self.status: int | None = None
        self.cpu_s = 0.0
        self.killed, self.refused = 0, 0
        """Processes that were killed for memory and that were refused, where its keeper counts them."""
        self.is_silent = False
        """Whether the keeper has said all that it will."""
        self.ended = -1
        """Readable once the keeper and all of its namespace are gone; -1 where there is none."""
        self._heard = b""

    def hear(self) -> None:
        """Take in what the keeper says.

        Raises:
            LostError: the keeper is gone before its last word.
        """
        data, extra, _, _ = self.talk.recvmsg(4096, socket.CMSG_SPACE(12))
        if not data:
            self.is_silent = True
            if not self.has_namespaces:
                raise LostError("the keeper of a program is gone")
        self._heard += data
        *lines, self._heard = self._heard.split(b"\n")
        for line in lines:
            word, rest = line[:1], line[1:].split()
            if word == b"P":
                self.first = _sender(extra) or int(rest[0])
                if self.has_namespaces:
                    with contextlib.suppress(ProcessLookupError):
                        self.ended = os.pidfd_open(self.first)
            elif word == b"C":
                self.session = int(rest[0])
            elif word == b"S":
                self.status, self.cpu_s = int(rest[0]), float(rest[1])
                with contextlib.suppress(OSError):
                    self.stream.shutdown(socket.SHUT_RDWR)  # what it left running does not answer for it
            elif word == b"U":
                self.killed, self.refused = int(rest[0]), int(rest[1])
            elif word == b"E":
                self.is_silent = True

    def drain(self) -> bool:
        """Read and count what was printed, a bounded amount at a time; whether more may come."""
        try:
            part = os.read(self.output, 2**16)
        except BlockingIOError:
            return True
        self.written += len(part)
        self.said = (self.said + part)[-4096:]
        return bool(part)

    def kill(self) -> None:
        """Kill it, with which everything of it dies.

        Raises:
            LostError, OSError: it does not end.
        """
        self.talk.settimeout(SWEEP_S)
        if not self.has_namespaces:
            if self.session:
                kill(self.session, group=True)
            while not self.is_silent:
                self.hear()
        elif self.ended >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.ended, signal.SIGKILL)
            poll = select.poll()
            poll.register(self.ended, select.POLLIN)
            if not poll.poll(SWEEP_S * 1000):
                raise LostError("a program does not end")
            self.talk.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while not self.is_silent:
                    self.hear()

    def close(self) -> None:
        """Close what this side holds of it."""
        for end in (self.stream, self.talk):
            with contextlib.suppress(OSError):
                end.close()
        for number in (self.output, self.ended):
            with contextlib.suppress(OSError):
                os.close(number)


def _sender(extra: list[tuple[int, int, bytes]]) -> int:
    """The number of the process that sent a message, as this process sees it; 0 where it is not told."""
    for level, kind, data in extra:
        if level == socket.SOL_SOCKET and kind == SCM_CREDENTIALS:
            return int(struct.unpack("3i", data[:12])[0])
    return 0


def opened(limits: Limits, folder: str, *, has_namespaces: bool) -> tuple[Candidate, list[int]]:
    """The ends of a candidate's pipes and sockets: ours, and those that are its own."""
    stream, theirs = socket.socketpair()
    talk, keeper = socket.socketpair()
    output, write = os.pipe()
    os.set_blocking(output, False)
    if sys.platform == "linux":
        talk.setsockopt(socket.SOL_SOCKET, SO_PASSCRED, 1)
    candidate = Candidate(limits, stream, output, talk, folder, has_namespaces=has_namespaces)
    return candidate, [theirs.detach(), write, keeper.detach()]


def wait_end(candidate: Candidate) -> None:
    """Give a candidate that closed its socket the time to end by itself.

    Raises:
        LostError: the keeper is gone.
    """
    candidate.talk.settimeout(LEAVING_S)
    with contextlib.suppress(TimeoutError):
        while candidate.status is None and not candidate.is_silent:
            candidate.hear()
