"""Splits are disjoint by content, do not depend on the order of the input, and have the sizes that were asked."""

from collections import Counter
from dataclasses import replace
from itertools import chain

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from sluicegate.data.content import answer, question
from sluicegate.data.splits import Splits, contents, groups, shares, split, split_counts
from sluicegate.errors import UserError, UserErrors
from sluicegate.records import Sample

FIVE = ("react", "express", "python", "bugfix", "sql")


def samples(count: int, *scenarios: str) -> list[Sample]:
    return [
        Sample(f"{name}-{n}", f"{name} prompt {n}", f"{name} completion {n}", name)
        for name in scenarios or ("python",)
        for n in range(count)
    ]


def ids(splits: Splits) -> tuple[list[str], ...]:
    return tuple([sample.id for sample in part] for part in (splits.train, splits.val, splits.test))


def sizes(splits: Splits) -> tuple[int, ...]:
    return tuple(len(part) for part in ids(splits))


def test_five_scenarios_of_a_hundred_give_350_75_75() -> None:
    splits = split(samples(100, *FIVE), seed=0)
    assert sizes(splits) == (350, 75, 75)
    assert Counter(sample.scenario for sample in splits.test) == dict.fromkeys(FIVE, 15)
    assert Counter(sample.scenario for sample in splits.val) == dict.fromkeys(FIVE, 15)


def test_counts_spread_over_scenarios_and_leave_the_rest_out() -> None:
    splits = split_counts(samples(30, *FIVE), seed=0, counts=(20, 5, 12))
    assert sizes(splits) == (20, 5, 12)
    assert Counter(sample.scenario for sample in splits.train) == dict.fromkeys(FIVE, 4)
    assert sorted(Counter(sample.scenario for sample in splits.test).values()) == [2, 2, 2, 3, 3]


def test_a_count_of_none_leaves_a_split_empty() -> None:
    assert sizes(split_counts(samples(9), seed=0, counts=(5, 0, 0))) == (5, 0, 0)


def test_the_seed_decides() -> None:
    many = samples(100)
    assert ids(split(many, seed=0)) == ids(split(many, seed=0))
    assert set(ids(split(many, seed=0))[2]) != set(ids(split(many, seed=1))[2])


def test_ids_do_not_decide() -> None:
    many = samples(50)
    renamed = [Sample(f"x{49 - n}", one.prompt, one.completion, one.scenario) for n, one in enumerate(many)]
    prompts = [[sample.prompt for sample in split(rows, seed=3).test] for rows in (many, renamed)]
    assert prompts[0] == prompts[1]


def test_samples_that_share_an_answer_or_a_question_stay_together_through_chains() -> None:
    chained = [
        Sample("a", "first", "one"),
        Sample("b", "FIRST ", "two"),
        Sample("c", "second", "Two"),
        Sample("d", "third", "three"),
    ]
    assert sorted(tuple(sorted(sample.id for sample in group)) for group in groups(chained)) == [
        ("a", "b", "c"),
        ("d",),
    ]


def test_a_group_lies_whole_in_one_split() -> None:
    many = samples(40) + [Sample(f"same-{n}", f"other {n}", "the same answer", "python") for n in range(10)]
    for seed in range(20):
        where = [place for place, part in enumerate(ids(split(many, seed=seed))) if "same-0" in part]
        assert len(where) == 1
        assert set(ids(split(many, seed=seed))[where[0]]) >= {f"same-{n}" for n in range(10)}


def test_a_task_in_two_scenarios_stays_in_one_split() -> None:
    twins = [Sample(f"{name}-twin-{n}", f"twin {n}", f"twin {n}", name) for name in ("a", "b") for n in range(10)]
    splits = split(samples(20, "a", "b") + twins, seed=5)
    for n in range(10):
        homes = [place for place, part in enumerate(ids(splits)) for name in "ab" if f"{name}-twin-{n}" in part]
        assert homes[0] == homes[1]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_too_few_samples_say_how_many(count: int) -> None:
    with pytest.raises(UserError, match="too few samples") as caught:
        split(samples(count), seed=0)
    assert "1 train, 1 val, 1 test" in str(caught.value)
    assert f"{count} samples" in str(caught.value)


def test_five_are_enough() -> None:
    assert sizes(split(samples(5), seed=0)) == (3, 1, 1)


def test_equal_samples_are_no_substitute_for_different_ones() -> None:
    equal = [Sample(str(n), "same", "same", "python") for n in range(100)]
    with pytest.raises(UserError, match="too few samples") as caught:
        split(equal, seed=0)
    assert "100 samples, 1 of them distinct" in str(caught.value)


def test_every_scenario_that_is_short_is_named() -> None:
    with pytest.raises(UserErrors) as caught:
        split(samples(10, "a") + samples(2, "b", "c"), seed=0)
    assert [fault.what for fault in caught.value.faults] == [
        "scenario b: too few samples",
        "scenario c: too few samples",
    ]


