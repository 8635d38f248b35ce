"""Metadata in the prompt: the one format that the experiment arm is trained on.

    <prompt>

    Metadata:
    - intent: sum of even numbers
    - inputs: xs: list of int
    - constraints: order is kept; zero without any

Fields come in the order of `FIELDS`, each on one line, and only those a sample has; other entries of `meta`
(licence, language, …) are never shown. A sample without any keeps its plain prompt. Metadata that holds the
answer is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sluicegate.errors import UserError
from sluicegate.records import Sample
from sluicegate.study import Prompts

FIELDS = (
    "intent",
    "inputs",
    "outputs",
    "constraints",
    "edge_cases",
    "dependencies",
    "security",
    "complexity",
    "patterns",
)
HEADING = "Metadata:"
TOKEN = re.compile(r"\w+|[^\w\s]")
DECLARATION = re.compile(
    r"\s*(?:(?:export|default|async|pub|static)\s+)*(?:def|class|function|import|from|CREATE)\b"
    r"|.*\brequire\("
)
"""Lines that metadata may repeat: signatures and imports are what it is there to tell."""
RUN = 6
"""Tokens of an answer's line from which its repetition in metadata gives the answer away."""


def render(sample: Sample, prompts: Prompts) -> str:
    """The prompt of a sample as an arm sees it.

    Raises:
        UserError: enriched prompts are wanted and the metadata holds a part of the answer.

    >>> one = Sample("a", "Double x.", "...", meta={"inputs": ["x: int", "y: int"], "intent": "double"})
    >>> print(render(one, "enriched"))
    Double x.
    <BLANKLINE>
    Metadata:
    - intent: double
    - inputs: x: int; y: int
    """
    if prompts == "plain":
        return sample.prompt
    lines = [f"- {field}: {text}" for field, text in _fields(sample)]
    if not lines:
        return sample.prompt
    if told := leaks_answer(sample):
        raise UserError(
            f"sample {sample.id}: the metadata gives the answer away",
            wanted="metadata without lines of the completion",
            seen=told if len(told) <= 80 else told[:77] + "...",
            mend="take the line out of the sample's meta",
        )
    return "\n".join([sample.prompt.rstrip(), "", HEADING, *lines])


def leaks_answer(sample: Sample) -> str:
    """The first part of the completion that the rendered metadata holds, or nothing.

    A part is a line of six tokens or more, apart from signatures and imports, or all such lines together when
    they are shorter. Layout and case do not count.
    """
    told = " ".join(_tokens(" ".join(text for _, text in _fields(sample))))
    lines = [line for line in sample.completion.splitlines() if line.strip() and not DECLARATION.match(line)]
    for part in (*(line for line in lines if len(_tokens(line)) >= RUN), "\n".join(lines)):
        words = " ".join(_tokens(part))
        if words and f" {words} " in f" {told} ":
            return part.strip()
    return ""


def _tokens(text: str) -> list[str]:
    return TOKEN.findall(text.lower())


def _fields(sample: Sample) -> Iterator[tuple[str, str]]:
    for field in FIELDS:
        if text := _one_line(sample.meta.get(field)):
            yield field, text


def _one_line(value: Any) -> str:
    """A metadata value on one line; lists with `; `, objects as `name: value`.

    >>> _one_line([{"name": "x", "type": "int"}, "y"])
    'name: x, type: int; y'
    """
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_one_line(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(text for part in value if (text := _one_line(part)))
    return " ".join(str(value).split())
