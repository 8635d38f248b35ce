"""A warm interpreter in the sandbox that forks one process a program: it never sees a program itself.

For each program it is handed a socket to the referee, a pipe for output and a socket to the worker. It
forks a keeper, the first process of fresh namespaces of processes, mounts, messages and network, with empty
/tmp and /dev/shm, and that forks the candidate. The candidate becomes nobody, without capabilities, behind
the filter of system calls, and only then reads its program (`inside`). When it ends, the keeper says how
and ends too, and the namespaces die with all that is in them.

Without namespaces (the backend `rlimits`) the keeper kills what is left by looking for it.

What a keeper says to the worker: `P` and its own number; `C` and the candidate's; `S`, the candidate's wait
status and seconds of CPU; `E`, where there are no namespaces, when nothing is left.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

from sluicegate.sandbox import inside

STREAM = 3
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_CHILD_SUBREAPER = 1, 4, 22, 36
PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 38, 47, 4
SECCOMP_MODE_FILTER = 2
NEW_NAMESPACES = 0x2000_0000 | 0x0002_0000 | 0x0800_0000 | 0x4000_0000
"""CLONE_NEWPID, NEWNS, NEWIPC, NEWNET."""
MS_REC_PRIVATE, MS_NOSUID_NODEV, MS_NOEXEC = 0x4000 | 0x4_0000, 2 | 4, 8
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
CAPABILITY_VERSION_3 = 0x2008_0522
SWEEP_S = 8.0
FAILED = 71
WARM = (
    "abc",
    "bisect",
    "collections",
    "contextlib",
    "copy",
    "dataclasses",
    "datetime",
    "decimal",
    "enum",
    "fractions",
    "functools",
    "heapq",
    "io",
    "itertools",
    "json",
    "math",
    "operator",
    "random",
    "re",
    "statistics",
    "string",
    "textwrap",
    "time",
    "typing",
)
"""What many programs import: read once, before the first of them."""


def main() -> NoReturn:
    """Fork one candidate a request, until the worker is gone."""
    for name in WARM:
        __import__(name)
    gc.collect()
    gc.freeze()  # or each fork would copy what its first collection touches
    control = socket.socket(fileno=os.dup(STREAM))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers need no burial
    libc = ctypes.CDLL(None, use_errno=True)
    clone = _cloner()
    control.send(b"Z")
    while True:
        size, files, _, _ = socket.recv_fds(control, 4, 3)
        if not size:
            os._exit(0)
        request = json.loads(exactly(control, int.from_bytes(size, "big")))
        if (clone() if request["namespaces"] else os.fork()) == 0:
            control.close()
            try:
                keep(request, files, libc)
            finally:
                os._exit(FAILED)
        for number in files:
            os.close(number)


def exactly(control: socket.socket, size: int) -> bytes:
    """So many bytes of a request; the process ends where the other end has."""
    data = b""
    while len(data) < size:
        part = control.recv(size - len(data))
        if not part:
            os._exit(0)
        data += part
    return data


def _cloner() -> Callable[[], int]:
    """A fork into fresh namespaces: one call where fork and unshare would need a process more."""
    number = {"x86_64": 56, "aarch64": 220}.get(os.uname().machine)
    if number is None:

        def forked() -> int:
            if pid := os.fork():
                return pid
            _check(ctypes.CDLL(None, use_errno=True).unshare(NEW_NAMESPACES))
            if pid := os.fork():
                os.waitpid(pid, 0)
                os._exit(0)
            return 0

        return forked
    library = ctypes.PyDLL(None, use_errno=True)  # the interpreter stays locked, as in its own fork

    def cloned() -> int:
        pid = int(library.syscall(number, NEW_NAMESPACES | signal.SIGCHLD, 0, 0, 0, 0))
        _check(pid < 0)
        return pid

    return cloned


def keep(request: dict[str, Any], files: list[int], libc: Any) -> NoReturn:
    """The keeper's life: fork the candidate, and say how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    stream, output, told = files
    talk = socket.socket(fileno=told)
    talk.sendmsg([b"P%d\n" % os.getpid()])
    if request["namespaces"]:
        _separate(request, libc)
    elif sys.platform == "linux":
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child = os.fork()
    if child == 0:
        try:
            _be_the_candidate(request, stream, output, libc)
        finally:
            os._exit(FAILED)
    talk.send(b"C%d\n" % child)
    os.close(stream)
    os.close(output)
    while True:
        pid, status, usage = os.wait4(-1, 0)
        if pid == child:
            break
    talk.send(b"S%d %.3f\n" % (status, usage.ru_utime + usage.ru_stime))
    if not request["namespaces"]:
        _sweep(child)
        talk.send(b"E\n")
    os._exit(0)


def _separate(request: dict[str, Any], libc: Any) -> None:
    """Empty folders, processes that are its own, and a loopback that works.

    Raises:
        OSError: the kernel refuses.
    """
    _check(libc.mount(None, b"/", None, MS_REC_PRIVATE, None))
    for folder in request["folders"]:
        options = f"size={request['disk_bytes']},nr_inodes={request['inodes']},mode=1777".encode()
        _check(libc.mount(b"tmpfs", folder.encode(), b"tmpfs", MS_NOSUID_NODEV, options))
    if request["has_proc"]:
        _check(libc.mount(b"proc", b"/proc", b"proc", MS_NOSUID_NODEV | MS_NOEXEC, None))
    with socket.socket() as loop:
        import fcntl

        asked = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(loop, SIOCGIFFLAGS, asked))[1]
        fcntl.ioctl(loop, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def _check(result: bool | int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _sweep(child: int) -> None:
    """Kill and reap the candidate's session, and whatever left it and so became ours."""
    until = time.monotonic() + SWEEP_S
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    while time.monotonic() < until:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            for orphan in _children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(orphan, signal.SIGKILL)
            time.sleep(0.0005)
    os._exit(FAILED)


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", "rb") as found:  # noqa: PTH123
            return [int(pid) for pid in found.read().split()]
    except OSError:  # not Linux
        return []


def _be_the_candidate(request: dict[str, Any], stream: int, output: int, libc: Any) -> NoReturn:
    os.setsid()
    if request.get("has_proc"):
        with open("/proc/self/oom_score_adj", "w") as first_to_go:  # noqa: PTH123
            first_to_go.write("1000")
    stream = os.dup2(stream, 200)  # out of the way of the numbers that it gets
    for number in (1, 2):
        os.dup2(output, number)
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(stream, STREAM)
    os.closerange(STREAM + 1, 1024)
    if request["uid"] is not None:
        os.setgroups([])
        os.setresgid(request["uid"], request["uid"], request["uid"])
        os.setresuid(request["uid"], request["uid"], request["uid"])
    if "filter" in request:
        _give_up(request, libc)
    if "command" in request:  # another interpreter, which cannot be forked warm
        inside.confine(request)
        os.environ.update(request.get("environment", {}))
        os.execv(request["command"][0], request["command"])  # noqa: S606 - no shell
    inside.main(request)


def _give_up(request: dict[str, Any], libc: Any) -> None:
    """No capability, no way to get one, and the filter of system calls.

    Raises:
        OSError: the kernel refuses.
    """
    _check(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
    header, none = struct.pack("=Ii", CAPABILITY_VERSION_3, 0), bytes(24)
    _check(libc.capset(header, none))
    _check(libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))  # or its own /proc/self would be closed to it
    _check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    program = bytes.fromhex(request["filter"])
    if program:
        kept = ctypes.create_string_buffer(program, len(program))
        described = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(kept))
        _check(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, described, 0, 0))
