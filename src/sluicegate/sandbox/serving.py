"""What one end does for the other with its own objects, what it tells of them, and what a call changed.

The guard is the referee's: of what the tests handed out it lets through calls, items and public attributes, and
nothing of an object of the library that could reach files, processes or a network.
"""

from __future__ import annotations

import contextlib
import operator
import threading
import types
from collections.abc import Callable, Iterable
from typing import Any

from sluicegate.sandbox.codec import CodecError
from sluicegate.sandbox.proxies import CHANGING, SPECIALS
from sluicegate.sandbox.shared import SHARED_MODULES

TESTS = "tests"
"""The module that the tests' own classes are of."""
CLOSED = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.ModuleType,
    types.FrameType,
    types.CodeType,
    types.TracebackType,
    types.GeneratorType,
    types.CoroutineType,
    types.AsyncGeneratorType,
)
"""What a guarded peer shows nothing of: it may be called or iterated."""
TOLD_OF_CLOSED = frozenset({"__name__", "__qualname__", "__doc__"})
WITHIN = SHARED_MODULES | {
    TESTS,
    "_asyncio",
    "_queue",
    "_random",
    "_thread",
    "_weakref",
    "array",
    "asyncio.exceptions",
    "asyncio.futures",
    "asyncio.locks",
    "asyncio.mixins",
    "asyncio.queues",
    "asyncio.taskgroups",
    "asyncio.tasks",
    "asyncio.timeouts",
    "builtins",
    "calendar",
    "concurrent.futures._base",
    "concurrent.futures.thread",
    "contextlib",
    "contextvars",
    "csv",
    "_csv",
    "_io",
    "argparse",
    "difflib",
    "graphlib",
    "io",
    "ipaddress",
    "logging",
    "queue",
    "threading",
    "types",
    "unittest.mock",
    "urllib.parse",
    "weakref",
    "zoneinfo",
}
"""Modules of whose objects none reaches a file, a process, a network or the interpreter beyond what it was made for."""
STEPPING = frozenset({"__iter__", "__next__", "__await__"})


def specials(kind: type) -> Iterable[str]:
    """The special methods of a class beyond those of `object`."""
    for name in SPECIALS:
        owner = next((base for base in kind.__mro__ if name in base.__dict__), object)
        if owner is not object and owner.__dict__[name] is not None:
            yield name


def plain_of(base: Any, value: Any) -> Any:
    """The value that an object of a derived class has as one of its plain type, whatever it overrides."""
    if base is tuple:
        return tuple(tuple.__iter__(value))
    if base is frozenset:
        return frozenset(frozenset.__iter__(value))
    if base is str:
        return str.__str__(value)
    if base is bytes:
        return bytes.__getitem__(value, slice(None))
    if base is complex:
        return complex(value.real, value.imag)
    return base.__pos__(value)


def _plain(target: Any) -> Any:
    """The contents of a container of a derived class, in its plain type."""
    if isinstance(target, dict):
        return dict(dict.items(target))
    base: Any = next(base for base in CHANGING if isinstance(target, base))
    return base(base.__iter__(target))


def plain_arguments(fault: BaseException) -> tuple[Any, ...]:
    """What an exception was made from."""
    arguments = BaseException.args.__get__(fault)  # type: ignore[attr-defined]
    return arguments if type(arguments) is tuple else ()


def state(thing: Any) -> list[Any]:
    """The contents of a container, keys and values in turn."""
    if isinstance(thing, dict):
        return [part for pair in dict.items(thing) for part in pair]
    return list(thing)


def changes_of(before: list[list[Any]], containers: list[Any]) -> tuple[Any, ...]:
    """Number and contents of each container that is not what it was."""
    found = []
    for number, old in enumerate(before):
        new = state(containers[number])
        if len(old) != len(new) or not all(map(operator.is_, old, new)):
            found.append((number, tuple(new)))
    return tuple(found)


def apply(changes: Any, containers: list[Any]) -> None:
    """Change one's own containers as the other end changed their copies.

    Raises:
        CodecError: these are not changes of such containers.
    """
    if type(changes) is not tuple:
        raise CodecError("not changes")
    for change in changes:
        if type(change) is not tuple or len(change) != 2 or type(change[1]) is not tuple:
            raise CodecError("not a change")
        number, parts = change
        if type(number) is not int or not 0 <= number < len(containers):
            raise CodecError("a change of what was not sent")
        try:
            _change(containers[number], parts)
        except (TypeError, ValueError) as fault:
            raise CodecError(f"not a change: {fault}") from None


