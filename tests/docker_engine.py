"""Asks the `docker` command."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*argv: str, given: str = "", check: bool = True) -> str:
    """What `docker` prints; where it fails, the test fails with what it said."""
    done = subprocess.run(["docker", *argv], input=given, capture_output=True, text=True, check=False, cwd=ROOT)
    if check and done.returncode:
        said = done.stdout[-2000:] + done.stderr[-4000:]
        pytest.fail(f"docker {shlex.join(argv)}: exit code {done.returncode}\n{said}")
    return done.stdout
