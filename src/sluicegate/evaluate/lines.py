"""Records of a file one at a time, each with the byte it begins at, so that it can be found again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from sluicegate import jsonl
from sluicegate.errors import UserError
from sluicegate.records import from_json

Record = TypeVar("Record")
_MARK = b"\xef\xbb\xbf"


def records(kind: type[Record], path: Path) -> Iterator[tuple[int, Record]]:
    """Offset and record of every line, as `jsonl.read` would read them.

    Raises:
        UserError: as `jsonl.read`, which is left to find the words; it comes when the first fault is met.
    """
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
    jsonl.read(kind, path)
    raise UserError(f"{path}: changed while it was read", wanted="a file that nobody writes to", seen="other lines")


def clean(line: bytes, offset: int) -> bytes:
    """A line without its end and, where it is the first, without a byte-order mark.

    >>> clean(b"{}\\r\\n", 10), clean(b"\\xef\\xbb\\xbf{}", 0)
    (b'{}', b'{}')
    """
    return (line.removeprefix(_MARK) if offset == 0 else line).rstrip(b"\r\n")
