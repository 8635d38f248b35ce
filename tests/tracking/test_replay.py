"""Whatever fails, wherever the sender dies, whatever of its state is lost: the server ends up with the same content."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.tracking.outbox import Outbox
from sluicegate.tracking.spool import Event, Spool
from sluicegate.tracking.state import SENT

URI = "http://server:5000"


class LostError(Exception):
    """The connection broke, before or after the server did what it was asked to."""


class Server:
    """Holds what MLflow would, with its rules: equal points are one, a parameter never changes, a file is replaced.

    Args:
        faults: of each call in turn: none, before it was done, after it was done.
    """

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults
        self.runs: dict[str, dict[str, Any]] = {}

    def call(self, do: Callable[[], Any]) -> Any:
        fault = self.faults.pop() if self.faults else ""
        if fault == "before":
            raise LostError
        found = do()
        if fault == "after":
            raise LostError
        return found

    def run(self, event: Event, parent: str) -> str:
        fresh: dict[str, Any] = {
            "points": [],
            "params": {},
            "inputs": {},
            "files": {},
            "models": {},
            "status": "RUNNING",
        }
        self.call(lambda: self.runs.setdefault(event["spool"], fresh))
        return str(event["spool"])

    def go_on(self, run_id: str, event: Event, parent: str) -> None:
        self.call(lambda: self.runs[run_id].update(status="RUNNING"))

    def params(self, run_id: str, values: dict[str, str]) -> None:
        self.call(lambda: [self.runs[run_id]["params"].setdefault(key, value) for key, value in values.items()])

    def dataset(self, run_id: str, event: Event) -> None:
        self.call(lambda: self.runs[run_id]["inputs"].update({event["name"]: event["sha256"]}))

    def metrics(self, run_id: str, points: list[tuple[str, float, int, int]]) -> None:
        known = self.runs[run_id]["points"]
        self.call(lambda: known.extend(point for point in points if point not in known))

    def file(self, run_id: str, path: Path, under: str) -> None:
        self.call(lambda: self.runs[run_id]["files"].update({f"{under}/{path.name}": path.read_text()}))

    def model(self, run_id: str, event: Event) -> str:
        self.call(lambda: self.runs[run_id]["models"].setdefault(event["name"], {"status": "PENDING", "files": {}}))
        return f"{run_id}|{event['name']}"

    def model_file(self, model_id: str, path: Path, under: str) -> None:
        run_id, name = model_id.split("|")
        self.call(lambda: self.runs[run_id]["models"][name]["files"].update({path.name: path.read_text()}))

    def model_ready(self, run_id: str, model_id: str) -> None:
        self.call(lambda: self.runs[run_id]["models"][model_id.split("|")[1]].update(status="READY"))

    def end(self, run_id: str, event: Event) -> None:
        self.call(lambda: self.runs[run_id].update(status=event["status"]))


def write(folder: Path, steps: list[tuple[int, float]], *, resumed: bool) -> None:
    with Spool(folder) as spool:
        spool.run("a", "demo")
        spool.params({"epochs": 3})
        spool.dataset("train", Path("train.jsonl"), "ab", 7)
        for number, value in steps:
            spool.metrics({"loss": value, "norm": 1.0}, number)
        if resumed:
            spool.end("KILLED")
            spool.run("a", "demo")
            spool.metrics({"loss": 0.5, "norm": 1.0}, len(steps) + 1)
        (folder / "weights").write_text("w")
        spool.artifact(folder / "weights", "model")
        spool.model("a", [folder / "weights"], {})
        spool.end("FINISHED")


def send(folder: Path, server: Any, lose: list[str]) -> None:
    """Send until all is sent; between two tries a new process, which finds less or more of the state."""
    older = ""
    while True:
        box = Outbox(folder, URI)
        try:
            box.send(server, "", math.inf)
        except LostError:
            state = folder / SENT
            found = lose.pop() if lose else ""
            if found == "all":
                state.unlink(missing_ok=True)
            elif found == "newest" and older:
                state.write_text(older)
            elif state.exists():
                older = state.read_text()
        else:
            return


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(1, 9), st.sampled_from([0.1, 0.2, 0.3])), max_size=12),
    resumed=st.booleans(),
    faults=st.lists(st.sampled_from(["", "before", "after"]), max_size=25),
    lose=st.lists(st.sampled_from(["", "all", "newest"]), max_size=10),
)
def test_the_content_is_that_of_an_undisturbed_run(
    steps: list[tuple[int, float]], resumed: bool, faults: list[str], lose: list[str]
) -> None:
    with TemporaryDirectory() as work:
        folder = Path(work)
        write(folder, steps, resumed=resumed)
        disturbed = Server(faults)
        send(folder, disturbed, lose)
        (folder / SENT).unlink()
        undisturbed = Server([])
        send(folder, undisturbed, [])
        assert disturbed.runs == undisturbed.runs
        state = json.loads((folder / SENT).read_text())
        assert state["offset"] == (folder / "events.jsonl").stat().st_size


def test_a_spool_that_was_replaced_by_another_copy_is_sent_from_the_beginning(tmp_path: Path) -> None:
    server: Any = Server([])
    write(tmp_path, [(1, 0.1), (2, 0.2)], resumed=False)
    whole = (tmp_path / "events.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    added = b'{"kind":"end","time_ms":1,"status":"KILLED"}\n'
    (tmp_path / "events.jsonl").write_bytes(b"".join(lines[:4]) + added)
    send(tmp_path, server, [])
    assert [run["status"] for run in server.runs.values()] == ["KILLED"]
    (tmp_path / "events.jsonl").write_bytes(whole)  # as the machine that trains has it
    send(tmp_path, server, [])
    (run,) = server.runs.values()
    assert (run["status"], len(run["points"])) == ("FINISHED", 4)
