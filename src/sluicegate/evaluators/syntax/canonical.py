r"""Programs as normal trees: what a formatter, a comment or a choice of quotes changes is not in them.

Left out are comments, white space, redundant brackets, trailing commas, semicolons, Python's docstrings (they are
comments that the program may read), the kind of quotes, and in YAML styles, anchors and the order of keys. Names,
literals and the order of everything else count. SQL's words and names are compared without case.

    >>> of("python", "x = 'a'  # one\n") == of("python", 'x = ("a")')
    True
    >>> of("yaml", "{b: [1], a: 'x'}") == of("yaml", "a: x\nb:\n- 1\n")
    True
    >>> of("javascript", "f('a')") == of("javascript", 'f("b");')
    False
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sluicegate.evaluators.syntax import KEPT, UnparsableError, python, trees
from sluicegate.evaluators.syntax import documents as yaml_documents
from sluicegate.evaluators.syntax import sql as sql_statements

if TYPE_CHECKING:
    import yaml
    from sqlglot import exp

Tree: TypeAlias = "tuple[str, tuple[Tree, ...]]"
"""A label and the trees below."""
LANGUAGES: Final = ("python", *trees.SCRIPTS, "sql", "yaml")
LAYOUT: Final = frozenset((";", "comment", "html_comment", "hash_bang_line", "empty_statement"))
KEPT_BRACKETS: Final = frozenset(("member_expression", "call_expression", "subscript_expression"))
"""Brackets around these are kept: `(a?.b).c` is not `a?.b.c`."""
IDENTIFIER: Final = re.compile(r"[A-Za-z_$][\w$]*")
ESCAPED_QUOTE: Final = re.compile(r"\\(['\"])")


@lru_cache(maxsize=KEPT)
def of(language: str, text: str, dialect: str = sql_statements.DIALECT) -> Tree:
    """The normal tree of a program in one of `LANGUAGES`.

    Raises:
        UnparsableError: not a program of the language, too long or too deep.
    """
    try:
        if language == "python":
            return _python(python.module(text))
        if language == "sql":
            return "script", tuple(_sql(one) for one in sql_statements.statements(text, dialect))
        if language == "yaml":
            return "stream", tuple(_yaml(one) for one in yaml_documents.documents(text))
        return _script(trees.tree(language, text))
    except RecursionError:
        raise UnparsableError("nests too deep") from None


def _python(node: Any) -> Tree:
    if isinstance(node, list):
        return "list", tuple(_python(part) for part in node)
    if not isinstance(node, ast.AST):
        return f"{type(node).__name__} {node!r}", ()
    return type(node).__name__, tuple(_python_fields(node))


def _python_fields(node: ast.AST) -> Iterator[Tree]:
    for name, value in ast.iter_fields(node):
        if name in ("ctx", "kind", "type_comment", "type_ignores"):
            continue
        if name == "body" and isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield _python(python.without_docstring(value) or [ast.Pass()])
        else:
            yield _python(value)


def _script(node: trees.Node, role: str = "") -> Tree:
    """The tree of a node in its role, which a bracket around it would hide."""
    if node.kind == "string":
        return _string(node, role)
    if node.kind == "jsx_text":
        return f"text {_jsx_text(node.text)}", ()
    parts = [part for part in node.children if not _is_layout(part)]
    below = tuple(_script(_unwrapped(part), part.field) for part in parts)
    if node.kind == "arrow_function" and parts and parts[0].field == "parameter":
        below = (("parameters formal_parameters", ((" ( (", ()), _script(parts[0]), (" ) )", ()))), *below[1:])
    is_token = not node.children and node.parent is not None
    return (f"{role} {node.kind} {node.text}" if is_token else f"{role} {node.kind}"), below


def _jsx_text(text: str) -> str:
    """What a browser is given: lines without the space around their ends, empty ones left out."""
    first, *others = text.split("\n")
    if not others:
        return text
    lines = [first.rstrip(), *(line.strip() for line in others[:-1]), others[-1].lstrip()]
    return " ".join(line for line in lines if line)


def _unwrapped(node: trees.Node) -> trees.Node:
    while node.kind == "parenthesized_expression":
        inner = [part for part in node.children if part.named and part.kind != "comment"]
        if len(inner) != 1 or inner[0].kind in KEPT_BRACKETS:
            break
        node = inner[0]
    return node


def _is_layout(node: trees.Node) -> bool:
    if node.kind in LAYOUT:
        return node.kind != "empty_statement" or node.field == ""
    if node.kind == "jsx_text":
        return not node.text.strip() and "\n" in node.text
    if node.kind == "jsx_expression":
        return all(part.kind in ("{", "}", "comment") for part in node.children)
    return node.kind == "," and not _is_hole(node)


def _is_hole(comma: trees.Node) -> bool:
    """Whether a comma of an array stands for an element that is left out."""
    array = comma.parent
    if array is None or array.kind not in ("array", "array_pattern"):
        return False
    parts = [part for part in array.children if part.kind != "comment"]
    return parts[parts.index(comma) - 1].kind in ("[", ",")


def _string(node: trees.Node, role: str) -> Tree:
    said = ESCAPED_QUOTE.sub(r"\1", node.text[1:-1])
    is_key = role == "key" or (node.parent is not None and node.parent.kind == "property_signature")
    if is_key and IDENTIFIER.fullmatch(said):
        return f"{role} property_identifier {said}", ()
    return f"{role} string {said}", ()


def _sql(value: Any) -> Tree:
    from sqlglot import exp

    if isinstance(value, list):
        return "list", tuple(_sql(part) for part in value)
    if isinstance(value, exp.Identifier):
        return f"name {str(value.this).lower()}", ()
    if not isinstance(value, exp.Expr):
        return f"{type(value).__name__} {value}".lower(), ()
    if isinstance(value, exp.Literal):
        return f"{'text' if value.is_string else 'number'} {value.this}", ()
    if isinstance(value, exp.Paren):
        return _sql(value.this)
    return type(value).__name__, tuple(_sql_arguments(value))


def _sql_arguments(value: exp.Expr) -> Iterator[Tree]:
    for name in sorted(value.args):
        argument = value.args[name]
        if argument not in (None, False, []) and argument != "":
            yield name, (_sql(argument),)


def _yaml(node: yaml.Node) -> Tree:
    import yaml

    if isinstance(node, yaml.SequenceNode):
        return "sequence", tuple(_yaml(part) for part in node.value)
    if isinstance(node, yaml.MappingNode):
        pairs = sorted((_yaml(key), _yaml(value)) for key, value in node.value)
        if len({key for key, _ in pairs}) < len(pairs):
            raise UnparsableError(f"not yaml: line {node.start_mark.line + 1}: a key is given twice")
        return "mapping", tuple(("pair", pair) for pair in pairs)
    return _scalar(node), ()


def _scalar(node: yaml.Node) -> str:
    """Type and value of a scalar: 1 and 0x1 are one, 1 and "1" are two."""
    import yaml

    if node.tag in SCALARS:
        try:
            return f"{node.tag} {yaml.constructor.SafeConstructor().construct_object(node)!r}"
        except (yaml.YAMLError, ValueError, OverflowError):  # an impossible date, an explicit tag that does not fit
            pass
    return f"{node.tag} {node.value}"


SCALARS: Final = tuple(f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool", "null", "timestamp"))
