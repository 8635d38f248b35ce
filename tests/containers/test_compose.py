"""The server's half on a real engine: who is answered, what survives, and that a backup brings everything back."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from docker_engine import ended, run
from server_stack import PASSWORD, Stack, free_port
from sluicegate.errors import UserError
from sluicegate.tracking import probe

HEALTH = ("python", "/opt/mlflow/mlflow_health.py")
ANSWERED = ("localhost:5000", "127.0.0.1:5000", "mlflow:5000", "10.0.0.7:5000", "172.20.1.2:5000", "192.168.1.5:5000")
REFUSED = ("evil.example:5000", "172.32.0.1:5000", "100.64.0.1:5000")


def inspected(container: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("inspect", container))[0]
    return found


@pytest.mark.parametrize(("host", "status"), [*((name, 200) for name in ANSWERED), *((name, 403) for name in REFUSED)])
def test_names_that_are_listed_are_answered_and_no_others(stack: Stack, host: str, status: int) -> None:
    assert stack.searched(host) == status


def test_it_listens_on_loopback_alone_and_the_database_nowhere(stack: Stack) -> None:
    ports = {name: inspected(stack.container(name))["NetworkSettings"]["Ports"] for name in ("mlflow", "postgres")}
    assert ports["mlflow"] == {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(stack.port)}]}
    assert not any(ports["postgres"].values())


@pytest.mark.parametrize("service", ["mlflow", "postgres"])
def test_containers_have_no_rights_and_hold_no_secret(stack: Stack, service: str) -> None:
    found = inspected(stack.container(service))
    host, config = found["HostConfig"], found["Config"]
    assert (host["CapDrop"], host["CapAdd"], host["ReadonlyRootfs"], host["Privileged"]) == (["ALL"], None, True, False)
    assert not [mount for mount in found["Mounts"] if "docker.sock" in mount["Source"]]
    status = run("exec", stack.container(service), "cat", "/proc/1/status")
    assert "\nCapEff:\t0000000000000000\n" in status and "\nNoNewPrivs:\t1\n" in status
    assert run("exec", stack.container(service), "id", "-u").strip() != "0"
    for path in stack.folder.glob("*_file"):
        assert path.read_text().strip() not in json.dumps(config)


def test_one_worker_serves_and_no_job_runner(stack: Stack) -> None:
    commands = run("top", stack.container("mlflow"), "-eo", "pid,args").splitlines()[1:]
    assert len([line for line in commands if "uvicorn" in line]) == 1
    assert not [line for line in commands if "huey" in line or "job_runner" in line]


def test_the_database_restarts_and_mlflow_answers_again_by_itself(stack: Stack) -> None:
    begun = inspected(stack.container("mlflow"))["State"]["StartedAt"]
    experiment = stack.post("experiments/create", name=f"kept-{time.time_ns()}")["experiment_id"]
    stack.compose("stop", "postgres")
    sick = ended("exec", stack.container("mlflow"), *HEALTH)
    assert sick.returncode == 1 and sick.stderr.strip()
    health = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:5000/health').read())"
    assert "OK" in run("exec", stack.container("mlflow"), "python", "-c", health)  # so it would not do as the check
    before = time.monotonic()
    stack.compose("start", "postgres")
    stack.answers()
    print(f"\nPostgreSQL was away: MLflow answers {time.monotonic() - before:.1f} s after its start")
    assert stack.get("experiments/get", experiment_id=experiment)["experiment"]["lifecycle_stage"] == "active"
    assert inspected(stack.container("mlflow"))["State"]["StartedAt"] == begun
    run("exec", stack.container("mlflow"), *HEALTH)


def test_the_health_check_fetches_its_experiment_back(stack: Stack) -> None:
    run("exec", stack.container("mlflow"), *HEALTH)
    found = stack.get("experiments/get-by-name", experiment_name="health-check")["experiment"]
    stack.post("experiments/delete", experiment_id=found["experiment_id"])
    run("exec", stack.container("mlflow"), *HEALTH)
    found = stack.get("experiments/get-by-name", experiment_name="health-check")["experiment"]
    assert found["lifecycle_stage"] == "active"


def test_stage_0_of_the_server_writes_and_reads_and_leaves_nothing(stack: Stack) -> None:
    env = {"STAGE0_DISK_GIB": "1", "STAGE0_ADDRESSES": f"localhost:{stack.port} evil.example:5000"}
    stack.env.update(env)
    told = json.loads(stack.script("stage0_check.sh", "--json", "server").stdout)
    states = {row["name"]: row["state"] for row in told["checks"]}
    fine = ("docker engine", "docker compose", "container postgres", "container mlflow", "MLflow API", "MLflow write")
    assert {name: states[name] for name in fine} == dict.fromkeys(fine, "ok"), told
    assert (states[f"asked as localhost:{stack.port}"], states["asked as evil.example:5000"]) == ("ok", "failed")
    experiment = stack.get("experiments/get-by-name", experiment_name="stage0")["experiment"]["experiment_id"]
    assert "runs" not in stack.post("runs/search", experiment_ids=[experiment])
    files = run("exec", stack.container("mlflow"), "find", f"/artifacts/{experiment}", "-type", "f")
    assert files == ""


@pytest.fixture(scope="module")
def kept(stack: Stack) -> str:
    """A run with a metric and an artifact."""
    experiment = stack.post("experiments/create", name=f"backed-up-{time.time_ns()}")["experiment_id"]
    made = stack.post("runs/create", experiment_id=experiment, run_name="kept", start_time=1)["run"]["info"]
    run_id = str(made["run_id"])
    stack.post("runs/log-metric", run_id=run_id, key="loss", value=0.25, timestamp=2, step=3)
    stack.post("runs/update", run_id=run_id, status="FINISHED", end_time=4)
    status, _ = stack.ask(
        "PUT", f"/mlflow-artifacts/artifacts/{experiment}/{run_id}/artifacts/a.bin", bytes(range(256))
    )
    assert status == 200
    return run_id


@pytest.fixture(scope="module")
def backup(stack: Stack, kept: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("backup") / "mlflow.tar"
    done = stack.script("backup.sh", str(path))
    assert (done.returncode, done.stdout) == (0, f"{path}\n"), done.stderr
    assert [name.name for name in path.parent.iterdir()] == ["mlflow.tar"]
    assert path.stat().st_mode & 0o077 == 0
    return path


def test_a_backup_is_never_overwritten(stack: Stack, backup: Path) -> None:
    before = backup.read_bytes()
    done = stack.script("backup.sh", str(backup))
    assert done.returncode == 2 and "is there already" in done.stderr
    assert backup.read_bytes() == before


def test_a_stack_that_runs_is_not_restored_into(stack: Stack, backup: Path) -> None:
    done = stack.script("restore.sh", str(backup))
    assert done.returncode == 2 and "MLflow runs; nothing was restored" in done.stderr


@pytest.fixture(scope="module")
def empty(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Another project, without anything in it."""
    folder = tmp_path_factory.mktemp("restored")
    made = Stack(f"sluicegate-e2e-{os.getpid()}-restored", stack.postgres, folder, free_port(), f"admin:{PASSWORD}")
    yield made
    made.down()


