"""Documented functions and classes at the top level of Python files.

The docstring is what is asked for, with the signature below it. The code is the definition with its decorators and
without that docstring: kept, it would teach to repeat the request. Docstrings of a class's methods stay.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Sequence
from typing import TypeAlias

from sluicegate.data.importers import python
from sluicegate.data.mining import Left, Pair, UnreadableError, fault_of
from sluicegate.data.reader import LineError

Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
REQUEST = "{told}\n\nWrite it in Python, as:\n\n{head}"


def pairs(source: str, suffix: str) -> Sequence[Pair | Left]:
    """See `Language`."""
    del suffix
    try:
        tree, lines = python.parsed("file", source), source.split("\n")
        return [_pair(node, lines) for node in tree.body if isinstance(node, python.DEFINED)]
    except LineError as fault:
        raise UnreadableError(str(fault)) from None


def _pair(node: Definition, lines: Sequence[str]) -> Pair | Left:
    start = min([node.lineno, *(one.lineno for one in node.decorator_list)])
    told = ast.get_docstring(node)
    if not told:
        return Left(start, "not documented")
    if all(_is_nothing(one) for one in node.body[1:]):
        return Left(start, "a stub")
    text = node.body[0]
    first, last = text.lineno, text.end_lineno or text.lineno
    code = [*lines[start - 1 : first - 1], *_without_blank(lines[last : node.end_lineno])]
    if not lines[first - 1].strip().startswith(("'", '"', "r", "R", "u", "U")) or node.body[1].lineno <= last:
        return Left(start, "documentation and code on one line")
    whole = "\n".join(code).rstrip() + "\n"
    why = fault_of(told, whole)
    if why:
        return Left(start, why)
    return Pair(REQUEST.format(told=inspect.cleandoc(told), head=_head(node)), whole, "python", "python", start)


def _is_nothing(node: ast.stmt) -> bool:
    """`pass`, a constant, or `raise NotImplementedError`."""
    if isinstance(node, ast.Raise) and node.exc is not None:
        return "NotImplemented" in ast.unparse(node.exc)
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _without_blank(lines: Sequence[str]) -> Sequence[str]:
    """The lines, those left out that are blank at their begin."""
    start = next((number for number, line in enumerate(lines) if line.strip()), len(lines))
    return lines[start:]


def _head(node: Definition) -> str:
    """The signature; that of a class with those of its public methods."""
    parts = [python.head(node)]
    if isinstance(node, ast.ClassDef):
        methods = [one for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
        parts += [
            f"    {python.head(one)}" for one in methods if one.name == "__init__" or not one.name.startswith("_")
        ]
    return "\n".join(parts)
