"""Faults of JavaScript, JSX, TypeScript and TSX: names by their scopes, unreachable and repeated code.

A name is looked up from the inside out, whatever comes first in the source; `var` and functions belong to what holds
them. Top-level names are what a program offers, so only imports have to be used there; parameters and names that
begin with `_` never have to. Names of types are looked up only to tell whether an import is used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from sluicegate.evaluators.faults import Fault
from sluicegate.evaluators.faults.globals import ALL as GLOBALS
from sluicegate.evaluators.syntax import trees
from sluicegate.evaluators.syntax.trees import Node

FUNCTIONS: Final = frozenset((
    "function_declaration", "generator_function_declaration", "function_expression", "function", "generator_function",
    "arrow_function", "method_definition", "function_signature", "method_signature", "abstract_method_signature",
    "call_signature", "construct_signature", "function_type", "constructor_type", "class_static_block",
))  # fmt: skip
SCOPES: Final = FUNCTIONS | {
    "program", "statement_block", "for_statement", "for_in_statement", "catch_clause", "switch_body", "class",
    "class_declaration", "abstract_class_declaration", "interface_declaration", "type_alias_declaration",
    "internal_module", "module", "conditional_type", "mapped_type_clause", "index_signature",
}  # fmt: skip
NAMED: Final = {
    "function_declaration": "function",
    "generator_function_declaration": "function",
    "class_declaration": "class",
    "abstract_class_declaration": "class",
    "enum_declaration": "class",
    "internal_module": "module",
    "module": "module",
    "function_signature": "signature",
    "interface_declaration": "type",
    "type_alias_declaration": "type",
}
"""What a declaration declares its name as."""
REPEATABLE: Final = frozenset(("var", "parameter", "signature", "type", "module"))
UNUSED: Final = frozenset(("import", "var", "let", "const", "function", "class"))
"""Kinds of names that have to be used, where they are not what the program offers."""
ENDS: Final = frozenset(("return_statement", "throw_statement", "continue_statement", "break_statement"))
HOISTED: Final = frozenset(("function_declaration", "generator_function_declaration", "comment", "empty_statement"))
BLOCKS: Final = frozenset(("program", "statement_block", "switch_case", "switch_default"))
PATTERNS: Final = frozenset((
    "object_pattern", "array_pattern", "rest_pattern", "assignment_pattern", "object_assignment_pattern",
    "pair_pattern", "required_parameter", "optional_parameter", "formal_parameters",
))  # fmt: skip
DECLARED_ELSEWHERE: Final = frozenset(("ambient_declaration", "nested_identifier", "nested_type_identifier"))
COPIED: Final = 3


@dataclass(slots=True)
class _Name:
    kind: str
    line: int
    used: bool = False


@dataclass(slots=True)
class _Scope:
    top: bool
    names: dict[str, _Name] = field(default_factory=dict)


def faults(language: str, text: str) -> list[Fault]:
    """The faults of a program, by line.

    Raises:
        UnparsableError: not a program of the language, too long or too deep.
    """
    root = trees.tree(language, text)
    return sorted({*_Names(root).faults(), *_unreachable(root), *_repeated(root)})


def says_something(language: str, text: str) -> bool:
    """Whether a program that parses has a statement."""
    root = trees.tree(language, text)
    return any(child.kind not in ("comment", "empty_statement", "hash_bang_line") for child in root.children)


class _Names:
    """The names of one program: first all that are declared, then all that are used."""

    def __init__(self, root: Node) -> None:
        self._scopes = {id(node): _Scope(node.parent is None) for node in root.walk() if node.kind in SCOPES}
        self._declaring: set[int] = set()
        self._found: list[Fault] = []
        nodes = list(root.walk())
        for node in nodes:
            self._declare(node)
        jsx = any(node.kind.startswith("jsx_") for node in nodes)
        for node in nodes:
            self._use(node)
        if jsx:
            self._mark("React", root)

    def faults(self) -> list[Fault]:
        """Undefined, repeated and unused names."""
        unused = (
            Fault(name.line, f"{text} is never used")
            for scope in self._scopes.values()
            for text, name in scope.names.items()
            if not name.used and name.kind in UNUSED and not text.startswith("_")
            if name.kind == "import" or not scope.top
        )
        return [*self._found, *unused]

    def _declare(self, node: Node) -> None:
        if node.kind == "variable_declarator":
            self._declare_variable(node)
        elif node.kind in NAMED:
            self._declare_named(node)
        elif node.kind in FUNCTIONS or node.kind == "class":
            self._declare_own(node)
        elif node.kind == "catch_clause":
            self._declare_all(node.child("parameter"), "parameter", node)
        elif node.kind == "for_in_statement":
            kind = node.child("kind")
            if kind is not None:
                self._declare_all(node.child("left"), kind.kind, node)
        elif node.kind in ("import_specifier", "namespace_import", "import_clause", "import_require_clause"):
            self._declare_import(node)
        elif node.kind == "type_parameter":
            self._declare_all(node.child("name") or node.children[0], "type", node)
        elif node.kind in ("infer_type", "mapped_type_clause"):
            for child in node.children:
                if child.kind == "type_identifier":
                    self._declare_name(child, "type", node)

    def _declare_variable(self, node: Node) -> None:
        words = [child.kind for child in (node.parent or node).children]
        kind = next((word for word in words if word in ("var", "let", "const")), "var")
        self._declare_all(node.child("name"), kind, node, function_wide=kind == "var")
        if node.parent is not None and (name := node.child("name")) is not None:
            self._offer(name, node.parent)

    def _declare_named(self, node: Node) -> None:
        name = node.child("name")
        kind = NAMED[node.kind]
        if name is not None and node.parent is not None:
            self._declare_name(name, kind, node.parent)
            self._offer(name, node)
        if node.kind in FUNCTIONS:
            self._declare_parameters(node)

    def _offer(self, name: Node, declaration: Node) -> None:
        """A namespace's exports are used by others."""
        if declaration.parent is not None and declaration.parent.kind == "export_statement":
            self._mark(name.text, declaration)

    def _declare_own(self, node: Node) -> None:
        """A function or class that is an expression knows its own name; a method's name is no variable."""
        name = node.child("name")
        if name is not None and name.kind in ("identifier", "type_identifier"):
            self._declare_name(name, "parameter", node)
        self._declare_parameters(node)

    def _declare_parameters(self, node: Node) -> None:
        for role in ("parameters", "parameter"):
            self._declare_all(node.child(role), "parameter", node)

    def _declare_import(self, node: Node) -> None:
        if node.kind == "import_specifier":
            self._declare_all(node.child("alias") or node.child("name"), "import", node)
            return
        for child in node.children:
            if child.kind == "identifier":
                self._declare_name(child, "import", node)

    def _declare_all(self, pattern: Node | None, kind: str, at: Node, function_wide: bool = False) -> None:
        """Declare every name of a pattern; its defaults and types are looked at as uses."""
        if pattern is None:
            return
        if pattern.kind in ("identifier", "shorthand_property_identifier_pattern", "type_identifier"):
            self._declare_name(pattern, kind, at, function_wide)
        elif pattern.kind in PATTERNS:
            if any(child.kind == "rest_pattern" for child in pattern.children) and pattern.kind == "object_pattern":
                kind = "parameter"  # named to be left out of the rest, and so never has to be used
            for child in pattern.children:
                if child.field in ("right", "value", "type", "key") and pattern.kind != "pair_pattern":
                    continue
                if child.field != "key":
                    self._declare_all(child, kind, at, function_wide)

    def _declare_name(self, node: Node, kind: str, at: Node, function_wide: bool = False) -> None:
        self._declaring.add(id(node))
        scope = self._scope_of(at, function_wide)
        known = scope.names.get(node.text)
        if known is None:
            scope.names[node.text] = _Name(kind, node.line)
        elif not {known.kind, kind} & REPEATABLE:
            self._found.append(Fault(node.line, f"{node.text} is declared twice"))

    def _scope_of(self, node: Node, function_wide: bool = False) -> _Scope:
        for around in (node, *node.above()):
            if function_wide and around.kind not in FUNCTIONS and around.parent is not None:
                continue
            if id(around) in self._scopes:
                return self._scopes[id(around)]
        raise AssertionError("every tree has a root, and the root is a scope")

    def _use(self, node: Node) -> None:
        if id(node) in self._declaring:
            return
        if node.kind in ("identifier", "shorthand_property_identifier"):
            if not _is_label(node) and not self._mark(node.text, node) and not _is_excused(node):
                self._found.append(Fault(node.line, f"undefined name {node.text}"))
        elif node.kind in ("type_identifier", "shorthand_property_identifier_pattern"):
            self._mark(node.text, node)

    def _mark(self, text: str, at: Node) -> bool:
        """Note that a name is used where it can be seen; whether there is such a name."""
        for around in (at, *at.above()):
            scope = self._scopes.get(id(around))
            if scope is not None and text in scope.names:
                scope.names[text].used = True
                return True
        return text in GLOBALS