@pytest.mark.parametrize("damage", ["cut", "a bit"])
def test_a_damaged_backup_is_not_restored(empty: Stack, backup: Path, tmp_path: Path, damage: str) -> None:
    whole = bytearray(backup.read_bytes())
    place = whole.index(b"backed-up-") if damage == "a bit" and b"backed-up-" in whole else len(whole) // 2
    whole[place] ^= 1
    bad = tmp_path / "bad.tar"
    bad.write_bytes(whole[: len(whole) // 2] if damage == "cut" else whole)
    done = empty.script("restore.sh", str(bad))
    assert done.returncode == 2 and ("damaged" in done.stderr or "not a whole file" in done.stderr), done.stderr


def test_a_backup_brings_run_and_artifact_back_and_the_stack_may_ask_for_passwords(
    stack: Stack, empty: Stack, kept: str, backup: Path
) -> None:
    done = empty.script("restore.sh", str(backup))
    assert done.returncode == 0, done.stderr
    again = empty.script("restore.sh", str(backup))
    assert again.returncode == 2 and "the database is not empty" in again.stderr
    empty.up("auth")
    found = empty.get("runs/get", run_id=kept)["run"]
    assert found == stack.get("runs/get", run_id=kept)["run"]
    assert [(point["key"], point["value"]) for point in found["data"]["metrics"]] == [("loss", 0.25)]
    path = f"/mlflow-artifacts/artifacts/{found['info']['experiment_id']}/{kept}/artifacts/a.bin"
    assert empty.ask("GET", path) == (200, bytes(range(256)))
    _asks_for_passwords(empty)


def _asks_for_passwords(auth: Stack) -> None:
    """Nobody without a password is answered; the health check, stage 0 and a training are, with one."""
    own, base = auth.user, f"http://127.0.0.1:{auth.port}"
    for user in ("", "admin:wrong", "nobody:x"):
        auth.user = user
        assert auth.searched() == 401
    auth.user = own
    assert auth.searched() == 200
    probe.check(base.replace("//", f"//{own}@"))
    with pytest.raises(UserError, match="refused") as refused:
        probe.check(base)
    assert "MLFLOW_TRACKING_PASSWORD" in refused.value.mend
    run("exec", auth.container("mlflow-auth"), *HEALTH)
    auth.env.update(STAGE0_DISK_GIB="1", MLFLOW_TRACKING_USERNAME="admin", MLFLOW_TRACKING_PASSWORD=PASSWORD)
    told = json.loads(auth.script("stage0_check.sh", "--json", "server").stdout)
    states = {row["name"]: row["state"] for row in told["checks"]}
    assert (states["container mlflow"], states["MLflow write"]) == ("ok", "ok"), told
