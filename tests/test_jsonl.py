"""Files: every fault with its place, nothing half written, nothing lost by a kill."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from sluicegate import folder, jsonl
from sluicegate.compare.foreign import load_scores
from sluicegate.data.reader import read_samples
from sluicegate.errors import UserError, UserErrors
from sluicegate.records import Prediction, Score

ROW = Prediction("a", "m", 0, "x", 1, 0.5, "stop")


def test_written_records_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "p.jsonl"
    jsonl.write(path, [ROW, ROW])
    assert jsonl.read(Prediction, path) == [ROW, ROW]
    assert list(path.parent.iterdir()) == [path]


def test_an_empty_file_has_no_records(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text("\n")
    assert jsonl.read(Prediction, path) == []


def test_every_bad_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    jsonl.write(path, [ROW])
    path.write_text(path.read_text() + "{\n\n" + path.read_text())
    with pytest.raises(UserErrors) as caught:
        jsonl.read(Prediction, path)
    assert f"{path}:2" in str(caught.value)
    assert f"{path}:3" in str(caught.value)
    assert "2 unreadable lines" in str(caught.value)


def test_many_bad_lines_are_counted_and_the_first_ten_shown(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text("{\n" * 500)
    with pytest.raises(UserErrors) as caught:
        jsonl.read(Prediction, path)
    assert "500 unreadable lines" in str(caught.value)
    assert len(caught.value.faults) == 10


def test_a_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("")
    with pytest.raises(UserError, match=r"train\.jsonl"):
        jsonl.read_text(tmp_path / "trian.jsonl")


@pytest.mark.parametrize("raw", ["é".encode("latin-1"), "a".encode("utf-16"), b"ok\n\xff\xfe"])
def test_a_wrong_encoding_is_named_with_its_line(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(raw)
    with pytest.raises(UserError, match="not UTF-8"):
        jsonl.read_text(path)


def test_byte_order_mark_and_crlf_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    jsonl.write(path, [ROW])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert jsonl.read(Prediction, path) == [ROW]


def test_a_failed_write_leaves_the_old_file_and_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    jsonl.write_text(path, "old")
    with pytest.raises(ZeroDivisionError), jsonl.replacing(path, "w") as stream:
        stream.write("new")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_a_message_and_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    jsonl.write_text(path, "old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="cannot be written") as caught:
        jsonl.write_text(path, "new")
    assert "No space left" in caught.value.seen
    assert path.read_text() == "old"


def test_a_folder_in_the_way_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        jsonl.write_text(tmp_path / "file" / "a.txt", "x")


def test_a_journal_cuts_off_a_torn_line_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    with jsonl.Journal(path) as journal:
        journal.append(ROW, ROW)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:17])
    with jsonl.Journal(path) as journal:
        journal.append(ROW)
    assert jsonl.read(Prediction, path) == [ROW] * 3


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 200_000])
def test_a_torn_line_of_any_length_is_cut(tmp_path: Path, size: int) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(b"whole\n" + b"x" * size)
    jsonl.cut_torn_line(path)
    assert path.read_bytes() == b"whole\n"


def test_a_file_that_is_one_torn_line_becomes_empty(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(b"x" * 100_000)
    jsonl.cut_torn_line(path)
    assert path.read_bytes() == b""


def test_written_files_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        jsonl.write_text(tmp_path / "a", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_a_pipe_is_no_file_of_records_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "scores.jsonl")
    for look in (lambda path: list(jsonl.each(Score, path)), load_scores, read_samples):
        with pytest.raises(UserError, match="a pipe or a device"):
            look(tmp_path / "scores.jsonl")


def test_a_pipe_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "comparisons.json"
    os.mkfifo(pipe)
    with pytest.raises(UserError, match="a pipe or a device"):
        jsonl.write_text(pipe, "{}")
    with pytest.raises(UserError, match="a pipe or a device"), folder.holding_file(pipe):
        pass
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


@pytest.mark.parametrize(("encoding", "told"), [("utf-16", "iconv -f UTF-16 "), ("cp1252", "iconv -f WINDOWS-1252 ")])
def test_the_mend_names_the_encoding(tmp_path: Path, encoding: str, told: str) -> None:
    (tmp_path / "a.yaml").write_bytes("größer".encode(encoding))
    with pytest.raises(UserError) as caught:
        jsonl.read_text(tmp_path / "a.yaml")
    assert told in caught.value.mend
