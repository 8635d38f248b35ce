"""Metadata in the prompt: one format, and never the answer."""

from dataclasses import replace
from typing import Any

import pytest

from sluicegate.data.enrich import FIELDS, leaks_answer, render
from sluicegate.errors import UserError
from sluicegate.records import Sample

ANSWER = "def total(xs):\n    result = sum(x for x in xs if x > 0)\n    return result\n"


def sample(**meta: Any) -> Sample:
    return Sample("a", "Add the positive numbers.", ANSWER, "python", meta=meta)


def test_plain_is_the_prompt_whatever_the_metadata() -> None:
    assert render(sample(intent="sum"), "plain") == "Add the positive numbers."


def test_the_format() -> None:
    one = sample(
        constraints=["xs is not changed", "", "linear time"],
        licence="Apache-2.0",
        outputs={"total": "int"},
        intent="sum of\n positive   numbers",
        inputs=[{"name": "xs", "type": "list of int"}],
        edge_cases=[],
        complexity=None,
    )
    assert render(one, "enriched") == (
        "Add the positive numbers.\n"
        "\n"
        "Metadata:\n"
        "- intent: sum of positive numbers\n"
        "- inputs: name: xs, type: list of int\n"
        "- outputs: total: int\n"
        "- constraints: xs is not changed; linear time"
    )


def test_the_order_of_the_metadata_does_not_count() -> None:
    fields = {name: f"about {name}" for name in FIELDS}
    backwards = dict(reversed(fields.items()))
    assert render(sample(**fields), "enriched") == render(sample(**backwards), "enriched")


@pytest.mark.parametrize("meta", [{}, {"licence": "MIT", "language": "python"}, {"intent": ""}, {"inputs": []}])
def test_without_fields_the_prompt_stays_plain(meta: dict[str, Any]) -> None:
    assert render(sample(**meta), "enriched") == render(sample(**meta), "plain")


@pytest.mark.parametrize(
    "told",
    [
        "use result = sum(x for x in xs if x > 0) then return it",
        ["first", "RESULT=sum(x  for x in xs if x>0)"],
        {"step": {"code": "result = sum( x for x in xs\n if x > 0 )"}},
    ],
)
def test_a_line_of_the_answer_is_refused_however_it_is_laid_out(told: Any) -> None:
    one = sample(constraints=told)
    assert leaks_answer(one) == "result = sum(x for x in xs if x > 0)"
    with pytest.raises(UserError, match="sample a: the metadata gives the answer away"):
        render(one, "enriched")
    assert render(one, "plain") == one.prompt


def test_a_short_answer_is_refused_as_a_whole() -> None:
    one = Sample("a", "p", "def f(x):\n    return x + 1\n", meta={"intent": "return x + 1"})
    assert leaks_answer(one) == "return x + 1"


@pytest.mark.parametrize(
    "told", ["def total(xs)", "return result", "sum of x for x in xs", "total(xs: list[int]) -> int"]
)
def test_signatures_and_words_in_common_are_allowed(told: str) -> None:
    assert leaks_answer(sample(intent=told)) == ""


def test_words_are_whole() -> None:
    one = Sample("a", "p", "x = y", meta={"intent": "xx = yy"})
    assert leaks_answer(one) == ""
    assert leaks_answer(replace(one, meta={"intent": "let x = y here"})) == "x = y"


def test_imports_and_requires_may_be_told() -> None:
    one = Sample(
        "a",
        "p",
        'const express = require("express");\nimport { useState, useMemo } from "react";\nbody();\n',
        meta={"dependencies": 'const express = require("express"); import { useState, useMemo } from "react";'},
    )
    assert leaks_answer(one) == ""


def test_fields_that_are_not_shown_are_not_looked_at() -> None:
    assert leaks_answer(sample(notes=ANSWER)) == ""


@pytest.mark.parametrize(
    "told",
    [
        "the result is sum(x for x in xs if x > 0) and nothing else",
        "x for x in xs if x > 0",
        {"how": "for x in xs if x > 0 then"},
    ],
)
def test_six_tokens_of_a_line_with_an_operator_are_a_leak(told: Any) -> None:
    assert leaks_answer(sample(constraints=told)) == "result = sum(x for x in xs if x > 0)"


@pytest.mark.parametrize(
    "told",
    [
        "prices: dict[str, dict[str, int]] in cents",  # a parameter over two lines
        "an Item has counts: list[tuple[int, str]]",  # a field of a class
        "seen is of type dict[str, tuple[int, int]]",  # an annotation
        "raises: the price of every item is missing + more",  # words in quotes
        "Adds up what is in stock, by name and by day of week",  # a docstring
        "the items, in stock, (id, name, day, price)",  # a shape, and no operator
    ],
)
def test_signatures_types_words_and_shapes_may_be_told(told: str) -> None:
    answer = (
        "class Item:\n"
        '    """Adds up what is in stock, by name and by day of week."""\n'
        "    counts: list[tuple[int, str]]\n\n"
        "    def total(\n        self,\n        prices: dict[str, dict[str, int]],\n    ) -> int:\n"
        "        # the items, in stock, + (id, name, day, price)\n"
        "        seen: dict[str, tuple[int, int]] = {}\n"
        '        print("the price of every item is missing + more")\n'
        "        return pack(id, name, day, price)\n"
    )
    one = Sample("a", "p", answer, "python", meta={"constraints": told})
    assert leaks_answer(one) == ""
    assert leaks_answer(replace(one, meta={"constraints": "return pack(id, name, day, price)"})) != ""


@pytest.mark.parametrize(
    ("scenario", "answer", "told", "leak"),
    [
        ("express", "// half\nconst x = a + b * c - d;", "half of a + b * c - d", "const x = a + b * c - d;"),
        ("express", "// half of all + of them, or none\nreturn a + b;", "half of all + of them", ""),
        ("react", 'export function A({\n  a = 1 + 2 + 3 + 4,\n}) {\n  return "x";\n}', "a = 1 + 2 + 3 + 4", ""),
        ("sql", "SELECT a\nFROM t -- 1 = 1 AND 2 = 2\nWHERE a = b + 1 AND c", "1 = 1 and 2 = 2", ""),
        ("sql", "SELECT a\nFROM t\nWHERE a = b + 1 AND c", "rows where a = b + 1", "WHERE a = b + 1 AND c"),
        ("sql", "SELECT a\nFROM t\nJOIN u ON t.a = u.b", "join u on t.a = u.b", "JOIN u ON t.a = u.b"),
        (
            "kubernetes",
            "# a = b + c\nurl: http://x.y/z + a * b - c",
            "url http://x.y/z + a * b",
            "url: http://x.y/z + a * b - c",
        ),
        ("bugfix", "const f = (a) => a + 1 * 2 - 3;", "a + 1 * 2 - 3", "const f = (a) => a + 1 * 2 - 3;"),
    ],
)
def test_other_languages_are_looked_at_by_their_signs(scenario: str, answer: str, told: str, leak: str) -> None:
    assert leaks_answer(Sample("a", "p", answer, scenario, meta={"constraints": told})) == leak


def test_long_metadata_takes_no_time_of_its_square() -> None:
    words = " ".join(f"w{n} = x{n} + y{n}" for n in range(50_000))
    one = Sample("a", "p", "\n".join(f"z{n} = w{n} * w{n} - 1" for n in range(20_000)), meta={"intent": words})
    assert leaks_answer(one) == ""
