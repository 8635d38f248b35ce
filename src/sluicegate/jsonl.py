"""JSON Lines and whole files: read with `file:line` in every error, written atomically, appended durably.

A reader of ours never drops a line in silence and never guesses an encoding. A writer never leaves half a file: it
writes beside the target, syncs, then renames. Appending is for journals (predictions, scores, the spool): a line torn
by a kill is cut off when the journal is opened again.
"""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

from pydantic import ValidationError

from sluicegate.errors import UserError, UserErrors
from sluicegate.records import from_json, to_json

Record = TypeVar("Record")
FAULTS_SHOWN = 10
MARK = b"\xef\xbb\xbf"


def read_text(path: Path) -> str:
    """The whole file as UTF-8 text; a byte-order mark is dropped and CRLF becomes LF.

    Raises:
        UserError: missing, a folder, unreadable, or not UTF-8 (with the byte offset and line).
    """
    return _decoded(path, _bytes(path))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        near = sorted(p.name for p in path.parent.glob(f"*{path.suffix}"))[:5] if path.parent.is_dir() else []
        seen = f"folder holds {', '.join(near)}" if near else "no such file"
        raise UserError(f"{path}: not found", wanted="an existing file", seen=seen) from None
    except OSError as fault:
        raise UserError(f"{path}: cannot be read", wanted="a readable file", seen=str(fault.strerror)) from None


