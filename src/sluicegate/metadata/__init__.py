"""What parsing tells of an answer, in the fields of its metadata: never what its lines say.

Signatures become inputs and outputs, imports dependencies, raised errors and refused requests edge cases, branches and
loops a complexity, and the shape (recursion, hooks, a window function, …) with the names that are called patterns.
Fields that an author wrote, an empty list too, are left as they are. `intent` comes from a docstring where there is
one; `constraints` and `security` cannot be read off code and stay the author's.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, Protocol, cast

from sluicegate.data.enrich import leaks_answer
from sluicegate.evaluators.answer import language_of, program
from sluicegate.records import Sample

LANGUAGES: Final = {
    "python": "sluicegate.metadata.python",
    "javascript": "sluicegate.metadata.script",
    "typescript": "sluicegate.metadata.script",
    "tsx": "sluicegate.metadata.script",
    "sql": "sluicegate.metadata.sql",
}
"""Language → the module that reads its programs."""
CALLS_TOLD: Final = 8
"""Names of called functions that are told at most."""


class Reader(Protocol):
    """What a module of `LANGUAGES` offers."""

    def fields(self, text: str, language: str) -> dict[str, Any]:
        """Fields of `data.enrich.FIELDS` with what a program tells of them.

        Raises:
            ValueError: not a program of the language.
        """
        ...


def derived(sample: Sample) -> dict[str, Any]:
    """What the completion tells of the fields that the author left out.

    Raises:
        KeyError: nothing reads the sample's language.
        ValueError: the completion is no program of it.

    >>> one = Sample("a", "Double it.", "def twice(x: int) -> int:\\n    return 2 * x\\n", meta={"language": "python"})
    >>> derived(one)["inputs"], derived(one)["outputs"]
    (['twice(x: int)'], 'twice: int')
    """
    language = language_of(sample)
    reader = cast(Reader, import_module(LANGUAGES[language]))
    found = reader.fields(program(sample.completion, language), language)
    return {
        name: value
        for name, value in found.items()
        if value and sample.meta.get(name) in (None, "") and not _leaks(sample, name, value)
    }


def _leaks(sample: Sample, name: str, value: Any) -> bool:
    alone: Mapping[str, Any] = {"language": sample.meta.get("language"), name: value}
    return bool(leaks_answer(Sample(sample.id, sample.prompt, sample.completion, sample.scenario, meta=alone)))


def complexity(branches: int, loops: int, switches: int = 0) -> str:
    """McCabe's number and what it consists of.

    Args:
        switches: `and`, `or` and their like, each of which is another way through.

    >>> complexity(2, 1), complexity(0, 0)
    ('cyclomatic 4: 2 branches, 1 loop', 'cyclomatic 1')
    """
    parts = ((branches, "branch", "branches"), (loops, "loop", "loops"), (switches, "switch", "switches"))
    told = [f"{count} {one if count == 1 else more}" for count, one, more in parts if count]
    return f"cyclomatic {1 + branches + loops + switches}{': ' if told else ''}{', '.join(told)}"


def distinct(names: list[str]) -> list[str]:
    """Names in the order of their first mention."""
    return list(dict.fromkeys(names))
