"""Reads TensorBoard's event files of scalars, apart from the code that writes them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

Point = tuple[str, int, float]
"""Name of the curve, step, value."""


def points(folder: Path) -> list[Point]:
    """All points of a folder, in the order of its files and of what they hold."""
    files = sorted(folder.glob("events.out.tfevents.*"), key=lambda path: path.name.rsplit(".", 1)[-1])
    return [point for path in files for event in records(path) if (point := scalar(event)) is not None]


def records(path: Path) -> Iterator[bytes]:
    """The messages of a file; what its checksums do not vouch for is an error."""
    content, place = path.read_bytes(), 0
    while place < len(content):
        (length,) = struct.unpack_from("<Q", content, place)
        message = content[place + 12 : place + 12 + length]
        for what, at in ((content[place : place + 8], place + 8), (message, place + 12 + length)):
            assert struct.unpack_from("<I", content, at)[0] == masked(what), f"{path}: checksum at byte {at}"
        place += length + 16
        yield message


def masked(content: bytes) -> int:
    """CRC-32C by division, bit for bit, and masked."""
    rest = 0xFFFFFFFF
    for byte in content:
        rest ^= byte
        for _ in range(8):
            rest = rest >> 1 ^ 0x82F63B78 * (rest & 1)
    rest ^= 0xFFFFFFFF
    return ((rest >> 15 | rest << 17 & 0xFFFFFFFF) + 0xA282EAD8) % 2**32


def fields(message: bytes) -> dict[int, bytes]:
    """The fields of a message, each as its bytes; whole numbers as 8, lowest first."""
    found, place = {}, 0
    while place < len(message):
        key, place = varint(message, place)
        if key & 7 == 0:
            number, place = varint(message, place)
            found[key >> 3] = struct.pack("<q", number)
            continue
        size = {1: 8, 5: 4}.get(key & 7)
        if size is None:
            size, place = varint(message, place)
        found[key >> 3] = message[place : place + size]
        place += size
    return found


def varint(message: bytes, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where it ends."""
    number, shift = 0, 0
    while True:
        number |= (message[place] & 0x7F) << shift
        shift, place = shift + 7, place + 1
        if message[place - 1] < 0x80:
            return number, place


def scalar(event: bytes) -> Point | None:
    """The point that an event tells; None of one that tells a file's version."""
    told = fields(event)
    if 5 not in told:
        assert told[3] == b"brain.Event:2"
        return None
    value = fields(fields(told[5])[1])
    return value[1].decode(), struct.unpack("<q", told[2])[0], struct.unpack("<f", value[2])[0]
