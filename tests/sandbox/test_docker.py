"""The backend of containers, as far as it goes without an engine; tests/containers has the rest."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sluicegate.sandbox import Limits, docker
from sluicegate.sandbox.frames import PART, ROOM, Carrier


def moved(carriers: list[Carrier], is_done: Callable[[], bool]) -> None:
    """Have both ends step until it is done."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if is_done():
            return
        for carrier in carriers:
            carrier.step(0)
    raise AssertionError("they do not get on")


def two() -> tuple[list[Carrier], list[socket.socket]]:
    """Both ends of a wire, and the far side of the file that each carries as `s`."""
    wire = [end.detach() for end in socket.socketpair()]
    pairs = [socket.socketpair(), socket.socketpair()]
    for pair in pairs:
        pair[0].setblocking(False)
    carriers = [Carrier(number, number, {b"s": pair[1].detach()}) for number, pair in zip(wire, pairs, strict=True)]
    return carriers, [pair[0] for pair in pairs]


def test_bytes_arrive_in_order_both_ways_at_once() -> None:
    carriers, files = two()
    sent = [bytes(range(256)) * 5000, bytes(reversed(range(256))) * 7000]
    left, got = [bytearray(data) for data in sent], [bytearray(), bytearray()]

    def is_done() -> bool:
        for number, file in enumerate(files):
            with contextlib.suppress(BlockingIOError):
                del left[number][: file.send(left[number][:PART])]
            with contextlib.suppress(BlockingIOError):
                got[1 - number] += file.recv(PART)
        return [bytes(data) for data in got] == sent

    moved(carriers, is_done)


def test_what_nobody_takes_is_kept_up_to_a_bound() -> None:
    carriers, files = two()
    sent = 0
    for _ in range(400):
        with contextlib.suppress(BlockingIOError):
            sent += files[0].send(bytes(PART))
        for carrier in carriers:
            carrier.step(0)
    assert ROOM < sent < 4 * ROOM
    carriers[1].send(b"q", b"still heard")
    moved(carriers, lambda: (b"q", b"still heard") in carriers[0].told)


def test_the_end_of_a_file_is_told_and_so_is_the_end_of_the_wire() -> None:
    carriers, files = two()
    files[0].close()
    moved(carriers, lambda: carriers[1].told == [(b"s", b"")])
    assert carriers[0].ended == {b"s"}
    wire = socket.socketpair()
    carrier = Carrier(wire[0].fileno(), wire[0].fileno(), {})
    wire[1].close()
    carrier.step(1)
    assert carrier.is_over


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="containers are Linux")
def test_the_first_process_runs_one_program_and_ends_with_its_input(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, *docker.COMMAND[1:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/"
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(docker.source(str(Path(docker.__file__).parent)))
    process.stdin.flush()
    stream, theirs = socket.socketpair()
    stream.setblocking(False)
    carrier = Carrier(process.stdout.fileno(), process.stdin.fileno(), {b"s": theirs.fileno()})

    def heard(letter: bytes, word: bytes) -> bool:
        assert not carrier.is_over
        carrier.step(10)
        return word in b"".join(data for name, data in carrier.told if name == letter)

    moved([carrier], lambda: any(letter == b"z" for letter, _ in carrier.told))
    request = {"namespaces": False, "uid": None, "folder": str(tmp_path), **docker.limited(Limits(), "")}
    carrier.send(b"r", json.dumps(request).encode())
    moved([carrier], lambda: bool(select.select([stream], [], [], 0.01)[0]))
    assert stream.recv(16) == b"R"
    stream.send(b"\xff" * 64)  # no request: the program's process ends
    moved([], lambda: heard(b"t", b"S"))
    carrier.send(b"q")
    moved([], lambda: heard(b"u", b" "))
    process.stdin.close()
    assert process.wait(30) == 0
    process.stdout.close()


def test_a_containers_confinement_is_whole() -> None:
    kept = docker.options(Limits(memory_bytes=2**28, processes=10, disk_bytes=2**20))
    assert (kept["network_mode"], kept["read_only"], kept["cap_drop"]) == ("none", True, ["ALL"])
    assert kept["security_opt"] == ["no-new-privileges:true"]
    assert kept["mem_limit"] == kept["memswap_limit"] == 2**28 + docker.OWN_BYTES
    assert kept["pids_limit"] == 10 + docker.OWN_PROCESSES
    assert set(kept["tmpfs"]) == {"/tmp", "/dev/shm"}
    assert all("size=1048576" in sizes for sizes in kept["tmpfs"].values())
    assert not {"binds", "volumes_from", "mounts", "devices", "privileged", "cap_add"} & set(kept)


def test_packages_are_named_by_their_place_in_the_image() -> None:
    assert docker.limited(Limits(), "/home/u/.cache/sluicegate/node-1a2b/node_modules")["packages"] == (
        "node-1a2b/node_modules"
    )
    assert docker.limited(Limits(), "/home/u/.cache/sluicegate/react-1a2b")["packages"] == "react-*"
    assert docker.limited(Limits(), "")["packages"] == ""


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("unix:///nonexistent.sock", "no Docker engine: "),
        ("tcp://127.0.0.1:9", "a Docker engine of this machine is wanted, not tcp://127.0.0.1:9"),
    ],
)
def test_a_machine_without_an_engine_says_so(host: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    found, why = docker.probe()
    assert found is None and why.startswith(reason)


def test_a_socket_that_was_handed_into_a_container_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "is_mounted", lambda path: True)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
    assert docker.probe() == (
        None,
        "the engine's socket unix:///nonexistent.sock is mounted into this container: it is not used",
    )


def test_owners_are_told_apart_by_their_start() -> None:
    name = docker.owner()
    assert docker.is_alive(name)
    assert not docker.is_alive(f"{socket.gethostname()} {os.getpid()} 1")


def test_the_profile_for_containers_adds_what_bubblewrap_needs_and_no_more() -> None:
    root = Path(__file__).parents[2]
    profile = json.loads((root / "docker" / "seccomp-bwrap.json").read_text())
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    allowed = [rule for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW"]
    added = next(rule["names"] for rule in allowed if rule.get("comment", "").startswith("Added for bubblewrap"))
    assert added == ["clone", "mount", "pivot_root", "sethostname", "umount2", "unshare"]
    names = {name for rule in allowed for name in rule["names"]}
    others = {
        "setns", "bpf", "ptrace", "process_vm_readv", "process_vm_writev", "keyctl", "add_key", "request_key",
        "perf_event_open", "userfaultfd", "io_uring_setup", "open_by_handle_at", "init_module", "finit_module",
        "kexec_load", "move_mount", "fsopen", "fsmount", "open_tree", "mount_setattr", "swapon", "reboot", "acct",
        "settimeofday", "clone3",
    }  # fmt: skip
    assert not names & others
    assert '"seccomp=docker/seccomp-bwrap.json"' in (root / "docker-compose.yml").read_text()
