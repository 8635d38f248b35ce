"""Files of foreign rows: text of any line end, with a byte-order mark or without, packed by gzip or not."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sluicegate.data.importers import Rows
from sluicegate.data.reader import UTF16, LineError, fault_inside, items
from sluicegate.errors import UserError

SIZE_LIMIT: Final = 2**30
"""Bytes of one file, unpacked; it is held in memory."""
BROKEN_LIST: Final = ("not JSON", "nested too deep")


def json_rows(path: Path) -> Rows:
    """The objects of JSON Lines or of a JSON list, each with the line that it begins on.

    Raises:
        UserError: as `decoded`.
    """
    told = decoded(path)
    is_list = told.lstrip().startswith("[")
    for line, item in items(told):
        row = row_of(item)
        if is_list and isinstance(row, LineError) and str(row).startswith(BROKEN_LIST):
            row = LineError(f"{row}; the list was not read from here on")
        yield f"{path}:{line}", row


def row_of(item: Any) -> Mapping[str, Any] | LineError:
    """A row, or what is wrong with it: no object, or text that no file can hold."""
    if isinstance(item, LineError):
        return item
    if not isinstance(item, dict):
        return LineError(f"wanted an object, seen {type(item).__name__}")
    why = fault_inside(item)
    if "half a surrogate pair (\\udc" in why:
        why = f"not UTF-8, or {why}"
    return LineError(why) if why else item


def decoded(path: Path) -> str:
    """The text of a file; bytes that are not UTF-8 become lone surrogates, so that they are faults of their rows.

    Raises:
        UserError: missing, no file, unreadable, empty, not gzip in spite of its name, too large, or in UTF-16.
    """
    raw = _raw(path)
    if raw[:2] in UTF16 or b"\0" in raw[:4]:
        raise UserError(
            f"{path}:1: not UTF-8", wanted="UTF-8 text", seen=f"bytes {raw[:4].hex(' ')}: UTF-16, UTF-32 or binary",
            mend=f"iconv -f UTF-16 -t UTF-8 {path} > {path.stem}.utf8{path.suffix}",
        )  # fmt: skip
    if not raw.strip():
        raise UserError(f"{path}: empty", wanted="rows", seen=f"{len(raw)} bytes")
    return raw.decode("utf-8", "surrogateescape").removeprefix("\ufeff").replace("\r\n", "\n")


def _raw(path: Path) -> bytes:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            raw = stream.read(SIZE_LIMIT + 1)
    except FileNotFoundError:
        raise UserError(f"{path}: not found", wanted="a file", seen="no such file") from None
    except (OSError, EOFError, zlib.error) as fault:
        raise UserError(f"{path}: cannot be read", wanted="a readable file", seen=str(fault)) from None
    if len(raw) > SIZE_LIMIT:
        raise UserError(f"{path}: too large", wanted=f"at most {SIZE_LIMIT:,} bytes", seen="more", mend="split it")
    return raw
