"""The demo corpus: distinct tasks, tests that decide, metadata that does not answer."""

import re
from itertools import pairwise

import pytest

from sluicegate.data import demo
from sluicegate.data.content import answer, question
from sluicegate.data.enrich import FIELDS, leaks_answer, render
from sluicegate.errors import UserError
from sluicegate.records import Sample

COUNT = len(list(demo.tasks()))
EVERY = demo.samples(COUNT, seed=0)
FIRST_IDS = ["demo-even-plus-4-sum", "demo-positive-times-7-sum", "demo-every-plus-9-sum"]
FIRST_PROMPT = (
    "Write a function solve(xs) that takes the even numbers, makes each larger by four and returns their sum."
)


def passes(program: str, tests: str) -> bool:
    names: dict[str, object] = {}
    try:
        exec(program, names)
        exec(tests, names)
    except Exception:
        return False
    return True


def rendered_meta(sample: Sample) -> str:
    return render(sample, "enriched").removeprefix(sample.prompt)


def test_several_hundred_distinct_tasks() -> None:
    assert COUNT >= 600
    for of in (question, answer, lambda sample: sample.id):
        assert len({of(sample) for sample in EVERY}) == COUNT


def test_no_two_tasks_mean_the_same() -> None:
    assert len({sample.tests for sample in EVERY}) == COUNT


def test_completions_pass_and_stubs_fail() -> None:
    stubs = ("", "def solve(xs):\n    pass\n", "def solve(xs):\n    return xs\n", "def solve(xs):\n    return 0\n")
    for sample in EVERY:
        assert passes(sample.completion, sample.tests), sample.id
        for stub in stubs:
            assert not passes(stub, sample.tests), sample.id


def test_another_tasks_completion_fails() -> None:
    for sample, other in pairwise(EVERY):
        assert not passes(other.completion, sample.tests), (sample.id, other.id)


def test_tests_are_one_assert_a_line() -> None:
    for line in EVERY[0].tests.splitlines():
        assert re.fullmatch(r"assert solve\(\[.*\]\) == \S.*", line)


@pytest.mark.parametrize("seed", [0, 1, 2**31])
def test_a_seed_gives_the_same_samples_and_a_larger_size_keeps_them(seed: int) -> None:
    assert demo.samples(40, seed=seed) == demo.samples(60, seed=seed)[:40]


def test_seeds_differ_in_items_and_phrasing() -> None:
    other = {sample.id: sample.prompt for sample in demo.samples(COUNT, seed=1)}
    assert [sample.id for sample in EVERY[:20]] != list(other)[:20]
    assert sum(other[sample.id] != sample.prompt for sample in EVERY) > COUNT / 2


def test_the_first_samples_of_a_seed_are_what_they_were() -> None:
    # Written down from a run: another shuffle or phrasing makes other data, and old manifests no longer match.
    assert [sample.id for sample in EVERY[:3]] == FIRST_IDS
    assert EVERY[0].prompt == FIRST_PROMPT


def test_metadata_holds_no_constant_and_no_code() -> None:
    code = re.compile(r"[0-9%<>=*+\[\]()]|\b(?:def|return|for|if|sum|len)\b.*\bxs\b|\blambda\b")
    for sample in EVERY:
        told = rendered_meta(sample)
        assert told, sample.id
        assert not code.search(told), told
        assert not set(demo.WORDS[1:]) & set(re.findall(r"\w+", told)), told
        assert leaks_answer(sample) == ""


def test_tasks_that_differ_in_their_constant_share_their_metadata() -> None:
    metas: dict[str, set[str]] = {}
    for sample in EVERY:
        metas.setdefault(re.sub(r"-\d", "", sample.id), set()).add(rendered_meta(sample))
    assert all(len(told) == 1 for told in metas.values())


def test_the_prompt_alone_says_the_constant() -> None:
    for sample in EVERY:
        for number in re.findall(r"-(\d)-", sample.id):
            assert demo.WORDS[int(number)] in re.findall(r"\w+", sample.prompt)


def test_samples_are_labelled() -> None:
    for sample in EVERY:
        assert sample.scenario == "python"
        assert sample.meta["language"] == "python"
        assert set(sample.meta) - set(FIELDS) == {"language", "licence"}


def test_more_than_there_are_is_an_error() -> None:
    with pytest.raises(UserError, match="no 5000 samples") as caught:
        demo.samples(5000, seed=0)
    assert f"at most {COUNT}" in str(caught.value)
