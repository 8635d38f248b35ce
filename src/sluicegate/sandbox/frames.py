"""Several streams over one pair of files: frames of a letter, a length and data, sent and taken without waiting.

Both ends of a container's standard input and output speak it: `docker` outside, `boxed` inside. Neither side can
make the other wait for ever: what one does not take is kept, up to a bound, and then no more is read for it.
"""

from __future__ import annotations

import contextlib
import os
import select
import struct
from collections.abc import Callable, Mapping

HEAD = struct.Struct(">cI")
PART, ROOM = 2**16, 2**20
"""Bytes that are read at once, and that are kept for one that does not take them."""


class Carrier:
    """One end.

    Args:
        read, write: the files between the two ends, which may be one socket.
        ends: letter → the file or socket on this side whose bytes are carried under it, in both directions.
        unpacked: of what is read, the part that is frames.
    """

    def __init__(
        self, read: int, write: int, ends: Mapping[bytes, int], unpacked: Callable[[bytes], bytes] = bytes
    ) -> None:
        self._read, self._write, self._unpacked = read, write, unpacked
        self._out, self._in = bytearray(), bytearray()
        self._ends: dict[bytes, int] = {}
        self._kept: dict[bytes, bytearray] = {}
        self.told: list[tuple[bytes, bytes]] = []
        """Frames whose letter has no file on this side."""
        self.ended: set[bytes] = set()
        """Letters whose own file has ended; the other side is told by an empty frame."""
        self.is_over = False
        """Whether the other side is gone."""
        for number in {read, write}:
            os.set_blocking(number, False)
        self.carry(ends)

    def carry(self, ends: Mapping[bytes, int]) -> None:
        """Carry these as well."""
        for letter, number in ends.items():
            os.set_blocking(number, False)
            self._ends[letter], self._kept[letter] = number, bytearray()

    def send(self, letter: bytes, data: bytes = b"") -> None:
        """Have a frame sent by the next steps."""
        self._out += HEAD.pack(letter, len(data)) + data

    def step(self, wait_s: float | None = None) -> None:
        """Wait until something can be moved, and move it.

        Args:
            wait_s: at most this long; None for as long as it takes.
        """
        poll = select.poll()
        for number, events in self._wanted().items():
            poll.register(number, events)
        ready = dict(poll.poll(None if wait_s is None else wait_s * 1000))
        for letter, number in self._ends.items():
            events = ready.get(number, 0)
            if self._kept[letter] and events:
                self._pass_on(letter)
            if events & ~select.POLLOUT and letter not in self.ended:
                self._take(letter)
        if self._out and ready.get(self._write, 0) & ~select.POLLIN:
            self._write_out()
        if ready.get(self._read, 0) & ~select.POLLOUT:
            self._read_in()

    def _wanted(self) -> dict[int, int]:
        wanted: dict[int, int] = {}
        if all(len(kept) < ROOM for kept in self._kept.values()):
            wanted[self._read] = select.POLLIN
        if self._out:
            wanted[self._write] = wanted.get(self._write, 0) | select.POLLOUT
        for letter, number in self._ends.items():
            events = select.POLLOUT if self._kept[letter] else 0
            if letter not in self.ended and len(self._out) < ROOM:
                events |= select.POLLIN
            if events:
                wanted[number] = events
        return wanted

    def _take(self, letter: bytes) -> None:
        try:
            data = os.read(self._ends[letter], PART)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.ended.add(letter)
        self.send(letter, data)

    def _pass_on(self, letter: bytes) -> None:
        kept = self._kept[letter]
        try:
            del kept[: os.write(self._ends[letter], kept[:PART])]
        except BlockingIOError:
            return
        except OSError:  # nobody reads it
            kept.clear()

    def _write_out(self) -> None:
        with contextlib.suppress(BlockingIOError):
            try:
                del self._out[: os.write(self._write, self._out[:PART])]
            except OSError as fault:
                if isinstance(fault, BlockingIOError):
                    raise
                self.is_over = True

    def _read_in(self) -> None:
        try:
            data = os.read(self._read, PART)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.is_over = True
            return
        self._in += self._unpacked(data)
        while len(self._in) >= HEAD.size:
            letter, size = HEAD.unpack_from(self._in)
            if len(self._in) < HEAD.size + size:
                return
            data = bytes(self._in[HEAD.size : HEAD.size + size])
            del self._in[: HEAD.size + size]
            if letter in self._ends and data:
                self._kept[letter] += data
            else:
                self.told.append((letter, data))