def test_counts_that_a_source_cannot_give_are_an_error() -> None:
    with pytest.raises(UserError, match="too few samples") as caught:
        split_counts(samples(10), seed=0, counts=(8, 2, 1))
    assert "8 train, 2 val, 1 test" in str(caught.value)
    assert "add 1 or more" in str(caught.value)


@pytest.mark.parametrize("fractions", [(0.5, 0.5, 0.0), (0.5, 0.3, 0.3), (1.2, -0.1, -0.1), (0.1, 0.1, 0.1)])
def test_fractions_that_are_none_are_a_bug_of_the_caller(fractions: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="fractions"):
        split(samples(100), seed=0, fractions=fractions)


@given(st.integers(0, 10_000), st.lists(st.floats(0.01, 1), min_size=1, max_size=8))
def test_shares_add_up_and_are_off_by_less_than_one(total: int, weights: list[float]) -> None:
    fractions = [weight / sum(weights) for weight in weights]
    whole = shares(total, fractions)
    assert sum(whole) == total
    assert all(abs(size - total * fraction) < 1.000001 for size, fraction in zip(whole, fractions, strict=True))


texts = st.tuples(st.integers(0, 120), st.sampled_from(["task {}", "TASK {}", "task  {}\n"])).map(
    lambda pair: pair[1].format(pair[0])
)
corpora = st.lists(st.tuples(texts, texts, st.sampled_from(["x", "y"])), min_size=20, max_size=80).map(
    lambda rows: [Sample(str(n), prompt, completion, name) for n, (prompt, completion, name) in enumerate(rows)]
)


@given(corpora, st.integers(0, 5))
def test_no_content_in_two_splits_whatever_the_input(corpus: list[Sample], seed: int) -> None:
    try:
        splits = split(corpus, seed=seed)
    except UserError:
        reject()
    parts = (splits.train, splits.val, splits.test)
    for of in (question, answer):
        keys = [{of(sample) for sample in part} for part in parts]
        assert not (keys[0] & keys[1] or keys[0] & keys[2] or keys[1] & keys[2])
    assert sorted(chain(*ids(splits))) == sorted(sample.id for sample in corpus)


@given(corpora, st.integers(0, 5), st.tuples(*[st.integers(0, 6)] * 3))
def test_counts_are_met_exactly_or_refused(corpus: list[Sample], seed: int, counts: tuple[int, int, int]) -> None:
    try:
        splits = split_counts(corpus, seed=seed, counts=counts)
    except UserError:
        reject()
    assert sizes(splits) == counts
    parts = (splits.train, splits.val, splits.test)
    keys = [{of(sample) for sample in part for of in (question, answer)} for part in parts]
    assert not (keys[0] & keys[1] or keys[0] & keys[2] or keys[1] & keys[2])


@given(st.integers(5, 200), st.integers(0, 5), st.data())
def test_order_of_the_input_does_not_count(count: int, seed: int, data: st.DataObject) -> None:
    many = samples(count)
    shuffled = data.draw(st.permutations(many)) if count < 30 else list(reversed(many))
    assert ids(split(many, seed=seed)) == ids(split(shuffled, seed=seed))
    assert sizes(split(many, seed=seed)) == shares(count, (0.7, 0.15, 0.15))


def in_groups(count: int, size: int) -> list[Sample]:
    return [replace(one, meta={"group": f"g{place // size}"}) for place, one in enumerate(samples(count))]


@pytest.mark.parametrize("seed", range(3))
def test_a_group_in_the_metadata_stays_whole(seed: int) -> None:
    parts = split(in_groups(100, 5), seed=seed)
    homes = [{sample.meta["group"] for sample in part} for part in (parts.train, parts.val, parts.test)]
    assert sizes(parts) == (70, 15, 15)
    assert not (homes[0] & homes[1] or homes[0] & homes[2] or homes[1] & homes[2])


def test_groups_of_other_scenarios_are_others() -> None:
    every = [replace(one, meta={"group": "g"}) for one in samples(1, "python", "sql")]
    assert [len(group) for group in groups(every)] == [1, 1]


def test_a_group_and_a_shared_answer_chain() -> None:
    one, two, three = samples(3)
    tied = [replace(one, meta={"group": "g"}), replace(two, meta={"group": "g"}), replace(three, completion="x")]
    assert [len(group) for group in groups([*tied, replace(two, id="4", prompt="other", completion="x")])] == [2, 2]
    assert [len(group) for group in groups([*tied, replace(tied[1], id="4", prompt="other", completion="x")])] == [4]


def test_what_is_kin_to_an_earlier_test_item_is_none_again() -> None:
    every = in_groups(100, 5)
    tested = contents([replace(every[0], prompt="asked otherwise", completion="answered otherwise")])
    parts = split(every, seed=0, tested=tested)
    assert "g0" not in {sample.meta["group"] for sample in parts.test}


def test_too_few_groups_say_so() -> None:
    with pytest.raises(UserError, match="too few samples") as caught:
        split(in_groups(10, 10), seed=0)
    assert "10 samples, 1 of them distinct" in str(caught.value)
    assert "in other groups" in str(caught.value)
