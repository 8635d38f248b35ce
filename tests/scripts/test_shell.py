import json
import os
import shutil
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="the scripts are for POSIX shells"),
]

SCRIPTS = Path(__file__).parents[2] / "scripts"
SHELL_SCRIPTS = sorted(SCRIPTS.glob("*.sh"))
TOOLS = "awk cut date df getconf git grep head id make sed sh sleep timeout tr uname python3 dirname cat ss env"


class Machine:
    """A machine with the standard tools and whatever programs a test gives it."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.folder = folder
        for name in TOOLS.split():
            if found := shutil.which(name):
                (self.bin / name).symlink_to(found)

    def give(self, name: str, script: str) -> None:
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text("#!/bin/sh\n" + textwrap.dedent(script))
        path.chmod(0o755)

    def run(self, script: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", str(SCRIPTS / script), *words],
            env={"PATH": str(self.bin), "HOME": str(self.folder), **env},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def states(self, role: str, code: int, **env: str) -> Mapping[str, str]:
        """Check name → state, of a run that must end with this exit code."""
        done = self.run("stage0_check.sh", "--json", role, **env)
        assert done.returncode == code, done.stdout + done.stderr
        told = json.loads(done.stdout)
        assert told["role"] == role
        assert told["passed"] == (code == 0)
        assert all(row["mend"] for row in told["checks"] if row["state"] == "failed")
        return {row["name"]: row["state"] for row in told["checks"]}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


DOCKER = """
case "$*" in
    "version --format"*) echo 28.2.2 ;;
    version) ;;
    "compose version --short") echo 2.40.0 ;;
    "ps "*) echo "Up 3 minutes (healthy)" ;;
    "image inspect"*) echo sha256:1234 ;;
    "run --rm --pull never --gpus all llama3-training python -c "*) echo "NVIDIA GeForce RTX 4070 Ti" ;;
    *) echo "unexpected: $*" >&2; exit 9 ;;
