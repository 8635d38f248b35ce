"""One end of the talk between a referee and a candidate: requests, replies, and the objects it serves.

A value that is not plain is sent as a handle, a number that its owner serves, and arrives as a proxy
(`proxies`). Containers that a call changes are changed at the caller's end too, before the call returns;
what either end keeps beyond the call is a copy.

The referee's end is guarded: of what the tests handed out it serves calls, items and public attributes, and
never a name with an underscore, a frame, a module, a function's insides, or an object that could reach outside.
Like `codec` this file is sent into the sandbox and needs the standard library only.
"""

from __future__ import annotations

import struct
import threading
import types
from collections.abc import Callable
from typing import Any

from sluicegate.sandbox.codec import MESSAGE_LIMIT, CodecError, Reader, Writer
from sluicegate.sandbox.proxies import (
    CHANGING,
    ERRORS,
    FIXED,
    MARK,
    SPECIALS,
    RemoteClass,
    home,
    make_class,
    make_object,
)
from sluicegate.sandbox.serving import (
    SERVED,
    apply,
    changes_of,
    guard,
    plain_arguments,
    plain_of,
    reaches_out,
    specials,
    state,
)
from sluicegate.sandbox.shared import shared, shared_name

_U32 = struct.Struct(">I")
HANDLE_LIMIT = 200_000
NAME_LIMIT = 200


class GoneError(BaseException):
    """The other end is gone; no `except Exception` of a test hides it."""


class ProtocolError(BaseException):
    """The other end does not keep to the protocol."""


class TooLargeError(BaseException):
    """The other end's answer is larger than one may be."""


