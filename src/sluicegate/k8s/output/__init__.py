"""Formats that the linter's findings are written in, and the literal dict of those there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from sluicegate.k8s.output.content import Linted, Problem, Summary, line_of, summary, title
from sluicegate.k8s.output.junit import junit
from sluicegate.k8s.output.sarif import sarif
from sluicegate.k8s.output.text import changes, text
from sluicegate.k8s.output.tree import tree

__all__ = ["FORMATS", "Linted", "Problem", "Summary", "changes", "line_of", "summary", "text", "title"]

FORMATS: Final[dict[str, Callable[[Sequence[Linted]], str]]] = {
    "text": text,
    "json": tree,
    "sarif": sarif,
    "junit": junit,
}