def _is_label(node: Node) -> bool:
    """Whether an identifier is a name of something that is not looked up: a tag, another module's export."""
    parent = node.parent
    if parent is None:
        return False
    if parent.kind in ("jsx_opening_element", "jsx_closing_element", "jsx_self_closing_element"):
        return node.text[0].islower()
    if parent.kind == "export_specifier":
        clause = parent.parent.parent if parent.parent is not None else None
        return node.field == "alias" or (clause is not None and clause.child("source") is not None)
    if parent.kind in ("import_specifier", "jsx_namespace_name", "namespace_export", "meta_property"):
        return True
    if parent.kind in ("required_parameter", "optional_parameter"):  # one that no function declares: a tuple's label
        return node.field in ("name", "pattern")
    return parent.kind in ("enum_body", "index_signature", "type_predicate", "asserts")


def _is_excused(node: Node) -> bool:
    """`typeof name` asks whether there is such a name, and `declare` says that somebody else has it."""
    parent = node.parent
    asks = parent is not None and parent.kind == "unary_expression" and parent.children[0].kind == "typeof"
    return asks or any(part.kind in DECLARED_ELSEWHERE for part in node.above())


def _unreachable(root: Node) -> Iterator[Fault]:
    for block in root.walk():
        if block.kind not in BLOCKS:
            continue
        statements = [child for child in block.children if child.named and child.kind not in HOISTED]
        for one, after in pairwise(statements):
            if _ends(one):
                yield Fault(after.line, "code that is never reached")
                break


