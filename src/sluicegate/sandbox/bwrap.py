"""The backend of choice on Linux: bubblewrap, with every namespace, a filter of system calls and no network.

It keeps a warm interpreter in (`zygote`), whose programs take namespaces of their own inside it. Two
flavours, the first that works: started by root, a program gives up root for nobody and never has a user
namespace; started by anyone else, or by a root that may not mount, a user namespace makes the rest
possible. Inside a container /proc often cannot be mounted: then there is none.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sluicegate.sandbox import seccomp
from sluicegate.sandbox.launch import Launch, interpreter, rlimits_of
from sluicegate.sandbox.limits import Limits

NAME, SAFE = "bwrap", True
NOBODY = 65534
PROBE_S = 30.0
SYSTEM = ("/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libx32", "/usr/share/zoneinfo", "/etc/ld.so.cache")
"""What an interpreter and the commands that a program may start need of the system."""
LINKED = ("/bin", "/lib", "/lib32", "/lib64", "/libx32")
SHARED = ("/tmp", "/dev/shm")  # noqa: S108 - a program's own
FOLDER = "/tmp/work"  # noqa: S108 - in its own /tmp
"""Where a program runs."""
IN_CONTAINERS = "--security-opt seccomp=docker/seccomp-bwrap.json (docs/sandbox.md, In containers)"
INODES = 16_384
"""Files and folders in each of a program's own folders."""
DEVICES = ("null", "zero", "full", "random", "urandom")


@dataclass(frozen=True, slots=True)
class Flavour:
    """One way to start it.

    Args:
        is_root: real root, and no user namespace.
        has_proc: with /proc.
    """

    is_root: bool
    has_proc: bool


def flavours() -> Iterator[Flavour]:
    """Those to try, the best first."""
    if os.geteuid() == 0:
        yield Flavour(True, True)
    yield Flavour(False, True)
    yield Flavour(False, False)


def probe() -> tuple[Flavour | None, str]:
    """The first flavour that works here, or None and why not."""
    if sys.platform != "linux":
        return None, "bubblewrap needs Linux"
    if shutil.which("bwrap") is None:
        return None, "bubblewrap is not installed (apt-get install bubblewrap)"
    said = ""
    for flavour in flavours():
        argv = [*_options(flavour), "--", interpreter(), "-I", "-S", "-c", _trial(flavour)]
        try:
            done = subprocess.run(
                argv, capture_output=True, env={}, timeout=PROBE_S, check=False, stdin=subprocess.DEVNULL
            )
        except (OSError, subprocess.TimeoutExpired) as fault:
            return None, f"bubblewrap does not run: {fault}"
        if done.returncode == 0:
            return flavour, ""
        said = (done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}").splitlines()[-1]
    where = f"; in a container it needs {IN_CONTAINERS}" if in_container() else ""
    return None, f"bubblewrap is refused here: {said.partition(' See <')[0][:200]}{where}"


def in_container() -> bool:
    """Whether this is a container of Docker or Podman."""
    return any(os.path.exists(path) for path in ("/.dockerenv", "/run/.containerenv"))  # noqa: PTH110


def _trial(flavour: Flavour) -> str:
    """A program that does what a keeper does, and fails where it may not."""
    lines = [
        "import ctypes, os, sys",
        "libc = ctypes.CDLL(None)",
        "assert libc.unshare(0x68020000) == 0, 'no namespaces'",
        "assert libc.mount(None, b'/', None, 0x44000, None) == 0, 'no mounts'",
        "assert libc.mount(b'tmpfs', b'/tmp', b'tmpfs', 6, b'nr_inodes=64') == 0, 'no tmpfs'",
        "pid = os.fork()",
        "if pid: sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))",
    ]
    if flavour.has_proc:
        lines.append("assert libc.mount(b'proc', b'/proc', b'proc', 14, None) == 0, 'no /proc'")
    if flavour.is_root:
        lines.append(f"os.setresuid({NOBODY}, {NOBODY}, {NOBODY})")
    return "\n".join(lines)


def launch(flavour: Flavour, modules: str = "") -> Launch:
    """How its interpreter is started, and what its programs are to do to themselves."""
    request = {
        "namespaces": True,
        "has_proc": flavour.has_proc,
        "uid": NOBODY if flavour.is_root else None,
        "folder": FOLDER,
        "folders": SHARED,
        "inodes": INODES,
        "filter": seccomp.program(os.uname().machine).hex(),
    }
    return Launch(argv=[*_options(flavour, modules), "--"], request=request)


