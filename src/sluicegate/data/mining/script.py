"""Documented functions, classes and React components at the top level of JavaScript and TypeScript files.

The JSDoc comment is what is asked for, with the signature below it; the code is the definition, with `export` where it
has one. A function whose name begins with a capital letter and which holds JSX is a component.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Final

from sluicegate.data.mining import Left, Pair, UnreadableError, fault_of
from sluicegate.errors import UserError

if TYPE_CHECKING:
    import tree_sitter

GRAMMARS: Final = {
    "javascript": ("tree_sitter_javascript", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
}
OF_SUFFIX: Final = {".ts": "typescript", ".mts": "typescript", ".cts": "typescript", ".tsx": "tsx"}
DECLARED: Final = frozenset((
    "function_declaration", "generator_function_declaration", "class_declaration", "abstract_class_declaration",
))  # fmt: skip
VALUES: Final = frozenset(("arrow_function", "function", "function_expression", "generator_function", "class"))
WRAPPERS: Final = frozenset(("memo", "React.memo", "forwardRef", "React.forwardRef"))
JSX: Final = frozenset(("jsx_element", "jsx_self_closing_element", "jsx_fragment"))
OF_FILE: Final = re.compile(
    r"@(file(overview)?|module|packageDocumentation|license|licence|copyright|jest-environment)\b"
)
AUTHOR: Final = re.compile(r"@author\b")
NAMES: Final = {"javascript": "JavaScript", "typescript": "TypeScript", "jsx": "React (JSX)", "tsx": "React (TSX)"}
REQUEST: Final = "{told}\n\nWrite it in {language}, as:\n\n{head}"


def pairs(source: str, suffix: str) -> Sequence[Pair | Left]:
    """See `Language`."""
    grammar = OF_SUFFIX.get(suffix, "javascript")
    root = _parser(grammar).parse(source.encode()).root_node
    if root.has_error:
        raise UnreadableError(f"not {NAMES[grammar]}, or of a newer kind than the parser knows")
    return list(_pairs(root, grammar))


@lru_cache
def _parser(grammar: str) -> tree_sitter.Parser:
    """The parser of a language.

    Raises:
        UserError: tree-sitter is not installed.
    """
    module, function = GRAMMARS[grammar]
    try:
        from tree_sitter import Language, Parser

        return Parser(Language(getattr(import_module(module), function)()))
    except ImportError as fault:
        raise UserError(
            "--from-git: JavaScript cannot be parsed", wanted="tree-sitter and its grammars", seen=str(fault),
            mend="pip install 'sluicegate[mine]'",
        ) from None  # fmt: skip


def _pairs(root: tree_sitter.Node, grammar: str) -> Iterator[Pair | Left]:
    comment = None
    for node in root.children:
        if node.type == "comment":
            comment = node
            continue
        found, value = _definition(node)
        if found is not None and value is not None:
            yield _pair(node, found, value, grammar, _told(comment, node))
        comment = None


def _definition(node: tree_sitter.Node) -> tuple[tree_sitter.Node | None, tree_sitter.Node | None]:
    """What has the name, and what has the body, of a statement that defines one thing; None where it is none."""
    if node.type == "export_statement":
        inner = node.child_by_field_name("declaration") or node.child_by_field_name("value")
        return _definition(inner) if inner is not None else (None, None)
    if node.type in DECLARED or node.type in VALUES:
        return node, node
    if node.type in ("lexical_declaration", "variable_declaration"):
        declarators = [child for child in node.named_children if child.type == "variable_declarator"]
        value = declarators[0].child_by_field_name("value") if len(declarators) == 1 else None
        if value is not None and (value.type in VALUES or _wraps(value)):
            return declarators[0], value
    return None, None


def _wraps(value: tree_sitter.Node) -> bool:
    called = value.child_by_field_name("function") if value.type == "call_expression" else None
    return called is not None and _source(called) in WRAPPERS


def _inside(value: tree_sitter.Node) -> tree_sitter.Node:
    """The function that a call such as `memo(…)` wraps, or the value itself."""
    given = value.child_by_field_name("arguments") if _wraps(value) else None
    return next((one for one in given.named_children if one.type in VALUES), value) if given else value


def _told(comment: tree_sitter.Node | None, node: tree_sitter.Node) -> str:
    """The words of the JSDoc comment right above a statement; empty where there is none."""
    if comment is None or node.start_point[0] - comment.end_point[0] > 1:
        return ""
    text = _source(comment)
    if not text.startswith("/**") or OF_FILE.search(text):
        return ""
    rows = [re.sub(r"^\s*\*? ?", "", row).rstrip() for row in text[3:-2].split("\n")]
    return "\n".join(row for row in rows if not AUTHOR.search(row)).strip()


def _pair(
    node: tree_sitter.Node, found: tree_sitter.Node, value: tree_sitter.Node, grammar: str, told: str
) -> Pair | Left:
    line, code = node.start_point[0] + 1, _source(node) + "\n"
    why = fault_of(told, code) if told else "not documented"
    if why:
        return Left(line, why)
    body, name = _inside(value).child_by_field_name("body"), found.child_by_field_name("name")
    upto = (body or value).start_byte - node.start_byte
    head = re.sub(r"\s*(=>|=)?\s*$", "", code.encode()[:upto].decode())
    is_component = name is not None and _source(name)[:1].isupper() and _has_jsx(node)
    if is_component:
        language = "jsx" if grammar == "javascript" else "tsx"
    else:
        language = "typescript" if grammar == "tsx" else grammar
    request = REQUEST.format(told=told, language=NAMES[language], head=head)
    return Pair(request, code, "react" if is_component else language, language, line)


def _source(node: tree_sitter.Node) -> str:
    return (node.text or b"").decode()


def _has_jsx(node: tree_sitter.Node) -> bool:
    todo = [node]
    while todo:
        one = todo.pop()
        if one.type in JSX:
            return True
        todo += one.children
    return False