def _change(thing: Any, parts: tuple[Any, ...]) -> None:
    if isinstance(thing, (list, bytearray)):
        thing[:] = parts if isinstance(thing, list) else bytes(parts)
        return
    thing.clear()
    if isinstance(thing, dict):
        dict.update(thing, zip(parts[::2], parts[1::2], strict=True))
    elif isinstance(thing, set):
        thing.update(parts)
    else:
        thing.extend(parts)


def _op(target: Any, name: str, *args: Any) -> Any:
    if name not in SPECIALS:
        raise AttributeError(name)
    return getattr(type(target), name)(target, *args)


def _copy(target: Any) -> Any:
    import copy

    return copy.copy(target)


def _deepcopy(target: Any) -> Any:
    import copy

    return copy.deepcopy(target)


_loops: list[Any] = []
"""Event loops that nobody runs; the outermost await takes the same one each time, as what waits in it belongs to it."""


def _awaited(target: Any) -> Any:
    """Run an awaitable to its end, in a thread of its own: this one may be in an event loop already."""
    import asyncio

    async def waiting() -> Any:
        return await target

    ended: list[Any] = []

    def run() -> None:
        with contextlib.suppress(BaseException):
            loop = _loops.pop() if _loops else asyncio.new_event_loop()
            try:
                ended[:] = [True, loop.run_until_complete(waiting())]
            except BaseException as fault:
                ended[:] = [False, fault]
            _loops.append(loop)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if ended[0]:
        return ended[1]
    raise ended[1]


SERVED: dict[str, Callable[..., Any]] = {
    "call": lambda target, /, *args, **kwargs: target(*args, **kwargs),
    "get": getattr,
    "set": setattr,
    "del": delattr,
    "op": _op,
    "plain": _plain,
    "items": list,
    "item": operator.getitem,
    "copy": _copy,
    "deepcopy": _deepcopy,
    "await": _awaited,
    "async": lambda target, name, *args: _awaited(_op(target, name, *args)),
}


def guard(op: str, target: Any, args: tuple[Any, ...]) -> None:
    """Refuse what would show more of the tests than they handed out.

    Raises:
        AttributeError: an attribute that is not for the other end.
        TypeError: a request that is not.
    """
    if op in ("get", "set", "del"):
        name = args[0] if args else None
        if type(name) is not str:
            raise TypeError("not a name")
        if op == "get" and name in TOLD_OF_CLOSED and isinstance(target, (types.FunctionType, type)):
            return
        if name.startswith("_") or isinstance(target, CLOSED) or not _is_open(target, op, name):
            raise AttributeError(f"{type(target).__name__!r} object has no attribute {name!r}")
    elif op == "op":
        if isinstance(target, (type, *CLOSED)) and (not args or args[0] not in STEPPING):
            raise TypeError("not served")
    elif op in ("copy", "deepcopy"):
        if type(target).__module__ != TESTS:
            raise TypeError("not served")
    elif op not in ("call", "await", "plain", "items"):
        raise TypeError("not served")


def reaches_out(op: str, target: Any, args: tuple[Any, ...]) -> bool:
    """Whether to serve a request is to let the other end out: a path opens any file, a connection attaches one.

    Classes of the library are not called: those of streams open files, those of mocks and pools call what they are
    given. A function that the tests hand out is theirs to give.
    """
    if isinstance(target, CLOSED) or op in ("items", "await") or (op == "op" and args and args[0] in STEPPING):
        return False
    kind = target if isinstance(target, type) else type(target)
    if op == "call" and kind is target and kind.__module__ != TESTS:
        return True
    return not all(base.__module__ in WITHIN for base in kind.__mro__)


def _is_open(target: Any, op: str, name: str) -> bool:
    """Whether a public attribute may be read or changed.

    Methods are never changed: a test may ask one of them whether it is content. Of a mock, only what it makes
    up is read, and none of its own methods.
    """
    kind = target if isinstance(target, type) else type(target)
    is_own = getattr(kind, "__module__", None) == TESTS
    if op != "get":
        return is_own and kind is not target and not callable(getattr(kind, name, None))
    if getattr(kind, "__module__", None) == "unittest.mock":
        return not hasattr(kind, name)
    return is_own or kind is not target
