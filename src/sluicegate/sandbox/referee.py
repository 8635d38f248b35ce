"""The referee's end: runs the tests, outside the sandbox, with proxies for the candidate's names.

Only names that the tests use, and of built-in names only those that the reference defines too, come from
the candidate. What the reference's objects were asked for when it ran through the same tests (`steps`) is
what another candidate's objects may be asked for; the rest is in `proxies`. The tests are the user's own
code and trusted; a forked process runs them, under a deadline, since answers can make them loop.
"""

from __future__ import annotations

import ast
import asyncio
import builtins
import errno
import inspect
import symtable
import sys
import types
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from sluicegate.sandbox.peer import GoneError, Peer, ProtocolError, TooLargeError
from sluicegate.sandbox.proxies import name_path

WHY_LIMIT = 300
LIMITS_OF_FILES = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.EAGAIN)
GONE = "gone"
"""The kind that leaves the verdict to whoever watches the candidate's process."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What the reference answer showed.

    Args:
        names: top-level names of the candidate that the tests may have from it.
        steps: calls, and operators given plain data, that its objects were asked for; None where it does not
            pass its own tests, or there is none.
    """

    names: frozenset[str]
    steps: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Told:
    """How the tests ended.

    Args:
        kind: `pass`, `fail`, `error`, `memory`, `limit`, `tests` or `gone`.
        why: one line.
        names, steps: what a `Reference` is made of.
    """

    kind: str
    why: str = ""
    names: Collection[str] = ()
    steps: Collection[str] = ()


@dataclass(slots=True)
class _Policy:
    """Which steps may show plain data to the candidate's objects, and which did."""

    reference: Reference | None
    steps: set[str] = field(default_factory=set)

    def allows(self, step: str) -> bool:
        """Note the step; whether it is allowed."""
        self.steps.add(step)
        if self.reference is None:
            return True
        if self.reference.steps is None:
            return step.endswith("()")
        return step in self.reference.steps or step.removesuffix("()") in self.reference.names


def judge(
    tests: str,
    candidate: str,
    reference: Reference | None,
    read: Callable[[int], bytes],
    write: Callable[[bytes], object],
) -> Told:
    """Run the candidate, then the tests.

    Args:
        reference: None while the candidate is the reference itself.
        read, write: the socket to the candidate.
    """
    try:
        checks = compile(tests, "<tests>", "exec", dont_inherit=True)
        wanted = wanted_names(tests)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as fault:
        return Told("tests", printable(described(fault)))
    if reference is not None:
        wanted = {name for name in wanted if name in reference.names or not hasattr(builtins, name)}
    policy = _Policy(reference)
    peer = Peer(read, write, guarded=True, allows=policy.allows)
    peer.show_output = _show
    peer.extra = {"input": _given}
    found: dict[str, Any] = {}
    left = ""
    try:
        found, left = _loaded(peer, candidate, wanted)
        _run(checks, found)
    except BaseException as fault:
        kind, why = _blamed(fault, tests)
        if reference is None and peer.refused:
            return Told(
                "tests", printable(f"they hand out what could reach outside, and is not served: {peer.refused}")
            )
        if left and isinstance(fault, NameError):
            kind, why = "error", left
        return Told(kind, why, sorted(found), sorted(policy.steps))
    return Told("pass", "", sorted(found), sorted(policy.steps))


def _show(text: str) -> None:
    text = text.encode("utf-8", "backslashreplace").decode()  # half a character is nobody's fault
    sys.stdout.write(text)  # looked up each time: the tests may have put their own in its place


def _given() -> str:
    return sys.stdin.readline()


def wanted_names(tests: str) -> set[str]:
    """Names that the tests use and may not define: what they may have from the candidate.

    >>> sorted(wanted_names("import math\\nassert add(1, 2) == 3\\ndef test_it():\\n    k = add\\n    k(Box, 1)"))
    ['Box', 'add', 'math', 'test_it']
    """
    found: set[str] = set()
    tables = [symtable.symtable(tests, "<tests>", "exec")]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        is_top = table.get_type() == "module"
        found |= {symbol.get_name() for symbol in table.get_symbols() if is_top or symbol.is_global()}
    for node in ast.walk(ast.parse(tests)):
        if isinstance(node, ast.ImportFrom) and node.module in ("candidate", "__main__"):
            found |= {alias.name for alias in node.names}
    return {name for name in found if not name.startswith("__")}


