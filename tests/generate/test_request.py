from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from sluicegate.errors import UserErrors
from sluicegate.generate.request import Request, check, seed_of, shaping
from sluicegate.records import Sample

PLAIN = Request(model="m", name="n", data=Path("d"), out=Path("o"))
SAMPLES = [Sample("a", "p", "c")]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("draws", 0),
        ("max_new_tokens", 0),
        ("batch_size", -1),
        ("limit", 0),
        ("seed", -1),
        ("temperature", float("nan")),
        ("temperature", -0.1),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("name", " "),
    ],
)
def test_wrong_setting_is_named(field: str, value: Any) -> None:
    with pytest.raises(UserErrors, match=field):
        check(dataclasses.replace(PLAIN, **{field: value}))


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(UserErrors) as caught:
        check(dataclasses.replace(PLAIN, batch_size=-1, top_p=2.0, model="http://x/v1"))
    assert [fault.what for fault in caught.value.faults] == ["batch_size", "top_p", "endpoint_model"]


def test_several_greedy_draws_are_refused_with_a_way_out() -> None:
    with pytest.raises(UserErrors, match=r"temperature to 0\.8"):
        check(dataclasses.replace(PLAIN, draws=4))
    check(dataclasses.replace(PLAIN, draws=4, temperature=0.8))


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"temperature": 0.5}, {"top_p": 0.9}, {"max_new_tokens": 7}, {"load_in_4bit": "true"}],
)
def test_what_shapes_the_texts_is_recorded(change: dict[str, Any]) -> None:
    before = shaping(PLAIN, "m", SAMPLES)
    assert shaping(dataclasses.replace(PLAIN, **change), "m", SAMPLES) != before


def test_what_does_not_shape_the_texts_is_not_recorded() -> None:
    before = shaping(PLAIN, "m", SAMPLES)
    other = dataclasses.replace(PLAIN, batch_size=1, limit=1, draws=1, data=Path("elsewhere"))
    mended = [Sample("a", "p", "another reference", tests="assert True")]
    assert shaping(other, "m", mended) == before
    assert shaping(PLAIN, "m", [Sample("a", "another prompt", "c")]) != before


def test_seeds_differ_by_seed_sample_and_draw() -> None:
    seeds = {seed_of(seed, (name, draw)) for seed in range(3) for name in ("a", "b", "a0") for draw in range(11)}
    assert len(seeds) == 99
    assert max(seeds) < 2**63
