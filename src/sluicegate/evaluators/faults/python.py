"""Faults of Python programs: pyflakes for names, own rules for what is unreachable or repeated."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from sluicegate.evaluators.faults import Fault
from sluicegate.evaluators.syntax import python, too_deep

ENDS: Final = (ast.Return, ast.Raise, ast.Continue, ast.Break)
HARMLESS: Final = ("ImportStarUsed", "ImportStarUsage", "FStringMissingPlaceholders", "LateFutureImport")
"""Messages of pyflakes that are a matter of taste, or a guess."""
COPIED: Final = 3
"""Statements from which two functions with the same body are one copied."""


def faults(text: str) -> list[Fault]:
    """The faults of a program, by line.

    Raises:
        UnparsableError: not Python, too long or too deep.
    """
    tree = python.module(text)
    try:
        found = [*_names(text), *_unreachable(tree), *_repeated(tree)]
    except RecursionError:
        raise too_deep() from None
    return sorted(set(found))


def _names(text: str) -> Iterator[Fault]:
    from pyflakes.checker import Checker

    tree = ast.parse(text)  # a tree of its own, since the checker writes into it
    for message in Checker(tree, filename="answer").messages:
        if type(message).__name__ not in HARMLESS:
            told = tuple(0 if type(part) is int else part for part in message.message_args)  # without other lines
            yield Fault(message.lineno, (message.message % told).replace(" from line 0", ""))


def _unreachable(tree: ast.Module) -> Iterator[Fault]:
    for block in _blocks(tree):
        for one, after in pairwise(block):
            if _ends(one) and not _makes_a_generator(after):
                yield Fault(after.lineno, "code that is never reached")
                break


def _blocks(tree: ast.Module) -> Iterator[list[ast.stmt]]:
    """Every run of statements."""
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and block:
                yield block


def _ends(statement: ast.stmt) -> bool:
    """Whether nothing can come after a statement."""
    if isinstance(statement, ast.If):
        return bool(statement.orelse) and _ends(statement.body[-1]) and _ends(statement.orelse[-1])
    if isinstance(statement, ast.While):
        return isinstance(statement.test, ast.Constant) and bool(statement.test.value) and not _breaks(statement)
    return isinstance(statement, ENDS)


def _breaks(loop: ast.While) -> bool:
    """Whether a loop has a `break` of its own."""
    waiting: list[ast.AST] = list(loop.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Break):
            return True
        if isinstance(node, ast.For | ast.AsyncFor | ast.While):
            waiting.extend(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))
    return False


def _makes_a_generator(statement: ast.stmt) -> bool:
    """`return` and then `yield` is how one writes a generator of nothing."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Yield | ast.YieldFrom)


def _repeated(tree: ast.Module) -> Iterator[Fault]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If):
            yield from _repeated_branches(node)
    for block in _blocks(tree):
        for one, after in pairwise(block):
            if isinstance(after, ast.Assign | ast.If | ast.For | ast.While) and _is_pure_copy(one, after):
                yield Fault(after.lineno, "a statement that is given twice")
    yield from _copied_functions(tree)


def _repeated_branches(node: ast.If) -> Iterator[Fault]:
    if node.orelse and _same(node.body, node.orelse):
        yield Fault(node.orelse[0].lineno, "two branches that are the same")
    other = node.orelse[0] if len(node.orelse) == 1 else None
    if isinstance(other, ast.If) and _same([node.test], [other.test]):
        yield Fault(other.lineno, "a condition that is given twice")


def _is_pure_copy(one: ast.stmt, after: ast.stmt) -> bool:
    """Twice the same, with nothing called: `x = next(rows)` may well be done twice."""
    calls = any(isinstance(node, ast.Call | ast.Await | ast.Yield | ast.AugAssign) for node in ast.walk(after))
    targets = [ast.dump(part) for part in after.targets] if isinstance(after, ast.Assign) else []
    moves = isinstance(after, ast.Assign) and any(
        f"id={node.id!r}" in target
        for node in ast.walk(after.value)
        if isinstance(node, ast.Name)
        for target in targets
    )
    return not calls and not moves and _same([one], [after])


def _copied_functions(tree: ast.Module) -> Iterator[Fault]:
    seen = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = python.without_docstring(node.body)
            copy = (ast.dump(node.args), *(ast.dump(part) for part in body))
            if len(body) >= COPIED and copy in seen:
                yield Fault(node.lineno, "a function with the body of another")
            seen.add(copy)


def _same(one: list[ast.stmt] | list[ast.expr], other: list[ast.stmt] | list[ast.expr]) -> bool:
    return [ast.dump(part) for part in one] == [ast.dump(part) for part in other]


def says_something(text: str) -> bool:
    """Whether a program that parses has a statement."""
    return bool(python.module(text).body)