def _loaded(peer: Peer, candidate: str, wanted: Collection[str]) -> tuple[dict[str, Any], str]:
    answer = peer.ask("load", 0, (candidate, tuple(sorted(wanted))))
    if type(answer) is not tuple or len(answer) != 2:
        raise ProtocolError("not the names of a program")
    names, left = answer
    if type(names) is not dict or type(left) is not str or any(type(name) is not str for name in names):
        raise ProtocolError("not the names of a program")
    found = {name: value for name, value in names.items() if name in wanted}
    for name, value in found.items():
        name_path(value, name)
    return found, left


def _run(checks: types.CodeType, found: dict[str, Any]) -> None:
    """The tests' statements, then their `test_…` functions, and those of their classes."""
    candidate = types.ModuleType("candidate")
    candidate.__dict__.update(found)
    module = types.ModuleType("tests")
    sys.modules.update(candidate=candidate, __main__=candidate, tests=module)
    names = module.__dict__
    names.update({**found, "__name__": "tests", "__builtins__": builtins})
    if "unittest" in checks.co_names:
        # It would find no tests and end these; theirs are run below.
        vars(import_module("unittest"))["main"] = _nothing
    exec(checks, names)  # noqa: S102
    for name, thing in list(names.items()):
        if thing is found.get(name):  # the candidate's own tests; one of the same name is the tests', and counts
            continue
        if name.startswith("test_"):
            _run_one(thing)
        elif isinstance(thing, type) and thing.__module__ == "tests":
            _run_class(name, thing)


def _nothing(*_: object, **__: object) -> None:
    pass


def _run_one(test: Callable[[], object]) -> None:
    ended = test()
    if inspect.iscoroutine(ended):
        asyncio.run(ended)


def _run_class(name: str, kind: type) -> None:
    """The tests of a `unittest.TestCase`, or of a class that pytest would take for tests."""
    unittest = sys.modules.get("unittest")
    if unittest is not None and issubclass(kind, unittest.TestCase):
        cases = unittest.defaultTestLoader.loadTestsFromTestCase(kind)
        unittest.TestSuite(case for case in cases if not _is_skipped(kind, case.id())).debug()
        return
    for test in [one for one in dir(kind) if name.startswith("Test") and one.startswith("test_")]:
        case = kind()
        getattr(case, "setup_method", lambda: None)()
        try:
            _run_one(getattr(case, test))
        finally:
            getattr(case, "teardown_method", lambda: None)()


def _is_skipped(kind: type, case: str) -> bool:
    method = getattr(kind, case.rpartition(".")[2])
    return any(getattr(thing, "__unittest_skip__", False) for thing in (kind, method))


def _blamed(fault: BaseException, tests: str) -> tuple[str, str]:
    """The kind of end, and the fault with the line of the tests that met it."""
    if isinstance(fault, GoneError):
        return GONE, ""
    if isinstance(fault, ProtocolError):
        return "error", printable(f"wrote to the pipe of the harness: {fault}")
    if isinstance(fault, TooLargeError):
        said = str(fault)
        return ("memory", OUT_OF_MEMORY) if said.startswith("MemoryError") else ("limit", printable(f"answer: {said}"))
    if isinstance(fault, MemoryError) or (isinstance(fault, OSError) and fault.errno == errno.ENOMEM):
        return "memory", OUT_OF_MEMORY
    kind = "fail" if isinstance(fault, AssertionError) else "limit" if _is_limit(fault) else "error"
    return kind, printable(described(fault) + _at(fault, tests))


OUT_OF_MEMORY = "asked for more than it may have"


def _is_limit(fault: BaseException) -> bool:
    if isinstance(fault, OSError):
        return fault.errno in LIMITS_OF_FILES
    return isinstance(fault, RuntimeError) and described(fault).endswith("can't start new thread")


def _at(fault: BaseException, tests: str) -> str:
    line, trace = 0, fault.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<tests>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" (tests, line {line}: {tests.splitlines()[line - 1].strip()})" if line else ""


def described(fault: BaseException) -> str:
    """Type and message; a message that cannot be had, or is not text, is left out."""
    name = type.__getattribute__(type(fault), "__name__")
    try:
        message = str.__str__(str(fault))
    except BaseException:
        message = ""
    return f"{name}: {message}" if message else str(name)


def printable(text: str) -> str:
    r"""At most 300 characters, none of which moves a terminal's cursor.

    >>> printable("\x1b[2J\x00é")
    '\\x1b[2J\\x00é'
    """
    signs = (sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text[: 2 * WHY_LIMIT])
    return "".join(signs)[:WHY_LIMIT]
