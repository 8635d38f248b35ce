"""The process that runs Python programs for `python_runner`: started as a script, one fork a program.

It says that it is ready, reads one JSON request a line on its standard input and answers with one line
each. It imports the standard library only, and the package never imports it. A program runs in a fork with
its own session, limits, empty folder and /dev/null for its standard streams; when it has ended or its time
is up, everything it started is killed (on Linux also what left its session) and its folder is deleted,
before the next program begins.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import shutil
import signal
import sys
import time
import types
from collections.abc import Iterator
from typing import Any, NoReturn

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
MESSAGE_LIMIT = 65_536
WHY_LIMIT = 300
OPEN_FILES = 64
FILE_BYTES = 16 * 2**20
SWEEP_S = 5.0
Told = tuple[str, str]
"""How a program ended, and why."""


def main() -> None:
    """Serve requests until standard input ends."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    os.write(1, b"ready\n")
    for number, request in enumerate(_requests()):
        try:
            kind, why = _run(request, f"{sys.argv[1]}/{number}", woken)
        except _LeftBehindError:
            kind, why = "error", "left processes behind that could not be ended"
        except OSError as fault:
            kind, why = "infra", f"{fault.strerror} ({type(fault).__name__})"
        os.write(1, json.dumps([kind, why]).encode() + b"\n")
    _remove(sys.argv[1])


def _prctl(option: int, value: int) -> None:
    """Linux's prctl; elsewhere nothing happens, and what leaves its session is not found again."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _requests() -> Iterator[dict[str, Any]]:
    waiting = b""
    while chunk := os.read(0, 1 << 20):
        waiting += chunk
        *lines, waiting = waiting.split(b"\n")
        yield from map(json.loads, lines)


def _run(request: dict[str, Any], folder: str, woken: int) -> Told:
    """One program from its fork to the last trace of it."""
    os.mkdir(folder, 0o700)  # noqa: PTH102 - pathlib would be imported into every program
    told, tell = os.pipe()
    nonce = os.urandom(16).hex()
    deadline = time.monotonic() + request["wall_s"]
    try:
        child = os.fork()
        if child == 0:
            _be_the_program(request, folder, tell, nonce)
        os.close(tell)
        tell = -1
        line, ended = _listen(told, child, woken, deadline)
        in_time = time.monotonic() < deadline
        return _verdict(line, nonce, _end(child, ended), request, in_time)
    finally:
        for end in (told, tell):
            if end >= 0:
                os.close(end)
        _remove(folder)


class _LeftBehindError(Exception):
    """A program's processes start faster than they can be killed."""


Ended = tuple[int, float]
"""Wait status and seconds of CPU of a process that was reaped."""


def _listen(told: int, child: int, woken: int, deadline: float) -> tuple[bytes, Ended | None]:
    """What the program says until a line is whole, it has ended, or its time is up."""
    poll = select.poll()
    for stream, events in ((told, select.POLLIN), (woken, select.POLLIN), (0, 0)):
        poll.register(stream, events)
    heard, ended = b"", None
    while ended is None and (left := deadline - time.monotonic()) > 0:
        ready = dict(poll.poll(left * 1000))
        if 0 in ready:  # who asked is gone
            _end(child, None)
            sys.exit()
        if woken in ready:
            _drain(woken)
            ended = _reaped(child, os.WNOHANG)
        if told in ready or ended:
            heard += _drain(told) if ended else os.read(told, MESSAGE_LIMIT)
            if b"\n" in heard or len(heard) >= MESSAGE_LIMIT:
                break
            if ready.get(told, 0) & select.POLLHUP:
                poll.unregister(told)
    return heard, ended


def _drain(stream: int) -> bytes:
    os.set_blocking(stream, False)
    try:
        return os.read(stream, MESSAGE_LIMIT)
    except BlockingIOError:
        return b""


def _reaped(child: int, options: int) -> Ended | None:
    pid, status, usage = os.wait4(child, options)
    return (status, usage.ru_utime + usage.ru_stime) if pid else None


def _end(child: int, ended: Ended | None) -> Ended:
    """Kill the program's session, then whatever left it and so became ours."""
    _kill(child, group=True)
    ended = ended or _reaped(child, 0)
    assert ended is not None  # noqa: S101 - wait4 without WNOHANG always reaps
    until = time.monotonic() + SWEEP_S
    while time.monotonic() < until:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if not pid:
            for orphan in _children():
                _kill(orphan)
            time.sleep(0.001)
    raise _LeftBehindError


def _kill(pid: int, *, group: bool = False) -> None:
    with contextlib.suppress(ProcessLookupError):
        (os.killpg if group else os.kill)(pid, signal.SIGKILL)


def _children() -> list[int]:
    with open(f"/proc/self/task/{os.getpid()}/children", "rb") as stream:  # noqa: PTH123
        return [int(pid) for pid in stream.read().split()]


