"""MLflow over HTTP: servers that are away, hang, lie or refuse, each told apart by name."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sluicegate.errors import UserError
from sluicegate.tracking import carrier
from sluicegate.tracking.carrier import Sent, follow
from sluicegate.tracking.probe import check
from sluicegate.tracking.spool import Spool
from sluicegate.tracking.state import unsent
from tracking.servers import ANSWERS, Hostile, free_port, serving


@pytest.fixture
def hostile() -> Iterator[Callable[[str], str]]:
    with serving(Hostile) as server:

        def serve(mode: str) -> str:
            server.mode = mode  # type: ignore[attr-defined]
            return f"http://me:hunter2@127.0.0.1:{server.server_port}"

        yield serve


@pytest.mark.parametrize("mode", ANSWERS)
def test_check_names_what_a_server_answers(mode: str, hostile: Callable[[str], str]) -> None:
    with pytest.raises(UserError) as told:
        check(hostile(mode))
    assert told.value.seen.startswith(ANSWERS[mode][3])
    assert told.value.mend
    assert "hunter2" not in str(told.value)
    assert ("--allowed-hosts" in str(told.value)) == (mode == "host")


def test_check_gives_up_on_a_server_that_hangs(hostile: Callable[[str], str]) -> None:
    with pytest.raises(UserError, match=r"no answer|cannot be reached") as told:
        check(hostile("hang"), limit_s=0.3)
    assert "hangs" in told.value.seen


@pytest.mark.parametrize(
    ("uri", "seen"),
    [
        pytest.param(f"http://me:hunter2@127.0.0.1:{free_port()}", "refused", id="refused"),
        ("http://no.such.host.invalid:5000", ""),
        ("http://127.0.0.1:99999", ""),
        ("http://", ""),
        ("file:///tmp/mlruns", "file:///tmp/mlruns"),
        ("./mlruns", "./mlruns"),
        ("postgresql://me:hunter2@db/mlflow", "postgresql://db/mlflow"),
        ("sqlite://", "sqlite://"),
        ("", "an empty value"),
    ],
)
def test_check_refuses_what_cannot_be_used(uri: str, seen: str) -> None:
    with pytest.raises(UserError) as told:
        check(uri)
    assert seen in told.value.seen
    assert told.value.mend
    assert "hunter2" not in str(told.value)


def test_check_refuses_sqlite_paths_that_cannot_work(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x" * 5000)
    for path in (tmp_path, tmp_path / "notes.txt", tmp_path / "notes.txt" / "mlflow.db"):
        with pytest.raises(UserError, match="cannot be used"):
            check(f"sqlite:///{path}")
    check(f"sqlite:///{tmp_path}/deep/down/mlflow.db")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("mode", ["dead", "hang", "half", "broken", "html", "login", "host", "moved", "torn"])
def test_follow_outlives_any_server(
    mode: str, hostile: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if mode == "hang":
        monkeypatch.setattr(carrier, "check", functools.partial(check, limit_s=0.3))
    uri = f"http://me:hunter2@127.0.0.1:{free_port()}" if mode == "dead" else hostile(mode)
    spool = Spool(tmp_path / "a")
    spool.run("a", "demo")
    stop, told, came = threading.Event(), list[str](), list[Sent]()

    def tell(line: str) -> None:
        told.append(line)
        stop.set()

    def run() -> None:
        came.append(follow(tmp_path, uri, stop, every_s=0.01, grace_s=lambda: 1, tell=tell))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    spool.metrics({"train/loss": 1.0}, 1)
    assert len(told) == 1
    assert f"sluicegate sync {tmp_path}" in told[0]
    assert came[0].waiting == 1
    assert sum(unsent(tmp_path).values()) == 2
    shown = told[0] + str(came[0].faults)
    wanted = {"dead": "refused", "hang": "hangs", "half": "500"}.get(mode, ANSWERS.get(mode, ("",) * 4)[3])
    assert str(wanted) in shown
    assert "hunter2" not in shown
