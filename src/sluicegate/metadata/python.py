"""What a Python program tells of itself, by the interpreter's own tree."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from typing import Any

from sluicegate.evaluators.syntax import python
from sluicegate.metadata import CALLS_TOLD, complexity, distinct

Function = ast.FunctionDef | ast.AsyncFunctionDef
BRANCHES = (ast.If, ast.IfExp, ast.ExceptHandler, ast.match_case)
LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.comprehension)


def fields(text: str, language: str) -> dict[str, Any]:
    """See `Reader`."""
    del language
    tree = python.module(text)
    nodes = list(ast.walk(tree))
    functions = list(_public(tree))
    return {
        "intent": _intent(tree),
        "inputs": [_signature(owner, node) for owner, node in functions],
        "outputs": "; ".join(
            f"{node.name}: {ast.unparse(node.returns)}"
            for _, node in functions
            if node.returns and node.name != "__init__"
        ),
        "dependencies": distinct([name for node in nodes for name in _imported(node)]),
        "edge_cases": distinct([f"{name} is raised" for node in nodes for name in _raised(node)]),
        "complexity": complexity(
            sum(isinstance(node, BRANCHES) for node in nodes),
            sum(isinstance(node, LOOPS) for node in nodes),
            sum(len(node.values) - 1 for node in nodes if isinstance(node, ast.BoolOp)),
        ),
        "patterns": [*distinct([name for node in nodes for name in _shape(node)]), *_calls(nodes)],
    }


def _intent(tree: ast.Module) -> str:
    """The first line of the first docstring."""
    for node in (tree, *tree.body):
        if isinstance(node, ast.Module | ast.ClassDef | Function) and (told := ast.get_docstring(node)):
            return told.strip().split("\n")[0]
    return ""


def _public(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    """The functions and methods that others call, each with its class."""
    for node in tree.body:
        if isinstance(node, Function) and not node.name.startswith("_"):
            yield "", node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for inner in node.body:
                if isinstance(inner, Function) and (inner.name == "__init__" or not inner.name.startswith("_")):
                    yield node.name, inner


def _signature(owner: str, node: Function) -> str:
    given = ast.unparse(node.args)
    if owner and given.partition(",")[0] in ("self", "cls"):
        given = given.partition(",")[2].strip()
    name = owner if node.name == "__init__" else f"{owner}.{node.name}" if owner else node.name
    return f"{name}({given})"


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level and node.module != "__future__":
        yield node.module.partition(".")[0]


def _raised(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Raise) and node.exc is not None:
        name = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        if isinstance(name, ast.Name | ast.Attribute):
            yield ast.unparse(name)


def _shape(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Yield | ast.YieldFrom):
        yield "generator"
    elif isinstance(node, ast.AsyncFunctionDef):
        yield "async"
    elif isinstance(node, ast.Match):
        yield "pattern matching"
    elif isinstance(node, ast.With | ast.AsyncWith):
        yield "context manager"
    elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        yield "comprehension"
    if isinstance(node, ast.ClassDef):
        yield "class"
    if isinstance(node, ast.ClassDef | Function):
        names = (one.func if isinstance(one, ast.Call) else one for one in node.decorator_list)
        yield from (f"@{ast.unparse(name)}" for name in names)
    if isinstance(node, Function):
        called = (inner.func for inner in ast.walk(node) if isinstance(inner, ast.Call))
        if any(isinstance(name, ast.Name) and name.id == node.name for name in called):
            yield "recursion"


def _calls(nodes: list[ast.AST]) -> list[str]:
    """One entry with the names that are called, the program's own and exceptions left out."""
    own = {node.name for node in nodes if isinstance(node, Function | ast.ClassDef)}
    names = [
        node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        for node in nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
    ]
    told = sorted({name for name in names if name not in own and not _is_exception(name)})
    return [f"calls {', '.join(told[:CALLS_TOLD])}"] if told else []


def _is_exception(name: str) -> bool:
    found = getattr(builtins, name, None)
    return isinstance(found, type) and issubclass(found, BaseException)
