"""The filter of system calls, as the bytes that the kernel takes: a small BPF program, no library needed.

Refused are the calls that a program under test has no use for and that most kernel faults of late were
reached by: mounts, new namespaces, other processes' memory, keys, BPF, performance counters, io_uring,
modules, clocks and sockets other than local and internet ones. The rest is allowed: a list of all that
Python and node need would break with each of their versions.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable

_ALLOW, _ERRNO, _KILL = 0x7FFF_0000, 0x0005_0000, 0x8000_0000
_LOAD, _JUMP_EQUAL, _JUMP_GREATER, _JUMP_SET, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST = 0, 4, 16
"""Offsets in the kernel's `struct seccomp_data`; an argument's low word comes first."""
AUDIT = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}
NEW_NAMESPACES = 0x7E02_0080
"""Every CLONE_NEW… flag."""
X32 = 0x4000_0000
SOCKETS = (1, 2, 10)
"""AF_UNIX, AF_INET, AF_INET6."""

CLONE = {"x86_64": 56, "aarch64": 220}
CLONE3 = 435
SOCKET = {"x86_64": 41, "aarch64": 198}
REFUSED = {
    "x86_64": {
        "ptrace": 101,
        "process_vm_readv": 310,
        "process_vm_writev": 311,
        "kcmp": 312,
        "mount": 165,
        "umount2": 166,
        "pivot_root": 155,
        "chroot": 161,
        "unshare": 272,
        "setns": 308,
        "add_key": 248,
        "request_key": 249,
        "keyctl": 250,
        "bpf": 321,
        "perf_event_open": 298,
        "userfaultfd": 323,
        "kexec_load": 246,
        "kexec_file_load": 320,
        "init_module": 175,
        "finit_module": 313,
        "delete_module": 176,
        "reboot": 169,
        "swapon": 167,
        "swapoff": 168,
        "syslog": 103,
        "acct": 163,
        "settimeofday": 164,
        "clock_settime": 227,
        "adjtimex": 159,
        "clock_adjtime": 305,
        "sethostname": 170,
        "setdomainname": 171,
        "quotactl": 179,
        "lookup_dcookie": 212,
        "name_to_handle_at": 303,
        "open_by_handle_at": 304,
        "fanotify_init": 300,
        "migrate_pages": 256,
        "move_pages": 279,
        "mbind": 237,
        "set_mempolicy": 238,
        "personality": 135,
        "vhangup": 153,
        "iopl": 172,
        "ioperm": 173,
        "modify_ldt": 154,
        "uselib": 134,
        "ustat": 136,
        "sysfs": 139,
        "_sysctl": 156,
        "vmsplice": 278,
    },
    "aarch64": {
        "ptrace": 117,
        "process_vm_readv": 270,
        "process_vm_writev": 271,
        "kcmp": 272,
        "mount": 40,
        "umount2": 39,
        "pivot_root": 41,
        "chroot": 51,
        "unshare": 97,
        "setns": 268,
        "add_key": 217,
        "request_key": 218,
        "keyctl": 219,
        "bpf": 280,
        "perf_event_open": 241,
        "userfaultfd": 282,
        "kexec_load": 104,
        "kexec_file_load": 294,
        "init_module": 105,
        "finit_module": 273,
        "delete_module": 106,
        "reboot": 142,
        "swapon": 224,
        "swapoff": 225,
        "syslog": 116,
        "acct": 89,
        "settimeofday": 170,
        "clock_settime": 112,
        "adjtimex": 171,
        "clock_adjtime": 266,
        "sethostname": 161,
        "setdomainname": 162,
        "quotactl": 60,
        "lookup_dcookie": 18,
        "name_to_handle_at": 264,
        "open_by_handle_at": 265,
        "fanotify_init": 262,
        "migrate_pages": 238,
        "move_pages": 239,
        "mbind": 235,
        "set_mempolicy": 237,
        "personality": 92,
        "vhangup": 58,
        "vmsplice": 75,
    },
}
REFUSED_EVERYWHERE = {
    "pidfd_getfd": 438,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "mount_setattr": 442,
    "memfd_secret": 447,
}
"""Newer calls have one number on all architectures."""


def program(machine: str) -> bytes:
    """The filter for a machine, in the kernel's form: 8 bytes an instruction.

    Args:
        machine: as `os.uname().machine` names it.

    Returns:
        The bytes; empty for an architecture that this file does not know.

    Source: Documentation/userspace-api/seccomp_filter.rst and arch/*/entry/syscalls of Linux.

    >>> len(program("x86_64")) % 8, program("riscv64")
    (0, b'')
    """
    if machine not in AUDIT:
        return b""
    numbers = sorted({*REFUSED[machine].values(), *REFUSED_EVERYWHERE.values()})
    lines = [
        _line(_LOAD, _ARCHITECTURE),
        _line(_JUMP_EQUAL, AUDIT[machine], 1, 0),
        _line(_RETURN, _KILL),
        _line(_LOAD, _NUMBER),
    ]
    if machine == "x86_64":  # the same calls under other numbers
        lines += [_line(_JUMP_GREATER, X32 - 1, 0, 1), _line(_RETURN, _KILL)]
    lines += [line for number in numbers for line in _when_equal(number, _ERRNO | errno.EPERM)]
    lines += _when_equal(CLONE3, _ERRNO | errno.ENOSYS)  # its flags lie in memory; libc then uses clone
    lines += [
        _line(_JUMP_EQUAL, CLONE[machine], 0, 3),
        _line(_LOAD, _FIRST),
        _line(_JUMP_SET, NEW_NAMESPACES, 0, 1),
        _line(_RETURN, _ERRNO | errno.EPERM),
        _line(_LOAD, _NUMBER),
    ]
    lines += [_line(_JUMP_EQUAL, SOCKET[machine], 0, len(SOCKETS) + 2), _line(_LOAD, _FIRST)]
    lines += [_line(_JUMP_EQUAL, family, len(SOCKETS) - at, 0) for at, family in enumerate(SOCKETS)]
    return b"".join([*lines, _line(_RETURN, _ERRNO | errno.EAFNOSUPPORT), _line(_RETURN, _ALLOW)])


def _when_equal(number: int, action: int) -> Iterable[bytes]:
    return _line(_JUMP_EQUAL, number, 0, 1), _line(_RETURN, action)


def _line(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
