"""Leaks are found by equality and by overlap, and in time that grows with the text."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.data.leaks import GRAM, TOKEN, Leak, equal, find, overlap
from sluicegate.records import Sample

WORDS = " ".join(f"word{n}" for n in range(40))


def sample(name: str, prompt: str, completion: str = "") -> Sample:
    return Sample(name, prompt, completion or f"answer {name}")


@pytest.mark.parametrize(
    ("test", "kind"),
    [
        (Sample("t", "Add one to x", "x + 1"), "exact"),
        (Sample("t", "add ONE\nto  x", "X+1"), "normalised"),
        (Sample("t", "add one to X", "x - -1"), "question"),
        (Sample("t", "Increment x", "x+1"), "answer"),
    ],
)
def test_equality_is_a_leak_of_its_kind(test: Sample, kind: str) -> None:
    train = [Sample("s0", "Other", "thing"), Sample("s1", "Add one to x", "x + 1")]
    assert find(train, [test]) == [Leak("t", "s1", kind, 1.0)]  # type: ignore[arg-type]


def test_the_gravest_kind_wins() -> None:
    train = [Sample("asked", "p", "other"), Sample("same", "P", "c"), Sample("exact", "p", "c")]
    [leak] = find(train, [Sample("t", "p", "c")])
    assert (leak.kind, leak.train_id) == ("exact", "exact")


def test_another_context_is_another_question() -> None:
    train = [Sample("s", "deploy it", "a: 1", context="pattern A")]
    assert find(train, [Sample("t", "deploy it", "b: 2", context="pattern B")]) == []


def test_clean_items_are_not_named() -> None:
    assert find([sample("s", "sort a list of numbers")], [sample("t", "reverse a text")]) == []
    assert find([], [sample("t", WORDS)]) == []
    assert find([sample("s", WORDS)], []) == []


def test_overlap_is_the_share_of_known_grams() -> None:
    words = WORDS.split()
    half = " ".join(words[:20] + [f"new{n}" for n in range(20)])
    [share] = overlap([sample("s", WORDS)], [sample("t", half)])
    assert share == (20 - GRAM + 1) / (40 - GRAM + 1)


def test_overlap_from_the_threshold_on_is_a_leak_with_its_source() -> None:
    train = [sample("s0", "something else " * 20), sample("s1", WORDS)]
    test = [sample("t", WORDS + " and more")]
    assert find(train, test, dirty=0.9) == [Leak("t", "s1", "overlap", round(28 / 30, 4))]
    assert find(train, test, dirty=0.95) == []
    assert find(train, test)[0].told == "t: 93% of its 13-grams in training, most in sample s1"


def test_overlap_adds_up_over_training_samples() -> None:
    words = WORDS.split()
    train = [sample("a", " ".join(words[:26])), sample("b", " ".join(words[14:]))]
    assert overlap(train, [sample("t", WORDS)]) == [1.0]


def test_operators_are_words_and_layout_is_not() -> None:
    code = "def f(a, b, c): return a + b * c - a / b"
    assert overlap([sample("s", "x", code)], [sample("t", "y", code.replace(" ", "\n"))]) == [pytest.approx(1.0)]
    [share] = overlap([sample("s", "x", code)], [sample("t", "y", code.replace("+", "-"))])
    assert share is not None
    assert share < 0.5


def test_short_items_have_no_share_and_grams_do_not_cross_texts() -> None:
    twelve = " ".join(WORDS.split()[:12])
    assert overlap([sample("s", twelve + " x", "y")], [sample("t", twelve, "x")]) == [None]


def test_too_few_words_in_training_is_no_fault() -> None:
    assert overlap([sample("s", "short")], [sample("t", WORDS)]) == [0.0]


@pytest.mark.parametrize("dirty", [0, -1, 1.1])
def test_a_threshold_out_of_range_is_a_bug_of_the_caller(dirty: float) -> None:
    with pytest.raises(ValueError, match="dirty"):
        find([], [], dirty=dirty)


texts = st.lists(st.sampled_from(["a", "b", "c", "(", ")", "=", "1"]), max_size=40).map(" ".join)
corpora = st.lists(st.tuples(texts, texts), max_size=6).map(
    lambda rows: [Sample(str(n), prompt, completion) for n, (prompt, completion) in enumerate(rows)]
)


@given(corpora, corpora)
def test_overlap_equals_the_plain_definition(train: list[Sample], test: list[Sample]) -> None:
    def grams(one: Sample) -> list[tuple[str, ...]]:
        found = []
        for text in (one.prompt, one.completion):
            words = TOKEN.findall(text)
            found += [tuple(words[n : n + GRAM]) for n in range(len(words) - GRAM + 1)]
        return found

    known = {gram for one in train for gram in grams(one)}
    plain = [sum(gram in known for gram in mine) / len(mine) if (mine := grams(one)) else None for one in test]
    assert overlap(train, test) == plain


def test_ten_thousand_samples_need_no_pairs() -> None:
    rng = random.Random(0)  # noqa: S311
    words = [f"w{n}" for n in range(2000)]
    many = [
        sample(str(n), " ".join(rng.choices(words, k=20)), " ".join(rng.choices(words, k=20))) for n in range(10_000)
    ]
    assert [leak.test_id for leak in find(many, [*many[-2:], sample("clean", WORDS)])] == ["9998", "9999"]


def test_equalities_alone_are_those_that_are_found_with_overlap() -> None:
    words = " ".join(f"w{number}" for number in range(30))
    train = [sample("1", "Add one", "x + 1"), sample("2", words, "long")]
    test = [sample("3", "add ONE", "x+2"), sample("4", f"{words} more", "other"), sample("5", "new", "none")]
    assert equal(train, test) == [Leak("3", "1", "question", 1.0)]
    assert [leak.kind for leak in find(train, test)] == ["question", "overlap"]
