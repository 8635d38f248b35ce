"""`scripts/stage0_check.sh` for each role, each on its own host and asked over SSH where the user would."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from docker_engine import ROOT
from hosts.network import Hosts
from hosts.services import Engine, Mlflow

NAMED = {"TOWER": "root@tower", "SERVER": "root@server", "STAGE0_LIMIT": "30"}
GPU = {"nvidia-smi", "driver", "VRAM", "GPU in a container", "disk", "image"}
"""What this machine may lack on a tower: a GPU, the image and room for it."""
COMPOSE = {"docker engine", "docker compose", "container postgres", "container mlflow", "disk"}
"""What this machine lacks on a server: there MLflow runs as a process."""

pytestmark = pytest.mark.usefixtures("engine", "tunnel")


def checks(hosts: Hosts, role: str) -> dict[str, dict[str, Any]]:
    """Check name → what it found; its exit code must say the same."""
    words = ("sh", str(ROOT / "scripts" / "stage0_check.sh"), "--json", role)
    argv = words if role == "laptop" else ("ssh", role, shlex.join(words))
    done = hosts.run("laptop", *argv, env=NAMED, limit_s=300)
    told = json.loads(done.stdout)
    assert (told["role"], told["passed"], done.returncode == 0) == (role, not failed(told["checks"]), told["passed"])
    assert all(row["mend"] for row in told["checks"] if row["state"] == "failed")
    return {row["name"]: row for row in told["checks"]}


def failed(rows: list[dict[str, Any]]) -> set[str]:
    return {row["name"] for row in rows if row["state"] == "failed"}


def test_the_laptop_reaches_both_and_the_api_through_the_tunnel(hosts: Hosts) -> None:
    found = checks(hosts, "laptop")
    assert failed(list(found.values())) == set(), found
    assert {found[name]["state"] for name in ("ssh to TOWER", "ssh to SERVER", "MLflow API")} == {"ok"}


def test_a_pulled_cable_fails_the_line_of_that_machine(hosts: Hosts) -> None:
    hosts.cut("tower")
    try:
        found = checks(hosts, "laptop")
    finally:
        hosts.mend("tower")
    assert "ssh to TOWER" in failed(list(found.values())), found
    assert "tower" in found["ssh to TOWER"]["mend"]
    assert found["ssh to SERVER"]["state"] == found["MLflow API"]["state"] == "ok"


def test_the_tower_has_an_engine_and_says_what_of_a_gpu_it_lacks(hosts: Hosts, engine: Engine) -> None:
    found = checks(hosts, "tower")
    assert found["docker engine"]["state"] == "ok"
    assert found["docker engine"]["seen"] == engine.docker("version", "--format", "{{.Server.Version}}").stdout.strip()
    assert failed(list(found.values())) <= GPU, found


def test_the_server_answers_its_own_api(hosts: Hosts, mlflow: Mlflow) -> None:
    found = checks(hosts, "server")
    assert found["MLflow API"]["state"] == "ok"
    assert failed(list(found.values())) <= COMPOSE, found
