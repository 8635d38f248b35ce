"""How a container ended, in words; which engine is meant; archives in both directions."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from sluicegate.errors import UserError
from sluicegate.runners import archive, engine
from sluicegate.runners.container import end_of
from sluicegate.runners.transfer import batches
from sluicegate.study import Machine

STARTED = {"StartedAt": "2026-11-29T01:00:00.123456789Z", "FinishedAt": "2026-11-29T01:00:10.623456789Z"}


@pytest.mark.parametrize(
    ("code", "more", "cut", "killed", "why"),
    [
        (0, {}, True, False, ""),
        (2, {}, False, False, ""),
        (137, {"OOMKilled": True}, True, True, "more memory than 2 GiB (OOMKilled)"),
        (137, {}, False, False, "not by us and not for memory"),
        (137, {}, True, False, "killed while its engine was away: was Docker or the machine restarted?"),
        (255, {}, True, False, "killed while its engine was away"),
        (137, {}, True, True, "did not in time and was killed"),
        (143, {}, False, False, "ended by a signal (SIGTERM), not by us"),
        (127, {"Error": 'exec: "x": not found'}, False, False, 'its program is not there: exec: "x": not found'),
        (126, {}, False, False, "its program cannot be run: is this the right image?"),
        (125, {}, False, False, "the engine could not run it"),
    ],
)
def test_ends_are_told_apart(code: int, more: dict[str, object], cut: bool, killed: bool, why: str) -> None:
    told = end_of({"ExitCode": code, **STARTED, **more}, Machine(memory_gib=2, runner="docker"), cut=cut, killed=killed)
    assert told.code == code and told.seconds == 10.5
    assert why in told.why and bool(why) == bool(told.why)


def test_the_engine_is_that_of_the_docker_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://user@elsewhere")
    assert engine.usual()[0] == "ssh://user@elsewhere"
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert engine.usual()[0].endswith("/var/run/docker.sock")
    meta = tmp_path / "contexts" / "meta" / hashlib.sha256(b"tower").hexdigest() / "meta.json"
    meta.parent.mkdir(parents=True)
    ends = {"docker": {"Host": "ssh://user@tower", "SkipTLSVerify": False}}
    meta.write_text(json.dumps({"Name": "tower", "Metadata": {}, "Endpoints": ends}))
    (tmp_path / "config.json").write_text(json.dumps({"currentContext": "tower"}))
    assert engine.usual()[0] == "ssh://user@tower"
    monkeypatch.setenv("DOCKER_CONTEXT", "none-such")
    with pytest.raises(UserError, match="DOCKER_CONTEXT"):
        engine.usual()


def test_what_is_packed_is_unpacked_with_its_digest(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    source = tmp_path / "a" / ("long" * 40) / "file"
    source.parent.mkdir(parents=True)
    source.write_bytes(content)
    packed = b"".join(archive.pack(source.parent, [source], (7, 8)))
    parts = [packed[start : start + 999] for start in range(0, len(packed), 999)]
    assert archive.unpack(parts, tmp_path / "b" / "file") == hashlib.sha256(content).hexdigest()
    assert (tmp_path / "b" / "file").read_bytes() == content
    for wrong in (parts[:100], [], [b"x" * 2000]):
        with pytest.raises(archive.CutError):
            archive.unpack(wrong, tmp_path / "c")


def test_large_files_travel_alone_and_small_ones_together(tmp_path: Path) -> None:
    sizes = {"a": 4, "b": 5, "c": 100, "d": 1}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(b"x" * size)
    groups = batches([tmp_path / name for name in sizes], 10)
    assert [[path.name for path in group] for group in groups] == [["a", "b"], ["c"], ["d"]]