class Peer:
    """One end of the talk.

    Args:
        stream: a connected stream socket's file descriptor, read and written through `read` and `write`.
        guarded: whether this is the referee's end.
        allows: whether the other end may be shown plain data in a step; see `proxies`.
    """

    def __init__(
        self,
        read: Callable[[int], bytes],
        write: Callable[[bytes], object],
        *,
        guarded: bool = False,
        allows: Callable[[str], bool] = lambda step: True,
    ) -> None:
        self._read, self._write = read, write
        self._guarded = guarded
        self.allows = allows
        self.lock = threading.RLock()
        self._mine: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._described: set[int] = set()
        self._theirs: dict[int, Any] = {}
        self._errors: dict[int, tuple[BaseException, int]] = {}
        self._path = ""
        self.taken_output: Callable[[], str] = str
        self.show_output: Callable[[str], object] = len
        self.extra: dict[str, Callable[..., Any]] = {}
        self.refused = ""
        """The class of an object that was not served since it could reach outside; empty where there was none."""

    # -- talking

    def ask(
        self, op: str, target: int, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None, path: str = ""
    ) -> Any:
        """Send a request, serve what the other end asks meanwhile, and give what came of it.

        Raises:
            BaseException: whatever the other end raised.
            GoneError, ProtocolError, TooLargeError: no answer.
        """
        with self.lock:
            writer = Writer(self._write_handle)
            writer.out += b"q"
            writer.write((op, target, args))
            writer.write(kwargs or {})
            self._send(writer)
            while True:
                data = self._receive()
                if data[:1] != b"q":
                    return self._answer(data, writer.containers, path)
                self._reply_to(data)

    def serve(self) -> None:
        """Answer requests until the other end is gone; other threads may ask in between."""
        while True:
            with self.lock:
                data = self._receive()
            self._reply_to(data)

    def _send(self, writer: Writer) -> None:
        try:
            self._write(_U32.pack(len(writer.out)) + bytes(writer.out))
        except OSError:
            raise GoneError from None

    def _receive(self) -> bytes:
        size = _U32.unpack(self._exactly(4))[0]
        if not 0 < size <= MESSAGE_LIMIT + 2**20:
            raise ProtocolError(f"a message of {size} bytes")
        return self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size:
            try:
                part = self._read(min(size, 2**20))
            except OSError:
                part = b""
            if not part:
                raise GoneError
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _answer(self, data: bytes, sent: list[Any], path: str) -> Any:
        """Read a reply, change what it says was changed, and return or raise."""
        count = len(sent)
        before, self._path = self._path, path
        try:
            reader = Reader(data[1:], self._read_handle, sent)
            value, changes, output = reader.read(), reader.read(), reader.text()
            reader.end()
            apply(changes, reader.containers[:count])
        except CodecError as fault:
            raise ProtocolError(str(fault)) from None
        finally:
            self._path = before
        if output:
            self.show_output(output)
        if data[:1] == b"r":
            return value
        if data[:1] == b"o":
            raise TooLargeError(str(value)[:NAME_LIMIT])
        if data[:1] != b"x" or not isinstance(value, BaseException):
            raise ProtocolError("neither an answer nor an exception")
        raise value

    def _reply_to(self, data: bytes) -> None:
        try:
            if data[:1] != b"q":
                raise CodecError("wanted a request")
            reader = Reader(data[1:], self._read_handle)
            request, kwargs = reader.read(), reader.read()
            reader.end()
        except CodecError as fault:
            raise ProtocolError(str(fault)) from None
        before = [state(thing) for thing in reader.containers]
        tag = b"r"
        try:
            value = self._served(request, kwargs)
        except (GoneError, ProtocolError):
            raise
        except BaseException as fault:
            tag, value = b"x", fault
        self._send(self._reply(tag, value, before, reader.containers))

    def _reply(self, tag: bytes, value: Any, before: list[Any], containers: list[Any]) -> Writer:
        try:
            writer = Writer(self._write_handle, containers)
            writer.out += tag
            writer.write(value)
            writer.write(changes_of(before, containers))
        except (GoneError, ProtocolError):
            raise
        except BaseException as fault:
            writer = Writer(self._write_handle, containers)
            writer.out += b"o"
            writer.write(f"{type(fault).__name__}: {fault}"[:NAME_LIMIT])
            writer.write(())
        writer.write(self.taken_output())
        return writer

    # -- serving

    def _served(self, request: Any, kwargs: Any) -> Any:
        if type(request) is not tuple or len(request) != 3 or type(kwargs) is not dict:
            raise ProtocolError("not a request")
        op, number, args = request
        if type(op) is not str or type(args) is not tuple or any(type(key) is not str for key in kwargs):
            raise ProtocolError("not a request")
        if op in self.extra:
            return self.extra[op](*args)
        if type(number) is not int or not 0 <= number < len(self._mine):
            raise ProtocolError("a handle that there is not")
        serve = SERVED.get(op)
        if serve is None:
            raise ProtocolError("an unknown request")
        target = self._mine[number]
        if self._guarded:
            if reaches_out(op, target, args):
                kind = target if isinstance(target, type) else type(target)
                self.refused = f"{kind.__module__}.{kind.__qualname__}"
                fault = AttributeError if op == "get" else TypeError
                raise fault(f"the tests' {self.refused} is not served: it could reach outside the sandbox")
            guard(op, target, args)
        return serve(target, *args, **kwargs)

    # -- handles

    def _number(self, thing: Any) -> int:
        number = self._numbers.get(id(thing))
        if number is None:
            if len(self._mine) >= HANDLE_LIMIT:
                raise CodecError(f"more than {HANDLE_LIMIT} objects")
            number = self._numbers[id(thing)] = len(self._mine)
            self._mine.append(thing)
        return number

    def _write_handle(self, writer: Writer, value: Any) -> None:
        kind = type(value)
        if isinstance(value, RemoteClass) and MARK in value.__dict__:
            writer.number(b"h", value.__dict__[MARK][1])
        elif isinstance(kind, RemoteClass) and MARK in kind.__dict__:
            writer.number(b"h", home(value)[1])
        elif id(value) in self._errors:
            writer.number(b"h", self._errors[id(value)][1])
        elif (name := shared_name(value)) is not None:
            writer.raw(b"B", name.encode())
        elif isinstance(value, type):
            self._write_class(writer, value)
        elif isinstance(value, BaseException):
            writer.number(b"E", self._number(value))
            self._write_class_or_name(writer, kind)
            writer.write(plain_arguments(value))
        elif kind is types.CoroutineType:
            writer.number(b"A", self._number(value))
        else:
            writer.number(b"O", self._number(value))
            self._write_class_or_name(writer, kind)
            fixed = next((base for base in FIXED if issubclass(kind, base)), None)
            writer.write(None if fixed is None else plain_of(fixed, value))

    def _write_class_or_name(self, writer: Writer, kind: type) -> None:
        if kind.__name__ in ERRORS and ERRORS[kind.__name__] is kind:
            writer.raw(b"B", f"builtins:{kind.__name__}".encode())
        else:
            self._write_class(writer, kind)

    def _write_class(self, writer: Writer, kind: type) -> None:
        number = self._number(kind)
        writer.number(b"C", number)
        writer.write(number not in self._described)
        if number in self._described:
            return
        self._described.add(number)
        writer.write(str(kind.__name__)[:NAME_LIMIT])
        bases = [base for base in kind.__bases__ if base is not object]
        writer.write(len(bases))
        for base in bases:
            if base in (*FIXED, *CHANGING):
                writer.raw(b"B", f"builtins:{base.__name__}".encode())
            else:
                self._write_class_or_name(writer, base)
        writer.write(tuple(sorted(specials(kind))))

    def _read_handle(self, reader: Reader, tag: bytes) -> Any:
        if tag == b"h":
            number = reader.number()
            if number >= len(self._mine):
                raise CodecError("a handle that there is not")
            return self._mine[number]
        if tag == b"B":
            return shared(reader.take(reader.number()).decode("utf-8", "replace"))
        if tag == b"C":
            return self._read_class(reader)
        if tag == b"A":
            return _awaiting(self, reader.number(), self._path)
        if tag in (b"E", b"O"):
            number, cls, plain = reader.number(), reader.read(), reader.read()
            if number in self._theirs:
                return self._theirs[number]
            if len(self._theirs) >= 2 * HANDLE_LIMIT:
                raise CodecError(f"more than {2 * HANDLE_LIMIT} objects")
            made = self._theirs[number] = self._made(tag, number, cls, plain)
            return made
        raise CodecError("an unknown tag")

    def _made(self, tag: bytes, number: int, cls: Any, plain: Any) -> Any:
        if tag == b"E":
            return self._read_error(number, cls, plain)
        if not isinstance(cls, RemoteClass):
            raise CodecError("an object without a class")
        fixed = next((base for base in FIXED if issubclass(cls, base)), None)
        if fixed is not None and type(plain) is not fixed:
            raise CodecError("an object without its plain value")
        return make_object(cls, self, number, self._path, plain)

    def _read_class(self, reader: Reader) -> RemoteClass:
        number, is_new = reader.number(), reader.read()
        if is_new is not True:
            known = self._theirs.get(number)
            if not isinstance(known, RemoteClass):
                raise CodecError("a class that was not described")
            return known
        name, count = reader.text(), reader.read()
        if type(count) is not int or not 0 <= count <= 50 or len(name) > NAME_LIMIT:
            raise CodecError("not a class")
        bases = [reader.read() for _ in range(count)]
        specials = reader.read()
        if not all(isinstance(base, type) for base in bases) or type(specials) is not tuple:
            raise CodecError("not a class")
        if not all(type(special) is str and special in SPECIALS for special in specials):
            raise CodecError("not a special method")
        try:
            made = make_class(self, number, name.replace("\0", ""), bases, list(specials))
        except (TypeError, ValueError) as fault:
            raise CodecError(f"not a class: {fault}") from None
        self._theirs[number] = made
        return made

    def _read_error(self, number: int, cls: Any, arguments: Any) -> BaseException:
        if type(arguments) is not tuple or not isinstance(cls, type) or not issubclass(cls, BaseException):
            raise CodecError("not an exception")
        if isinstance(cls, RemoteClass):
            made = make_object(cls, self, number, self._path, None)
            BaseException.args.__set__(made, arguments)  # type: ignore[attr-defined]
            return made  # type: ignore[no-any-return]
        try:
            error = cls(*arguments)
        except Exception:
            error = cls.__new__(cls)
            error.args = arguments
        self._errors[id(error)] = (error, number)
        return error


def _awaiting(peer: Peer, number: int, path: str) -> Any:
    async def awaiting() -> Any:
        return peer.ask("await", number, path=path)

    return awaiting()