def _remove(folder: str) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass
    except (OSError, RecursionError):  # endless nesting, locked folders: rm knows better
        os.waitpid(os.posix_spawn("/bin/rm", ["rm", "-rf", folder], {}), 0)


def _verdict(line: bytes, nonce: str, ended: Ended, request: dict[str, Any], in_time: bool) -> Told:
    status, used = ended
    mark = nonce.encode() + b" "
    if line.startswith(mark) and line.endswith(b"\n"):
        kind, _, why = line.removeprefix(mark).decode(errors="replace").rstrip("\n").partition(" ")
        return kind, why
    if not in_time:
        return "timeout", f"{request['wall_s']:g} s on the clock"
    if line:
        return "error", "wrote to the pipe of the harness"
    if not os.WIFSIGNALED(status):
        return "error", f"ended with exit code {os.waitstatus_to_exitcode(status)} before its tests did"
    number = os.WTERMSIG(status)
    if number == signal.SIGXCPU or (number == signal.SIGKILL and used >= request["cpu_s"]):
        return "timeout", f"{request['cpu_s']} s of CPU"
    return "crash", signal.Signals(number).name


def _be_the_program(request: dict[str, Any], folder: str, tell: int, nonce: str) -> NoReturn:
    """The fork's life, to its end."""
    write, leave = os.write, os._exit  # looked up before the program can put others in their place
    try:
        try:
            tell = _confine(folder, tell, request)
        except (OSError, ValueError) as fault:
            told = ("infra", f"limits could not be set: {fault}")
        else:
            told = _judge(request["candidate"], request["tests"])
        write(tell, f"{nonce} {told[0]} {told[1]}\n".encode(errors="replace"))
        leave(0)
    finally:
        leave(70)


def _confine(folder: str, tell: int, request: dict[str, Any]) -> int:
    """Own session, own folder, no open file but the pipe, limits; the pipe's new number."""
    os.setsid()
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(folder)
    os.environ.clear()
    os.environ["TMPDIR"] = folder
    tell = os.dup2(tell, 3, inheritable=False) if tell != 3 else tell
    os.closerange(4, 1024)
    null = os.open("/dev/null", os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)
    _limit(resource.RLIMIT_CPU, request["cpu_s"], grace=1)
    _limit(resource.RLIMIT_FSIZE, FILE_BYTES)
    _limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    _limit(resource.RLIMIT_CORE, 0)
    if sys.platform == "linux":  # macOS refuses it
        _limit(resource.RLIMIT_AS, request["memory_bytes"])
    return tell


def _limit(what: int, value: int, grace: int = 0) -> None:
    _, most = resource.getrlimit(what)
    hard = value + grace if most == resource.RLIM_INFINITY else min(value + grace, most)
    resource.setrlimit(what, (min(value, hard), hard))


def _judge(candidate: str, tests: str) -> Told:
    """Run the candidate, then the tests in a copy of its namespace."""
    try:
        checks = compile(tests, "<tests>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as fault:
        return "tests", _described(fault)
    module = types.ModuleType("candidate")
    # The worker itself is not for import, and dataclasses want to find the module that they came from.
    sys.modules["__main__"] = sys.modules["candidate"] = module
    builtins = sys.modules["builtins"]
    try:
        exec(compile(candidate, "<candidate>", "exec", dont_inherit=True), module.__dict__)  # noqa: S102
    except BaseException as fault:
        return _blamed(fault, tests, "error")
    names = {**module.__dict__, "__name__": "tests", "__builtins__": builtins}
    try:
        exec(checks, names)  # noqa: S102
        for name, thing in list(names.items()):
            if name.startswith("test_") and thing is not module.__dict__.get(name):
                thing()
    except BaseException as fault:
        return _blamed(fault, tests, "fail" if isinstance(fault, AssertionError) else "error")
    return "pass", ""


def _blamed(fault: BaseException, tests: str, kind: str) -> Told:
    """The kind of end, and the fault with the line of the tests that met it."""
    if isinstance(fault, MemoryError):
        return "memory", "asked for more than it may have"
    line, trace = 0, sys.exc_info()[2]
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<tests>":
            line = trace.tb_lineno
        trace = trace.tb_next
    at = f" (tests, line {line}: {tests.splitlines()[line - 1].strip()})" if line else ""
    return kind, _printable(_described(fault) + at)[:WHY_LIMIT]


def _described(fault: BaseException) -> str:
    """Type and message; a message that cannot be had, or is not text, is left out."""
    name = type.__getattribute__(type(fault), "__name__")
    try:
        message = str.__str__(str(fault))
    except BaseException:
        message = ""
    return f"{name}: {message}" if message else str(name)


def _printable(text: str) -> str:
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text[: 2 * WHY_LIMIT]
    )


if __name__ == "__main__":
    main()
