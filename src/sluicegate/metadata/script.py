"""What a JavaScript, TypeScript or TSX program tells of itself, by tree-sitter's tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sluicegate.evaluators.syntax import interface, trees
from sluicegate.evaluators.syntax.trees import Node
from sluicegate.metadata import CALLS_TOLD, complexity, distinct

BRANCHES: Final = frozenset(("if_statement", "ternary_expression", "catch_clause", "switch_case"))
LOOPS: Final = frozenset(("for_statement", "for_in_statement", "while_statement", "do_statement"))
WALKING: Final = frozenset(("map", "filter", "reduce", "forEach", "some", "every", "find", "findIndex", "flatMap"))
"""Methods that go through a list: loops, too."""
REFUSED: Final = range(400, 600)
FUNCTIONS: Final = interface.FUNCTIONS | interface.DECLARED | {"method_definition"}
SHAPES: Final = {
    "class_declaration": "class", "await_expression": "async", "yield_expression": "generator",
    "spread_element": "spread", "try_statement": "try and catch", "jsx_element": "JSX", "template_string": "template",
}  # fmt: skip


def fields(text: str, language: str) -> dict[str, Any]:
    """See `Reader`."""
    root = trees.tree(language, text)
    nodes = list(root.walk())
    parts = sorted(interface.of(language, text))
    calls = [name for node in nodes if (name := _called(node))]
    return {
        "intent": _intent(nodes),
        "inputs": _inputs(parts, nodes),
        "outputs": "; ".join(_outputs(parts, nodes)),
        "dependencies": distinct([name for node in nodes for name in _imported(node)]),
        "edge_cases": _edges(parts, nodes),
        "complexity": complexity(
            sum(node.kind in BRANCHES for node in nodes if node.named),
            sum(node.kind in LOOPS for node in nodes) + sum(name in WALKING for name in calls),
            sum(node.kind in ("&&", "||", "??") for node in nodes),
        ),
        "patterns": _patterns(nodes, calls),
    }


def _intent(nodes: list[Node]) -> str:
    """The first line of the first JSDoc comment."""
    told = next((node.text for node in nodes if node.kind == "comment" and node.text.startswith("/**")), "")
    rows = (row.strip(" */\t") for row in told.split("\n"))
    return next((row for row in rows if row and not row.startswith("@")), "")


def _inputs(parts: list[interface.Part], nodes: list[Node]) -> list[str]:
    """Routes, props of components, and parameters of the other functions."""
    routes = [part.name for part in parts if part.kind == "route"]
    found = [f"route {name}" for name in routes]
    for name in (node.text for node in _names(nodes)):
        props = [part.name for part in parts if part.kind == "prop" and part.of == name]
        given = [part.name for part in parts if part.kind == "parameter" and part.of == name]
        if name[:1].isupper() and props:
            found.append(f"{name} props: {', '.join(props)}")
        elif given and not routes:
            found.append(f"{name}({', '.join(_in_order(given, name, nodes))})")
    return distinct(found)


def _names(nodes: list[Node]) -> Iterator[Node]:
    """The names of functions, in the order of the source."""
    for node in nodes:
        if node.kind in interface.DECLARED or node.kind == "variable_declarator":
            name = node.child("name")
            if name is not None and name.kind == "identifier":
                yield name


def _in_order(given: list[str], name: str, nodes: list[Node]) -> list[str]:
    """Parameters as they are written, since an interface is a set."""
    for found in _names(nodes):
        if found.text == name and found.parent is not None:
            places = {node.text: -place for place, node in enumerate(reversed(list(found.parent.walk()))) if node.text}
            return sorted(given, key=lambda one: places.get(one, 0))
    return given


def _outputs(parts: list[interface.Part], nodes: list[Node]) -> Iterator[str]:
    if statuses := [name for name in _statuses(parts) if int(name) not in REFUSED]:
        yield f"status {', '.join(statuses)}"
    if any(node.kind in ("jsx_element", "jsx_self_closing_element") for node in nodes):
        yield "a React element"
    for node in nodes:
        told, name = node.child("return_type"), node.child("name")
        if told is not None and name is not None:
            yield f"{name.text}: {told.source().removeprefix(':')}"


def _statuses(parts: list[interface.Part]) -> list[str]:
    return sorted({part.name for part in parts if part.kind == "status" and part.name.isdecimal()})


def _edges(parts: list[interface.Part], nodes: list[Node]) -> list[str]:
    refused = [name for name in _statuses(parts) if int(name) in REFUSED]
    thrown = [name for node in nodes if node.kind == "throw_statement" for name in _constructed(node)]
    return distinct([*(f"status {name} is answered" for name in refused), *(f"{name} is thrown" for name in thrown)])


def _constructed(node: Node) -> Iterator[str]:
    for inner in node.walk():
        made = inner.child("constructor") if inner.kind == "new_expression" else None
        if made is not None:
            yield made.source()
            return


def _imported(node: Node) -> Iterator[str]:
    source = node.child("source") if node.kind == "import_statement" else None
    if node.kind == "call_expression" and (function := node.child("function")) is not None:
        arguments = node.child("arguments")
        if function.text == "require" and arguments is not None:
            source = next((one for one in arguments.children if one.kind == "string"), None)
    if source is not None and not source.text[1:-1].startswith((".", "/")):
        yield source.text[1:-1].removeprefix("node:")


def _called(node: Node) -> str:
    function = node.child("function") if node.kind == "call_expression" else None
    if function is None:
        return ""
    return function.text if function.kind == "identifier" else function.children[-1].text if function.children else ""


def _patterns(nodes: list[Node], calls: list[str]) -> list[str]:
    hooks = sorted({name for name in calls if name.startswith("use") and name[3:4].isupper()})
    shapes = distinct([SHAPES[node.kind] for node in nodes if node.kind in SHAPES])
    functions = [node for node in nodes if node.kind in FUNCTIONS]
    middleware = any(_is_middleware(node) for node in functions)
    own = {node.text for node in _names(nodes)}
    setters = {node.text for node in nodes if node.parent is not None and node.parent.kind == "array_pattern"}
    told = sorted({name for name in calls if name and name not in own | setters | {*hooks, "require"}})
    calling = [f"calls {', '.join(told[:CALLS_TOLD])}"] if told else []
    return [*(f"hook {name}" for name in hooks), *shapes, *(["middleware"] if middleware else []), *calling]


def _is_middleware(node: Node) -> bool:
    given = node.child("parameters")
    return given is not None and any(one.text == "next" for one in given.children)