esac
"""
NVIDIA_SMI = 'case "$*" in *memory*) echo 12282 ;; *) echo "551.61, NVIDIA GeForce RTX 4070 Ti" ;; esac'
CURL = "echo 'HTTP 200'"
DISK = "echo h; echo '/dev/sda 1 1 {kib} 1% /'"


def fit(machine: Machine) -> Machine:
    """A machine that passes every role."""
    machine.give("docker", DOCKER)
    machine.give("nvidia-smi", NVIDIA_SMI)
    machine.give("curl", CURL)
    machine.give("ssh", "echo ok")
    machine.give("df", DISK.format(kib=400 * 2**20))
    return machine


@pytest.mark.parametrize(
    ("role", "names"),
    [
        ("local", {"python", "git", "make", "disk", "memory", "cores"}),
        ("tower", {"docker", "docker engine", "driver", "VRAM", "disk", "image", "GPU in a container"}),
        (
            "server",
            {"docker engine", "docker compose", "container mlflow", "container postgres", "MLflow API", "disk"},
        ),
        ("laptop", {"ssh", "ssh to TOWER", "ssh to SERVER", "curl", "MLflow API"}),
    ],
)
def test_a_fit_machine_passes_every_check_of_its_role(machine: Machine, role: str, names: set[str]) -> None:
    states = fit(machine).states(role, 0, TOWER="me@tower", SERVER="me@server")
    assert names <= {name for name, state in states.items() if state == "ok"}
    assert "failed" not in states.values()


def test_a_bare_machine_fails_what_it_lacks_and_skips_what_cannot_be_asked(machine: Machine) -> None:
    tower = machine.states("tower", 1)
    assert (tower["docker"], tower["nvidia-smi"]) == ("failed", "failed")
    assert {tower[name] for name in ("driver", "VRAM", "image", "GPU in a container")} == {"skipped"}
    assert machine.states("server", 1)["MLflow API"] == "skipped"
    assert machine.states("laptop", 1)["ssh to TOWER"] == "skipped"


FAULTS = {
    "engine down": ("tower", "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1", "docker engine"),
    "driver broken": ("tower", "nvidia-smi", "echo 'NVIDIA-SMI has failed' >&2; exit 9", "driver"),
    "card too small": ("tower", "nvidia-smi", "echo 8192", "VRAM"),
    "no image": ("tower", "docker", 'case "$*" in image*) exit 1 ;; *) echo 28 ;; esac', "image"),
    "no GPU in a container": (
        "tower",
        "docker",
        'case "$*" in run*) exit 125 ;; *) echo 28 ;; esac',
        "GPU in a container",
    ),
    "disk full": ("server", "df", DISK.format(kib=2**20), "disk"),
    "no compose": (
        "server",
        "docker",
        'case "$*" in compose*) exit 1 ;; *) echo "(healthy)" ;; esac',
        "docker compose",
    ),
    "database starting": (
        "server",
        "docker",
        'case "$*" in *=postgres*) echo "Up (health: starting)" ;; *) echo "(healthy)" ;; esac',
        "container postgres",
    ),
    "API forbidden": (
        "server",
        "curl",
        "echo 'curl: (22) The requested URL returned error: 403'; exit 22",
        "MLflow API",
    ),
    "key refused": ("laptop", "ssh", "echo 'Permission denied (publickey).' >&2; exit 255", "ssh to TOWER"),
    "no tunnel": ("laptop", "curl", "exit 7", "MLflow API"),
}


@pytest.mark.parametrize(("role", "program", "script", "name"), FAULTS.values(), ids=FAULTS)
def test_each_fault_fails_its_own_check(machine: Machine, role: str, program: str, script: str, name: str) -> None:
    fit(machine).give(program, script)
    assert machine.states(role, 1, TOWER="t", SERVER="s")[name] == "failed"


def test_a_laptop_must_be_told_the_other_machines(machine: Machine) -> None:
    done = fit(machine).run("stage0_check.sh", "laptop")
    assert done.returncode == 1
    assert "the variable is unset; mend: export TOWER=user@host" in done.stdout


@pytest.mark.parametrize("cut_by", ["timeout", "the shell"])
def test_a_program_that_hangs_is_cut_off(machine: Machine, cut_by: str) -> None:
    fit(machine).give("ssh", "exec sleep 300")
    if cut_by == "the shell":
        (machine.bin / "timeout").unlink()
    done = machine.run("stage0_check.sh", "laptop", TOWER="t", SERVER="s", STAGE0_LIMIT="1")
    assert done.returncode == 1
    assert "failed  ssh to TOWER: wanted TOWER answers without a question; seen no answer in time" in done.stdout


def test_wsl_is_noted_and_is_no_fault(machine: Machine) -> None:
    version = machine.folder / "version"
    version.write_text("Linux version 5.15.153.1-microsoft-standard-WSL2")
    states = fit(machine).states("tower", 0, STAGE0_PROC_VERSION=str(version))
    assert (states["WSL2"], states["WSL2 drive"]) == ("note", "ok")


def test_json_survives_what_programs_say(machine: Machine) -> None:
    said = r"""printf 'a "quote", a \\ and \033[31m\nred\000\377'; exit 1"""
    fit(machine).give("ssh", said)
    done = machine.run("stage0_check.sh", "--json", "laptop", TOWER="t", SERVER="s")
    rows = {row["name"]: row for row in json.loads(done.stdout)["checks"]}
    assert rows["ssh to TOWER"]["seen"].startswith('a "quote", a \\ and ')


@pytest.mark.parametrize("words", [["towre"], ["--yaml"], ["tower", "server"], [""]])
def test_a_wrong_argument_is_exit_code_2_and_lists_the_roles(machine: Machine, words: list[str]) -> None:
    done = machine.run("stage0_check.sh", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "[local|tower|server|laptop]" in done.stderr


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_stage_script_hands_everything_to_the_stage(number: int, tmp_path: Path) -> None:
    (script,) = SCRIPTS.glob(f"stage{number}_*.sh")
    (tmp_path / "scripts").mkdir()
    shutil.copy(script, tmp_path / "scripts")
    machine = Machine(tmp_path)
    machine.give("sluicegate", 'printf "%s|" "$@"; exit 15')
    copied = str(tmp_path / "scripts" / script.name)
    done = machine.run(copied, "--runs", "my runs", STUDY="my study.yaml")
    assert (done.returncode, done.stdout) == (15, f"stage|{number}|--study|my study.yaml|--runs|my runs|")
    assert machine.run(copied).stdout == f"stage|{number}|--study|demo|"
    (machine.bin / "sluicegate").unlink()
    done = machine.run(copied)
    assert done.returncode == 2
    assert "make demo" in done.stderr


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.skipif(shutil.which("ss") is None, reason="ss is not installed")
def test_the_tunnel_refuses_a_taken_port_and_says_who_holds_it(machine: Machine, taken: int) -> None:
    machine.give("ssh", "echo called")
    done = machine.run("tunnel.sh", "me@server", PORT=str(taken))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"port {taken} is taken" in done.stderr
    assert f"pid={os.getpid()}" in done.stderr


def test_the_tunnel_asks_ssh_for_one_loopback_forward(machine: Machine) -> None:
    machine.give("ss", "")
    machine.give("ssh", 'echo "$@"')
    done = machine.run("tunnel.sh", SERVER="me@server", PORT="5001")
    assert done.returncode == 0
    assert "-N -L 127.0.0.1:5001:127.0.0.1:5000 -o ExitOnForwardFailure=yes" in done.stdout
    assert done.stdout.endswith("me@server\n")


@pytest.mark.parametrize("env", [{}, {"SERVER": "s", "PORT": "x"}])
def test_the_tunnel_wants_a_server_and_a_port(machine: Machine, env: dict[str, str]) -> None:
    machine.give("ssh", "echo called")
    done = machine.run("tunnel.sh", **env)
    assert (done.returncode, done.stdout) == (2, "")


SHELLCHECK = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.skipif(SHELLCHECK is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("script", SHELL_SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_is_content(script: Path) -> None:
    argv = [str(SHELLCHECK), "--shell=sh", str(script)]
    assert subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False).stdout == ""


def test_every_shell_script_is_executable_and_plain_sh() -> None:
    assert len(SHELL_SCRIPTS) == 6
    for script in SHELL_SCRIPTS:
        assert os.access(script, os.X_OK)
        assert script.read_text().startswith("#!/bin/sh\n")
