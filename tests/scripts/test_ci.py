"""The Docker step of CI on machines with and without an engine, played by scripts in the place of its programs."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="the script is for bash"),
]

STEP = Path(__file__).parents[2] / ".ci" / "e2e"
TOOLS = "bash cat dirname env mktemp sleep tail timeout"
WHEEL = "torch-2.0+cpu-cp311-x.whl"


class Checkout:
    """A checkout with the step in it, on a machine whose programs a test gives it."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.home, self.told = folder / "bin", folder / "home", folder / "told"
        for path in (self.bin, self.home / ".ci", self.home / ".venv" / "bin"):
            path.mkdir(parents=True)
        shutil.copy(STEP, self.home / ".ci")
        for name in TOOLS.split():
            (self.bin / name).symlink_to(str(shutil.which(name)))
        self.give(self.home / ".venv" / "bin" / "python", f'echo "$@" >>{self.told}; exit "${{ENDS:-0}}"')

    def give(self, path: Path, script: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(self, **env: str) -> subprocess.CompletedProcess[str]:
        told = {"PATH": str(self.bin), **env}
        argv = ["bash", str(self.home / ".ci" / "e2e")]
        return subprocess.run(argv, capture_output=True, text=True, env=told, timeout=60, check=False)

    def asked(self) -> str:
        """What pytest was told; empty where it was not started."""
        return self.told.read_text() if self.told.exists() else ""


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def with_engine(checkout: Checkout) -> Checkout:
    checkout.give(checkout.bin / "docker", "exit 0")
    return checkout


def test_without_an_engine_and_tools_it_is_skipped_and_said(checkout: Checkout) -> None:
    done = checkout.run()
    assert (done.returncode, checkout.asked()) == (0, "")
    assert done.stdout == (
        "DOCKER SUITES SKIPPED: no Docker engine answers, and there is no ../shared/tools/docker_here.sh "
        "to start one with\n"
    )


def test_an_engine_that_does_not_start_is_no_failure(checkout: Checkout) -> None:
    tool = 'case $1 in up) echo "no disk left" >&2; exit 1 ;; env) echo "export A=1" ;; *) echo "$1" >>down ;; esac'
    checkout.give(checkout.home.parent / "shared" / "tools" / "docker_here.sh", tool)
    done = checkout.run()
    assert (done.returncode, done.stdout) == (0, "DOCKER SUITES SKIPPED: no engine could be started: no disk left\n")
    assert (checkout.home / "down").read_text() == "down\n"


def test_an_engine_that_was_started_is_used_and_ended(checkout: Checkout) -> None:
    checkout.give(checkout.bin / "docker", "exit 1")
    works = f"printf '#!/bin/sh\\n' >{checkout.bin}/docker"
    tool = f"case $1 in up) {works} ;; env) echo export A=1 ;; *) echo $1 >>down ;; esac"
    checkout.give(checkout.home.parent / "shared" / "tools" / "docker_here.sh", tool)
    done = checkout.run()
    assert done.returncode == 0, done.stderr
    assert "tests/containers" in checkout.asked()
    assert (checkout.home / "down").read_text() == "down\n"


def test_a_test_that_fails_fails_it(checkout: Checkout) -> None:
    assert with_engine(checkout).run(ENDS="1").returncode == 1


def test_what_takes_too_long_is_cut_off_and_said(checkout: Checkout) -> None:
    checkout.give(checkout.home / ".venv" / "bin" / "python", "exec sleep 60")
    done = with_engine(checkout).run(E2E_LIMIT_S="0.2")
    assert done.returncode == 0
    assert "DOCKER SUITES CUT OFF after 0.2 s" in done.stdout


def test_without_a_torch_for_the_cpu_the_rest_is_run_and_that_is_said(checkout: Checkout, tmp_path: Path) -> None:
    done = with_engine(checkout).run(PIP_FIND_LINKS=str(tmp_path))
    assert "DOCKER SUITES IN PART" in done.stdout
    assert "test_compose.py" in checkout.asked() and "test_training_image.py" not in checkout.asked()
    (tmp_path / WHEEL).touch()
    checkout.told.unlink()
    done = checkout.run(PIP_FIND_LINKS=f"/none {tmp_path}")
    assert (done.returncode, done.stdout) == (0, "")
    assert "tests/containers tests/hosts/test_server.py" in checkout.asked()
