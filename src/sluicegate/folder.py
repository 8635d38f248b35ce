"""A run folder: who holds it, which steps are done, and where everything lies.

`runs/<study>/stage<N>-<time>/` is the whole truth of one attempt at a stage. A step is stamped with the digest of its
inputs when it ends well; with unchanged inputs and outputs in place it is not done again. Nothing here trains, scores
or decides.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sluicegate.errors import UserError
from sluicegate.jsonl import read_text, refuse_stream, unwritable, write_text

CODE = {".py", ".yaml", ".json", ".j2"}
"""Suffixes of the files that decide what the program does."""
STUDY, VERDICT, COMPARISONS = "study.yaml", "verdict.json", "comparisons.json"
DATA, ARMS, PREDICTIONS, SCORES, LOGS = "data", "arms", "predictions", "scores", "logs"
EVENTS = "events.jsonl"
ASKED_WITH = ".request.json"
"""Behind the name of a file of predictions: the settings that `generate` keeps beside it."""
PACKAGES = (
    "sluicegate", "torch", "transformers", "peft", "bitsandbytes", "accelerate", "safetensors", "tokenizers",
    "mlflow", "numpy", "scipy", "pydantic",
)  # fmt: skip


def new_attempt(runs: Path, study: str, stage: int, *, now: datetime | None = None) -> Path:
    """The path of a new attempt: `runs/<study>/stage<N>-<UTC time>`, made unique with a suffix."""
    stamp = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    first = runs / study / f"stage{stage}-{stamp}"
    path, count = first, 1
    while path.exists():
        count += 1
        path = first.with_name(f"{first.name}-{count}")
    return path


def attempts(runs: Path, study: str, stage: int) -> list[Path]:
    """Attempts at a stage, oldest first."""
    return sorted(path for path in (runs / study).glob(f"stage{stage}-*") if path.is_dir())


@contextlib.contextmanager
def holding(path: Path) -> Iterator[None]:
    """Hold a folder for this process alone; the lock goes with the process, whatever ends it.

    Raises:
        UserError: another process holds it, or the folder cannot be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        holder = path / ".holder"
        seen = holder.read_text() if holder.exists() else "another process"
        raise UserError(
            f"{path}: in use",
            wanted="a folder that no other run writes to",
            seen=f"held by {seen}",
            mend="wait for it, or choose another MODEL_NAME, OUTPUT_DIR or --runs folder",
        ) from None
    except OSError as fault:
        raise unwritable(path, fault) from None
    try:
        write_text(path / ".holder", f"process {os.getpid()} on {platform.node()}")
        yield
    finally:
        (path / ".holder").unlink(missing_ok=True)
        lock.release()


@contextlib.contextmanager
def holding_file(out: Path) -> Iterator[None]:
    """Hold a file that is appended to, for this process alone; the lock goes with the process, whatever ends it.

    Raises:
        UserError: it is a folder or a device, another process holds it, or its folder cannot be written to.
    """
    refuse_stream(out)
    if out.is_dir():
        raise UserError(f"{out}: is a folder", wanted="a file", mend=f"name a file in it, such as {out / 'out.jsonl'}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out.with_name(f".{out.name}.lock"))
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"{out}: in use",
            wanted="a file that no other process writes to",
            seen="another process holds it",
            mend="wait for it, or choose another file",
        ) from None
    except OSError as fault:
        raise unwritable(out, fault) from None
    try:
        yield
    finally:
        lock.release()


class Steps:
    """The stamps of a run folder: step name → digest of its inputs, seconds spent, outputs.

    A stamp is written after the step's outputs, so a kill between the two only repeats the step.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamps = _stamps(path) if path.exists() else {}

    def done(self, name: str, inputs_sha256: str) -> bool:
        """Whether the step ended well with these inputs and its outputs still lie there."""
        stamp = self._stamps.get(name)
        if stamp is None or stamp["inputs_sha256"] != inputs_sha256:
            return False
        return all((self._path.parent / output).exists() for output in stamp["outputs"])

    def stamp(self, name: str, inputs_sha256: str, *, outputs: Sequence[Path]) -> None:
        """Record that the step ended well; outputs are kept relative to the run folder."""
        self._write(
            name, inputs_sha256=inputs_sha256, outputs=[os.path.relpath(path, self._path.parent) for path in outputs]
        )

    def spend(self, name: str, seconds: float) -> None:
        """Add to the step's wall seconds, however it ended: a failed or interrupted training costs as much.

        The step counts as not done until it is stamped again.
        """
        self._write(name, inputs_sha256="", seconds=round(self.seconds().get(name, 0.0) + seconds, 3))

    def _write(self, name: str, **told: Any) -> None:
        unfinished = {"inputs_sha256": "", "seconds": 0.0, "outputs": []}
        self._stamps[name] = {**unfinished, **self._stamps.get(name, {}), **told}
        write_text(self._path, json.dumps(self._stamps, indent=1) + "\n")

    def seconds(self) -> dict[str, float]:
        """Step name → wall seconds of all its runs."""
        return {name: float(stamp["seconds"]) for name, stamp in self._stamps.items()}


def _stamps(path: Path) -> dict[str, dict[str, Any]]:
    try:
        return {
            name: {
                "inputs_sha256": str(stamp["inputs_sha256"]),
                "seconds": _seconds(stamp["seconds"]),
                "outputs": [str(output) for output in stamp["outputs"]],
            }
            for name, stamp in json.loads(read_text(path)).items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as fault:
        raise UserError(
            f"{path}: damaged; nothing was run",
            wanted="the stamps of the steps that ended well",
            seen=f"{type(fault).__name__}: {fault}",
            mend=f"rm {path}  (then each step looks for itself at what it has done already)",
        ) from None


def _seconds(told: Any) -> float:
    """Wall seconds; NaN would be over no budget, and less than 0 would be time won."""
    seconds = float(told)
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{seconds} seconds")
    return seconds


@cache
def git_commit() -> str:
    """The commit of the code: GIT_COMMIT (set in the images), else git's, with `+` for local changes, else empty."""
    if told := os.environ.get("GIT_COMMIT"):
        return told
    where = Path(__file__).parent
    try:
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=where, capture_output=True, text=True, timeout=10, check=True
        )
        dirty = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            cwd=where,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return head.stdout.strip() + ("+" if dirty.stdout.strip() else "")


@cache
def code_sha256() -> str:
    """Digest of this package's source files by name and bytes: the code that runs, whatever a commit says of it."""
    found, where = hashlib.sha256(), Path(__file__).parent
    for path in sorted(path for path in where.rglob("*") if path.suffix in CODE and path.is_file()):
        found.update(
            f"{path.relative_to(where).as_posix()}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode()
        )
    return found.hexdigest()


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that shape a result, without importing them."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found
