"""ruff for Python: one process a program, some ten milliseconds; findings of style only, names are `coherence`'s."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
from functools import lru_cache
from typing import Final

from sluicegate.evaluators.linters import LinterError

SELECT: Final = "E,W,N,I,UP,B,C4,SIM"
IGNORE: Final = "W292,W391"
"""How an answer ends is the sampler's doing."""
PATIENCE_S: Final = 120.0


def findings(text: str) -> list[str]:
    """The rules that a program breaks, as often as it does.

    Raises:
        LinterError: ruff is not installed or broke.
    """
    options = ["--isolated", "--no-cache", "--ignore-noqa", "--quiet", "--exit-zero", "--output-format", "json"]
    options += ["--target-version", "py311", "--line-length", "120", "--select", SELECT, "--ignore", IGNORE]
    try:
        done = subprocess.run([_program(), "check", *options, "--stdin-filename", "answer.py", "-"],
                              input=text.encode(), capture_output=True, timeout=PATIENCE_S, check=True)  # fmt: skip
        return [str(found["code"] or "syntax") for found in json.loads(done.stdout)]
    except (OSError, subprocess.SubprocessError, ValueError) as fault:
        raise LinterError(f"ruff: {str(fault)[:200]}") from None


@lru_cache
def _program() -> str:
    beside = sysconfig.get_path("scripts") + os.pathsep + os.environ.get("PATH", "")
    found = shutil.which("ruff", path=beside)
    if found is None:
        raise LinterError("ruff: not installed: pip install 'sluicegate[eval]'")
    return found
