"""The process that judges Python programs, one after the other: `python` starts it and asks it over a pipe.

It keeps one warm interpreter in the sandbox and in a control group (`zygote`), has it fork a candidate for
each program, and forks a referee for the tests. When the tests have ended or a limit is met, everything the
program started is killed and its folders are removed, before the answer is given. It imports the standard
library and its siblings only; a request and an answer are one line of JSON each.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, NoReturn

from sluicegate.sandbox import bwrap, cgroup, docker, referee, rlimits
from sluicegate.sandbox.candidate import Candidate, LostError, opened, wait_end
from sluicegate.sandbox.launch import Launch, bundle, command
from sluicegate.sandbox.limits import Limits
from sluicegate.sandbox.processes import PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG, kill, prctl, remove, sweep
from sluicegate.sandbox.referee import GONE, OUT_OF_MEMORY, Reference, Told

STREAM = 3
MESSAGE_LIMIT = 2**20
START_S = 60.0
LEAVING_S = 10.0
OWN_BYTES, OWN_PROCESSES = 64 * 2**20, 6
"""Of the interpreter and the keepers, which are in the same group."""
REFEREE_BYTES = 2 * 2**30


class Worker:
    """What starts, watches and ends candidates.

    Args:
        folder: for the folders of programs and tests.
        flavour: of bwrap, or None.
        engine: of docker, or None; neither is rlimits.
        modules: a folder of node packages, or empty.
    """

    def __init__(
        self, folder: str, flavour: bwrap.Flavour | None, engine: docker.Engine | None, modules: str = ""
    ) -> None:
        self._folder, self._flavour, self._engine, self._modules = folder, flavour, engine, modules
        self._group = own_group() if flavour is not None else None
        self._limits: Limits | None = None
        own = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
        if engine is not None:
            self._launch: Launch = docker.launch(engine, os.path.dirname(own))  # noqa: PTH120
            self._code, self._command = docker.source(own), self._launch.argv
        else:
            self._launch = rlimits.launch(modules) if flavour is None else bwrap.launch(flavour, modules)
            self._code, self._command = bundle(own), command(self._launch)
        self._number = 0
        self._zygote: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    # -- the warm interpreter

    def start(self) -> None:
        """Start the interpreter, if it does not run.

        Raises:
            OSError, LostError: it does not start.
        """
        if self._zygote is not None and self._zygote.poll() is None:
            return
        self.close()
        ours, theirs = socket.socketpair()
        with open(f"{self._folder}/said", "wb") as said:  # noqa: PTH123
            parent = os.getpid()

            def prepare() -> None:
                prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
                if os.getppid() != parent:
                    os._exit(71)
                if self._group is not None:
                    self._group.enter(0)
                elif self._engine is None:
                    _first_to_go()
                os.dup2(theirs.fileno(), STREAM)

            with open(os.devnull, "rb") as null:  # noqa: PTH123 - takes the number 3 if that is free
                self._zygote = subprocess.Popen(
                    self._command,
                    env={"PYTHONHASHSEED": "0"},
                    stdin=null,
                    stdout=said,
                    stderr=said,
                    pass_fds=[STREAM],
                    start_new_session=True,
                    cwd="/",
                    preexec_fn=prepare,  # noqa: PLW1509 - this process has one thread
                )
        theirs.close()
        self._control = ours
        ours.settimeout(START_S)
        try:
            ours.sendall(self._code)
            is_ready = ours.recv(1) == b"Z"
        except OSError:
            is_ready = False
        ours.settimeout(None)
        if not is_ready:
            self.close()
            raise LostError(f"{self._name()} does not start: {self._last_words()}")

    def _name(self) -> str:
        if self._engine is not None:
            return docker.NAME
        return rlimits.NAME if self._flavour is None else bwrap.NAME

    def _last_words(self) -> str:
        with open(f"{self._folder}/said", "rb") as said:  # noqa: PTH123
            lines = said.read(4096).decode(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "no reason given")

    def close(self) -> None:
        """End the interpreter, and reap whatever became ours."""
        if self._control is not None:
            self._control.close()
        if self._zygote is not None:
            if self._engine is not None:  # it has a container to remove
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._zygote.wait(LEAVING_S)
            kill(self._zygote.pid, group=True)
            kill(self._zygote.pid)
            self._zygote.wait()
        self._control = self._zygote = None
        sweep()

    def leave(self) -> None:
        """End everything, and remove what this worker had."""
        self.close()
        if self._group is not None:
            self._group.remove()
        remove(self._folder)

    # -- candidates

    def _candidate(self, limits: Limits, other: dict[str, str] | None) -> Candidate:
        """A candidate that waits for its program.

        Raises:
            OSError, LostError: there is none, and nothing is left of it.
        """
        self.start()
        if self._group is not None and limits != self._limits:
            self._group.limit(cgroup.Limits(limits.memory_bytes + OWN_BYTES, limits.processes + OWN_PROCESSES))
            self._limits = limits
        folder = f"{self._folder}/{self._number}-work" if self._name() == rlimits.NAME else ""
        candidate, files = opened(limits, folder, has_namespaces=self._flavour is not None)
        try:
            try:
                assert self._control is not None  # noqa: S101 - it was started
                request = self._request(limits, folder, other)
                socket.send_fds(self._control, [len(request).to_bytes(4, "big")], files)
                self._control.sendall(request)
            finally:
                for number in files:
                    os.close(number)
            self._wait_ready(candidate)
        except (OSError, LostError) as fault:
            reason = candidate.said.decode(errors="replace").strip().rpartition("\n")[2]
            self._end(candidate)
            raise LostError(f"{self._name()} does not start a program: {reason or fault}") from None
        return candidate

    def _request(self, limits: Limits, folder: str, other: dict[str, str] | None) -> bytes:
        if self._engine is not None:
            limited = docker.limited(limits, self._modules)
        elif self._flavour is None:
            limited = {**rlimits.limited(limits), "folder": folder}
        else:
            limited = bwrap.limited(self._flavour, limits, has_group=self._group is not None)
        if other is not None:
            limited["rlimits"].pop("RLIMIT_AS", None)  # node reserves more than it will ever use
            heap = f"--max-old-space-size={limits.memory_bytes >> 21}"  # half; the group bounds the rest
            limited["command"] = [other["node"], heap, "-e", other["inside"]]
        return json.dumps({**self._launch.request, **limited}).encode()

    def _wait_ready(self, candidate: Candidate) -> None:
        """Wait until the candidate asks for its program."""
        candidate.talk.settimeout(START_S)
        candidate.stream.settimeout(START_S)
        while self._engine is None and not candidate.session and not candidate.is_silent:
            candidate.hear()
        is_ready = candidate.stream.recv(1) == b"R"
        candidate.talk.settimeout(None)
        candidate.stream.settimeout(None)
        candidate.drain()
        if not is_ready:
            raise LostError("no reason given")

    # -- one program

    def judge(self, request: dict[str, Any]) -> Told:
        """Run one program against its tests."""
        self._number += 1
        folder = f"{self._folder}/{self._number}"
        try:
            os.mkdir(folder, 0o700)  # noqa: PTH102
            candidate = self._candidate(Limits(**request["limits"]), request["other"])
        except OSError as fault:
            remove(folder)
            return Told("infra", f"{fault.strerror} ({type(fault).__name__})")
        except LostError as fault:
            remove(folder)
            return Told("infra", str(fault))
        try:
            return self._watched(candidate, request, folder)
        finally:
            remove(folder)

    def _watched(self, candidate: Candidate, request: dict[str, Any], folder: str) -> Told:
        heard, say = os.pipe()
        try:
            child = os.fork()
            if child == 0:
                _be_the_referee(request, candidate.stream, say, folder)
        except BaseException:
            os.close(heard)
            self._end(candidate)
            raise
        finally:
            os.close(say)
        told, why_ended = None, "lost"
        before = self._used()
        with contextlib.suppress(LostError):
            line, why_ended = self._listen(candidate, child, heard)
            told = _told(line)
            if told is not None and told.kind == GONE:
                wait_end(candidate)
        os.close(heard)
        kill(child)
        os.waitpid(child, 0)
        is_kept = self._end(candidate)
        used = self._used().since(before)
        if self._engine is not None:
            used = cgroup.Used(candidate.killed, candidate.refused)
        if not used.killed and (not is_kept or (why_ended == "lost" and told is None)):
            return self._lost()
        return _verdict(told, why_ended, candidate, used)

    def _used(self) -> cgroup.Used:
        return cgroup.Used() if self._group is None else self._group.used()

    def _lost(self) -> Told:
        """What it says when what keeps programs is gone: without a sandbox the program may have done it."""
        if self._name() == rlimits.NAME:
            return Told("crash", "ended or stopped the process that ran it")
        return Told("infra", "the process that keeps programs is gone")

    def _listen(self, candidate: Candidate, child: int, heard: int) -> tuple[bytes, str]:
        """What the referee says until it is whole; or why that was not waited for.

        Raises:
            LostError: the keeper is gone.
        """
        deadline = time.monotonic() + candidate.limits.wall_s
        poll = select.poll()
        talk = candidate.talk.fileno()
        for stream in (heard, candidate.output, talk, 0):
            poll.register(stream, select.POLLIN)
        line = b""
        while (left := deadline - time.monotonic()) > 0:
            ready = dict(poll.poll(left * 1000))
            if 0 in ready:  # who asked is gone
                kill(child)
                self._end(candidate)
                self.leave()
                os._exit(0)
            if talk in ready:
                candidate.hear()
                if candidate.is_silent:
                    poll.unregister(talk)
            if candidate.output in ready and not candidate.drain():
                poll.unregister(candidate.output)
            if candidate.written > candidate.limits.output_bytes:
                return b"", "output"
            if heard in ready:
                part = os.read(heard, MESSAGE_LIMIT)
                line += part
                if not part or line.endswith(b"\n"):
                    return line, "" if part else "referee"
        return b"", "clock"

    def _end(self, candidate: Candidate) -> bool:
        """Kill everything of a candidate, wait until it is gone, and remove what it had.

        Returns:
            False where the interpreter had to go too.
        """
        is_kept = self._zygote is not None and self._zygote.poll() is None
        with contextlib.suppress(OSError):
            candidate.stream.shutdown(socket.SHUT_RDWR)
        try:
            candidate.kill()
        except (OSError, LostError):
            is_kept = False
        if not is_kept:
            self.close()
        candidate.close()
        if candidate.folder:
            remove(candidate.folder)
        return is_kept


def _first_to_go() -> None:
    """Where no group bounds the memory of all together, what is killed for want of it is a program, not this."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as kept:  # noqa: PTH123
        kept.write("1000")


