"""Stage 0: is this machine fit for the study? Looks, and changes nothing but a probe file in the runs folder.

The POSIX `scripts/stage0_check.sh` asks the same of a machine that has no Python yet; this one knows the study. What
that script said of other machines (`--json`) is taken in from `RUNS/STUDY/machines/*.json`, and so into the verdict and
the ledger.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import psutil

from sluicegate.errors import UserError
from sluicegate.evaluate.unconfined import VARIABLE
from sluicegate.evaluators import EVALUATORS, paid
from sluicegate.judge import settings
from sluicegate.records import Check
from sluicegate.sandbox.backends import choose
from sluicegate.study import Study

DISK_GIB, MEMORY_GIB = 2.0, 2.0
GPU_DISK_GIB = 40.0
TRAINING = ("torch", "transformers", "peft", "accelerate", "bitsandbytes", "safetensors")
NEEDED = ("JUDGE_BASE_URL", "JUDGE_MODEL", "JUDGE_PRICES")
RUNNING = frozenset({"functional_correctness"})
"""The metrics that run programs."""
JUDGING = ("mlflow", "jinja2", "matplotlib")
REMOTE = ("docker", "paramiko")
MACHINES, FRESH_DAYS = "machines", 7.0
PASSED = {"ok": True, "failed": False, "skipped": None, "note": None}
"""What a state of scripts/stage0_check.sh means here."""


def look(study: Study, runs: Path, *, local: bool = False) -> tuple[Check, ...]:
    """Every check of this machine, in the order they are shown.

    Args:
        local: every step runs here, whatever machines the study names.
    """
    away = "" if local else _away(study)
    disk = GPU_DISK_GIB if study.needs_gpu and not away else DISK_GIB
    trains = packages(f"jobs on {away}", REMOTE, "docker") if away else packages("training", TRAINING)
    return (python(), trains, packages("judging", JUDGING),
            metrics(study.metrics), *sandbox(study.metrics), *judge(study.metrics), writable(runs),
            space(runs, disk), memory(), cores(), gpu(required=study.needs_gpu and not away),
            *machines(runs / study.name / MACHINES))  # fmt: skip


def _away(study: Study) -> str:
    """The machine that trains in containers, by its name; empty where this one does."""
    named = study.machine_of("train")
    return named[0] if named and named[1].runner != "local" else ""


def _check(name: str, passed: bool | None, wanted: str, seen: str, remedy: str) -> Check:
    return Check(name, passed, wanted, seen, remedy if passed is False else "")


def python() -> Check:
    """Python is new enough."""
    seen = ".".join(str(part) for part in sys.version_info[:3])
    return _check("python", sys.version_info >= (3, 11), "Python 3.11 or newer", seen, "install a newer Python")


def packages(use: str, names: tuple[str, ...], extra: str = "train,eval") -> Check:
    """The packages that a use needs, of an extra of this one, can be found; they are not imported."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    seen = f"missing {', '.join(missing)}" if missing else ", ".join(names)
    return _check(f"packages for {use}", not missing, ", ".join(names), seen, f"pip install 'sluicegate[{extra}]'")


def metrics(names: tuple[str, ...]) -> Check:
    """Every metric of the study can be judged; found out later, it would cost the training."""
    unknown = [name for name in names if name not in EVALUATORS]
    seen = f"unknown: {', '.join(unknown)}" if unknown else ", ".join(names)
    return _check("metrics", not unknown, f"some of {', '.join(EVALUATORS)}", seen, "mend `metrics` in the study file")


def sandbox(names: tuple[str, ...]) -> tuple[Check, ...]:
    """Programs can be kept in while they are scored; only where a metric runs them."""
    if not RUNNING.intersection(names):
        return ()
    wanted = "a sandbox for the programs that are scored"
    found = choose()
    if found.is_safe:
        return (_check("sandbox", True, wanted, found.name, ""),)
    seen = f"{found.label if found.name else 'none'}: {found.why}"
    if found.name and os.environ.get(VARIABLE) == "1":
        return (Check("sandbox", None, wanted, f"{seen}; allowed by {VARIABLE}=1"),)
    remedy = f"apt-get install bubblewrap, or see docs/sandbox.md; where you trust the programs: export {VARIABLE}=1"
    return (_check("sandbox", False, wanted, seen, remedy),)


