"""Files to and from an engine as tar streams: nothing is held in memory, and nothing is written beside."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from sluicegate.jsonl import unwritable

CHUNK = 2**20


class CutError(Exception):
    """An archive that ended too early, or is none."""


def pack(base: Path, paths: Sequence[Path], owner: tuple[int, int]) -> Iterator[bytes]:
    """A tar of files below `base`, with the folders that lead to them, all of them the owner's.

    Args:
        owner: user and group, by number.

    Raises:
        CutError: a file is shorter than it was when it was looked at.
    """
    folders = dict.fromkeys(above for path in paths for above in reversed(path.relative_to(base).parents[:-1]))
    for folder in folders:
        yield _head(folder.as_posix(), owner, tarfile.DIRTYPE, 0o755, 0)
    for path in paths:
        with path.open("rb") as stream:
            yield from _packed(path.relative_to(base).as_posix(), stream, path.stat().st_size, owner)
    yield tarfile.NUL * tarfile.BLOCKSIZE * 2


def _packed(name: str, stream: BinaryIO, size: int, owner: tuple[int, int]) -> Iterator[bytes]:
    yield _head(name, owner, tarfile.REGTYPE, 0o644, size)
    left = size
    while left:
        part = stream.read(min(CHUNK, left))
        if not part:
            raise CutError(f"{name} is shorter than {size} bytes")
        left -= len(part)
        yield part
    yield tarfile.NUL * (-size % tarfile.BLOCKSIZE)


def _head(name: str, owner: tuple[int, int], kind: bytes, mode: int, size: int) -> bytes:
    head = tarfile.TarInfo(name)
    head.uid, head.gid = owner
    head.type, head.mode, head.size = kind, mode, size
    return head.tobuf(tarfile.PAX_FORMAT)


class _Chunks(io.RawIOBase):
    """A stream of what an iterator gives."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks, self._rest = iter(chunks), b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """At most so many bytes; none at the end."""
        while not self._rest:
            part = next(self._chunks, None)
            if part is None:
                return b""
            self._rest = part
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken


def unpack(chunks: Iterable[bytes], target: Path) -> str:
    """Write the one file of an archive to `target`; its SHA-256.

    Raises:
        CutError: the archive is cut off, damaged, or holds no file. UserError: `target` cannot be written.
    """
    digest = hashlib.sha256()
    try:
        with tarfile.open(fileobj=_Chunks(chunks), mode="r|") as archive:
            member = archive.next()
            stream = archive.extractfile(member) if member is not None else None
            if member is None or stream is None:
                raise CutError("the archive holds no file")
            with _writing(target) as out:
                left = member.size
                while left:
                    part = stream.read(min(CHUNK, left))
                    if not part:
                        raise CutError("the archive is cut off")
                    left -= len(part)
                    digest.update(part)
                    _write(out, part, target)
    except tarfile.TarError as fault:
        raise CutError(str(fault)) from None
    return digest.hexdigest()


def _writing(target: Path) -> BinaryIO:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return target.open("wb", buffering=0)
    except OSError as fault:
        raise unwritable(target, fault) from None


def _write(out: BinaryIO, part: bytes, target: Path) -> None:
    try:
        rest = memoryview(part)
        while rest:
            rest = rest[out.write(rest) :]
    except OSError as fault:
        raise unwritable(target, fault) from None
