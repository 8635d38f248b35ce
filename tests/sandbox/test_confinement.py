"""The filter of system calls, followed step by step, and control groups on folders that look like them."""

from __future__ import annotations

import errno
import struct
from pathlib import Path

import pytest

from sluicegate.sandbox import cgroup, seccomp

ALLOWED, KILLED = 0x7FFF0000, 0x80000000


def verdict(machine: str, number: int, first: int = 0, audit: int | None = None) -> int:
    """What the kernel would say of a call."""
    program = list(struct.iter_unpack("=HBBI", seccomp.program(machine)))
    data = {0: number, 4: seccomp.AUDIT[machine] if audit is None else audit, 16: first}
    held, at = 0, 0
    while True:
        code, if_true, if_false, value = program[at]
        if code == 0x06:
            return int(value)
        if code == 0x20:
            held = data[value]
            at += 1
            continue
        holds = {0x15: held == value, 0x25: held > value, 0x45: bool(held & value)}[code]
        at += 1 + (if_true if holds else if_false)


def refused(number: int) -> int:
    return 0x00050000 | number


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_refuses_what_it_names_and_nothing_else(machine: str) -> None:
    named = {*seccomp.REFUSED[machine].values(), *seccomp.REFUSED_EVERYWHERE.values()}
    special = {seccomp.CLONE[machine], seccomp.CLONE3, seccomp.SOCKET[machine]}
    for number in range(500):
        if number in named:
            assert verdict(machine, number) == refused(errno.EPERM), number
        elif number not in special:
            assert verdict(machine, number) == ALLOWED, number


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_looks_at_the_arguments_that_matter(machine: str) -> None:
    clone, socket = seccomp.CLONE[machine], seccomp.SOCKET[machine]
    assert verdict(machine, clone, 0x003D0F00) == ALLOWED  # a thread
    assert verdict(machine, clone, 17) == ALLOWED  # a fork
    assert verdict(machine, clone, 0x10000000 | 17) == refused(errno.EPERM)
    assert verdict(machine, clone, 0x00020000 | 17) == refused(errno.EPERM)
    assert verdict(machine, seccomp.CLONE3) == refused(errno.ENOSYS)
    assert [verdict(machine, socket, family) for family in (1, 2, 10)] == [ALLOWED] * 3
    assert {verdict(machine, socket, family) for family in (0, 3, 16, 17, 38, 40)} == {refused(errno.EAFNOSUPPORT)}


def test_another_architectures_calls_end_the_program() -> None:
    assert verdict("x86_64", 1, audit=0x40000003) == KILLED
    assert verdict("x86_64", seccomp.X32 | 1) == KILLED
    assert seccomp.program("riscv64") == b""


def test_a_group_of_version_2_is_written_as_the_kernel_wants(tmp_path: Path) -> None:
    place = cgroup.Place(2, dict.fromkeys(cgroup.CONTROLLERS, str(tmp_path)))
    group = cgroup.Group(place, "sluicegate-1", cgroup.Limits(2**28, 64, cores=1.5))
    folder = tmp_path / "sluicegate-1"
    found = {path.name: path.read_text() for path in folder.iterdir()}
    wanted = {"memory.max": str(2**28), "pids.max": "64", "memory.swap.max": "0", "cpu.max": "150000 100000"}
    assert found == wanted
    (folder / "memory.events").write_text("low 0\noom 2\noom_kill 1\n")
    (folder / "pids.events").write_text("max 3\n")
    (folder / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\n")
    assert group.used() == cgroup.Used(killed=1, refused=3, cpu_s=2.5)
    group.enter(4711)
    assert (folder / "cgroup.procs").read_text() == "4711"
    assert group.members() == [4711]


def test_a_group_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    place = cgroup.Place(1, {"memory": str(tmp_path / "memory"), "pids": str(tmp_path / "none")})
    (tmp_path / "memory").mkdir()
    with pytest.raises(OSError, match="No such file"):
        cgroup.Group(place, "sluicegate-1", cgroup.Limits(2**28, 64))
    assert list((tmp_path / "memory").iterdir()) == []


def test_groups_of_dead_owners_are_swept_and_others_stay(tmp_path: Path) -> None:
    names = ("sluicegate-999999999", "sluicegate-1", "sluicegate-x", "other")
    for name in names:
        (tmp_path / name).mkdir()
    cgroup.sweep(cgroup.Place(2, dict.fromkeys(cgroup.CONTROLLERS, str(tmp_path))))
    assert {path.name for path in tmp_path.iterdir()} == {*names} - {"sluicegate-999999999"}
