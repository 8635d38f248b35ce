"""Changes of Python programs, found in the interpreter's own tree.

Left alone is what tests cannot be expected to notice: annotations, decorators, docstrings, the words of an exception,
and formatted strings, whose places the tree of Python 3.11 does not tell.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from sluicegate.audit.programs import Edit, Kind
from sluicegate.evaluators.syntax import UnparsableError, python

OPERATORS: Final[dict[type[ast.AST], tuple[str, str]]] = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"), ast.IsNot: (r"is\s+not", "is"),
    ast.In: ("in", "not in"), ast.NotIn: (r"not\s+in", "in"), ast.And: ("and", "or"), ast.Or: ("or", "and"),
    ast.Add: (r"\+", "-"), ast.Sub: ("-", "+"), ast.Mult: (r"\*", "+"), ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"), ast.Mod: ("%", "*"), ast.Pow: (r"\*\*", "*"), ast.BitAnd: ("&", "|"),
    ast.BitOr: (r"\|", "&"), ast.BitXor: (r"\^", "&"), ast.LShift: ("<<", ">>"), ast.RShift: (">>", "<<"),
}  # fmt: skip
"""An operator's class → how it is written, and what takes its place."""
INDIFFERENT: Final = frozenset(("strict", "slots", "frozen", "maxsize"))
"""Keywords whose value right programs seldom hang on."""
LOGS: Final = frozenset(("log", "logger", "logging", "warnings"))


def parses(text: str, language: str) -> bool:
    """Whether it is Python."""
    del language
    try:
        python.check(text)
    except UnparsableError:
        return False
    return True


def edits(text: str, language: str) -> list[Edit]:
    """Operators, constants, conditions, dropped statements and returned values; see `Program`."""
    del language
    source = _Source(text)
    return [edit for node in _looked_at(python.module(text), False) for edit in _changes(node, source)]


def stub(text: str, language: str) -> str:
    """The program with `pass` for the body of each function, and without calls at its top."""
    del language
    tree = ast.parse(text)  # a tree of its own: it is changed
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    if not functions:
        return ""
    for node in functions:
        node.body = [ast.Pass()]
    tree.body = [node for node in tree.body if not isinstance(node, ast.Expr)]
    return ast.unparse(tree) + "\n"


class _Source:
    """A text, and where its nodes lie in bytes."""

    def __init__(self, text: str) -> None:
        self.bytes = text.encode()
        self.lines = [0]
        for line in self.bytes.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))

    def start(self, node: ast.expr | ast.stmt) -> int:
        return self.lines[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr | ast.stmt) -> int:
        assert node.end_lineno is not None and node.end_col_offset is not None  # noqa: S101 - parsed
        return self.lines[node.end_lineno - 1] + node.end_col_offset

    def whole(self, kind: Kind, node: ast.expr | ast.stmt, new: str) -> Edit:
        return Edit(kind, self.start(node), self.end(node), new)

    def between(self, kind: Kind, start: int, end: int, old: str, new: str) -> Iterator[Edit]:
        """The change of what is written `old`, a pattern, between two places."""
        word = rf"\b{old}\b" if old[0].isalpha() else old
        found = re.search(word.encode(), self.bytes[start:end])
        if found is not None:
            yield Edit(kind, start + found.start(), start + found.end(), new)


def _looked_at(node: ast.AST, in_while: bool) -> Iterator[ast.AST]:
    """The nodes that may be changed, in the order of the source."""
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.keyword) and node.arg in INDIFFERENT):
        return
    if not (in_while and isinstance(node, ast.AugAssign)):  # a loop without its step does not end
        yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params") or isinstance(node, ast.Raise):
            continue
        inner = in_while or (isinstance(node, ast.While) and name == "body")
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _looked_at(child, inner)


def _changes(node: ast.AST, source: _Source) -> Iterator[Edit]:
    if isinstance(node, ast.Compare):
        for left, operator, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
            yield from source.between("operator", source.end(left), source.start(right), *OPERATORS[type(operator)])
            yield from (_word(one, source) for one in (left, right) if _is_text(one))
    elif isinstance(node, ast.BinOp):
        if type(node.op) in OPERATORS and not _is_text(node.left):
            yield from source.between(
                "operator", source.end(node.left), source.start(node.right), *OPERATORS[type(node.op)]
            )
    elif isinstance(node, ast.BoolOp):
        for left, right in zip(node.values, node.values[1:], strict=False):
            yield from source.between("operator", source.end(left), source.start(right), *OPERATORS[type(node.op)])
    elif isinstance(node, ast.UnaryOp):
        yield from _unary(node, source)
    elif isinstance(node, ast.Constant):
        yield from _constant(node, source)
    elif isinstance(node, ast.stmt):
        yield from _statement(node, source)
    elif isinstance(node, ast.IfExp):
        yield _negated(node.test, source)
    elif isinstance(node, ast.comprehension):
        yield from (_negated(test, source) for test in node.ifs)


def _unary(node: ast.UnaryOp, source: _Source) -> Iterator[Edit]:
    sign = {ast.Not: r"not\s*", ast.USub: "-"}.get(type(node.op))
    if sign:
        kind: Kind = "condition" if isinstance(node.op, ast.Not) else "operator"
        found = re.match(sign.encode(), source.bytes[source.start(node) :])
        if found is not None:
            yield Edit(kind, source.start(node), source.start(node) + found.end(), "")


def _constant(node: ast.Constant, source: _Source) -> Iterator[Edit]:
    if isinstance(node.value, bool):
        yield source.whole("constant", node, str(not node.value))
    elif isinstance(node.value, int | float):
        yield source.whole("constant", node, repr(node.value + 1))


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant | ast.JoinedStr) and not isinstance(getattr(node, "value", ""), int | float)


def _word(node: ast.expr, source: _Source) -> Edit:
    return source.whole("constant", node, '""' if getattr(node, "value", "") else '"?"')


def _negated(test: ast.expr, source: _Source) -> Edit:
    return source.whole("condition", test, f"not ({source.bytes[source.start(test) : source.end(test)].decode()})")


def _statement(node: ast.stmt, source: _Source) -> Iterator[Edit]:
    if isinstance(node, ast.If) and "__name__" not in ast.dump(node.test):
        yield _negated(node.test, source)
    elif isinstance(node, ast.While):
        yield source.whole("condition", node.test, "False")
    elif isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield source.whole("return", node.value, "None")
    elif _is_droppable(node):
        yield source.whole("statement", node, "pass")


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_droppable(node: ast.stmt) -> bool:
    """A statement that does something and binds no name: without it the program goes on, and does less."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Call | ast.Await) and not _logs(node.value)
    if isinstance(node, ast.Assign):
        return all(isinstance(target, ast.Attribute | ast.Subscript) for target in node.targets)
    return isinstance(node, ast.AugAssign | ast.Raise | ast.Delete | ast.Continue | ast.Break)


def _logs(call: ast.expr) -> bool:
    node: ast.AST = call
    while isinstance(node, ast.Call | ast.Attribute | ast.Await):
        node = node.func if isinstance(node, ast.Call) else node.value
    return isinstance(node, ast.Name) and node.id.lower() in LOGS
