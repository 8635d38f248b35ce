"""The laptop's way to MLflow: a tunnel, and nothing else."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from docker_engine import ROOT
from hosts.network import Hosts
from hosts.services import URI, Mlflow, Tunnel, answers

BROWSER = ("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom")


def test_the_server_listens_on_its_loopback_alone(hosts: Hosts, mlflow: Mlflow) -> None:
    for host in ("laptop", "tower", "server"):
        assert hosts.run(host, "curl", "-s", "-m", "5", "http://server:5000/health").returncode == 7, host
    assert answers(hosts, "server")


def test_the_api_takes_a_run_and_an_artifact_through_the_tunnel(
    hosts: Hosts, mlflow: Mlflow, tunnel: Tunnel, tmp_path: Path
) -> None:
    from sluicegate.tracking.spool import Spool

    with Spool(tmp_path / "a") as spool:
        spool.run("a", "through-the-tunnel")
        spool.metrics({"train/loss": 2.0}, 1)
        (tmp_path / "a" / "report.html").write_text("<p>through</p>")
        spool.artifact(tmp_path / "a" / "report.html")
        spool.end("FINISHED")
    sync = (sys.executable, "-m", "sluicegate", "sync", str(tmp_path / "a"))
    done = hosts.run("laptop", *sync, env={"MLFLOW_TRACKING_URI": URI}, limit_s=120)
    assert (done.returncode, done.stdout) == (0, "1 runs, 0 lines left unsent\n"), done.stderr
    (sent,) = (mlflow.folder / "artifacts").rglob("report.html")
    assert sent.read_text() == "<p>through</p>"


def test_the_ui_shows_a_run_through_the_tunnel(hosts: Hosts, mlflow: Mlflow, tunnel: Tunnel, tmp_path: Path) -> None:
    if shutil.which(BROWSER[0]) is None:
        pytest.skip("the UI through the tunnel: needs chromium on PATH")
    client: Any = mlflow.client()
    experiment = client.create_experiment("looked-for", artifact_location="mlflow-artifacts:/looked-for")
    run = client.create_run(experiment, run_name="a-run-to-be-seen").info.run_id
    client.log_metric(run, "train/loss", 0.5, step=1)
    page = f"{URI}/#/experiments/{experiment}/runs/{run}"
    waits = ("--virtual-time-budget=30000", f"--user-data-dir={tmp_path}/browser")
    shown = hosts.run("laptop", *BROWSER, *waits, page, env={"HOME": str(tmp_path)}, limit_s=300)
    assert "a-run-to-be-seen" in shown.stdout, shown.stdout[-2000:] + shown.stderr[-2000:]
    assert "train/loss" in shown.stdout


def test_a_second_tunnel_is_refused_and_says_who_holds_the_port(hosts: Hosts, tunnel: Tunnel) -> None:
    done = hosts.run("laptop", "sh", str(ROOT / "scripts" / "tunnel.sh"), "root@server")
    assert done.returncode == 2
    assert "port 5000 is taken" in done.stderr
    assert '"ssh",pid=' in done.stderr
