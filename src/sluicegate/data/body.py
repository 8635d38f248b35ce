"""The body of a program: the lines that an answer consists of, apart from what everybody may be told of it.

Left out are signatures (over several lines, too), imports, comments, docstrings, the words inside quotes, and, in
Python, type annotations. Nothing here parses but Python, whose parser is at hand; a line of another language is taken
as it looks, which is enough to hold metadata against.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

DECLARATION = re.compile(
    r"\s*(?:(?:export|default|async|pub|static)\s+)*(?:def|class|function|import|from|CREATE)\b"
    r"|.*\brequire\("
)
PYTHON = frozenset(("python", "py", "python3", "bugfix"))
QUOTED = r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'"
SCRIPT_NOISE = re.compile(rf"/\*.*?\*/|//[^\n]*|{QUOTED}", re.DOTALL)
SQL_NOISE = re.compile(rf"/\*.*?\*/|--[^\n]*|{QUOTED}", re.DOTALL)
YAML_NOISE = re.compile(rf"(?:^|(?<=\s))#[^\n]*|{QUOTED}", re.MULTILINE)
NOISE = {"sql": SQL_NOISE, "sqlite": SQL_NOISE, "yaml": YAML_NOISE, "kubernetes": YAML_NOISE}
"""Language → its comments and words in quotes; the others write them as JavaScript does."""
PYTHON_NOISE = re.compile(rf"\"\"\".*?\"\"\"|'''.*?'''|#[^\n]*|{QUOTED}", re.DOTALL)


def lines(text: str, language: str) -> list[str]:
    """The body's lines, in order; a word in quotes is an empty one, and what is left out leaves nothing.

    Args:
        language: as meta names it, in lower case, or the scenario.

    >>> lines("import re\\n\\ndef f(xs):\\n    '''Sum.'''\\n    return sum(xs)  # all\\n", "python")
    ['    return sum(xs)  ']
    """
    if language in PYTHON:
        try:
            return _python(text)
        except (SyntaxError, ValueError, RecursionError):
            pass  # a broken program, or JavaScript in the scenario bugfix
    noise = NOISE.get(language, SCRIPT_NOISE)
    return list(_undeclared(noise.sub(_blank, text).split("\n"), language))


def _blank(found: re.Match[str]) -> str:
    """Nothing for a comment, empty quotes for a word."""
    return '""' if found[0][0] in "\"'" and not found[0].startswith(('"""', "'''")) else ""


def _undeclared(rows: list[str], language: str) -> Iterator[str]:
    """The lines that declare nothing; a declaration goes on until its brackets are closed."""
    depth = 0
    for row in rows:
        is_from = language in ("sql", "sqlite") and row.strip().upper().startswith("FROM")  # no import here
        if depth > 0 or (DECLARATION.match(row) and not is_from):
            depth = max(0, depth + sum(row.count(sign) for sign in "([") - sum(row.count(sign) for sign in ")]"))
        elif row.strip():
            yield row


def _python(text: str) -> list[str]:
    """The body of a Python program by its tree."""
    rows = [row.encode() for row in text.split("\n")]
    for node in ast.walk(ast.parse(text)):
        for first, start, last, end in _told(node):
            for number in range(first, last + 1):
                row = rows[number - 1]
                head = row[:start] if number == first else b""
                tail = row[end:] if number == last else b""
                rows[number - 1] = head + b" " * (len(row) - len(head) - len(tail)) + tail
    plain = PYTHON_NOISE.sub(_blank, b"\n".join(rows).decode())
    return [row for row in plain.split("\n") if row.strip()]


def _told(node: ast.AST) -> Iterator[tuple[int, int, int, int]]:
    """Spans (line, column in bytes, line, column) of a node that metadata may repeat."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        body = node.body[0]
        yield node.lineno, node.col_offset, body.lineno, body.col_offset
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield _span(node)
    elif isinstance(node, ast.AnnAssign):
        yield _span(node if node.value is None else node.annotation)
    if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            yield _span(first)


def _span(node: ast.stmt | ast.expr) -> tuple[int, int, int, int]:
    return node.lineno, node.col_offset, node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
