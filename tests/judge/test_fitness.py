from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from judge_server import PATIENCE, Api, Reply, Script, expert, graded, parts, said, scale, wants_choice
from sluicegate.judge.asking import Judge
from sluicegate.judge.fitness import LEAST, Fitness, Pair, Seen, measure, pairs, summed
from sluicegate.judge.ledger import Ledger
from sluicegate.judge.rubrics import RUBRICS
from sluicegate.judge.settings import Settings

Serve = Callable[[Script], Api]
SettingsFor = Callable[..., Settings]
BAD = frozenset(pair.bad for rubric in RUBRICS for pair in pairs(rubric))


@pytest.mark.parametrize("rubric", RUBRICS)
def test_the_known_pairs_can_tell_a_judge_that_goes_by_length(rubric: str) -> None:
    known = pairs(rubric)
    assert len(known) >= 10
    assert len({pair.sample.id for pair in known}) == len(known)
    assert sum(pair.longer_is_good for pair in known) == len(known) / 2
    for pair in known:
        assert pair.good.strip() and pair.bad.strip() and pair.trait and pair.sample.prompt
        assert len(pair.good) != len(pair.bad)
        assert bool(pair.sample.completion) == RUBRICS[rubric].reference
    assert any("GRADER" in pair.bad for pair in known), "one that praises itself"


def choice(payload: Mapping[str, Any], better: str) -> Reply:
    return said(json.dumps({"reason": "so", "better": better}), payload)


def by_length(_: int, payload: dict[str, Any]) -> Reply:
    """The longer answer is the better one, whatever it says."""
    shown = parts(payload)
    if wants_choice(payload):
        return choice(payload, "A" if len(shown["A"]) > len(shown["B"]) else "B")
    low, high = scale(payload)
    text = shown.get("answer") or max(shown.values(), key=len)
    grade = min(high, low + len(text) // 80)
    return graded(payload, high - grade if low == 0 else grade)


def first_is_best(number: int, payload: dict[str, Any]) -> Reply:
    return choice(payload, "A") if wants_choice(payload) else expert(BAD)(number, payload)


def content(number: int, payload: dict[str, Any]) -> Reply:
    """Right about every choice, and everything gets the same grade."""
    return expert(BAD)(number, payload) if wants_choice(payload) else graded(payload, 4)


def speechless(number: int, payload: dict[str, Any]) -> Reply:
    return said("No.", payload) if wants_choice(payload) else expert(BAD)(number, payload)


def contrary(_: int, payload: dict[str, Any]) -> Reply:
    """Wrong about everything."""
    return expert(frozenset(pair.good for rubric in RUBRICS for pair in pairs(rubric)))(_, payload)


def fitness(api: Api, settings: Settings, rubric: str, known: list[Pair] | None = None) -> Fitness:
    judge = Judge(settings, Ledger(settings.ledger), PATIENCE)
    return measure(judge, RUBRICS[rubric], pairs(rubric) if known is None else known)


@pytest.mark.process
@pytest.mark.parametrize("rubric", RUBRICS)
def test_a_judge_that_is_right_is_fit(serve: Serve, settings_for: SettingsFor, rubric: str) -> None:
    api = serve(expert(BAD))
    found = fitness(api, settings_for(api.url, dollars=100), rubric)
    assert found == Fitness(10, 1.0, 0.0, 1.0, 0.0, 0)
    assert found.fit
    assert len(api.asked) == (60 if RUBRICS[rubric].reference else 40)


UNFIT: dict[str, tuple[Script, dict[str, float | None]]] = {
    "goes by length": (by_length, {"correct": 0.5, "flip_rate": 0.0, "length_bias": 0.5}),
    "takes the first": (first_is_best, {"correct": 0.0, "flip_rate": 1.0, "agreement": 1.0, "length_bias": 0.0}),
    "one grade for all": (content, {"correct": 0.0, "flip_rate": 0.0, "agreement": 0.0}),
    "wrong": (contrary, {"correct": 0.0, "flip_rate": 0.0, "agreement": 0.0}),
    "no answer": (speechless, {"correct": 0.0, "flip_rate": None, "agreement": 1.0, "unanswered": 10}),
}


@pytest.mark.process
@pytest.mark.parametrize("case", UNFIT)
def test_a_judge_that_is_not_is_barred(serve: Serve, settings_for: SettingsFor, case: str) -> None:
    script, figures = UNFIT[case]
    api = serve(script)
    found = fitness(api, settings_for(api.url, dollars=100), "coherence")
    assert not found.fit
    for name, value in figures.items():
        if name == "correct" and case == "goes by length":
            assert found.correct <= 0.5
        else:
            assert getattr(found, name) == value, name


@pytest.mark.process
def test_the_line_is_at_four_of_five(serve: Serve, settings_for: SettingsFor) -> None:
    known = pairs("relevance")
    for right, fit in ((8, True), (7, False)):
        wrong = frozenset(pair.good for pair in known[right:]) | frozenset(pair.bad for pair in known[:right])
        api = serve(expert(wrong))
        found = fitness(api, settings_for(api.url, dollars=100, model=f"right-{right}"), "relevance")
        assert (found.correct, found.fit) == (right / 10, fit)
    assert LEAST == 0.8


@pytest.mark.process
def test_it_is_paid_once(serve: Serve, settings_for: SettingsFor) -> None:
    api = serve(expert(BAD))
    settings = settings_for(api.url, dollars=100)
    first = fitness(api, settings, "coherence")
    paid = api.billed
    assert fitness(api, settings, "coherence") == first
    assert api.billed == paid


@pytest.mark.process
def test_what_cannot_be_paid_is_not_fit(serve: Serve, settings_for: SettingsFor) -> None:
    api = serve(expert(BAD))
    found = fitness(api, settings_for(api.url, dollars=0), "coherence")
    assert found == Fitness(10, 0.0, None, None, None, 10)
    assert not found.fit
    assert api.asked == []


def test_one_order_right_is_not_right() -> None:
    assert summed([Seen(True, (True, False), 1.0, 0.0)]).correct == 0
    assert summed([Seen(True, (True, None), 1.0, 0.0)]).correct == 0
    assert summed([Seen(True, (True, True), 0.5, 0.5)]).correct == 0
    assert summed([Seen(True, (True, True), 1.0, None)]).correct == 0
    assert summed([Seen(True, (True, True), 1.0, 0.0)]).correct == 1


def test_no_pairs_say_nothing() -> None:
    assert not summed([]).fit
