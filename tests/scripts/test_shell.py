import json
import os
import re
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="the scripts are for POSIX shells"),
]

SCRIPTS = Path(__file__).parents[2] / "scripts"
SHELL_SCRIPTS = sorted(SCRIPTS.glob("*.sh"))
STARTED = (SCRIPTS.parent / "docker" / "mlflow.sh", Path(__file__).parents[1] / "containers" / "postgres" / "start.sh")
"""Scripts that run in containers."""
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
    "version --format {{.Server.Os}}") echo linux ;;
    "version --format"*) echo 28.2.2 ;;
    version) ;;
    "info --format {{.MemTotal}}") echo 16771993600 ;;
    "compose version --short") echo 2.40.0 ;;
    "ps "*) echo "Up 3 minutes (healthy)" ;;
    "image inspect --format {{index"*) echo abc123 ;;
    "image inspect"*) echo sha256:1234 ;;
    "run --rm --pull never --network none --gpus all llama3-training python -c import torch"*)
        echo "NVIDIA GeForce RTX 4070 Ti, 12.0 GiB, CUDA 13.0, memory pins" ;;
    *) echo "unexpected: $*" >&2; exit 9 ;;
esac
"""
NVIDIA_SMI = 'case "$*" in *memory*) echo 12282 ;; *) echo "551.61, NVIDIA GeForce RTX 4070 Ti" ;; esac'
CURL = """
cat >asked-with
case "$*" in
    *"-X GET"*get-by-name*) echo '{"experiment": {"experiment_id": "7"}}' ;;
    *runs/create*) echo '{"run": {"info": {"run_uuid": "r1", "run_id": "r1"}}}' ;;
    *runs/get*) echo '{"run": {"data": {"metrics": [{"key": "stage0", "value": 42.5}]}}}' ;;
    *"-X GET"*mlflow-artifacts*/7/r1/artifacts/stage0.txt) printf 'stage 0 of r1' ;;
    *runs/search* | *experiments/search*) echo 'HTTP 200' ;;
    *) echo '{}' ;;
esac
"""
SSH = """
case "$*" in
    "-G "*) echo "port 2222" ;;
    *"-W 127.0.0.1:2222 "*) echo "SSH-2.0-OpenSSH_9.2" ;;
    *" date +%s") date +%s ;;
    *" docker version"*) echo 28.2.2 ;;
    *) echo ok ;;
