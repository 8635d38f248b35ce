"""What needs a Docker engine: asked for by `make e2e`; any other run skips it, and says so."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest

from docker_engine import BUILD, ROOT, run, torch_for_cpu
from server_stack import Stack, free_port

IMAGE, TRAINING, MLFLOW, POSTGRES = "sluicegate-eval", "llama3-training", "sluicegate-mlflow", "sluicegate-e2e-postgres"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    is_asked = "docker" in str(config.option.markexpr)
    for item in items:
        if str(item.path).startswith(os.path.dirname(__file__)):  # noqa: PTH120
            item.add_marker(pytest.mark.docker)
            item.add_marker(pytest.mark.xdist_group("docker"))
            item.add_marker(pytest.mark.timeout(3600))
            if not is_asked:
                item.add_marker(pytest.mark.skip(reason="needs a Docker engine: make e2e"))


def built(tag: str, *arguments: str) -> str:
    """Build an image; its size and the time are printed."""
    before = time.monotonic()
    run("build", *BUILD, *arguments, "--tag", tag)
    size = int(run("image", "inspect", "--format", "{{.Size}}", tag))
    print(f"\n{tag}: {size / 1e6:.0f} MB, built in {time.monotonic() - before:.0f} s")
    return tag


@pytest.fixture(scope="session")
def engine() -> str:
    """The engine's version; skips where there is none."""
    if shutil.which("docker") is None:
        pytest.skip("no docker command here")
    version = run("version", "--format", "{{.Server.Version}}", check=False).strip()
    if not version:
        pytest.skip("no Docker engine answers here")
    return version


@pytest.fixture(scope="session")
def image(engine: str) -> str:
    """The evaluation image, built from this tree."""
    return built(IMAGE, "--file", "Dockerfile.eval", "--target", "eval", "--build-arg", "GIT_COMMIT=e2e", ".")


@pytest.fixture(scope="session")
def commit() -> str:
    """The commit that the training image is labelled with."""
    told = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=ROOT, check=False)
    return told.stdout.strip() or "e2e"


@pytest.fixture(scope="session")
def training(engine: str, commit: str) -> str:
    """The training image with the CPU's torch, built from this tree."""
    return built(
        TRAINING, *torch_for_cpu(), "--file", "Dockerfile.training", "--build-arg", f"GIT_COMMIT={commit}", "."
    )


@pytest.fixture(scope="session")
def stack(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The compose file's server half, up and healthy; taken down with its volumes afterwards."""
    built(MLFLOW, "--file", "Dockerfile.eval", "--target", "mlflow", ".")
    postgres = os.environ.get("POSTGRES_IMAGE") or built(POSTGRES, "tests/containers/postgres")
    made = Stack(f"sluicegate-e2e-{os.getpid()}", postgres, tmp_path_factory.mktemp("server"), free_port())
    try:
        before = time.monotonic()
        made.up("server")
        print(f"\nMLflow and PostgreSQL: up and healthy in {time.monotonic() - before:.0f} s")
        yield made
    finally:
        made.down()


@pytest.fixture(scope="session")
def project(image: str) -> Iterator[list[str]]:
    """The command that runs something in the compose file's service `evaluate`; its volumes go afterwards."""
    compose = ["compose", "--project-name", f"sluicegate-e2e-{os.getpid()}-eval", "--profile", "laptop"]
    yield [*compose, "run", "--rm", "--no-TTY", "--no-deps"]
    run(*compose, "down", "--volumes", check=False)