def _ends(statement: Node) -> bool:
    """Whether nothing can come after a statement."""
    if statement.kind == "statement_block":
        inner = [child for child in statement.children if child.named and child.kind != "comment"]
        return bool(inner) and _ends(inner[-1])
    if statement.kind == "if_statement":
        then, other = statement.child("consequence"), statement.child("alternative")
        last = other.children[-1] if other is not None else None
        return then is not None and last is not None and _ends(then) and _ends(last)
    return statement.kind in ENDS


def _repeated(root: Node) -> Iterator[Fault]:
    bodies: set[tuple[str, str]] = set()
    for node in root.walk():
        if node.kind == "if_statement":
            yield from _repeated_branches(node)
        elif node.kind == "object":
            yield from _repeated_keys(node)
        elif node.kind == "switch_body":
            cases = Counter(value.source() for case in node.children if (value := case.child("value")) is not None)
            yield from (Fault(node.line, f"case {text[:40]} given twice") for text, count in cases.items() if count > 1)
        elif node.kind in FUNCTIONS:
            body, parameters = node.child("body"), node.child("parameters")
            if body is not None and sum(part.named for part in body.children) >= COPIED:
                copy = (parameters.source() if parameters is not None else "", _words(body))
                if copy in bodies:
                    yield Fault(node.line, "a function with the body of another")
                bodies.add(copy)


def _repeated_branches(node: Node) -> Iterator[Fault]:
    then, other = node.child("consequence"), node.child("alternative")
    last = other.children[-1] if other is not None else None
    if then is None or last is None:
        return
    if _words(then) == _words(last):
        yield Fault(last.line, "two branches that are the same")
    one, two = node.child("condition"), last.child("condition")
    if last.kind == "if_statement" and one is not None and two is not None and _words(one) == _words(two):
        yield Fault(last.line, "a condition that is given twice")


def _repeated_keys(node: Node) -> Iterator[Fault]:
    keys = [child.child("key") for child in node.children if child.kind == "pair"]
    named = Counter(
        key.text[1:-1] if key.kind == "string" else key.source()
        for key in keys
        if key is not None and key.kind != "computed_property_name"
    )
    yield from (Fault(node.line, f"key {text[:40]} given twice") for text, count in named.items() if count > 1)


def _words(node: Node) -> str:
    """The tokens below, apart from comments, so that two texts can be compared."""
    return " ".join(part.text for part in node.walk() if not part.children and part.kind != "comment")
