"""What a program offers to others: names, parameters, props, routes, status codes, tables and columns."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from sluicegate.evaluators.syntax import KEPT, UnparsableError, python, sql, trees

if TYPE_CHECKING:
    from sqlglot import exp

LANGUAGES: Final = ("python", *trees.SCRIPTS, "sql")
METHODS: Final = frozenset(("get", "post", "put", "patch", "delete", "head", "options"))
FUNCTIONS: Final = frozenset(("arrow_function", "function_expression", "function", "generator_function"))
DECLARED: Final = frozenset(("function_declaration", "generator_function_declaration", "class_declaration"))


class Part(NamedTuple):
    """One part of an interface.

    Args:
        kind: `function`, `class`, `method`, `parameter`, `prop`, `route`, `status`, `table`, `column` or `columns`.
        of: what it belongs to, or empty.
        name: a route's is `POST /path`, that of `columns` their number.
    """

    kind: str
    of: str
    name: str


@lru_cache(maxsize=KEPT)
def of(language: str, text: str, dialect: str = sql.DIALECT) -> frozenset[Part]:
    """The interface of a program in one of `LANGUAGES`.

    Raises:
        UnparsableError: not a program of the language, too long or too deep.
    """
    try:
        if language == "python":
            return frozenset(_python(python.module(text).body, ""))
        if language == "sql":
            return frozenset(part for one in sql.statements(text, dialect) for part in _sql(one))
        return frozenset(_script(trees.tree(language, text)))
    except RecursionError:
        raise UnparsableError("nests too deep") from None


def _python(body: list[ast.stmt], owner: str) -> Iterator[Part]:
    for node in body:
        if isinstance(node, ast.ClassDef) and not owner:
            yield Part("class", "", node.name)
            yield from _python(node.body, node.name)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Part("method" if owner else "function", owner, node.name)
            given = node.args
            every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
            yield from (
                Part("parameter", node.name, one.arg) for one in every if one and one.arg not in ("self", "cls")
            )


def _script(root: trees.Node) -> Iterator[Part]:
    for node in root.walk():
        if node.kind in DECLARED and _is_top(node):
            yield from _named(node.child("name"), node)
        elif node.kind == "variable_declarator" and _is_top(node):
            value = node.child("value")
            if value is not None and not value.source().startswith(("require(", "import(")):
                yield from _named(node.child("name"), _wrapped(value))
        elif node.kind == "call_expression":
            yield from _called(node)
        elif node.kind == "assignment_expression":
            left, right = node.child("left"), node.child("right")
            if left is not None and right is not None and left.source().endswith(".statusCode"):
                yield Part("status", "", right.source())


def _is_top(node: trees.Node) -> bool:
    wrappers = ("program", "export_statement", "lexical_declaration", "variable_declaration")
    return all(around.kind in wrappers for around in node.above())


def _wrapped(value: trees.Node) -> trees.Node:
    """The function in `memo(function …)` and `forwardRef(… => …)`."""
    if value.kind == "call_expression" and (given := value.child("arguments")) is not None:
        return next((child for child in given.children if child.kind in FUNCTIONS), value)
    return value


def _named(name: trees.Node | None, node: trees.Node) -> Iterator[Part]:
    if name is None or name.kind not in ("identifier", "type_identifier"):
        return
    yield Part("function", "", name.text)
    single, several = node.child("parameter"), node.child("parameters")
    given = (
        [single]
        if single is not None
        else [one for one in several.children if one.named]
        if several is not None
        else []
    )
    for place, one in enumerate(given):
        pattern = one.child("pattern") or one.child("left") or one
        if pattern.kind == "identifier":
            yield Part("parameter", name.text, pattern.text)
            if place == 0:
                yield from (Part("prop", name.text, prop) for prop in _read_of(pattern.text, node))
        elif pattern.kind == "object_pattern":
            yield from (Part("prop", name.text, prop) for prop in _keys(pattern))


def _keys(pattern: trees.Node) -> Iterator[str]:
    for child in pattern.children:
        key = child.child("key") or child.child("left") or child
        if key.kind in ("shorthand_property_identifier_pattern", "property_identifier"):
            yield key.text


def _read_of(name: str, node: trees.Node) -> Iterator[str]:
    """What is read of a parameter: `props.items`, `const { items } = props`."""
    for part in node.walk():
        if part.kind == "member_expression" and part.children[0].text == name:
            yield part.children[-1].text
        elif part.kind == "variable_declarator":
            value, target = part.child("value"), part.child("name")
            if value is not None and value.text == name and target is not None and target.kind == "object_pattern":
                yield from _keys(target)


def _called(call: trees.Node) -> Iterator[Part]:
    function, arguments = call.child("function"), call.child("arguments")
    if function is None or arguments is None or function.kind != "member_expression":
        return
    method, given = function.children[-1].text, [node for node in arguments.children if node.named]
    first = given[0] if given else None
    if method in ("status", "sendStatus") and first is not None and first.kind == "number":
        yield Part("status", "", first.text)
    if method in METHODS:
        path = _path(first) or _routed(function.children[0])
        if path:
            yield Part("route", "", f"{method.upper()} {path}")


def _path(node: trees.Node | None) -> str:
    text = node.text[1:-1] if node is not None and node.kind == "string" else ""
    return text if text.startswith("/") else ""


def _routed(node: trees.Node) -> str:
    """The path of `router.route("/path").get(…).post(…)`."""
    while node.kind == "call_expression":
        function, arguments = node.child("function"), node.child("arguments")
        if function is None or arguments is None or not function.children:
            return ""
        if function.children[-1].text == "route":
            return next((path for child in arguments.children if (path := _path(child))), "")
        node = function.children[0]
    return ""


def _sql(statement: exp.Expr) -> Iterator[Part]:
    from sqlglot import exp

    own = {part.alias.lower() for part in statement.find_all(exp.CTE)}
    for table in statement.find_all(exp.Table):
        if table.name and table.name.lower() not in own:
            yield Part("table", "", table.name.lower())
    if isinstance(statement, exp.Create):
        yield from (Part("column", "", column.name.lower()) for column in statement.find_all(exp.ColumnDef))
    elif isinstance(statement, exp.Query):
        names = [name.lower() for name in statement.named_selects]
        yield from (Part("column", "", name) for name in names if name not in ("", "*"))
        if "*" not in names:
            yield Part("columns", "", str(len(names)))
