"""What the data flow takes for a definition, an assignment, a branch or a loop: one row a language.

The rows are those of the codebleu package 0.7.0, and what it overlooks is overlooked here, so that values can be held
against its own: initialisers in C, C++ and C#, `:=` in Go, `let` in Rust, `foreach` in C#, `while` in Ruby. Of a Rust
function it sees the name and the parameters alone, and nothing where a word such as `pub` stands before `fn`; C and C++
have C#'s row. Kinds that none of the grammars has are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sluicegate.evaluators.syntax.trees import COMMENTS, Node

Sides = tuple[Node | None, Node | None]
"""What is set, and what it is set to."""
Finder = Callable[[Node], Sides]


def _roles(left: str, right: str) -> Finder:
    return lambda node: (node.child(left), node.child(right))


def solid(node: Node) -> list[Node]:
    """The children that are no comments."""
    return [child for child in node.children if child.kind not in COMMENTS]


def _ends(node: Node) -> Sides:
    parts = solid(node)
    return parts[0], parts[-1]


def _in_clause(node: Node) -> Sides:
    return node.child("left"), solid(node)[-1]


def _only_two(node: Node) -> Sides:
    """The name, and what stands beside it where that is all there is: never C#'s initialiser, which has a sign."""
    name, *others = solid(node)
    return name, others[0] if len(others) == 1 else None


def _after_first(node: Node) -> Sides:
    _, name, value, *_ = solid(node)
    return name, value


def _each_as(node: Node) -> Sides:
    """PHP's `foreach (what as $name)`; of `what as $key => $name` both are set."""
    what, name, *_ = (child for child in solid(node) if child.named)
    return name, what


_SIDES = _roles("left", "right")
_NAMED = _roles("name", "value")


@dataclass(frozen=True, slots=True)
class Forms:
    """Kinds of nodes of one language, with how to find what they set and what they set it to.

    Args:
        definitions: a name, and perhaps its value.
        assignments: both sides are there.
        each: loops over what there is; read twice.
        split: those of the above whose sides are held part against part where there are as many.
        grouped: whether a target has one edge from all its sources, and not one from each.
        updates: what computes a variable from itself.
        ifs: statements with branches.
        branches: the children of those that begin anew from the states before.
        following: whether all that follows a branch begins anew, too.
        skipped: whether no branch may have been taken even where there is an `else`.
        again: loops that are read twice, except for their head: kind → the head's kind.
        whole: loops that are read twice, head and all.
        first: children that are read before those that stand before them: a comprehension's `for`.
    """

    definitions: Mapping[str, Finder]
    assignments: Mapping[str, Finder]
    ifs: frozenset[str]
    branches: frozenset[str]
    each: Mapping[str, Finder] = field(default_factory=dict)
    split: frozenset[str] = frozenset()
    grouped: bool = False
    updates: str = ""
    following: bool = True
    skipped: bool = False
    again: Mapping[str, str] = field(default_factory=dict)
    whole: frozenset[str] = frozenset(("while_statement",))
    first: str = ""


_IF: Final = frozenset(("if_statement", "else"))
_C_SHARP: Final = Forms(
    definitions={"variable_declarator": _only_two},
    assignments={"assignment_expression": _SIDES},
    updates="postfix_unary_expression",
    ifs=_IF,
    branches=_IF,
)
FORMS: Final[Mapping[str, Forms]] = {
    "python": Forms(
        definitions={"default_parameter": _NAMED},
        assignments={"assignment": _SIDES, "augmented_assignment": _SIDES, "for_in_clause": _in_clause},
        each={"for_statement": _SIDES},
        split=frozenset(("assignment", "augmented_assignment", "for_statement")),
        grouped=True,
        ifs=frozenset(("if_statement",)),
        branches=frozenset(("elif_clause", "else_clause")),
        following=False,
        first="for_in_clause",
    ),
    "javascript": Forms(
        definitions={"variable_declarator": _NAMED},
        assignments={"assignment_pattern": _SIDES, "augmented_assignment_expression": _SIDES},
        updates="update_expression",
        ifs=_IF,
        branches=_IF,
        skipped=True,
        again={"for_statement": "variable_declaration"},
    ),
    "java": Forms(
        definitions={"variable_declarator": _NAMED},
        assignments={"assignment_expression": _SIDES},
        each={"enhanced_for_statement": _NAMED},
        updates="update_expression",
        ifs=_IF,
        branches=_IF,
        again={"for_statement": "local_variable_declaration"},
    ),
    "c_sharp": _C_SHARP,
    "c": _C_SHARP,
    "cpp": _C_SHARP,
    "php": Forms(
        definitions={"simple_parameter": _roles("name", "default_value")},
        assignments={"assignment_expression": _SIDES, "augmented_assignment_expression": _SIDES},
        each={"foreach_statement": _each_as},
        updates="update_expression",
        ifs=frozenset(("if_statement", "else_clause")),
        branches=frozenset(("if_statement", "else_clause")),
        skipped=True,
        again={"for_statement": "assignment_expression"},
    ),
    "go": Forms(
        definitions={"var_spec": _NAMED},
        assignments={"assignment_statement": _SIDES},
        updates="inc_statement",
        ifs=_IF,
        branches=_IF,
        skipped=True,
        again={"for_statement": "for_clause"},
        whole=frozenset(),
    ),
    "ruby": Forms(
        definitions={"keyword_parameter": _NAMED},
        assignments={"assignment": _SIDES, "operator_assignment": _ends},
        each={"for": _roles("pattern", "value")},
        split=frozenset(("assignment",)),
        grouped=True,
        ifs=frozenset(("if", "elsif", "else", "unless", "when")),
        branches=frozenset(("if", "elsif", "else", "unless", "when")),
        following=False,
        whole=frozenset(("while_modifier", "until")),
    ),
    "rust": Forms(
        definitions={"function_item": _after_first},
        assignments={"assignment_expression": _SIDES, "compound_assignment_expr": _SIDES},
        ifs=frozenset(("if_expression", "match_expression", "else")),
        branches=frozenset(("if_expression", "match_expression", "else")),
        whole=frozenset(("while_expression", "loop_expression")),
    ),
}  # fmt: skip