esac
"""
DISK = "echo h; echo '/dev/sda 1 1 {kib} 1% /'"


def fit(machine: Machine) -> Machine:
    """A machine that passes every role."""
    machine.give("docker", DOCKER)
    machine.give("nvidia-smi", NVIDIA_SMI)
    machine.give("curl", CURL)
    machine.give("ssh", SSH)
    machine.give("timedatectl", "echo yes")
    machine.give("git", "echo abc123")
    machine.give("df", DISK.format(kib=400 * 2**20))
    return machine


@pytest.mark.parametrize(
    ("role", "names"),
    [
        ("local", {"python", "git", "make", "disk", "memory", "cores"}),
        (
            "tower",
            {
                *("docker", "docker engine", "engine memory", "driver", "VRAM", "disk", "image", "image's commit"),
                "GPU in a container",
            },
        ),
        (
            "server",
            {
                *("docker engine", "docker compose", "container mlflow", "container postgres", "MLflow API", "disk"),
                *("MLflow write", "asked as localhost:5000", "asked as mlflow:5000", "clock"),
            },
        ),
        (
            "laptop",
            {
                *("ssh", "ssh to TOWER", "ssh to SERVER", "engine of TOWER", "forwarding by TOWER"),
                *("forwarding by SERVER", "clock of TOWER", "clock of SERVER", "curl", "MLflow API"),
            },
        ),
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
    "Windows containers": (
        "tower",
        "docker",
        'case "$*" in *Server.Os*) echo windows ;; *) echo 28 ;; esac',
        "docker system",
    ),
    "engine with little memory": (
        "tower",
        "docker",
        'case "$*" in *MemTotal*) echo 4000000000 ;; *Server.Os*) echo linux ;; *) echo 28 ;; esac',
        "engine memory",
    ),
    "nothing can be written": (
        "server",
        "curl",
        'case "$*" in *runs/create*) echo "curl: (22) 500"; exit 22 ;; *) echo "{}" ;; esac',
        "MLflow write",
    ),
    "an artifact that comes back as another": (
        "server",
        "curl",
        CURL.replace("stage 0 of r1", "<html>"),
        "MLflow write",
    ),
    "a name that is refused": (
        "server",
        "curl",
        'case "$*" in *"Host: mlflow"*) echo "HTTP 403"; exit 22 ;; *) echo "HTTP 200" ;; esac',
        "asked as mlflow:5000",
    ),
    "clock not kept": ("server", "timedatectl", "echo no", "clock"),
    "clocks apart": (
        "laptop",
        "ssh",
        SSH.replace(") date +%s", ") echo $(($(date +%s) - 3600))"),
        "clock of TOWER",
    ),
    "forwarding forbidden": (
        "laptop",
        "ssh",
        SSH.replace('echo "SSH-2.0-OpenSSH_9.2"', 'echo "channel 0: open failed: administratively prohibited"; exit 1'),
        "forwarding by SERVER",
    ),
    "engine refuses the user": (
        "laptop",
        "ssh",
        SSH.replace(") echo 28.2.2", ") echo 'permission denied'; exit 1"),
        "engine of TOWER",
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


def test_a_name_that_ssh_would_take_for_an_option_is_not_given_to_it(machine: Machine) -> None:
    option = "-oProxyCommand=echo"
    called = fit(machine).folder / "called"
    machine.give("ss", "")
    machine.give("ssh", f"echo called >>{called}")
    done = machine.run("stage0_check.sh", "laptop", TOWER=option, SERVER=option)
    assert done.returncode == 1
    assert done.stdout.count(f"seen {option}, which ssh takes for an option") == 2
    tunnel = machine.run("tunnel.sh", option)
    assert tunnel.returncode == 2
    assert "which ssh takes for an option" in tunnel.stderr
    assert not called.exists()


@pytest.mark.parametrize("cut_by", ["timeout", "the shell"])
def test_a_program_that_hangs_is_cut_off(machine: Machine, cut_by: str) -> None:
    fit(machine).give("ssh", "exec sleep 300")
    if cut_by == "the shell":
        (machine.bin / "timeout").unlink()
    done = machine.run("stage0_check.sh", "laptop", TOWER="t", SERVER="s", STAGE0_LIMIT="1")
    assert done.returncode == 1
    assert "failed  ssh to TOWER: wanted TOWER answers without a question; seen no answer in time" in done.stdout


def test_the_port_of_the_tunnel_and_who_asks_are_given(machine: Machine) -> None:
    fit(machine).give("curl", CURL + 'echo "$@" >>asked')
    told = {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": 'a"b\\c', "PORT": "5001"}
    states = machine.states("laptop", 0, TOWER="t", SERVER="s", **told)
    assert states["MLflow API"] == "ok"
    asked = (machine.folder / "asked").read_text()
    assert "http://127.0.0.1:5001/api/2.0/mlflow/experiments/search" in asked and "a" + '"' not in asked
    assert (machine.folder / "asked-with").read_text() == 'user = "me:a\\"b\\\\c"\n'


def test_an_image_of_another_commit_is_noted(machine: Machine) -> None:
    fit(machine).give("git", "echo 0def")
    assert machine.states("tower", 0)["image's commit"] == "note"


def test_a_windows_machine_is_asked_for_its_clock_its_own_way(machine: Machine) -> None:
    windows = SSH.replace(") date +%s", ") echo The system cannot accept the date entered.").replace(
        "    *) echo ok", "    *powershell*) date +%s ;;\n    *) echo ok"
    )
    fit(machine).give("ssh", windows)
    assert machine.states("laptop", 0, TOWER="t", SERVER="s")["clock of TOWER"] == "ok"


def test_it_may_come_through_ssh(machine: Machine) -> None:
    done = subprocess.run(
        ["/bin/sh", "-s", "--", "--json", "tower"],
        env={"PATH": str(fit(machine).bin), "HOME": str(machine.folder)},
        input=(SCRIPTS / "stage0_check.sh").read_text(),
        cwd=machine.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told = json.loads(done.stdout)
    assert (done.returncode, told["passed"]) == (0, True), done.stderr
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told["time"]) and told["host"]


def test_wsl_is_noted_and_is_no_fault(machine: Machine) -> None:
    version = machine.folder / "version"
    version.write_text("Linux version 5.15.153.1-microsoft-standard-WSL2")
    states = fit(machine).states("tower", 0, STAGE0_PROC_VERSION=str(version))
    assert (states["WSL2"], states["WSL2 drive"]) == ("note", "ok")
    states = machine.states("tower", 0, STAGE0_PROC_VERSION=str(version), DATA_DIR="/mnt/h/AI-Training-Data")
    assert states["WSL2 drive"] == "note"


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
    assert "-o ServerAliveInterval=15 -o ServerAliveCountMax=3" in done.stdout
    assert done.stdout.endswith("me@server\n")


def test_a_tunnel_that_never_was_ends_as_ssh_ends(machine: Machine) -> None:
    machine.give("ss", "")
    machine.give("ssh", "echo called >>calls; echo 'Permission denied (publickey).' >&2; exit 255")
    done = machine.run("tunnel.sh", "me@server")
    assert (done.returncode, (machine.folder / "calls").read_text()) == (255, "called\n")
    assert "Permission denied" in done.stderr


def test_a_tunnel_that_was_cut_comes_back_and_ends_with_its_signal(machine: Machine) -> None:
    machine.give("ss", "")
    machine.give("ssh", 'echo "$@" >>calls; [ "$(grep -c . calls)" -ge 3 ] || exit 255; exec sleep 300')
    machine.give("grep", f'exec {shutil.which("grep")} "$@"')
    with subprocess.Popen(
        ["/bin/sh", str(SCRIPTS / "tunnel.sh"), "me@server"],
        env={"PATH": str(machine.bin), "HOME": str(machine.folder), "STEADY": "0"},
        cwd=machine.folder,
        stderr=subprocess.PIPE,
        text=True,
    ) as tunnel:
        until = time.monotonic() + 60
        while "me@server\n" * 3 not in "".join(line[-10:] for line in lines(machine.folder / "calls")):
            assert time.monotonic() < until
            time.sleep(0.1)
        tunnel.terminate()
        _, said = tunnel.communicate(timeout=30)
    assert tunnel.returncode == 143
    assert said.count("me@server is away (ssh ended with 255); trying again in") == 2
    first, second, third = lines(machine.folder / "calls")
    assert "BatchMode" not in first and "BatchMode=yes" in second and "BatchMode=yes" in third


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines(keepends=True) if path.exists() else []


@pytest.mark.parametrize("env", [{}, {"SERVER": "s", "PORT": "x"}])
def test_the_tunnel_wants_a_server_and_a_port(machine: Machine, env: dict[str, str]) -> None:
    machine.give("ssh", "echo called")
    done = machine.run("tunnel.sh", **env)
    assert (done.returncode, done.stdout) == (2, "")


SHELLCHECK = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.skipif(SHELLCHECK is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("script", [*SHELL_SCRIPTS, *STARTED], ids=lambda path: path.name)
def test_shellcheck_is_content(script: Path) -> None:
    argv = [str(SHELLCHECK), "--shell=sh", str(script)]
    assert subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False).stdout == ""


def test_every_shell_script_is_executable_and_plain_sh() -> None:
    assert len(SHELL_SCRIPTS) == 8
    for script in SHELL_SCRIPTS:
        assert os.access(script, os.X_OK)
        assert script.read_text().startswith("#!/bin/sh\n")