def limited(flavour: Flavour, limits: Limits, *, has_group: bool) -> dict[str, Any]:
    """What the limits ask of a candidate.

    Args:
        has_group: whether a control group bounds its processes; else a limit of the kernel's older kind does.
    """
    kept = rlimits_of(limits)
    if not has_group:  # nobody is one user for all sandboxes that root starts
        kept["RLIMIT_NPROC"] = limits.processes * (8 if flavour.is_root else 1)
    return {"rlimits": kept, "disk_bytes": limits.disk_bytes}


def _options(flavour: Flavour, modules: str = "") -> list[str]:
    argv = [shutil.which("bwrap") or "bwrap", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    argv += ["--unshare-cgroup-try", "--die-with-parent", "--new-session", "--hostname", "sandbox", "--cap-drop", "ALL"]
    for capability in ("SYS_ADMIN", "NET_ADMIN", *(("SETUID", "SETGID") if flavour.is_root else ())):
        argv += ["--cap-add", f"CAP_{capability}"]  # for the keepers; a candidate has none
    if not flavour.is_root:
        argv += ["--unshare-user", "--uid", str(NOBODY), "--gid", str(NOBODY)]
    argv += _system()
    if modules:
        argv += ["--ro-bind", modules, "/node_modules"]
    if flavour.has_proc:
        argv += ["--proc", "/proc"]
    argv += ["--size", "65536", "--perms", "0755", "--tmpfs", "/dev"]
    for device in DEVICES:
        argv += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    for number, name in enumerate(("fd", "stdin", "stdout", "stderr")):
        argv += ["--symlink", f"/proc/self/fd/{number - 1}" if number else "/proc/self/fd", f"/dev/{name}"]
    for folder in SHARED:
        argv += ["--perms", "0755", "--dir", folder]  # each program gets its own mounted here
    argv += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"]
    return [*argv, "--clearenv", "--setenv", "PYTHONHASHSEED", "0"]


def _system() -> list[str]:
    """Mounts of the system and of this interpreter's library, all read-only, without installed packages."""
    system = [path for path in SYSTEM if os.path.exists(path)]  # noqa: PTH110
    interpreters = [path for path in _of_interpreter() if not path.startswith(SYSTEM)]
    argv: list[str] = []
    for folder in dict.fromkeys(folder for path in (*system, *interpreters) for folder in _parents(path)):
        argv += ["--perms", "0755", "--dir", folder]  # or nobody could not pass through it
    for path in system:
        argv += ["--ro-bind", path, path]
    for path in LINKED:
        kind = os.lstat(path).st_mode if os.path.lexists(path) else 0
        if stat.S_ISLNK(kind):
            argv += ["--symlink", os.readlink(path), path]  # noqa: PTH115
        elif stat.S_ISDIR(kind):
            argv += ["--ro-bind", path, path]
    for path in interpreters:
        argv += ["--ro-bind", path, path]
    for folder in _packages():
        argv += ["--size", "4096", "--perms", "0555", "--tmpfs", folder, "--remount-ro", folder]
    return argv


def _parents(path: str) -> list[str]:
    """The folders above a path, the outermost first.

    >>> _parents("/opt/python/bin/python3")
    ['/opt', '/opt/python', '/opt/python/bin']
    """
    parts = path.strip("/").split("/")[:-1]
    return ["/" + "/".join(parts[: count + 1]) for count in range(len(parts))]


def _of_interpreter() -> Sequence[str]:
    paths = [interpreter(), sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]
    library, name = sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("INSTSONAME")
    if sysconfig.get_config_var("Py_ENABLE_SHARED") and library and name:
        paths.append(os.path.join(library, name))  # noqa: PTH118
    node = shutil.which("node")
    if node:
        paths.append(os.path.realpath(node))
    return [path for path in dict.fromkeys(paths) if os.path.exists(path)]  # noqa: PTH110


def _packages() -> list[str]:
    folder = os.path.join(sysconfig.get_path("stdlib"), "site-packages")  # noqa: PTH118
    return [folder] if os.path.isdir(folder) else []  # noqa: PTH112
