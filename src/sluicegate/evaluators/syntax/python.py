"""Python programs as abstract syntax trees, read by the interpreter's own parser."""

from __future__ import annotations

import ast
from functools import lru_cache

from sluicegate.evaluators.syntax import DEPTH, KEPT, UnparsableError, refuse_long, too_deep


@lru_cache(maxsize=KEPT)
def module(text: str) -> ast.Module:
    """The tree of a program; shared, so nobody may change it.

    Raises:
        UnparsableError: not Python, too long or too deep.
    """
    tree = _parsed(text)
    _refuse_deep(tree)
    return tree


def check(text: str) -> None:
    """Refuse what is not Python or too long; whether it is too deep is not looked at.

    Raises:
        UnparsableError: see above.
    """
    _parsed(text)


def _parsed(text: str) -> ast.Module:
    refuse_long(text)
    try:
        return ast.parse(text)
    except SyntaxError as fault:
        raise UnparsableError(f"not python: line {fault.lineno}: {fault.msg}") from None
    except ValueError as fault:  # NUL, half a character
        raise UnparsableError(f"not python: {str(fault)[:100]}") from None
    except (RecursionError, MemoryError):
        raise too_deep() from None


def _refuse_deep(tree: ast.Module) -> None:
    level: list[ast.AST] = [tree]
    for _ in range(DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    raise too_deep()


def without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements of a module, class or function after its docstring."""
    first = body[0] if body else None
    is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and type(first.value.value) is str
    return body[1:] if is_text else body
