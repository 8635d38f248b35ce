"""What needs a Docker engine: asked for by `make e2e`; any other run skips it, and says so."""

from __future__ import annotations

import os
import shlex
import shutil
import time
from collections.abc import Iterator

import pytest

from docker_engine import run

IMAGE = "sluicegate-eval"
BUILD = shlex.split(os.environ.get("DOCKER_BUILD_ARGS", ""))
"""Such as `--network host --build-arg BASE=…`, where the base image has another name."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    is_asked = "docker" in str(config.option.markexpr)
    for item in items:
        if str(item.path).startswith(os.path.dirname(__file__)):  # noqa: PTH120
            item.add_marker(pytest.mark.docker)
            item.add_marker(pytest.mark.xdist_group("docker"))
            item.add_marker(pytest.mark.timeout(3600))
            if not is_asked:
                item.add_marker(pytest.mark.skip(reason="needs a Docker engine: make e2e"))


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
    before = time.monotonic()
    arguments = ("--file", "Dockerfile.eval", "--target", "eval", "--build-arg", "GIT_COMMIT=e2e", "--tag", IMAGE)
    run("build", *BUILD, *arguments, ".")
    size = int(run("image", "inspect", "--format", "{{.Size}}", IMAGE))
    print(f"\n{IMAGE}: {size / 1e6:.0f} MB, built in {time.monotonic() - before:.0f} s (Docker {engine})")
    return IMAGE


@pytest.fixture(scope="session")
def project(image: str) -> Iterator[list[str]]:
    """The command that runs something in the compose file's service `evaluate`; its volumes go afterwards."""
    compose = ["compose", "--project-name", f"sluicegate-e2e-{os.getpid()}", "--profile", "laptop"]
    yield [*compose, "run", "--rm", "--no-TTY", "--no-deps"]
    run(*compose, "down", "--volumes", check=False)