def _decoded(path: Path, raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as fault:
        line = raw[: fault.start].count(b"\n") + 1
        raise UserError(
            f"{path}:{line}: not UTF-8",
            wanted="UTF-8 text",
            seen=f"byte 0x{raw[fault.start]:02x} at offset {fault.start}",
            mend=f"iconv -f {_guessed(raw)} -t UTF-8 {path} > {path.stem}.utf8{path.suffix}",
        ) from None


def refuse_stream(path: Path) -> None:
    """A pipe or a device can be read once, and files of records are gone through again: for a digest, for a metric.

    Nor can one be replaced, or gone on with after a kill.

    Raises:
        UserError: it is one.
    """
    try:
        mode = path.stat().st_mode
    except OSError:  # who reads it has the words for that
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise UserError(
            f"{path}: not a file",
            wanted="a file, that can be read again",
            seen="a pipe or a device",
            mend="name a file, and write to it first what comes out of a pipe",
        )


def _guessed(raw: bytes) -> str:
    """What such bytes most often are; `>` of PowerShell writes UTF-16."""
    return "UTF-16" if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "WINDOWS-1252"


def explain(fault: ValidationError) -> str:
    """A validation error on one line: `prompt: field required; tests: should be a string`."""
    return "; ".join(
        f"{'.'.join(str(part) for part in row['loc']) or 'line'}: {row['msg'][:1].lower()}{row['msg'][1:]}"
        for row in fault.errors(include_url=False, include_context=False, include_input=False)
    )


def read(kind: type[Record], path: Path, *, torn: bool = False) -> list[Record]:
    """All records of a file, one a line; blank lines are allowed at the end only.

    An empty file has no records.

    Args:
        torn: whether a last line that has no end and is no record is passed over, as a kill leaves one.

    Raises:
        UserError: as `read_text`; UserErrors: every bad line (the first 10 shown) with `file:line`.
    """
    records: list[Record] = []
    faults: list[UserError] = []
    raw = _bytes(path)
    text = _decoded(path, _untorn(kind, raw) if torn else raw).rstrip("\n")
    for number, line in enumerate(text.split("\n") if text.strip() else [], start=1):
        try:
            records.append(from_json(kind, line))
        except ValidationError as fault:
            seen = line if len(line) <= 60 else line[:57] + "..."
            faults.append(UserError(f"{path}:{number}: {explain(fault)}", seen=seen or "an empty line"))
    if faults:
        more = f" (first {FAULTS_SHOWN} shown)" if len(faults) > FAULTS_SHOWN else ""
        raise UserErrors(f"{path}: {len(faults)} unreadable lines{more}; nothing was read", faults[:FAULTS_SHOWN])
    return records


def _untorn(kind: type[Record], raw: bytes) -> bytes:
    head, end, tail = raw.rpartition(b"\n")
    return head + end if tail.startswith(b"{") and not _is_record(kind, tail) else raw


def _is_record(kind: type[Record], line: bytes) -> bool:
    try:
        from_json(kind, line)
    except ValidationError:
        return False
    return True


def each(kind: type[Record], path: Path) -> Iterator[tuple[int, Record]]:
    """Offset and record of every line, one at a time, as `read` would read them.

    Raises:
        UserError: as `read`, which is left to find the words; it comes when the first fault is met. Or it is a pipe.
    """
    refuse_stream(path)
    try:
        with path.open("rb") as stream:
            offset, ended = 0, False
            for line in stream:
                text = clean(line, offset)
                if text and not ended:
                    yield offset, from_json(kind, text)
                elif text:
                    break
                else:
                    ended = True
                offset += len(line)
            else:
                return
    except (OSError, ValidationError):
        pass
    read(kind, path)
    raise UserError(f"{path}: changed while it was read", wanted="a file that nobody writes to", seen="other lines")


def clean(line: bytes, offset: int) -> bytes:
    """A line without its end and, where it is the first, without a byte-order mark.

    >>> clean(b"{}\\r\\n", 10), clean(b"\\xef\\xbb\\xbf{}", 0)
    (b'{}', b'{}')
    """
    return (line.removeprefix(MARK) if offset == 0 else line).rstrip(b"\r\n")


@contextlib.contextmanager
def replacing(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """A file that takes the place of `path` when the block ends well, and leaves no trace when it does not.

    Raises:
        UserError: the folder cannot be written to or is full, or a pipe or a device has that name.
    """
    refuse_stream(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    except OSError as fault:
        raise unwritable(path, fault) from None
    beside = Path(name)
    try:
        binary = "b" in mode
        with os.fdopen(handle, mode, encoding=None if binary else "utf-8", newline=None if binary else "\n") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        beside.chmod(0o666 & ~_umask())
        beside.replace(path)
    except OSError as fault:
        raise unwritable(path, fault) from None
    finally:
        beside.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def unwritable(path: Path, fault: OSError) -> UserError:
    """The message for a folder that is read-only, full, or in the way."""
    return UserError(
        f"{path}: cannot be written",
        wanted="a writable folder with free space",
        seen=fault.strerror or str(fault),
        mend=f"check `df -h {path.parent}` and `ls -ld {path.parent}`; in a container: --user $(id -u)",
    )


def write_text(path: Path, text: str) -> None:
    """Write a whole text file atomically, UTF-8, LF."""
    with replacing(path, "w") as stream:
        stream.write(text)


def write(path: Path, records: Iterable[Any]) -> None:
    """Write records atomically, one a line."""
    with replacing(path, "w") as stream:
        stream.writelines(to_json(record) + "\n" for record in records)


class Journal:
    """An append-only file of records that survives a kill: what was appended before it is whole.

    Opening it cuts off a torn last line. Nothing is buffered, so a full disk is told of by `append` and by nothing
    after it; `close` also reaches the disk.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = path.open("ab", buffering=0)
            cut_torn_line(path)
        except OSError as fault:
            raise unwritable(path, fault) from None

    def append(self, *records: Any) -> None:
        """Append records, one a line.

        Raises:
            UserError: the disk is full or the file went read-only; what was there before stays.
        """
        try:
            rest = memoryview("".join(to_json(record) + "\n" for record in records).encode())
            while rest:
                rest = rest[self._stream.write(rest) :]
        except OSError as fault:
            raise unwritable(self.path, fault) from None

    def close(self) -> None:
        """Sync and close."""
        try:
            os.fsync(self._stream.fileno())
        finally:
            self._stream.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def end_whole_line(kind: type[Record], path: Path) -> None:
    """Give a last line that is a record the end that it lacks: a journal that is opened takes it for torn otherwise.

    Raises:
        UserError: the file cannot be read or written.
    """
    if not path.exists() or not _is_record(kind, _bytes(path).rpartition(b"\n")[2]):
        return
    try:
        with path.open("ab") as stream:
            stream.write(b"\n")
    except OSError as fault:
        raise unwritable(path, fault) from None


def cut_torn_line(path: Path) -> None:
    """Truncate a journal after its last newline."""
    with path.open("r+b") as stream:
        size = stream.seek(0, os.SEEK_END)
        end = size
        while end > 0:
            start = max(0, end - 65536)
            stream.seek(start)
            newline = stream.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            stream.truncate(end)


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex.

    Raises:
        UserError: missing, a folder, or unreadable.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as fault:
        raise UserError(f"{path}: cannot be read", wanted="a readable file", seen=str(fault.strerror)) from None