def own_group() -> cgroup.Group | None:
    """A group for the interpreter and its programs, where there can be one."""
    place = cgroup.usable()
    if place is None:
        return None
    cgroup.sweep(place)
    return cgroup.Group(place, f"{cgroup.PREFIX}{os.getpid()}", cgroup.Limits(2**30, 64))


def _told(line: bytes) -> Told | None:
    if not line.endswith(b"\n"):
        return None
    told = Told(**json.loads(line))
    return Told(told.kind, referee.printable(told.why), told.names, told.steps)


def _verdict(told: Told | None, why_ended: str, candidate: Candidate, used: cgroup.Used) -> Told:  # noqa: PLR0911 - one a kind
    """What is said of a program: what its tests said, unless a limit explains why they did not pass."""
    limits = candidate.limits
    if told is not None and told.kind in ("pass", "tests"):
        return told
    if why_ended == "output":
        return Told("limit", f"printed more than {limits.output_bytes} bytes")
    if used.killed:
        return Told("memory", OUT_OF_MEMORY)
    if told is not None and told.kind != GONE:
        return Told("limit", f"started more than {limits.processes} processes") if used.refused else told
    if used.refused:
        return Told("limit", f"started more than {limits.processes} processes")
    if why_ended == "clock":
        return Told("timeout", f"{limits.wall_s:g} s on the clock")
    if why_ended == "referee":
        return Told("crash", "its answers ended the process that checks them")
    return _left(candidate, used)


