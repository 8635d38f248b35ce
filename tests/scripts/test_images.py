"""What the Dockerfiles and the compose file promise, as far as it can be told without an engine; the rest: make e2e."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILES = ("Dockerfile.training", "Dockerfile.eval", "tests/containers/postgres/Dockerfile")
SERVICES = ("postgres", "mlflow", "mlflow-auth", "train", "evaluate")
HADOLINT = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    assert set(found["services"]) == set(SERVICES)
    return found


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_hardened(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert service["cap_drop"] == ["ALL"] and "cap_add" not in service
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["read_only"] is True and service["init"] is True
    for wide in ("privileged", "network_mode", "pid", "ipc", "userns_mode", "devices"):
        assert wide not in service


def test_no_container_sees_the_engine_and_data_is_read_only(compose: dict[str, Any]) -> None:
    assert "docker.sock" not in (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    for service in compose["services"].values():
        for mount in service["volumes"]:
            if isinstance(mount, dict) and mount["type"] == "bind":
                assert (mount["target"], mount["read_only"]) == ("/data", True)


def test_mlflow_alone_listens_and_on_loopback(compose: dict[str, Any]) -> None:
    ports = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    expected = ["${MLFLOW_BIND:-127.0.0.1}:${MLFLOW_PORT:-5000}:5000"]
    assert ports == {"mlflow": expected, "mlflow-auth": expected}
    assert compose["networks"]["database"] == {"internal": True}
    assert compose["services"]["postgres"]["networks"] == ["database"]


def test_secrets_are_files_and_have_no_default_value(compose: dict[str, Any]) -> None:
    assert all(set(secret) == {"file"} for secret in compose["secrets"].values())
    for service in compose["services"].values():
        for name, value in service["environment"].items():
            if re.search("PASSWORD|TOKEN|SECRET|KEY", name):
                assert value is None or (name.endswith("_FILE") and value.startswith("/run/secrets/")), name
    assert "/secrets/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_mlflow_answers_names_that_are_listed_with_one_worker_and_no_job_runner(compose: dict[str, Any]) -> None:
    environment = compose["services"]["mlflow"]["environment"]
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert "localhost:*,127.0.0.1:*,mlflow:*,10.*,192.168.*" in environment["MLFLOW_SERVER_ALLOWED_HOSTS"]
    assert "--workers 1 " in (ROOT / "docker" / "mlflow.sh").read_text(encoding="utf-8")


def test_only_what_images_are_made_of_is_sent_to_the_engine() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert next(line for line in lines if line and not line.startswith("#")) == "*"
    sent = [line[1:] for line in lines if line.startswith("!")]
    assert all((ROOT / name).exists() for name in sent)
    assert not [name for name in sent if name.startswith((".", "secrets", "runs", "datasets"))]


@pytest.mark.parametrize("name", DOCKERFILES[:2])
def test_a_dockerfile_builds_without_a_registry_of_frontends_and_runs_as_a_number(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "# syntax=" not in text and "ENTRYPOINT" not in text and "nvcc" not in re.sub("(?m)^#.*$", "", text)
    last = text.split("\nFROM ")[-1]
    assert "\nUSER 10001:10001\n" in last and "\nSTOPSIGNAL SIGTERM\n" in last and "\nCMD [" in last
    assert last.index("ARG GIT_COMMIT") > last.index("/dist/*.whl")  # a new commit costs no layer but the labels
    assert not re.search(r"(?im)^\s*(ARG|ENV)\s+\S*(TOKEN|PASSWORD|SECRET|API_KEY)", text)


@pytest.mark.process
@pytest.mark.skipif(HADOLINT is None, reason="hadolint is not installed")
@pytest.mark.parametrize("name", DOCKERFILES)
def test_hadolint_is_content(name: str) -> None:
    argv = [str(HADOLINT), "--no-color", str(ROOT / name)]
    assert subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False).stdout == ""


def test_what_images_start_can_be_started() -> None:
    for path in (ROOT / "docker" / "mlflow.sh", ROOT / "tests" / "containers" / "postgres" / "start.sh"):
        assert path.stat().st_mode & stat.S_IXOTH


@pytest.mark.process
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_commands_of_the_page_make_every_secret(compose: dict[str, Any], tmp_path: Path) -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    made = [line for line in page.splitlines() if line.startswith(("mkdir ", "openssl ", "chmod "))]
    subprocess.run(["sh", "-euc", "\n".join(made)], cwd=tmp_path, check=True)
    wanted = {re.findall(r"-\./(secrets/\w+)\}$", secret["file"])[0] for secret in compose["secrets"].values()}
    for name in wanted:
        path = tmp_path / name
        assert len(path.read_text().strip()) >= 12 and path.stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
    assert {str(path.relative_to(tmp_path)) for path in (tmp_path / "secrets").iterdir()} == wanted
