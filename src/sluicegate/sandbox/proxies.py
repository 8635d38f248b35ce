"""What stands at one end of the pipe for an object or a class of the other end.

A proxy's class mirrors the class it stands for: its bases, where they are proxies, plain types or built-in
exceptions, and its special methods; every use of one is a request to the owner. Objects whose class derives
from a plain type that cannot change (a named tuple, an IntEnum) carry that plain value and are compared by
it. A proxy forwards an operator whose other side is plain data only where the talk's policy allows it; else
it has no such operator, and comparing is comparing identities.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any, Protocol

COMPARISONS = frozenset("__eq__ __ne__ __lt__ __le__ __gt__ __ge__".split())  # noqa: SIM905
_BINARY = "add sub mul matmul truediv floordiv mod divmod pow lshift rshift and or xor".split()  # noqa: SIM905
OPERATORS = frozenset([f"__{side}{name}__" for name in _BINARY for side in ("", "r", "i")] + ["__contains__"])
"""Special methods that are given the test's own values."""
OTHERS = frozenset(
    [
        "__iter__",
        "__next__",
        "__len__",
        "__length_hint__",
        "__bool__",
        "__repr__",
        "__str__",
        "__format__",
        "__hash__",
        "__int__",
        "__float__",
        "__index__",
        "__complex__",
        "__bytes__",
        "__abs__",
        "__neg__",
        "__pos__",
        "__invert__",
        "__round__",
        "__trunc__",
        "__floor__",
        "__ceil__",
        "__reversed__",
        "__enter__",
        "__exit__",
        "__aenter__",
        "__aexit__",
        "__aiter__",
        "__anext__",
        "__await__",
        "__getitem__",
        "__setitem__",
        "__delitem__",
        "__call__",
    ]
)
SPECIALS = COMPARISONS | OPERATORS | OTHERS
ASYNC = frozenset("__aenter__ __aexit__ __anext__".split())  # noqa: SIM905
FIXED = (int, float, complex, str, bytes, tuple, frozenset)
CHANGING = (list, dict, set, bytearray)
ERRORS = {
    name: thing
    for name, thing in vars(builtins).items()
    if isinstance(thing, type) and issubclass(thing, BaseException)
}
OF_RAISING = frozenset({"__traceback__", "__context__", "__cause__", "__suppress_context__", "__notes__"})
MARK = "_sluicegate"
"""The one name that a proxy keeps for itself."""
PATH_LIMIT = 120


class Asker(Protocol):
    """What a proxy needs of its end of the talk."""

    def ask(
        self, op: str, target: int, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None, path: str = ""
    ) -> Any:
        """Send a request and wait for what comes of it, reached by `path` from the names of the candidate."""
        ...

    def allows(self, step: str) -> bool:
        """Whether the owner may be shown plain data in this step."""
        ...


class RefusedError(Exception):
    """An object was used as the reference's answers never are."""


