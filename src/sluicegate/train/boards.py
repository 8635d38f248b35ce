"""Curves as TensorBoard reads them, written without it: event files of scalars.

An event is a message of protocol buffers in a record of its own: its length, a checksum of that, the message, and a
checksum of that. What is not there when a process dies is at most the record that was being written, which readers
leave out; a training that goes on adds a file to those that are there.

Source: TensorBoard's event.proto and summary.proto, TensorFlow's record format (github.com/tensorflow/tensorboard,
tensorboard/compat/proto); CRC-32C, RFC 3720 appendix B.4.
"""

from __future__ import annotations

import os
import platform
import struct
import time
from functools import cache
from pathlib import Path

from sluicegate.jsonl import unwritable

VERSION = b"brain.Event:2"
POLYNOMIAL = 0x82F63B78
"""Of CRC-32C, its bits reversed."""
MASK_ADDED = 0xA282EAD8
"""Added to a checksum, rotated by 15 bits, that is stored among what it is of."""


class Board:
    """One event file, in a folder that may hold others.

    Raises:
        UserError: the folder cannot be written to, now or later.
    """

    def __init__(self, folder: Path) -> None:
        now = time.time()
        self._path = folder / f"events.out.tfevents.{int(now)}.{platform.node()}.{os.getpid()}.{time.monotonic_ns()}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._stream = self._path.open("xb", buffering=0)
        except OSError as fault:
            raise unwritable(self._path, fault) from None
        self._write(_double(1, now) + _bytes(3, VERSION))

    def scalar(self, name: str, value: float, step: int) -> None:
        """One point of a curve."""
        point = _bytes(1, name.encode()) + struct.pack("<Bf", 2 << 3 | 5, value)
        self._write(_double(1, time.time()) + _number(2, step) + _bytes(5, _bytes(1, point)))

    def _write(self, event: bytes) -> None:
        length = struct.pack("<Q", len(event))
        try:
            self._stream.write(length + _checksum(length) + event + _checksum(event))
        except OSError as fault:
            raise unwritable(self._path, fault) from None

    def close(self) -> None:
        """The file is complete."""
        self._stream.close()


def _double(field: int, value: float) -> bytes:
    return struct.pack("<Bd", field << 3 | 1, value)


def _number(field: int, value: int) -> bytes:
    return bytes([field << 3]) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    r"""A whole number, seven bits a byte, the lowest first.

    >>> _varint(1), _varint(300)
    (b'\x01', b'\xac\x02')
    """
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _checksum(content: bytes) -> bytes:
    rest = crc32c(content)
    return struct.pack("<I", ((rest >> 15 | rest << 17) + MASK_ADDED) & 0xFFFFFFFF)


def crc32c(content: bytes) -> int:
    """The Castagnoli checksum.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    rest = 0xFFFFFFFF
    for byte in content:
        rest = rest >> 8 ^ _table()[(rest ^ byte) & 0xFF]
    return rest ^ 0xFFFFFFFF


@cache
def _table() -> tuple[int, ...]:
    return tuple(_shifted(byte) for byte in range(256))


def _shifted(rest: int) -> int:
    for _ in range(8):
        rest = rest >> 1 ^ (POLYNOMIAL if rest & 1 else 0)
    return rest
