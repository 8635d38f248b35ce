"""Node packages of the sandbox: installed once, from the locked list alone, into the user's cache folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

FOLDER = Path(__file__).with_name("node")
INSTALL_S = 300.0
_lock = threading.Lock()


class MissingError(Exception):
    """The packages are not there and cannot be fetched: our failure."""


def installed() -> Path:
    """The folder that holds `node_modules`; the first call on a machine fetches it.

    Raises:
        MissingError: no npm, no network, no room.
    """
    lock = (FOLDER / "package-lock.json").read_bytes()
    folder = _cache() / f"node-{hashlib.sha256(lock).hexdigest()[:16]}"
    with _lock:
        if not folder.is_dir():
            _install(folder)
    return folder


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sluicegate"


def _install(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise MissingError("npm is not installed (apt-get install npm)")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".node-", dir=folder.parent))
    except OSError as fault:
        raise MissingError(f"{folder.parent}: {fault.strerror}") from None
    try:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(FOLDER / name, made)
        argv = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(
            argv, cwd=made, capture_output=True, text=True, timeout=INSTALL_S, check=False, stdin=subprocess.DEVNULL
        )
        if done.returncode:
            raise MissingError(f"npm ci failed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1][:200]}")
        if not folder.is_dir():  # another process may have been first
            made.rename(folder)
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise MissingError(f"npm ci failed: {fault}") from None
    finally:
        shutil.rmtree(made, ignore_errors=True)