def _left(candidate: Candidate, used: cgroup.Used) -> Told:
    """How a candidate's process ended before its tests did."""
    if candidate.status is None:
        return Told("error", "closed the pipe of the harness")
    code = os.waitstatus_to_exitcode(candidate.status)
    spent = candidate.cpu_s if used.cpu_s is None else used.cpu_s
    if code == -signal.SIGXCPU or (code == -signal.SIGKILL and spent >= candidate.limits.cpu_s):
        return Told("timeout", f"{candidate.limits.cpu_s} s of CPU")
    if code < 0:
        return Told("crash", signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}")
    return Told("error", f"ended with exit code {code} before its tests did")


def _be_the_referee(request: dict[str, Any], stream: socket.socket, say: int, folder: str) -> NoReturn:
    """The fork's life, to its end."""
    leave = os._exit
    try:
        try:
            stream, say = _apart(stream, say, folder, Limits(**request["limits"]))
        except (OSError, ValueError) as fault:
            told = Told("infra", f"limits could not be set: {fault}")
        else:
            if request["other"] is not None:
                _become_node(request, stream, say)
            told = referee.judge(
                request["tests"], request["candidate"], _reference(request), stream.recv, stream.sendall
            )
        data = json.dumps(asdict(told)).encode() + b"\n"
        while data:
            data = data[os.write(say, data) :]
        leave(0)
    finally:
        leave(70)


