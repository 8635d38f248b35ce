"""Sets fields in YAML text and leaves every other character as it is.

A round trip through a YAML library, comment-keeping ones included, also rewrites lines that nobody asked it to:
indents, blanks, folded texts. So the positions that libyaml reports are used instead, and only the fields themselves
are written. What a change means is not proved here: the caller parses the result and compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, cast

import yaml

from sluicegate.k8s.checks.snippet import block, dashed, flow
from sluicegate.k8s.parse import Path, Value

Tree: TypeAlias = "dict[str | int, Tree | Value]"
Piece: TypeAlias = tuple[int, int, str]
"""Start, end and what stands between them afterwards."""


@dataclass(slots=True)
class Page:
    """One document while pieces of it are collected.

    Args:
        text: the whole text.
        quoted: whether it looks like JSON, so that texts are quoted.
        step: columns its nested mappings are indented by.
        dash: columns its lists are indented by, from their key.
        done: node and key of what was already set, since an alias is met more than once.
    """

    text: str
    newline: str
    quoted: bool
    step: int
    dash: int
    pieces: list[Piece] = field(default_factory=list)
    done: set[tuple[int, str | int]] = field(default_factory=set)


def documents(text: str) -> list[yaml.Node]:
    """The documents of a text that parses; empty ones are left out.

    Raises:
        yaml.YAMLError: it does not parse.
    """
    found: Iterator[yaml.Node | None] = yaml.compose_all(text, Loader=yaml.CSafeLoader)
    return [node for node in found if node is not None and not _is_null(node)]


def pieces(text: str, edits: Sequence[tuple[yaml.Node, Mapping[Path, Value]]]) -> list[list[Piece]]:
    """What is to be written where, so that fields are set; a list a document.

    Args:
        text: the whole of it, without a byte order mark, which libyaml does not count.
        edits: document, and path in it → scalar, or list of scalars.
    """
    newline, quoted = "\r\n" if "\r\n" in text else "\n", text.lstrip()[:1] in ("{", "[")
    pages = []
    for node, wanted in edits:
        page = Page(text, newline, quoted, *_style(node))
        if isinstance(node, yaml.CollectionNode):
            _set(page, node, _tree(wanted))
        pages.append(page.pieces)
    return pages


def spliced(text: str, written: Sequence[Piece]) -> str:
    """The text with pieces in it.

    >>> text = "a: 1  # one\\nlist:\\n- name: x # kept\\n"
    >>> (written,) = pieces(text, [(documents(text)[0], {("a",): 2, ("list", 0, "b", "c"): True})])
    >>> print(spliced(text, written), end="")
    a: 2  # one
    list:
    - name: x # kept
      b:
        c: true
    """
    # From the end backwards; of two at one place the one met first, which is the inner one, ends up in front.
    placed = sorted(enumerate(written), key=lambda item: (item[1][0], item[0]), reverse=True)
    parts: list[str] = []
    rest = len(text)
    for _, (start, end, new) in placed:
        parts += (text[end:rest], new)
        rest = start
    return "".join(reversed([*parts, text[:rest]]))


def _tree(edits: Mapping[Path, Value]) -> Tree:
    tree: Tree = {}
    for path, value in edits.items():
        here = tree
        for step in path[:-1]:
            here = cast(Tree, here.setdefault(step, {}))
        here[path[-1]] = value
    return tree


def _style(root: yaml.Node) -> tuple[int, int]:
    """The columns that mappings and lists are indented by; Kubernetes' usual 2 and 0 or 2 where nothing shows it."""
    step = dash = None
    for node in _inside(root):
        if step is not None and dash is not None:
            break
        if not isinstance(node, yaml.MappingNode) or node.flow_style:
            continue
        for key, value in node.value:
            below = value.start_mark.column - key.start_mark.column
            if isinstance(value, yaml.MappingNode) and not value.flow_style and value.value and step is None:
                step = value.value[0][0].start_mark.column - key.start_mark.column
            if isinstance(value, yaml.SequenceNode) and not value.flow_style and dash is None:
                dash = below
    return (step if step and step > 0 else 2), (dash if dash is not None and dash >= 0 else 2)


def _inside(root: yaml.Node) -> Iterator[yaml.Node]:
    """Each node once, also where an alias leads to it again."""
    met, left = {id(root)}, [root]
    while left:
        node = left.pop()
        yield node
        below = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        for part in reversed(below) if isinstance(node, yaml.CollectionNode) else ():
            if id(part) not in met:
                met.add(id(part))
                left.append(part)


