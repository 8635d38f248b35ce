"""Asks the `docker` command."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILD = shlex.split(os.environ.get("DOCKER_BUILD_ARGS", ""))
"""Such as `--network host --build-arg BASE=…`, where the base image has another name."""


def ended(*argv: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """How a `docker` command ends, whatever its exit code."""
    told = {**os.environ, **(env or {})}
    return subprocess.run(["docker", *argv], capture_output=True, text=True, check=False, cwd=ROOT, env=told)


def run(*argv: str, given: str = "", check: bool = True) -> str:
    """What `docker` prints; where it fails, the test fails with what it said."""
    done = subprocess.run(["docker", *argv], input=given, capture_output=True, text=True, check=False, cwd=ROOT)
    if check and done.returncode:
        said = done.stdout[-2000:] + done.stderr[-4000:]
        pytest.fail(f"docker {shlex.join(argv)}: exit code {done.returncode}\n{said}")
    return done.stdout


def torch_for_cpu() -> tuple[str, ...]:
    """Where a build finds torch without CUDA: in pip's own folder of wheels, else in PyTorch's index."""
    for folder in os.environ.get("PIP_FIND_LINKS", "").split():
        if any(Path(folder).glob("torch-*+cpu-*.whl")):
            return "--build-context", f"wheels={folder}"
    return "--build-arg", "PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu"
