"""Event files: TensorBoard's own format, read back by another reader, and by TensorBoard's where it is installed."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from event_files import points, records
from sluicegate.errors import UserError
from sluicegate.train.boards import Board

POINTS = [
    ("train/loss", 1, 2.5),
    ("val/größe", 1, -1e9),
    ("train/loss", 300, 0.125),
    ("train/loss", 2**40, float("inf")),
]


def written(folder: Path, told: list[tuple[str, int, float]]) -> Path:
    board = Board(folder)
    for name, step, value in told:
        board.scalar(name, value, step)
    board.close()
    return folder


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    assert points(written(tmp_path / "a" / "board", POINTS)) == POINTS


def test_a_training_that_goes_on_adds_a_file(tmp_path: Path) -> None:
    written(tmp_path, POINTS[:2])
    written(tmp_path, POINTS[2:])
    assert len(list(tmp_path.iterdir())) == 2
    assert points(tmp_path) == POINTS


def test_each_point_is_on_the_disk_at_once(tmp_path: Path) -> None:
    board = Board(tmp_path)
    for count, (name, step, value) in enumerate(POINTS, 1):
        board.scalar(name, value, step)
        assert points(tmp_path) == POINTS[:count]


def test_a_changed_byte_is_seen_by_the_checksums(tmp_path: Path) -> None:
    (path,) = written(tmp_path, POINTS).iterdir()
    content = bytearray(path.read_bytes())
    content[-6] ^= 1
    path.write_bytes(content)
    with pytest.raises(AssertionError, match="checksum"):
        points(tmp_path)


def test_a_file_begins_with_its_version(tmp_path: Path) -> None:
    (path,) = written(tmp_path, []).iterdir()
    (first,) = records(path)
    assert first[:1] == b"\x09" and first[9:] == b"\x1a\x0dbrain.Event:2"
    assert struct.unpack_from("<d", first, 1)[0] > 1e9


def test_a_folder_that_cannot_be_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        Board(tmp_path / "file" / "board")


def test_tensorboard_reads_it(tmp_path: Path) -> None:
    path = "tensorboard.backend.event_processing.event_accumulator"
    events = pytest.importorskip(path, reason="needs tensorboard").EventAccumulator(str(written(tmp_path, POINTS)))
    events.Reload()
    assert sorted(events.Tags()["scalars"]) == ["train/loss", "val/größe"]
    assert [(row.step, row.value) for row in events.Scalars("train/loss")] == [
        row[1:] for row in POINTS if row[0] == "train/loss"
    ]