def _set(page: Page, node: yaml.CollectionNode, tree: Tree) -> None:
    """Set what the tree names in a mapping or a list."""
    missing: dict[str, Value] = {}
    for step, wanted in tree.items():
        if (id(node), step) in page.done:
            continue
        found = _child(node, step)
        if isinstance(wanted, dict) and isinstance(found, yaml.CollectionNode):
            _set(page, found, cast(Tree, wanted))
            continue
        page.done.add((id(node), step))
        if found is None:
            missing[str(step)] = _plain(wanted)
        elif isinstance(wanted, dict):
            _fill(page, node, found, _plain(wanted))
        else:
            _replace(page, found, wanted)
    if missing:
        _insert(page, node, missing)


def _plain(wanted: Tree | Value) -> Value:
    if isinstance(wanted, dict):
        return {str(key): _plain(value) for key, value in wanted.items()}
    return wanted


def _child(node: yaml.Node, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
        return node.value[step] if step < len(node.value) else None
    if isinstance(node, yaml.MappingNode):
        found = [value for key, value in node.value if isinstance(key, yaml.ScalarNode) and key.value == step]
        return found[-1] if found else None
    return None


def _replace(page: Page, node: yaml.Node, value: Value) -> None:
    """Put a value in place of a scalar; of a list, replace what differs and add the rest."""
    if isinstance(value, list) and isinstance(node, yaml.SequenceNode) and len(value) >= len(node.value):
        for old, new in zip(node.value, value, strict=False):
            if not isinstance(old, yaml.ScalarNode) or old.value != new:
                _replace(page, old, new)
        if value[len(node.value) :]:
            _append(page, node, value[len(node.value) :])
        return
    start, end = node.start_mark.index, node.end_mark.index
    page.pieces.append((start, end, f"{'' if end > start else ' '}{flow(value, quoted=_quoted(page, node))}"))


def _fill(page: Page, holder: yaml.CollectionNode, node: yaml.Node, value: Value) -> None:
    """Put a mapping in place of nothing, or of something that is no mapping."""
    start, end = node.start_mark.index, node.end_mark.index
    if end > start or holder.flow_style or not isinstance(value, dict):
        _replace(page, node, value)
        return
    column = holder.value[0][0].start_mark.column + page.step
    _lines(page, _line_end(page.text, start), column, block(value, step=page.step, dash=page.dash))


def _insert(page: Page, node: yaml.Node, fields: dict[str, Value]) -> None:
    """Add keys to a mapping, after its last one."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        lines = block(fields, step=page.step, dash=page.dash)
        _lines(page, _content_end(page.text, node), node.value[0][0].start_mark.column, lines)
    elif isinstance(node, yaml.MappingNode):
        _inline(page, node, flow(fields, quoted=_quoted(page, node))[1:-1])


def _append(page: Page, node: yaml.SequenceNode, items: list[Value]) -> None:
    """Add items to a list, after its last one."""
    if node.flow_style or not node.value:
        _inline(page, node, flow(items, quoted=_quoted(page, node))[1:-1])
        return
    lines = [line for item in items for line in dashed(item, page.step, page.dash)]
    _lines(page, _content_end(page.text, node), node.start_mark.column, lines)


def _inline(page: Page, node: yaml.CollectionNode, told: str) -> None:
    """Add to a collection in braces."""
    close = node.end_mark.index - 1
    written = page.text[node.start_mark.index : close].rstrip()
    place = node.start_mark.index + len(written)
    if "#" in written.rpartition("\n")[2]:
        place = close
    comma = "" if not node.value else " " if written.endswith(",") else ", "
    page.pieces.append((place, place, comma + told))


def _quoted(page: Page, node: yaml.Node) -> bool:
    """Whether texts are quoted: in place of one that is, and in JSON."""
    return page.quoted or (isinstance(node, yaml.ScalarNode) and node.style in ("'", '"'))


def _lines(page: Page, place: int, column: int, lines: list[str]) -> None:
    """Add lines after the line that `place` ends."""
    page.pieces.append((place, place, "".join(f"{page.newline}{' ' * column}{line}" for line in lines)))


def _content_end(text: str, node: yaml.CollectionNode) -> int:
    """The end of the last line of a block collection, comments and blank lines after it left out."""
    last = node
    while isinstance(last, yaml.CollectionNode) and not last.flow_style and last.value:
        last = last.value[-1][1] if isinstance(last, yaml.MappingNode) else last.value[-1]
    start, end = node.start_mark.index, node.end_mark.index
    if isinstance(last, yaml.ScalarNode) and last.style in ("|", ">") and start <= last.start_mark.index < end:
        return start + len(text[start : last.end_mark.index].rstrip())
    lines = text[start:end].splitlines(keepends=True)
    while lines and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
        lines.pop()
    return start + len("".join(lines).rstrip("\r\n"))


def _line_end(text: str, place: int) -> int:
    """The end of the line that `place` is in."""
    newline = text.find("\n", place)
    end = len(text) if newline < 0 else newline
    other = text.find("\r", place, end)
    return end if other < 0 else other


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"
