"""The evaluation image: what is in it, and that bubblewrap keeps programs in under the compose file's settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from docker_engine import run

ATTACKS = Path(__file__).with_name("attacks.py")
PLAIN = ("run", "--rm", "--init", "--interactive", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
PASS = {
    "right", "network", "files", "environment", "processes", "privileges", "orphan", "right again",
    "javascript", "express", "typescript", "react", "sql",
}  # fmt: skip
ENDS = {
    "fork bomb": {"limit"},
    "threads": {"limit"},
    "memory": {"memory"},
    "memory of many": {"timeout", "memory", "crash"},
    "disk": {"limit"},
    "output": {"limit"},
    "sleep": {"timeout"},
    "crash": {"crash"},
    "node attack": {"error"},
}
REFUSED = ("mount", "unshare", "setns", "bpf", "keyctl", "ptrace", "open_by_handle_at", "io_uring_setup", "userfaultfd")


def told(*argv: str) -> dict[str, Any]:
    """What the attacks in a container say."""
    answer: dict[str, Any] = json.loads(run(*argv, given=ATTACKS.read_text(encoding="utf-8")).splitlines()[-1])
    return answer


@pytest.fixture(scope="module")
def confined(project: list[str]) -> dict[str, Any]:
    found = told(*project, "--env", "SECRET=open sesame", "evaluate", "python", "-")
    print(f"\nbwrap in the container: {found['ms']:.0f} ms a program")
    return found


def test_the_compose_files_settings_let_bubblewrap_keep_programs_in(confined: dict[str, Any]) -> None:
    assert (confined["label"], confined["user"]) == ("bwrap", 10001)
    assert {end[2] for end in confined["ends"].values()} == {"bwrap"}


@pytest.mark.parametrize("name", sorted(PASS))
def test_a_right_program_passes_and_finds_nothing_outside(confined: dict[str, Any], name: str) -> None:
    assert confined["ends"][name] == ["pass", "", "bwrap"]


@pytest.mark.parametrize("name", sorted(ENDS))
def test_an_attack_ends_as_on_a_host(confined: dict[str, Any], name: str) -> None:
    assert confined["ends"][name][0] in ENDS[name], confined["ends"][name]


def test_nothing_is_left_and_only_programs_were_killed_for_memory(confined: dict[str, Any]) -> None:
    assert confined["left"] == []
    assert confined["oom_kills"] > 0


def test_without_the_settings_programs_are_marked_unsafe_and_the_remedy_is_named(image: str) -> None:
    found = told(*PLAIN, image, "python", "-")
    assert found["label"] == "rlimits, UNSAFE"
    assert found["ends"]["right"] == ["pass", "", "rlimits, UNSAFE"]
    assert "bubblewrap is refused here" in found["why"]
    assert "--security-opt seccomp=docker/seccomp-bwrap.json" in found["why"]


def test_the_profile_is_not_more_than_an_unprivileged_user_of_the_host_may(image: str) -> None:
    program = (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "calls = {'mount': lambda: libc.mount(b'none', b'/tmp', b'tmpfs', 0, None),"
        " 'unshare': lambda: libc.unshare(0x20000), 'setns': lambda: libc.setns(0, 0),"
        " 'bpf': lambda: libc.syscall(321, 0, 0, 0), 'keyctl': lambda: libc.syscall(250, 0, 0, 0, 0, 0),"
        " 'ptrace': lambda: libc.ptrace(16, 1, 0, 0), 'open_by_handle_at': lambda: libc.syscall(304, 0, 0, 0),"
        " 'io_uring_setup': lambda: libc.syscall(425, 1, 0), 'userfaultfd': lambda: libc.syscall(323, 0)}\n"
        "import json; print(json.dumps({name: (call(), ctypes.get_errno()) for name, call in calls.items()}))"
    )
    profile = ("--security-opt", "seccomp=docker/seccomp-bwrap.json")
    said = run(*PLAIN, *profile, image, "python", "-", given=program)
    assert json.loads(said) == {name: [-1, 1] for name in REFUSED}  # EPERM


def test_the_image_runs_as_nobody_in_particular_and_holds_no_secret(image: str) -> None:
    about = json.loads(run("image", "inspect", image))[0]["Config"]
    assert about["User"] == "10001:10001"
    assert about["Labels"]["org.opencontainers.image.revision"] == "e2e"
    assert "Healthcheck" not in about  # nothing listens
    layers = run("history", "--no-trunc", "--format", "{{.CreatedBy}}", image).lower()
    assert not [word for word in ("password", "token", "api_key", "secret") if word in layers]


def test_the_image_has_its_tools_and_no_cuda(image: str) -> None:
    program = (
        "import json, shutil, subprocess, sqlite3, importlib.metadata\n"
        "from sluicegate.evaluators.linters import eslint\n"
        "import matplotlib; matplotlib.use('Agg')\nimport matplotlib.pyplot as plot\n"
        "plot.title('ä β'); plot.savefig('/tmp/x.png')\n"
        "names = [d.metadata['Name'].lower() for d in importlib.metadata.distributions()]\n"
        "print(json.dumps({'lint': eslint.findings('javascript', 'var unused = 1;'),"
        " 'cuda': [n for n in names if 'nvidia' in n or n == 'torch'], 'bwrap': bool(shutil.which('bwrap')),"
        " 'node': subprocess.run(['node', '--version'], capture_output=True, text=True).stdout}))"
    )
    found = json.loads(run(*PLAIN, image, "python", "-", given=program).splitlines()[-1])
    assert found["lint"] != [] and found["cuda"] == [] and found["bwrap"]
    assert found["node"].startswith("v22.")
