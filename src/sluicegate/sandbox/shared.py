"""What either end has itself and means the same by: sent by name, and taken from one's own library.

The names are of a closed list of modules without side effects, so that a candidate cannot have a referee
import or call anything that reaches outside.
"""

from __future__ import annotations

import builtins
import sys
import types
from typing import Any

from sluicegate.sandbox.codec import CodecError

SHARED_MODULES = frozenset(
    [
        "abc",
        "bisect",
        "cmath",
        "collections",
        "collections.abc",
        "copy",
        "dataclasses",
        "datetime",
        "decimal",
        "enum",
        "fractions",
        "functools",
        "heapq",
        "itertools",
        "json",
        "math",
        "numbers",
        "operator",
        "random",
        "re",
        "statistics",
        "string",
        "textwrap",
        "time",
        "typing",
        "uuid",
    ]
)
"""Modules whose parts are sent by name: either end means its own by it."""
_KEPT_BACK = [
    "breakpoint",
    "compile",
    "copyright",
    "credits",
    "delattr",
    "eval",
    "exec",
    "exit",
    "getattr",
    "globals",
    "help",
    "input",
    "license",
    "locals",
    "memoryview",
    "open",
    "print",
    "quit",
    "setattr",
    "super",
    "vars",
    "__import__",
    "__build_class__",
]
LOOKING = frozenset(
    [
        "collections:UserString",
        "dataclasses:dataclass",
        "dataclasses:make_dataclass",
        "decimal:setcontext",
        "enum:global_enum",
        "functools:cached_property",
        "functools:partialmethod",
        "functools:singledispatch",
        "functools:singledispatchmethod",
        "functools:update_wrapper",
        "functools:wraps",
        "operator:attrgetter",
        "operator:methodcaller",
        "string:Formatter",
        "time:clock_settime",
        "time:clock_settime_ns",
        "typing:ForwardRef",
        "typing:get_type_hints",
    ]
)
"""What reads any attribute, runs text or changes more than its arguments: a test that calls what it is given would do
so for the candidate, so these are objects of their end like all others."""
SHARED_BUILTINS = frozenset(name for name in vars(builtins) if name[0] != "_") - {*_KEPT_BACK}


def shared_name(value: Any) -> str | None:
    """`module:name` of what either end has itself; None where it is nothing of the kind."""
    if isinstance(value, types.ModuleType):
        is_shared = value.__name__ in SHARED_MODULES and sys.modules.get(value.__name__) is value
        return f"{value.__name__}:" if is_shared else None
    if not isinstance(value, (type, types.BuiltinFunctionType, types.FunctionType)):
        return _typing_name(value) if getattr(type(value), "__module__", "") == "typing" else None
    module, name = getattr(value, "__module__", None), getattr(value, "__name__", None)
    if not isinstance(module, str) or not isinstance(name, str):
        return None
    module = module.removeprefix("_") if module in ("_operator", "_functools", "_bisect", "_heapq") else module
    if module == "builtins":
        return f"builtins:{name}" if name in SHARED_BUILTINS and getattr(builtins, name) is value else None
    known = sys.modules.get(module) if module in SHARED_MODULES and f"{module}:{name}" not in LOOKING else None
    return f"{module}:{name}" if known is not None and vars(known).get(name) is value else None


def _typing_name(value: Any) -> str | None:
    name = getattr(value, "_name", None)
    typing = sys.modules.get("typing")
    return f"typing:{name}" if isinstance(name, str) and typing and vars(typing).get(name) is value else None


def shared(said: str) -> Any:
    """One's own thing of a name.

    Raises:
        CodecError: the name is not shared.
    """
    module, _, name = said.partition(":")
    if module == "builtins" and name in SHARED_BUILTINS:
        return getattr(builtins, name)
    if module not in SHARED_MODULES or name.startswith("_") or said in LOOKING:
        raise CodecError("a name that is not shared")
    found = __import__(module, fromlist=["_"])
    if not name:
        return found
    thing = vars(found).get(name)
    if thing is None or isinstance(thing, types.ModuleType):
        raise CodecError("a name that is not shared")
    return thing
