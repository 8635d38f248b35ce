"""JavaScript, JSX, TypeScript, TSX, Python and eight others as concrete syntax trees, read by tree-sitter.

The binding makes a new object at every look at a node, so a tree is copied once into plain ones and shared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib import import_module
from sys import intern
from typing import TYPE_CHECKING, Final

from sluicegate.errors import UserError
from sluicegate.evaluators.syntax import DEPTH, KEPT, UnparsableError, refuse_long, too_deep

if TYPE_CHECKING:
    import tree_sitter

GRAMMARS: Final = {
    "javascript": ("tree_sitter_javascript", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "python": ("tree_sitter_python", "language"),
    "java": ("tree_sitter_java", "language"),
    "c_sharp": ("tree_sitter_c_sharp", "language"),
    "php": ("tree_sitter_php", "language_php"),
    "php_only": ("tree_sitter_php", "language_php_only"),
    "c": ("tree_sitter_c", "language"),
    "cpp": ("tree_sitter_cpp", "language"),
    "go": ("tree_sitter_go", "language"),
    "ruby": ("tree_sitter_ruby", "language"),
    "rust": ("tree_sitter_rust", "language"),
}
"""Language → package and the name of its grammar; `php` is a page that may hold PHP, `php_only` is nothing else."""
COMMENTS: Final = frozenset(("comment", "line_comment", "block_comment"))
WHOLE: Final = frozenset(("string", "string_literal", "character_literal"))
"""Kinds that count as one token, whatever the grammar sees in them."""
SCRIPTS: Final = ("javascript", "typescript", "tsx")
"""The languages of browsers and Node."""


class Node:
    """A node of a tree.

    Args:
        kind: the grammar's name of it; a token without a name is its own text.
        named: whether it is more than punctuation or a keyword.
        field: its role in its parent, or empty.
        start: where it begins, in bytes.
        parent: None for the root.
        text: the source of a token or of what is `WHOLE`; the root has all of it, others nothing.
        children: in the order of the source.
    """

    __slots__ = ("children", "field", "kind", "named", "parent", "start", "text")

    def __init__(self, kind: str, named: bool, field: str, start: int, parent: Node | None) -> None:
        self.kind = kind
        self.named = named
        self.field = field
        self.start = start
        self.parent = parent
        self.text = ""
        self.children: Sequence[Node] = ()  # most nodes are leaves, and a list costs

    @property
    def line(self) -> int:
        """Where it begins, 1-based."""
        root = self
        while root.parent is not None:
            root = root.parent
        return root.text.encode("utf-8", "surrogatepass").count(b"\n", 0, self.start) + 1

    def child(self, field: str) -> Node | None:
        """The first child in a role."""
        return next((child for child in self.children if child.field == field), None)

    def walk(self) -> Iterator[Node]:
        """This node and all below, in the order of the source."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))

    def above(self) -> Iterator[Node]:
        """The nodes that this one lies in, from the inside out."""
        node = self.parent
        while node is not None:
            yield node
            node = node.parent

    def source(self) -> str:
        """The tokens below, without the space between them."""
        return "".join(node.text for node in self.walk() if not node.children)


def tree(language: str, text: str) -> Node:
    """The tree of a program.

    Raises:
        UnparsableError: not a whole program of the language, too long or too deep.
        KeyError: a language without a grammar.
        UserError: its grammar is not installed.
    """
    found = _tree(language, text)
    if isinstance(found, str):
        raise UnparsableError(found)
    return found


@lru_cache(maxsize=KEPT)
def _tree(language: str, text: str) -> Node | str:
    """The tree, or why there is none; a refusal is kept as well, since broken text is what takes longest."""
    try:
        refuse_long(text)
        source = text.encode("utf-8", "surrogatepass")
        root = _parser(language).parse(source).root_node
        if root.has_error:
            return f"not {language}: {_first_fault(root)}"
        top = _copied(root.walk(), source, None, 1)
        top.text = text
        return top
    except UnparsableError as fault:
        return str(fault)


def _parser(language: str) -> tree_sitter.Parser:
    grammar = _grammar(language)
    from tree_sitter import Parser

    return Parser(grammar)


@lru_cache
def _grammar(language: str) -> tree_sitter.Language:
    module, name = GRAMMARS[language]
    try:
        from tree_sitter import Language

        return Language(getattr(import_module(module), name)())
    except (ImportError, AttributeError, TypeError, ValueError) as fault:  # a grammar of another version is no capsule
        raise UserError(
            f"{language}: no grammar to read it with",
            wanted=f"the packages tree-sitter and {module.replace('_', '-')}, of versions that fit",
            seen=str(fault),
            mend="pip install 'sluicegate[eval,codebleu]'",
        ) from None


def _first_fault(root: tree_sitter.Node) -> str:
    node = root
    while not (node.is_error or node.is_missing):
        inner = next((child for child in node.children if child.has_error or child.is_missing), None)
        if inner is None:
            break
        node = inner
    return f"line {node.start_point[0] + 1}"


def _copied(cursor: tree_sitter.TreeCursor, source: bytes, parent: Node | None, depth: int) -> Node:
    seen: tree_sitter.Node = cursor.node  # type: ignore[assignment] # a cursor always stands on a node
    kind, named = intern(seen.type), seen.is_named  # or each node has a string of its own, compared sign by sign
    node = Node(kind, named, cursor.field_name or "", seen.start_byte, parent)
    inner = cursor.goto_first_child()
    if not named:  # in JSX the grammar counts the blanks before a sign to the sign
        node.text = kind
    elif not inner or kind in WHOLE:
        node.text = source[seen.start_byte : seen.end_byte].decode("utf-8", "replace")
    if not inner:
        return node
    if depth == DEPTH:
        raise too_deep()
    children = []
    while inner:
        children.append(_copied(cursor, source, node, depth + 1))
        inner = cursor.goto_next_sibling()
    cursor.goto_parent()
    node.children = children
    return node
