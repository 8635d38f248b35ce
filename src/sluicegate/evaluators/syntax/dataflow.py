"""Which variable's value comes from which, token by token: CodeBLEU's data flow of its ten languages.

It is an approximation that knows no scopes; what counts as an assignment, a branch or a loop stands in `forms`, as in
the codebleu package, so that values can be held against its own: a loop's body is read twice, a Python `for` that has
an `else` is read without its body. Unlike there a string is one token everywhere (`self.name = "x"` in Python or Ruby
makes the package drop the data flow of the whole program, as does PHP's `foreach` over anything but a variable), text
is not cut in the middle of a character, a sign that is not spelt as its kind (blanks in JSX, line ends in Go) is no
variable, comments that begin with `#` are none either, and parents that two readings of a loop find are kept in the
order of the source and not in that of a hash.

Source: Ren et al., CodeBLEU, arXiv 2009.10297, section 3.3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from sluicegate.evaluators.syntax.forms import FORMS, solid
from sluicegate.evaluators.syntax.trees import COMMENTS, WHOLE, Node

COMES, COMPUTED = "comesFrom", "computedFrom"
Edge = tuple[str, int, str, tuple[str, ...], tuple[int, ...]]
"""Name, place in the source, relation, names and places of what it comes from."""
Link = tuple[str, str, tuple[str, ...]]
"""An edge with names replaced by numbers: `v0`, relation, `("v1", …)`."""
States = dict[str, frozenset[int]]
"""Name → the places where its value may have been set."""


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
    return not node.children or node.kind in WHOLE


def _parts(node: Node) -> list[Node]:
    """The children that are set off by commas; a token has none."""
    return [] if _is_token(node) else [child for child in solid(node) if child.kind != ","]


class _Reading:
    """One pass over a tree, which gathers edges and keeps track of the states."""

    def __init__(self, root: Node, language: str) -> None:
        self._forms = forms = FORMS[language]
        self._ways: dict[str, Callable[[Node], None]] = {
            **dict.fromkeys(forms.ifs, self._read_branches),
            **dict.fromkeys((*forms.again, *forms.whole), self._read_loop),
            **dict.fromkeys(forms.each, self._read_each),
            **dict.fromkeys(forms.assignments, self._read_assignment),
            **dict.fromkeys(forms.definitions, self._read_definition),
            **dict.fromkeys(WHOLE, self._read_token),
            forms.updates: self._read_update,
        }
        self._states: States = {}
        self.edges: list[Edge] = []
        self._read(root)

    def _read(self, node: Node) -> None:
        if node.kind in COMMENTS:
            return
        if node.children:
            self._ways.get(node.kind, self._read_children)(node)
        else:
            self._read_token(node)

    def _read_children(self, node: Node) -> None:
        first = self._forms.first
        before = [child for child in node.children if child.kind == first] if first else []
        for child in before:
            self._read(child)
        for child in node.children:
            if not before or child.kind != first:
                self._read(child)

    def _read_token(self, node: Node) -> None:
        name = node.text
        if not name or node.kind == name:
            return
        if name in self._states:
            self.edges.append((name, node.start, COMES, (name,), tuple(sorted(self._states[name]))))
            return
        if node.kind == "identifier":
            self._states[name] = frozenset((node.start,))
        self.edges.append((name, node.start, COMES, (), ()))

    def _read_definition(self, node: Node) -> None:
        name, value = self._forms.definitions[node.kind](node)
        if name is None:
            return
        if value is not None:
            self._read(value)
            self._relate(name, value, COMES)
            return
        for text, place in _variables(name):
            self.edges.append((text, place, COMES, (), ()))
            self._states[text] = frozenset((place,))

    def _read_assignment(self, node: Node) -> None:
        self._assign(node.kind, *self._forms.assignments[node.kind](node))

    def _read_update(self, node: Node) -> None:
        self._relate(node, node, COMPUTED)

    def _assign(self, kind: str, left: Node | None, right: Node | None) -> None:
        if left is None or right is None:
            return
        targets, values = _paired(left, right) if kind in self._forms.split else ([left], [right])
        for value in values:
            self._read(value)
        for target, value in zip(targets, values, strict=True):
            self._relate(target, value, COMPUTED, grouped=self._forms.grouped)

    def _relate(self, left: Node, right: Node, relation: str, *, grouped: bool = False) -> None:
        sources = _variables(right)
        names, places = tuple(name for name, _ in sources), tuple(place for _, place in sources)
        for text, place in _variables(left):
            if grouped:
                self.edges.append((text, place, relation, names, places))
            else:
                self.edges += [(text, place, relation, (other,), (at,)) for other, at in sources]
            self._states[text] = frozenset((place,))

    def _read_branches(self, node: Node) -> None:
        forms, before = self._forms, dict(self._states)
        ends: list[States] = []
        main, apart = before, False
        for child in node.children:
            apart = child.kind in forms.branches or (apart and forms.following)
            self._states = dict(before if apart else main)
            self._read(child)
            if apart:
                ends.append(self._states)
            else:
                main = self._states
        ends.append(main)
        if forms.skipped or not any("else" in part.kind for part in (node, *node.children)):
            ends.append(before)
        self._states = _joined(ends)

    def _read_loop(self, node: Node) -> None:
        """All of it, and then once more what comes after its head, and how the head goes on."""
        self._read_children(node)
        head = self._forms.again.get(node.kind)
        if head is None:
            self._read_children(node)
            return
        places = [place for place, child in enumerate(node.children) if child.kind == head]
        for place in places[:1]:
            step = node.children[place].child("update")
            for child in (*([step] if step else ()), *node.children[place + 1 :]):
                self._read(child)

    def _read_each(self, node: Node) -> None:
        body = None if node.child("alternative") else node.child("body")
        for _ in range(2):
            self._assign(node.kind, *self._forms.each[node.kind](node))
            if body is not None:
                self._read(body)


def _variables(node: Node) -> list[tuple[str, int]]:
    """The names and values below a node, each with its place."""
    found, waiting = [], [node]
    while waiting:
        one = waiting.pop()
        if one.kind in COMMENTS:
            continue
        if not _is_token(one):
            waiting.extend(reversed(one.children))
        elif one.text and one.kind != one.text:
            found.append((one.text, one.start))
    return found


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
