"""The demo corpus: small Python tasks for models of a few million parameters.

A task is a selection, a change and a reduction of a list of numbers. Words and constants are a closed
vocabulary, so nothing has to be copied that was never seen; a held-out task is a new combination. The
prompt says all that is needed, in one of several phrasings. The metadata is what such a task's would be:
the intent in fixed words, the types, the edges; it names no constant and holds no code. Whether it helps is
the question of the demo study, and nothing here is tuned to an answer.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sluicegate.errors import UserError
from sluicegate.records import Sample

SCENARIO = "python"
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
OPENERS = (
    "Write a function solve(xs) that",
    "Define solve(xs), a function that",
    "I need a function solve(xs) which",
    "Please write solve(xs). It",
)
INPUTS: tuple[list[int], ...] = (
    [],
    [-5, -1],
    *([n] for n in range(11)),
    [12, 9, 10],
    [5, 1, 2, 10, 3, 8, 4, 7, 6, 9],
    [-8, 3, -5, 0, 9, -2, 6],
    [11, -7, 7, 7, -12, 1],
)
"""What the hidden tests call with: enough to tell any two tasks apart."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a task.

    Args:
        name: used in ids.
        intent: the fixed words of the metadata.
        phrasings: ways a prompt says it; `{n}` is the constant as a word.
        code: its Python; `{n}` is the constant as a digit, `{loop}` the comprehension it reduces.
        run: its meaning, apart from `code`: (number, constant) for a selection or change, (numbers) for a
            reduction.
        constants: the constants it is used with, 1-9; empty where it takes none.
    """

    name: str
    intent: str
    phrasings: tuple[str, ...]
    code: str
    run: Callable[..., Any]
    constants: tuple[int, ...] = ()


ANY = tuple(range(1, 10))
EVERY = Part("every", "all numbers", ("takes every number", "goes through all numbers"), "", lambda x, n: True)
SELECTIONS = (
    Part(
        "even",
        "even numbers",
        ("takes the even numbers", "leaves out the odd numbers"),
        "x % 2 == 0",
        lambda x, n: not x % 2,
    ),
    Part(
        "odd",
        "odd numbers",
        ("takes the odd numbers", "leaves out the even numbers"),
        "x % 2 == 1",
        lambda x, n: bool(x % 2),
    ),
    Part(
        "positive",
        "positive numbers",
        ("takes the positive numbers", "keeps what is above zero"),
        "x > 0",
        lambda x, n: x > 0,
    ),
    Part(
        "negative",
        "negative numbers",
        ("takes the negative numbers", "keeps what is below zero"),
        "x < 0",
        lambda x, n: x < 0,
    ),
)
LIMITS = (
    Part(
        "above",
        "numbers above a limit",
        ("takes the numbers above {n}", "keeps what is greater than {n}"),
        "x > {n}",
        lambda x, n: x > n,
        ANY,
    ),
    Part(
        "below",
        "numbers below a limit",
        ("takes the numbers below {n}", "keeps what is less than {n}"),
        "x < {n}",
        lambda x, n: x < n,
        ANY[1:],
    ),
)
AS_IS = Part("as-is", "unchanged", ("",), "x", lambda x, n: x)
CHANGES = (
    Part(
        "plus",
        "increased",
        ("adds {n} to each", "raises each by {n}", "makes each larger by {n}"),
        "x + {n}",
        lambda x, n: x + n,
        ANY,
    ),
    Part(
        "minus",
        "decreased",
        ("subtracts {n} from each", "lowers each by {n}", "takes {n} off each"),
        "x - {n}",
        lambda x, n: x - n,
        ANY,
    ),
    Part(
        "times",
        "multiplied",
        ("multiplies each by {n}", "scales each by {n}", "makes each {n} times as large"),
        "x * {n}",
        lambda x, n: x * n,
        ANY[1:],
    ),
)
REDUCTIONS = (
    Part("list", "list", ("returns the list of results", "gives back the results as a list"), "[{loop}]", list),
    Part("sum", "sum", ("returns their sum", "adds everything up"), "sum({loop})", sum),
    Part(
        "max",
        "maximum",
        ("returns the largest", "gives back the greatest of them"),
        "max(({loop}), default=0)",
        lambda xs: max(xs, default=0),
    ),
    Part(
        "min",
        "minimum",
        ("returns the smallest", "gives back the least of them"),
        "min(({loop}), default=0)",
        lambda xs: min(xs, default=0),
    ),
)
COUNT = Part("count", "count", ("returns how many there are", "counts them"), "len([{loop}])", len)
Task = tuple[Part, Part, Part, int]


def tasks() -> Iterator[Task]:
    """Every (selection, change, reduction, constant); the constant is 0 where no part takes one."""
    for selection in (EVERY, *SELECTIONS):
        for change in CHANGES:
            for reduction in REDUCTIONS:
                yield from ((selection, change, reduction, n) for n in change.constants)
    for selection in (*SELECTIONS, *LIMITS):
        for reduction in (*REDUCTIONS, COUNT):
            yield from ((selection, AS_IS, reduction, n) for n in selection.constants or (0,))


def samples(size: int, *, seed: int) -> list[Sample]:
    """The first `size` tasks of a shuffle, all different; a larger size keeps the smaller one's samples.

    Raises:
        UserError: more than there are.
    """
    every = list(tasks())
    if size > len(every):
        raise UserError(
            f"the demo corpus has no {size} samples",
            wanted=f"at most {len(every)}, training, validation and test together",
            seen=str(size),
            mend="lower the sample counts, or use a folder of your own as the source",
        )
    random.Random(seed).shuffle(every)  # noqa: S311
    return [_sample(task, seed) for task in every[:size]]


def _sample(task: Task, seed: int) -> Sample:
    selection, change, reduction, n = task
    name = "-".join(["demo", selection.name, change.name, *([str(n)] if n else []), reduction.name])
    return Sample(
        id=name,
        scenario=SCENARIO,
        prompt=_prompt(task, random.Random(f"{seed} {name}")),  # noqa: S311
        completion=_completion(task),
        tests="".join(f"assert solve({xs}) == {_expected(task, xs)}\n" for xs in INPUTS),
        meta=_meta(task) | {"language": "python", "licence": "Apache-2.0"},
    )


def _prompt(task: Task, rng: random.Random) -> str:
    """The request in one of its phrasings; what an empty selection gives is said where Python would fail."""
    *parts, reduction, n = task
    steps = [said for part in parts if (said := rng.choice(part.phrasings))]
    ending = rng.choice(reduction.phrasings)
    told = f"{rng.choice(OPENERS)} {', '.join(steps)} and {ending}"
    default = ", or zero if there is none" if "default" in reduction.code else ""
    return f"{told}{default}.".replace("{n}", WORDS[n])


def _completion(task: Task) -> str:
    selection, change, reduction, n = task
    condition = f" if {selection.code}" if selection.code else ""
    body = reduction.code.format(loop=f"{change.code} for x in xs{condition}").replace("{n}", str(n))
    return f"def solve(xs):\n    return {body}\n"


def _expected(task: Task, xs: list[int]) -> Any:
    selection, change, reduction, n = task
    return reduction.run([change.run(x, n) for x in xs if selection.run(x, n)])


def _meta(task: Task) -> dict[str, Any]:
    """What is known of the task apart from its request and its answer."""
    selection, change, reduction, _ = task
    as_list = reduction.name == "list"
    return {
        "intent": f"{reduction.intent} of {selection.intent}, {change.intent}",
        "inputs": "xs: list of int",
        "outputs": "list of int" if as_list else "int",
        "constraints": ["order is kept" if as_list else "zero without any"],
    }
