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
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sluicegate.data.body import lines
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
TOKEN = re.compile(r"\w+|===|!==|==|!=|<=|>=|=>|->|<>|&&|\|\||\?\?|//|\*\*|[^\w\s]")
OPERATORS = frozenset("=== !== == != <= >= => <> && || ?? // ** = + - * / % < > & | ^ ! ?".split())  # noqa: SIM905
"""Without one of them a run of tokens is a list of names, a shape or a sentence, which metadata may tell."""
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
    told = [f"- {field}: {text}" for field, text in _fields(sample)]
    if not told:
        return sample.prompt
    if leak := leaks_answer(sample):
        raise UserError(
            f"sample {sample.id}: the metadata gives the answer away",
            wanted="metadata without lines of the completion",
            seen=leak if len(leak) <= 80 else leak[:77] + "...",
            mend="take the line out of the sample's meta",
        )
    return "\n".join([sample.prompt.rstrip(), "", HEADING, *told])


def leaks_answer(sample: Sample) -> str:
    """The first part of the completion's body that the rendered metadata holds, or nothing.

    A part is a line of six tokens or more, six tokens in a row of a line with an operator among them, or the whole
    body where it has no such line. What the body is, `body.lines` says: no signatures, imports, comments and words.
    Layout and case do not count.
    """
    words = _tokens(" ".join(text for _, text in _fields(sample)))
    told, known = f" {' '.join(words)} ", set(_runs(words))
    body = lines(sample.completion, str(sample.meta.get("language") or sample.scenario).lower())
    for line in body:
        tokens = _tokens(line)
        shared = [run for run in _runs(tokens) if run in known]
        if any(OPERATORS & set(run) for run in shared) or (shared and f" {' '.join(tokens)} " in told):
            return line.strip()
    whole = " ".join(_tokens("\n".join(body)))
    return "\n".join(body).strip() if whole and f" {whole} " in told else ""


def _runs(tokens: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return zip(*(tokens[at:] for at in range(RUN)), strict=False)


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