def judge(names: tuple[str, ...]) -> tuple[Check, ...]:
    """A judge can be asked: it is named, and its price is known; only where a metric wants one."""
    if not (asked := paid(names)):
        return ()
    wanted = f"a judge for {', '.join(asked)}: {', '.join(NEEDED)}, and its price in that file"
    try:
        found = settings.read({**os.environ, "JUDGE_STAGE_DOLLARS": "0"}, Path(settings.FILE))
    except UserError as fault:
        return (_check("judge", False, wanted, " ".join(str(fault).split()), "set them, then run the stage again"),)
    return (_check("judge", True, wanted, f"{found.model} at {found.url}", ""),)


def writable(runs: Path) -> Check:
    """The runs folder takes a file."""
    try:
        runs.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=runs) as probe:
            probe.write(b"x")
    except OSError as fault:
        return _check(
            "runs folder",
            False,
            f"{runs} is writable",
            str(fault.strerror),
            f"ls -ld {runs}; choose another --runs",
        )
    return _check("runs folder", True, f"{runs} is writable", "written and removed a file", "")


def space(runs: Path, wanted: float) -> Check:
    """Free disk where the runs lie."""
    here = next(path for path in (runs, *runs.resolve().parents) if path.exists())
    free = shutil.disk_usage(here).free / 2**30
    return _check("disk", free >= wanted, f"{wanted:g} GiB free", f"{free:.1f} GiB", f"free some space under {here}")


def memory() -> Check:
    """Main memory that a process may take now."""
    free = psutil.virtual_memory().available / 2**30
    return _check(
        "memory",
        free >= MEMORY_GIB,
        f"{MEMORY_GIB:g} GiB available",
        f"{free:.1f} GiB",
        "close other programs",
    )


def cores() -> Check:
    """Cores that this process may use; one is enough, two are comfortable."""
    affinity = getattr(os, "sched_getaffinity", None)  # absent on macOS and Windows
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    return _check("cores", True, "at least 1", str(count), "")


def gpu(*, required: bool) -> Check:
    """An NVIDIA GPU answers, where the study needs one."""
    wanted = "an NVIDIA GPU" if required else "an NVIDIA GPU, or none: this study also runs on the CPU"
    seen = _nvidia_smi()
    passed = bool(seen) if required else None if not seen else True
    return _check("gpu", passed, wanted, seen or "none", "install the driver; in a container: --gpus all")


def machines(where: Path) -> tuple[Check, ...]:
    """What `scripts/stage0_check.sh --json` said of other machines, a file each, and how long ago that was."""
    return tuple(check for path in sorted(where.glob("*.json")) for check in _machine(path))


def _machine(path: Path) -> tuple[Check, ...]:
    again = f"scripts/stage0_check.sh --json {path.stem} > {path}, on that machine"
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        checks = [
            _check(f"{path.stem}: {row['name']}", PASSED[row["state"]], row["wanted"], row["seen"], row["mend"])
            for row in told["checks"]
        ]
        days = (time.time() - datetime.fromisoformat(told["time"]).timestamp()) / 86400
        host = str(told["host"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as fault:
        seen = f"{type(fault).__name__}: {fault}"
        return (_check(path.stem, False, "what stage0_check.sh --json prints", seen, again),)
    wanted = f"checked in the last {FRESH_DAYS:g} days"
    return (_check(path.stem, days <= FRESH_DAYS, wanted, f"{days:.1f} days ago on {host}", again), *checks)


def _nvidia_smi() -> str:
    query = (
        "nvidia-smi",
        "--query-gpu=name,memory.total,memory.free,driver_version",
        "--format=csv,noheader",
    )
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return "; ".join(done.stdout.strip().splitlines())
