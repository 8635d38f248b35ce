"""How long the loop is held up by its tracking while the MLflow server is killed, frozen, locked, or lies.

A loop of 5 ms steps writes three figures a step, as a training does, with system metrics beside it, in a process of its
own; the server is a real `mlflow server` on loopback, or one that answers what it should not. A row a fault: the
longest write of all steps, what the end waits for, the exit code, the lines that were left on disk, and whether the
server, mended and told the rest by `sluicegate sync`, holds what it holds of a run that nothing happened to. The first
row writes without any sender: it is what this machine's scheduler does to such a loop, whatever the tracking.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from sluicegate import folder
from sluicegate.tracking import sender, system
from sluicegate.tracking.spool import Spool
from sluicegate.tracking.state import unsent
from tracking.servers import Hostile, Mlflow, serving

STEP_S = 0.005
LIES = ("rights", "login", "broken", "html", "other", "torn", "moved", "half", "drip")


def loop(root: Path, uri: str, experiment: str, steps: int) -> None:
    """What runs in the process: prints a word at begin, middle and end, and then its figures."""
    sending = sender.sending(root, uri, grace_s=10) if uri else nullcontext()
    longest, took = 0.0, time.monotonic()
    with folder.holding(root), Spool(root) as spool, sending, system.sampling(spool, 1.0):
        spool.run("a", experiment, tags={"arm": "control"})
        for step in range(1, steps + 1):
            began = time.perf_counter()
            spool.metrics({"train/loss": 1 / step, "train/grad_norm": step % 7, "train/learning_rate": 1e-4}, step)
            longest = max(longest, time.perf_counter() - began)
            if step in {1, steps // 2, steps}:
                print(step, flush=True)
                sys.stdin.readline()
            time.sleep(STEP_S)
        (root / "model.safetensors").write_bytes(b"w" * 2**20)
        spool.artifact(root / "model.safetensors", "model")
        spool.end("FINISHED")
        took = time.monotonic()
    print(json.dumps({"longest_ms": round(1000 * longest, 2), "end_s": round(time.monotonic() - took, 1)}), flush=True)


@contextmanager
def killed(server: Mlflow) -> Iterator[None]:
    server.kill()
    yield
    server.start()


@contextmanager
def frozen(server: Mlflow) -> Iterator[None]:
    server.signal(signal.SIGSTOP)
    yield
    server.signal(signal.SIGCONT)


@contextmanager
def locked(server: Mlflow) -> Iterator[None]:
    with closing(sqlite3.connect(server.folder / server.store, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield
        holder.execute("ROLLBACK")


@contextmanager
def restarted(server: Mlflow) -> Iterator[None]:
    server.kill()
    server.start()
    yield


@contextmanager
def replaced(server: Mlflow) -> Iterator[None]:
    server.kill()
    server.start("other.db")
    yield


FAULTS: dict[str, tuple[Callable[[Mlflow], Any], int]] = {
    "none": (lambda server: nullcontext(), 0),
    "killed at the start": (killed, 0),
    "killed in the middle": (killed, 1),
    "killed at the end": (killed, 2),
    "frozen (SIGSTOP)": (frozen, 1),
    "database locked": (locked, 1),
    "restarted": (restarted, 1),
    "another database": (replaced, 1),
}
"""Fault → how it is made, and at which of the loop's three stops (first step, middle, last step)."""


def disturbed(root: Path, uri: str, experiment: str, steps: int, at: Callable[[int], None]) -> dict[str, Any]:
    """Run the loop, `at` called at each of its stops; its figures, and what it said."""
    argv = [sys.executable, __file__, "--loop", str(root), uri, experiment, str(steps)]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdin and process.stdout and process.stderr
    for stop in range(3):
        process.stdout.readline()
        at(stop)
        process.stdin.write("\n")
        process.stdin.flush()
    told, said = process.communicate()
    figures: dict[str, Any] = json.loads(told.splitlines()[-1]) if told.strip() else {}
    return figures | {"exit": process.returncode, "left": sum(unsent(root).values()), "said": said.strip().splitlines()}


def synced(root: Path, uri: str) -> bool:
    """Whether `sync` brings all of it, on a machine that may be busy: it is repeated."""
    argv = [sys.executable, "-m", "sluicegate", "sync", str(root), "--uri", uri]
    return any(subprocess.run(argv, capture_output=True).returncode == 0 for _ in range(5))


def without_machine(content: dict[str, Any]) -> dict[str, Any]:
    """The content but for what the machine did meanwhile, which is another thing each time."""
    run: dict[str, Any] = content["a"]
    return run | {"metrics": {name: rows for name, rows in run["metrics"].items() if not name.startswith("system/")}}


def row(name: str, found: dict[str, Any], same: bool | None) -> None:
    word = {True: "same", False: "DIFFERS", None: "-"}[same]
    print(
        f"{name:22} {found.get('longest_ms', '-'):>9} {found.get('end_s', '-'):>7} {found['exit']:>5} "
        f"{found['left']:>6}  {word:8} {(found['said'] or [''])[0][:90]}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--only", default="", help="names that begin with this")
    parser.add_argument("--loop", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.loop:
        root, uri, experiment, steps = asked.loop
        return loop(Path(root), uri, experiment, int(steps))
    with tempfile.TemporaryDirectory() as work:
        measure(Path(work), asked.steps, asked.only)


def measure(work: Path, steps: int, only: str) -> None:
    server = Mlflow(work / "server")
    server.start()
    print(f"{steps} steps of {1000 * STEP_S:g} ms; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"{'fault':22} {'write ms':>9} {'end s':>7} {'exit':>5} {'left':>6}  {'synced':8} first line told")
    try:
        row("no sender", disturbed(work / "alone", "", "alone", steps, lambda stop: None), None)
        wanted: dict[str, Any] = {}
        for place, (name, (make, when)) in enumerate(FAULTS.items()):
            if wanted and not name.startswith(only):
                continue
            root, fault = work / f"run{place}", make(server)

            def at(stop: int, root: Path = root, when: int = when, fault: Any = fault) -> None:
                if stop == 1:  # the sender has begun by then, as it has in any training but the shortest
                    deadline = time.monotonic() + 20
                    while time.monotonic() < deadline and when and not (root / "events.sent.json").exists():
                        time.sleep(0.1)
                if stop == when:
                    fault.__enter__()

            found = disturbed(root, server.uri, f"x{place}", steps, at)
            fault.__exit__(None, None, None)
            done = synced(root, server.uri)
            content = without_machine(server.content(f"x{place}"))
            wanted = wanted or content
            assert len(wanted["metrics"]["train/loss"]) == steps, "the server does not keep up: nothing to compare with"
            row(name, found, done and content == wanted)
        lies(work, server, steps, only, wanted)
    finally:
        server.kill()


def lies(work: Path, server: Mlflow, steps: int, only: str, wanted: dict[str, Any]) -> None:
    with serving(Hostile) as liar:
        for mode in LIES:
            if not mode.startswith(only):
                continue
            liar.mode = mode  # type: ignore[attr-defined]
            root = work / mode
            found = disturbed(root, f"http://127.0.0.1:{liar.server_port}", mode, steps, lambda stop: None)
            done = synced(root, server.uri)
            row(f"lies: {mode}", found, done and without_machine(server.content(mode)) == wanted)


if __name__ == "__main__":
    main()
