"""Three hosts, asked for by `make e2e`; any other run skips them, and says so."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from docker_engine import BUILD, ROOT, run, torch_for_cpu
from hosts import network, services
from hosts.experiment import Laptop, Ran, Tower, environment
from hosts.network import Hosts
from hosts.services import Engine, Mlflow, Tunnel

IMAGE = "llama3-training"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    is_asked = "docker" in str(config.option.markexpr)
    lacking = network.missing()
    for item in items:
        if not str(item.path).startswith(os.path.dirname(__file__)):  # noqa: PTH120
            continue
        item.add_marker(pytest.mark.docker)
        item.add_marker(pytest.mark.xdist_group("hosts"))
        item.add_marker(pytest.mark.timeout(3600))
        if not is_asked:
            item.add_marker(pytest.mark.skip(reason="needs three network namespaces: make e2e"))
        elif lacking:
            item.add_marker(pytest.mark.skip(reason=f"three hosts: {lacking}"))


@pytest.fixture(scope="session")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    folder = tmp_path_factory.mktemp("hosts")
    engine = {"DOCKER_HOST": f"unix://{folder}/engine/engine.sock"}
    three = Hosts(folder, {"tower": engine, "server": {"DOCKER_HOST": "unix:///none"}})
    try:
        three.up()
        yield three
    finally:
        three.down()


@pytest.fixture(scope="session")
def engine(hosts: Hosts) -> Iterator[Engine]:
    """The tower's engine; skips where this machine has no dockerd to start."""
    if lacking := services.missing():
        pytest.skip(f"an engine on tower: {lacking}")
    folder = hosts.folder / "engine"
    folder.mkdir()
    there = Engine(folder, volumes_mib=600)
    there.start()
    yield there
    there.stop()


@pytest.fixture(scope="session")
def mlflow(hosts: Hosts) -> Iterator[Mlflow]:
    """An MLflow server on server."""
    server = Mlflow(hosts, hosts.folder / "mlflow")
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def tunnel(hosts: Hosts, mlflow: Mlflow) -> Iterator[Tunnel]:
    """The laptop's way to it."""
    there = Tunnel(hosts)
    there.start()
    yield there
    there.end()


@pytest.fixture(scope="session")
def image(engine: Engine) -> str:
    """The training image of this tree, handed over to the tower's engine; the commit that it says it is of."""
    if not run("version", "--format", "{{.Server.Version}}", check=False).strip():
        pytest.skip("the training image: needs a Docker engine to build it with")
    told = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=ROOT, check=False)
    commit = told.stdout.strip() or "e2e"
    named = ("--file", "Dockerfile.training", "--build-arg", f"GIT_COMMIT={commit}", "--tag", IMAGE)
    run("build", *BUILD, *torch_for_cpu(), *named, ".")
    engine.receive(IMAGE)
    return commit


@pytest.fixture
def tower(engine: Engine, tmp_path: Path) -> Iterator[Tower]:
    """The tower, with nothing on it before and after."""
    there = Tower(engine, tmp_path / "begun")
    there.clear()
    yield there
    there.leave()


@pytest.fixture(scope="session")
def ran(hosts: Hosts, engine: Engine, image: str, tunnel: Tunnel) -> Ran:
    """The experiment over three machines to its end, with no fault."""
    tower = Tower(engine, hosts.folder / "begun")
    tower.clear()
    laptop = Laptop(hosts, hosts.folder / "undisturbed", environment(image))
    seconds = laptop.run()
    found = Ran(laptop, seconds, tower.begun(), engine.containers())
    tower.leave()
    return found


@pytest.fixture(scope="session")
def undisturbed(ran: Ran) -> Laptop:
    """What faults must not change."""
    return ran.laptop
