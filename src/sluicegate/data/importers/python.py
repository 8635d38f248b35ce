"""What importers ask of Python source; nothing is run."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator

from sluicegate.data.reader import LineError

DEFINED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def parsed(what: str, source: str) -> ast.Module:
    """The tree of a program.

    Raises:
        LineError: it is none; `what` names it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except SyntaxError as fault:
        raise LineError(f"{what}: not Python: {fault.msg} (line {fault.lineno} of it)") from None
    except (ValueError, RecursionError, MemoryError) as fault:
        raise LineError(f"{what}: not Python: {type(fault).__name__}") from None


def names(tree: ast.Module) -> set[str]:
    """What a program defines or assigns at its top level."""
    found = {node.name for node in tree.body if isinstance(node, DEFINED)}
    return found | {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def heads(tree: ast.Module, wanted: set[str]) -> Iterator[str]:
    """The signatures of the functions and classes of these names, in the order of the source.

    >>> list(heads(ast.parse("def f(a, b: int = 1) -> int: return a\\nclass P(Q): pass"), {"f", "P"}))
    ['def f(a, b: int=1) -> int', 'class P(Q)']
    """
    for node in tree.body:
        if isinstance(node, DEFINED) and node.name in wanted:
            yield head(node)


def head(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> str:
    """The line that a definition begins with, without its colon and decorators.

    Raises:
        LineError: a signature that is nested too deep to be told.
    """
    try:
        return _head(node)
    except RecursionError:
        raise LineError(f"the signature of {node.name} is nested too deep") from None


def _head(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> str:
    if isinstance(node, ast.ClassDef):
        given = [*map(ast.unparse, node.bases), *map(ast.unparse, node.keywords)]
        return f"class {node.name}({', '.join(given)})" if given else f"class {node.name}"
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    back = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{word} {node.name}({ast.unparse(node.args)}){back}"


def used(tree: ast.AST) -> set[str]:
    """The names that are read anywhere."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
