"""Changes of JavaScript, TypeScript and TSX programs (JSX is read as TSX), found in tree-sitter's trees.

Left alone is what tests cannot be expected to notice: types, imports and exports, the words of an exception, the step
of a `for` loop (which would not end), what is written to the console.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Final

from sluicegate.audit.programs import Edit
from sluicegate.evaluators.syntax import UnparsableError, refuse_long, trees

if TYPE_CHECKING:
    import tree_sitter

OPERATORS: Final = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "===": "!==", "!==": "===", "==": "!=", "!=": "==",
    "&&": "||", "||": "&&", "??": "&&", "+": "-", "-": "+", "*": "/", "/": "*", "%": "*", "**": "*",
    "&": "|", "|": "&", "<<": ">>", ">>": "<<", ">>>": "<<", "+=": "-=", "-=": "+=", "*=": "/=", "/=": "*=",
    "++": "--", "--": "++",
}  # fmt: skip
EQUALITIES: Final = ("===", "!==", "==", "!=")
FUNCTIONS: Final = frozenset(
    ("function_declaration", "generator_function_declaration", "function_expression", "function", "generator_function",
     "arrow_function", "method_definition")
)  # fmt: skip
SKIPPED: Final = frozenset(
    ("import_statement", "throw_statement", "type_annotation", "type_arguments", "type_parameters",
     "interface_declaration", "type_alias_declaration", "comment")
)  # fmt: skip
"""What is not looked into; a throw is dropped as a whole."""


def parses(text: str, language: str) -> bool:
    """Whether it is a program of the language."""
    return not _parsed(text, language).has_error


def edits(text: str, language: str) -> list[Edit]:
    """Operators, constants, conditions, dropped statements and returned values; see `Program`."""
    return [edit for node in _looked_at(_root(text, language)) for edit in _changes(node)]


def stub(text: str, language: str) -> str:
    """The program with an empty body for each of its outermost functions, and without calls at its top."""
    source, cuts = text.encode(), list(_emptied(_root(text, language)))
    if not cuts:
        return ""
    for start, end, new in reversed(cuts):
        source = source[:start] + new.encode() + source[end:]
    return source.decode()


def _root(text: str, language: str) -> tree_sitter.Node:
    refuse_long(text)
    root = _parsed(text, language)
    if root.has_error:
        raise UnparsableError(f"not {language}")
    return root


def _parsed(text: str, language: str) -> tree_sitter.Node:
    from tree_sitter import Parser

    return Parser(_grammar(language)).parse(text.encode()).root_node


@lru_cache
def _grammar(name: str) -> tree_sitter.Language:
    from tree_sitter import Language

    module, maker = trees.GRAMMARS[name]
    return Language(getattr(import_module(module), maker)())


def _looked_at(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    """The nodes that may be changed, in the order of the source."""
    if node.type in SKIPPED and node.type != "throw_statement":
        return
    yield node
    if node.type == "throw_statement" or _is_console(node):
        return
    step = node.child_by_field_name("increment") if node.type == "for_statement" else None
    for child in node.children:
        if child != step:
            yield from _looked_at(child)


def _text(node: tree_sitter.Node | None) -> str:
    return "" if node is None or node.text is None else node.text.decode()


def _is_console(node: tree_sitter.Node) -> bool:
    return node.type == "expression_statement" and _text(node).startswith("console.")


def _whole(kind: str, node: tree_sitter.Node, new: str) -> Edit:
    return Edit(kind, node.start_byte, node.end_byte, new)  # type: ignore[arg-type] # one of Kind, by the callers


def _changes(node: tree_sitter.Node) -> Iterator[Edit]:
    kind = node.type
    if kind in ("binary_expression", "augmented_assignment_expression", "update_expression"):
        yield from _operator(node)
    elif kind == "unary_expression":
        sign = node.child_by_field_name("operator")
        if sign is not None and _text(sign) in ("!", "-"):
            yield _whole("condition" if _text(sign) == "!" else "operator", sign, "")
    elif kind == "number":
        yield from _number(node)
    elif kind in ("true", "false"):
        yield _whole("constant", node, "false" if kind == "true" else "true")
    elif kind == "arrow_function":
        body = node.child_by_field_name("body")
        if body is not None and body.type != "statement_block" and _text(body) not in ("undefined", "null"):
            yield _whole("return", body, "undefined")
    elif kind in ("if_statement", "ternary_expression", "while_statement"):
        yield from _condition(node)
    elif kind == "return_statement":
        values = [child for child in node.children if child.is_named and child.type != "comment"]
        if values and _text(values[0]) not in ("undefined", "null"):
            yield _whole("return", values[0], _answered(values[0]) or "undefined")
    elif _is_droppable(node):
        yield _whole("statement", node, f"{_answered(node.children[0])};")


def _answered(node: tree_sitter.Node) -> str:
    """What takes the place of an answer to a request: an empty one, since none at all is a wait for the time limit."""
    root = _root_of(node)
    return f"{root}.end()" if root in ("res", "response") else "next()" if root == "next" else ""


def _root_of(node: tree_sitter.Node) -> str:
    """The name that a chain of calls begins with: `res` of `res.status(400).json({})`."""
    while node.type in ("call_expression", "member_expression", "await_expression"):
        node = node.child_by_field_name("function") or node.child_by_field_name("object") or node.children[-1]
    return _text(node) if node.type == "identifier" else ""


def _operator(node: tree_sitter.Node) -> Iterator[Edit]:
    sign = node.child_by_field_name("operator")
    if sign is None or (new := OPERATORS.get(_text(sign))) is None:
        return
    yield _whole("operator", sign, new)
    if _text(sign) in EQUALITIES:
        for side in (node.child_by_field_name("left"), node.child_by_field_name("right")):
            if side is not None and side.type == "string" and _is_not_typeof(node):
                yield _whole("constant", side, '""' if len(_text(side)) > 2 else '"?"')


def _is_not_typeof(node: tree_sitter.Node) -> bool:
    return not any(child.type == "unary_expression" and _text(child).startswith("typeof") for child in node.children)


def _number(node: tree_sitter.Node) -> Iterator[Edit]:
    text = _text(node).replace("_", "")
    if text.isdecimal():
        yield _whole("constant", node, str(int(text) + 1))
    elif text.endswith("n") and text[:-1].isdecimal():
        yield _whole("constant", node, f"{int(text[:-1]) + 1}n")
    else:
        yield _whole("constant", node, f"({_text(node)} + 1)")


def _condition(node: tree_sitter.Node) -> Iterator[Edit]:
    test = node.child_by_field_name("condition")
    if test is None:
        return
    if node.type == "while_statement":
        yield _whole("condition", test, "(false)")
    else:
        yield _whole("condition", test, f"(!({_text(test)}))")


def _is_droppable(node: tree_sitter.Node) -> bool:
    if node.type in ("throw_statement", "continue_statement", "break_statement"):
        return not any(above.type in ("switch_case", "switch_default") for above in _above(node, 2))
    around = node.parent
    if around is not None and around.type == "for_statement" and node != around.child_by_field_name("body"):
        return False
    if node.type != "expression_statement" or _is_console(node) or not node.children:
        return False
    inner = node.children[0]
    return inner.type != "string" and not _text(inner).startswith(("module.exports", "exports."))


def _above(node: tree_sitter.Node, most: int) -> Iterator[tree_sitter.Node]:
    around = node.parent
    while around is not None and most:
        yield around
        around, most = around.parent, most - 1


def _emptied(node: tree_sitter.Node) -> Iterator[tuple[int, int, str]]:
    """Spans and what takes their place, in order; nothing in it is looked into any more."""
    if node.type in FUNCTIONS:
        body = node.child_by_field_name("body")
        if body is not None:
            yield body.start_byte, body.end_byte, "{}"
        return
    is_top = node.parent is not None and node.parent.type == "program"
    if node.type == "expression_statement" and is_top and _is_droppable(node):
        yield node.start_byte, node.end_byte, ""
        return
    for child in node.children:
        yield from _emptied(child)
