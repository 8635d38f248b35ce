"""Node packages of the sandbox: installed once, from the locked list alone, into the user's cache folder."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

FOLDER = Path(__file__).with_name("node")
INSTALL_S = 300.0
BUNDLED = {"inside": "packages_inside.js", "referee": "packages_referee.js"}
COMPILE = "compile.js"
BUNDLING = (
    "--bundle",
    "--platform=node",
    "--target=node20",
    "--format=cjs",
    "--external:canvas",
    "--external:./xhr-sync-worker.js",
    '--define:process.env.NODE_ENV="test"',
    "--minify-whitespace",
    "--minify-syntax",
    "--keep-names",
    "--legal-comments=none",
    "--log-level=error",
)
_lock, _bundle_lock = threading.Lock(), threading.Lock()


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


def esbuild() -> str:
    """The path of esbuild's program.

    Raises:
        MissingError: it is not there.
    """
    found = sorted(installed().glob("node_modules/@esbuild/*/bin/esbuild"))
    if not found:
        raise MissingError("esbuild has no program for this machine")
    return str(found[0])


def bundles() -> Path:
    """The folder of the two bundles that React answers are run and looked at with, and of their compiled code.

    Raises:
        MissingError: the packages are not there, or cannot be bundled.
    """
    node = shutil.which("node")
    if node is None:
        raise MissingError("node is not installed (apt-get install nodejs)")
    about = os.stat(os.path.realpath(node))  # noqa: PTH116
    made_of = [(FOLDER / name).read_bytes() for name in ("package-lock.json", *BUNDLED.values(), COMPILE)]
    made_of.append(f"{about.st_size} {about.st_mtime_ns} {BUNDLING}".encode())
    folder = _cache() / f"react-{hashlib.sha256(b''.join(made_of)).hexdigest()[:16]}"
    with _bundle_lock:
        if not folder.is_dir():
            _bundle(folder, node, esbuild(), installed() / "node_modules")
    return folder


def _bundle(folder: Path, node: str, program: str, modules: Path) -> None:
    """Make each bundle, run it once, and keep what node compiled: loading it then takes a third of the time."""
    with tempfile.TemporaryDirectory(prefix=".react-", dir=folder.parent) as name:
        made = Path(name) / "made"
        for bundle, source in BUNDLED.items():
            argv = [program, str(FOLDER / source), *BUNDLING, f"--outfile={made / bundle}.js"]
            _made(argv, {"NODE_PATH": str(modules)})
        for bundle in BUNDLED:
            _made([node, str(FOLDER / COMPILE), str(made), bundle], {})
        made.chmod(0o755)  # nobody reads it
        with contextlib.suppress(OSError):  # another process may have been first
            made.rename(folder)
    if not folder.is_dir():
        raise MissingError(f"{folder.parent}: no bundle could be kept")


def _made(argv: list[str], environment: dict[str, str]) -> None:
    run = functools.partial(subprocess.run, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    try:
        done = run(argv, env=environment, timeout=INSTALL_S)
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise MissingError(f"no bundle for React: {fault}") from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise MissingError(f"no bundle for React: {said[:200]}")


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
