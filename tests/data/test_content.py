"""What counts as the same task."""

import pytest

from sluicegate.data.content import answer, duplicates, key, kin, normalised, question
from sluicegate.records import Sample


@pytest.mark.parametrize(
    ("one", "other"),
    [("a  b\n", "ab"), ("STRASSE", "straße"), ("ﬁle", "FILE"), ("é", "e\u0301"), ("x\u00a0y\u3000z", "xyz")],
)
def test_layout_case_and_spelling_do_not_count(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


def test_words_count() -> None:
    assert normalised("x + 1") != normalised("x - 1")
    assert key("ab", "c") != key("a", "bc")


def test_context_is_part_of_the_question_only() -> None:
    one, other = Sample("1", "p", "c", context="a"), Sample("2", "p", "c", context="b")
    assert question(one) != question(other)
    assert answer(one) == answer(other)


def test_a_question_is_never_an_answer() -> None:
    assert question(Sample("1", "same", "x")) != answer(Sample("2", "x", "same"))


def test_duplicates_are_grouped_by_question_and_answer() -> None:
    samples = [
        Sample("1", "Add one", "x+1"),
        Sample("2", "Add one", "x + 2"),
        Sample("3", "add  one", "X + 1"),
        Sample("4", "Add two", "x + 2"),
    ]
    assert duplicates(samples) == [("1", "3")]
    assert duplicates([]) == []


@pytest.mark.parametrize("group", [None, "", 3, ["a"], {"a": "b"}])
def test_only_a_text_names_a_group(group: object) -> None:
    assert kin(Sample("1", "p", "c", "x", meta={"group": group})) == ""
    assert kin(Sample("1", "p", "c", "x", meta={"group": "a"})) != kin(Sample("1", "p", "c", "y", meta={"group": "a"}))