class Remote:
    """The class of every proxy."""

    def __getattr__(self, name: str) -> Any:
        peer, number, _ = home(self)
        return peer.ask("get", number, (name,), path=f".{name}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in OF_RAISING and isinstance(self, BaseException):
            BaseException.__setattr__(self, name, value)
            return
        peer, number, _ = home(self)
        peer.ask("set", number, (name, value))

    def __delattr__(self, name: str) -> None:
        peer, number, _ = home(self)
        peer.ask("del", number, (name,))

    def __copy__(self) -> Any:
        peer, number, path = home(self)
        return peer.ask("copy", number, path=path)

    def __deepcopy__(self, memo: object) -> Any:
        peer, number, path = home(self)
        return peer.ask("deepcopy", number, path=path)

    def __reduce_ex__(self, protocol: object) -> Any:
        raise TypeError("an object of the other end cannot be pickled")


class RemoteClass(type):
    """The class of every class that stands for one of the other end."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:  # noqa: D102 - what it makes is an object there
        peer, number = _class_home(cls)
        return peer.ask("call", number, args, kwargs, path=f"{cls.__name__[:PATH_LIMIT]}()")

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__") and name not in {"__annotations__", "__members__", "__dataclass_fields__"}:
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
        peer, number = _class_home(cls)
        return peer.ask("get", number, (name,), path=f".{name}")

    def __setattr__(cls, name: str, value: Any) -> None:
        if name.startswith(("__", "_abc_")):  # the language's own bookkeeping
            super().__setattr__(name, value)
            return
        peer, number = _class_home(cls)
        peer.ask("set", number, (name, value))

    def __iter__(cls) -> Any:
        peer, number = _class_home(cls)
        return iter(peer.ask("items", number))

    def __len__(cls) -> int:
        return len(list(cls))

    def __bool__(cls) -> bool:
        return True

    def __getitem__(cls, key: Any) -> Any:
        peer, number = _class_home(cls)
        return peer.ask("item", number, (key,))


def _class_home(cls: type) -> tuple[Asker, int]:
    found = cls.__dict__.get(MARK)
    if found is None:
        raise TypeError(f"{cls.__name__}: a class that derives from one of the other end cannot be used")
    return found  # type: ignore[no-any-return]


def home(proxy: Any) -> tuple[Asker, int, str]:
    """Whose object it is, its number there, and how it was reached."""
    return object.__getattribute__(proxy, "__dict__")[MARK]  # type: ignore[no-any-return]


def name_path(proxy: Any, path: str) -> None:
    """Say by what name of the candidate a proxy is reached."""
    if isinstance(type(proxy), RemoteClass):
        peer, number, _ = home(proxy)
        object.__getattribute__(proxy, "__dict__")[MARK] = (peer, number, path[-PATH_LIMIT:])


def is_proxy(value: Any) -> bool:
    """Whether a value stands for an object or a class of the other end."""
    return isinstance(type(value), RemoteClass) or (isinstance(value, RemoteClass) and MARK in value.__dict__)


def make_class(peer: Asker, number: int, name: str, bases: list[Any], specials: list[str]) -> RemoteClass:
    """The class that stands for class `number` of the other end.

    Args:
        bases: of the other end's class; those that have no likeness here are left out.
        specials: the special methods that it has beyond those of `object`.
    """
    kept = [base for base in bases if isinstance(base, RemoteClass) or base in (*FIXED, *CHANGING, *ERRORS.values())]
    own = {} if any(issubclass(base, FIXED) for base in kept) else {special: METHODS[special] for special in specials}
    if "__eq__" in own and "__hash__" not in own:
        own["__hash__"] = None
    if "__call__" in own:
        own["__doc__"] = property(lambda self: Remote.__getattr__(self, "__doc__"))
    space = {**own, MARK: (peer, number), "__module__": "candidate"}
    for tried in ([*kept, Remote], [Remote, *(base for base in kept if base in ERRORS.values())], [Remote]):
        try:
            return RemoteClass(name, tuple(tried), space)
        except TypeError:  # bases that do not go together here
            continue
    raise TypeError(f"{name}: no such class")


def make_object(cls: RemoteClass, peer: Asker, number: int, path: str, plain: Any) -> Any:
    """The object that stands for object `number`; `plain` is its plain value where its class has one that is fixed."""
    made_of: Any = next((base for base in FIXED if issubclass(cls, base)), None)
    if made_of is not None:
        made = made_of.__new__(cls, plain)
    else:
        made_of = next((base for base in (*CHANGING, BaseException) if issubclass(cls, base)), object)
        made = made_of.__new__(cls)
    object.__getattribute__(made, "__dict__")[MARK] = (peer, number, path[-PATH_LIMIT:])
    return made


def _method(name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any) -> Any:
        peer, number, _ = home(self)
        if name in COMPARISONS and isinstance(self, CHANGING) and not all(map(is_proxy, args)):
            return getattr(type(plain := peer.ask("plain", number)), name)(plain, *args)
        if name in COMPARISONS or name in OPERATORS:
            is_plain = not all(map(is_proxy, args))
            if is_plain and not peer.allows(name):
                return _without(self, name, *args)
        return peer.ask("op", number, (name, *_sendable(name, args)), path=name)

    method.__name__ = method.__qualname__ = name
    return method


def _sendable(name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments as the other end can use them: leaving a block, it is told no traceback, which is of this end."""
    return (*args[:2], None) if name in {"__exit__", "__aexit__"} else args


def _without(self: Any, name: str, *args: Any) -> Any:
    """What Python does where a class has no such operator."""
    if name != "__contains__":
        return NotImplemented
    return any(value is args[0] or value == args[0] for value in iter(self))


def _call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
    peer, number, path = home(self)
    step = f"{path}()"
    if not peer.allows(step):
        raise RefusedError(f"an object was used as the reference's answer never is: {step}")
    return peer.ask("call", number, args, kwargs, path=step)


def _await(self: Any) -> Any:
    peer, number, path = home(self)
    return peer.ask("await", number, path=path)
    yield  # makes this a generator, as an awaitable must give


async def _async(self: Any, name: str, *args: Any) -> Any:
    peer, number, _ = home(self)
    return peer.ask("async", number, (name, *_sendable(name, args)), path=name)


def _async_method(name: str) -> Callable[..., Any]:
    return lambda self, *args: _async(self, name, *args)


METHODS: dict[str, Any] = {name: _method(name) for name in SPECIALS}
METHODS.update({name: _async_method(name) for name in ASYNC}, __call__=_call, __await__=_await)
