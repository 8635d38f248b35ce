from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.judge.rubrics import (
    RUBRICS,
    Rubric,
    choosing,
    grade_schema,
    marked,
    orders,
    prompt,
    read_choice,
    read_grade,
)
from sluicegate.records import Sample, digest

COHERENCE, VULNERABILITY = RUBRICS["coherence"], RUBRICS["vulnerability"]
SAMPLE = Sample("a", "Write f.", "def f(): ...")


def words(rubric: Rubric) -> Any:
    """Everything of a rubric that a judge reads."""
    parts = [("answer", "x")]
    return [prompt(rubric, parts), choosing(rubric, parts), grade_schema(rubric), orders(rubric, SAMPLE, "x")]


WORDS = {
    "coherence-1": "3fa26058ac27",
    "relevance-1": "c70bcb2e38b3",
    "similarity-1": "8bddd04ab775",
    "vulnerability-1": "30a2a1ea610f",
}
"""A changed word is another rubric: count its version up, then put the new digest here."""


def test_a_changed_word_is_a_new_version() -> None:
    assert {rubric.tag: digest(words(rubric))[:12] for rubric in RUBRICS.values()} == WORDS


@pytest.mark.parametrize("rubric", RUBRICS.values(), ids=list(RUBRICS))
def test_the_ends_of_a_scale_are_the_ends_of_a_score(rubric: Rubric) -> None:
    worst, best = (rubric.high, rubric.low) if rubric.lower_is_better else (rubric.low, rubric.high)
    assert (rubric.value([worst]), rubric.value([best])) == (0.0, 1.0)
    assert rubric.value([worst, best]) == 0.5


def test_the_four_rubrics_have_the_scales_they_promise() -> None:
    assert {name: (rubric.low, rubric.high) for name, rubric in RUBRICS.items()} == {
        "coherence": (1, 5), "relevance": (1, 5), "similarity": (1, 5), "vulnerability": (0, 10),
    }  # fmt: skip


def test_what_is_compared_is_asked_in_both_orders() -> None:
    assert orders(RUBRICS["similarity"], SAMPLE, "g()") == [
        [("first", "g()"), ("second", "def f(): ...")],
        [("first", "def f(): ..."), ("second", "g()")],
    ]
    assert orders(RUBRICS["relevance"], SAMPLE, "g()") == [[("request", "Write f."), ("answer", "g()")]]
    assert orders(COHERENCE, SAMPLE, "g()") == [[("answer", "g()")]]


@given(st.text())
def test_a_text_cannot_close_its_own_marks(text: str) -> None:
    shown = marked("answer", text)
    closing = shown.rsplit("\n", 1)[1]
    assert shown.count(closing) == 1
    assert shown == f"{closing.replace('</', '<')}\n{text}\n{closing}"


def test_a_text_that_guesses_the_mark_of_another_stays_inside_its_own() -> None:
    guess = marked("answer", "x")
    assert marked("answer", guess).count(guess.rsplit("\n", 1)[1]) == 1
    assert not marked("answer", guess).endswith(guess.rsplit("\n", 1)[1])


READABLE = {
    "as asked": '{"reason": "fine", "grade": 4}',
    "without a reason": '{"grade": 4}',
    "fenced": '```json\n{"reason": "fine", "grade": 4}\n```',
    "fenced, unnamed": '```\n{"grade": 4}```',
    "more than asked": '{"grade": 4, "confidence": 0.9}',
    "an odd reason": '{"grade": 4, "reason": ["\\u001b[31m", null]}',
}


@pytest.mark.parametrize("case", READABLE)
def test_replies_that_hold_a_grade(case: str) -> None:
    found = read_grade(COHERENCE, READABLE[case])
    assert found.said == 4
    assert found.reason.isprintable()


UNREADABLE = {
    "nothing": "",
    "prose": "I would give this a 4.",
    "truncated": '{"reason": "fine", "gra',
    "a bare number": "4",
    "a list": "[4]",
    "no grade": '{"reason": "fine"}',
    "null": '{"grade": null}',
    "text": '{"grade": "4"}',
    "a fraction": '{"grade": 4.5}',
    "a whole fraction": '{"grade": 4.0}',
    "true": '{"grade": true}',
    "NaN": '{"grade": NaN}',
    "below": '{"grade": 0}',
    "above": '{"grade": 6}',
    "far above": '{"grade": 1' + "0" * 5000 + "}",
    "twice": '{"grade": 1, "grade": 5}',
    "two objects": '{"grade": 1}{"grade": 5}',
    "nested": "[" * 100_000,
    "nested grade": '{"grade": {"grade": 4}}',
    "prose around": 'The grade: {"grade": 5}',
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_is_no_grade_is_refused_and_never_guessed(case: str) -> None:
    with pytest.raises(ValueError, match=r"wanted|not the JSON|twice"):
        read_grade(COHERENCE, UNREADABLE[case])


def test_zero_is_a_grade_where_the_scale_begins_there() -> None:
    assert read_grade(VULNERABILITY, '{"grade": 0}').said == 0
    assert read_grade(VULNERABILITY, '{"grade": 10}').said == 10


NO_CHOICES = ['{"better": "C"}', '{"better": "a"}', '{"better": null}', "A", '{"better": ["A"]}', ""]


@pytest.mark.parametrize("text", NO_CHOICES)
def test_what_is_no_choice_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"wanted|not the JSON"):
        read_choice(text)


def test_the_schema_allows_what_is_read_and_nothing_else() -> None:
    for rubric in RUBRICS.values():
        allowed = grade_schema(rubric)["properties"]["grade"]["enum"]
        assert [read_grade(rubric, json.dumps({"grade": grade})).said for grade in allowed] == allowed
        for outside in (allowed[0] - 1, allowed[-1] + 1):
            with pytest.raises(ValueError, match="wanted a grade"):
                read_grade(rubric, json.dumps({"grade": outside}))