def _become_node(request: dict[str, Any], stream: socket.socket, say: int) -> NoReturn:
    """The referee of programs for node is written for node."""
    other = request["other"]
    asked = {name: request[name] for name in ("tests", "candidate", "reference")}
    with open("request.json", "w", encoding="utf-8") as kept:  # noqa: PTH123
        json.dump({**asked, "stream": stream.fileno(), "say": say, "modules": other["modules"]}, kept)
    for number in (stream.fileno(), say):
        os.set_inheritable(number, True)
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    heap = f"--max-old-space-size={REFEREE_BYTES >> 20}"
    os.execve(other["node"], [other["node"], heap, "-e", other["referee"]], {})  # noqa: S606 - no shell


def _reference(request: dict[str, Any]) -> Reference | None:
    told = request["reference"]
    if told is None:
        return None
    steps = told["steps"]
    return Reference(frozenset(told["names"]), None if steps is None else frozenset(steps))


def _apart(stream: socket.socket, say: int, folder: str, limits: Limits) -> tuple[socket.socket, int]:
    """Own session, own folder, no other open file; limits that only a runaway meets."""
    os.setsid()
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.chdir(folder)
    os.environ.clear()
    os.environ["TMPDIR"] = folder
    stream, say = socket.socket(fileno=os.dup2(stream.detach(), 300)), os.dup2(say, 301)
    os.closerange(3, 300)
    os.closerange(302, 1024)
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (REFEREE_BYTES, resource.RLIM_INFINITY))
    cpu = int(limits.wall_s) + 5
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))
    return stream, say


def _requests() -> Iterator[dict[str, Any]]:
    waiting = b""
    while chunk := os.read(0, 1 << 20):
        waiting += chunk
        *lines, waiting = waiting.split(b"\n")
        yield from map(json.loads, lines)


def main() -> None:
    """Serve requests until standard input ends."""
    folder, told, modules = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
    flavour, engine = told["flavour"], told["engine"]
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    worker = Worker(
        folder, bwrap.Flavour(**flavour) if flavour else None, docker.Engine(**engine) if engine else None, modules
    )
    os.write(1, b"ready\n")
    gc.collect()
    gc.freeze()  # or each referee would copy what its first collection touches
    for request in _requests():
        os.write(1, json.dumps(asdict(worker.judge(request))).encode() + b"\n")
    worker.leave()
