"""Which variable's value comes from which, token by token: CodeBLEU's data flow of Python and JavaScript.

It is an approximation that knows no scopes, and which constructs count as assignments, branches and loops is as in
the codebleu package, so that values can be held against its own: a loop's body is read twice, a Python `for` that has
an `else` is read without its body, `else` in JavaScript follows its `if` and does not stand beside it. Unlike there a
string is one token everywhere (`self.name = "x"` makes the package drop the data flow of the whole program), text is
not cut in the middle of a character, a sign with the blanks before it (in JSX) is no variable, and parents that two
readings of a loop find are kept in the order of the source and not in that of a hash.

Source: Ren et al., CodeBLEU, arXiv 2009.10297, section 3.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from sluicegate.evaluators.syntax.trees import Node

COMES, COMPUTED = "comesFrom", "computedFrom"
Edge = tuple[str, int, str, tuple[str, ...], tuple[int, ...]]
"""Name, place among the tokens, relation, names and places of what it comes from."""
Link = tuple[str, str, tuple[str, ...]]
"""An edge with names replaced by numbers: `v0`, relation, `("v1", …)`."""
States = dict[str, frozenset[int]]
"""Name → the places where its value may have been set."""
LOOPS: Final = {"python": ("for_statement", "while_statement"), "javascript": ("for_statement", "while_statement")}
ASSIGNMENTS: Final = {
    "python": ("assignment", "augmented_assignment", "for_in_clause"),
    "javascript": ("assignment_pattern", "augmented_assignment_expression"),
}
DEFINITIONS: Final = {"python": "default_parameter", "javascript": "variable_declarator"}
BRANCHES: Final = {"python": ("elif_clause", "else_clause"), "javascript": ("if_statement",)}


def links(root: Node, language: str) -> list[Link]:
    """The data flow of a program, in the order of its tokens, with names replaced by the order they come in."""
    return list(_renamed(_merged(_Reading(root, language).edges)))


def _merged(edges: Iterable[Edge]) -> list[Edge]:
    """One edge a token, those without any relation left out."""
    ordered = sorted(edges, key=lambda edge: edge[1])
    related = {place for edge in ordered if edge[4] for place in (edge[1], *edge[4])}
    merged: dict[int, Edge] = {}
    for edge in ordered:
        if edge[1] in merged:
            name, place, relation, names, places = merged[edge[1]]
            edge = (name, place, relation, _once(names + edge[3]), _once(places + edge[4]))  # noqa: PLW2901
        if edge[1] in related:
            merged[edge[1]] = edge
    return list(merged.values())


def _once(parts: tuple) -> tuple:  # type: ignore[type-arg]
    return tuple(dict.fromkeys(parts))


def _renamed(edges: Iterable[Edge]) -> Iterator[Link]:
    numbers: dict[str, str] = {}
    for name, _, relation, parents, _ in edges:
        for one in (*parents, name):
            numbers.setdefault(one, f"v{len(numbers)}")
        yield numbers[name], relation, tuple(numbers[parent] for parent in parents)


def _is_token(node: Node) -> bool:
    return (not node.children or node.kind == "string") and node.kind != "comment"


def _parts(node: Node) -> list[Node]:
    """The children that are set off by commas; a token has none."""
    return [] if _is_token(node) else [child for child in node.children if child.kind != ","]


class _Reading:
    """One pass over a tree, which gathers edges and keeps track of the states."""

    def __init__(self, root: Node, language: str) -> None:
        self._tokens: list[Node] = []
        self._spans: dict[int, tuple[int, int]] = {}
        self._count(root)
        self._language = language
        self._states: States = {}
        self.edges: list[Edge] = []
        self._read(root)

    def _count(self, node: Node) -> None:
        """Number the tokens, and note from which to which a node reaches."""
        start = len(self._tokens)
        if _is_token(node):
            self._tokens.append(node)
        else:
            for child in node.children:
                self._count(child)
        self._spans[id(node)] = (start, len(self._tokens))

    def _read(self, node: Node) -> None:
        if _is_token(node):
            self._read_token(node)
        elif node.kind == DEFINITIONS[self._language]:
            self._read_definition(node)
        elif node.kind in ASSIGNMENTS[self._language]:
            self._read_assignment(node)
        elif node.kind == "update_expression":
            self._compute_each(node, node)
        elif node.kind == "if_statement":
            self._read_branches(node)
        elif node.kind in LOOPS[self._language]:
            self._read_loop(node)
        else:
            for child in _comprehended(node.children):
                self._read(child)

    def _read_token(self, node: Node) -> None:
        if node.kind == node.text:
            return
        place = self._spans[id(node)][0]
        if node.text in self._states:
            self.edges.append((node.text, place, COMES, (node.text,), tuple(sorted(self._states[node.text]))))
            return
        if node.kind == "identifier":
            self._states[node.text] = frozenset((place,))
        self.edges.append((node.text, place, COMES, (), ()))

    def _variables(self, node: Node) -> list[tuple[str, int]]:
        start, end = self._spans[id(node)]
        named = enumerate(self._tokens[start:end], start)
        return [(token.text, place) for place, token in named if token.kind != token.text]

    def _set(self, name: str, place: int) -> None:
        self._states[name] = frozenset((place,))

    def _read_definition(self, node: Node) -> None:
        name, value = node.child("name"), node.child("value")
        if name is None:
            return
        if value is None:
            for text, place in self._variables(name):
                self.edges.append((text, place, COMES, (), ()))
                self._set(text, place)
            return
        self._read(value)
        self._relate_each(name, value, COMES)

    def _relate_each(self, left: Node, right: Node, relation: str) -> None:
        sources = self._variables(right)
        for text, place in self._variables(left):
            self.edges += [(text, place, relation, (other,), (at,)) for other, at in sources]
            self._set(text, place)

    def _compute_each(self, left: Node, right: Node) -> None:
        self._relate_each(left, right, COMPUTED)

    def _read_assignment(self, node: Node) -> None:
        left, right = node.child("left"), node.child("right")
        if node.kind == "for_in_clause":
            right = node.children[-1]
        if left is None or right is None:
            return
        if self._language == "javascript":
            self._read(right)
            self._compute_each(left, right)
        elif node.kind == "for_in_clause":
            self._assign([left], [right])
        else:
            self._assign(*_paired(left, right))

    def _assign(self, left: list[Node], right: list[Node]) -> None:
        for node in right:
            self._read(node)
        for target, value in zip(left, right, strict=True):
            sources = self._variables(value)
            names, places = tuple(name for name, _ in sources), tuple(place for _, place in sources)
            for text, place in self._variables(target):
                self.edges.append((text, place, COMPUTED, names, places))
                self._set(text, place)

    def _read_branches(self, node: Node) -> None:
        before = dict(self._states)
        ends: list[States] = []
        main, apart = before, False
        for child in node.children:
            apart = apart or (self._language == "javascript" and child.kind == "if_statement")
            if apart or child.kind in BRANCHES[self._language]:
                self._states = dict(before)
                self._read(child)
                ends.append(self._states)
            else:
                self._states = dict(main)
                self._read(child)
                main = self._states
        ends.append(main)
        if self._language == "javascript" or not any("else" in child.kind for child in node.children):
            ends.append(before)
        self._states = _joined(ends)

    def _read_loop(self, node: Node) -> None:
        if self._language == "python" and node.kind == "for_statement":
            for _ in range(2):
                self._read_for(node)
        elif node.kind == "while_statement":
            for child in (*node.children, *node.children):
                self._read(child)
        else:
            heads = [number for number, child in enumerate(node.children) if child.kind == "variable_declaration"]
            again = node.children[heads[0] + 1 :] if heads else ()
            for child in (*node.children, *again):
                self._read(child)

    def _read_for(self, node: Node) -> None:
        left, right = node.child("left"), node.child("right")
        if left is None or right is None:
            return
        self._assign(*_paired(left, right))
        if node.children[-1].kind == "block":
            self._read(node.children[-1])


def _comprehended(children: Sequence[Node]) -> Sequence[Node]:
    """A comprehension's `for` comes before what it makes."""
    firsts = [child for child in children if child.kind == "for_in_clause"]
    return [*firsts, *(child for child in children if child.kind != "for_in_clause")] if firsts else children


def _paired(left: Node, right: Node) -> tuple[list[Node], list[Node]]:
    """Parts against parts where there are as many on both sides, else one whole against the other."""
    targets, values = _parts(left), _parts(right)
    return (targets, values) if targets and len(targets) == len(values) else ([left], [right])


def _joined(states: Iterable[States]) -> States:
    joined: States = {}
    for one in states:
        for name, places in one.items():
            joined[name] = joined.get(name, frozenset()) | places
    return joined
