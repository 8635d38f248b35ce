"""Records: strict to read, invariant-keeping, one spelling to hash."""

from __future__ import annotations

import json
import math

import pytest
from pydantic import ValidationError

from sluicegate.records import (
    Check,
    Outcome,
    Prediction,
    Sample,
    Score,
    Verdict,
    canonical,
    digest,
    from_json,
    to_dict,
    to_json,
)


def test_every_record_survives_the_round_trip() -> None:
    verdict = Verdict(
        3,
        Outcome.STOP,
        (Check("a", False, "w", "s", "r", Outcome.STOP),),
        1.5,
        0.25,
        "e" * 64,
        "demo",
        next_steps=("stop",),
    )
    for record in (
        Sample("a", "p\u2028", "c\n", "python", "", "assert f()", {"k": [1, {"x": None}]}),
        Prediction("a", "m", 0, "text\x00", 3, 0.5, "length"),
        Score("a", "m", 0, "exact_match", None, "no tests"),
        verdict,
    ):
        assert from_json(type(record), to_json(record)) == record


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "null",
        '{"id": "a", "prompt": "p"}',
        '{"id": "a", "prompt": "p", "completion": 3}',
        '{"id": "a", "prompt": "p", "completion": "c", "prmpt": "typo"}',
        '{"id": 1, "prompt": "p", "completion": "c"}',
    ],
)
def test_what_is_not_a_sample_is_refused(line: str) -> None:
    with pytest.raises(ValidationError):
        from_json(Sample, line)


@pytest.mark.parametrize("value", [-0.01, 1.01, math.nan, math.inf])
def test_a_score_outside_the_unit_interval_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="wanted"):
        Score("a", "m", 0, "x", value)


def test_an_unjudged_score_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="reason"):
        Score("a", "m", 0, "x", None)


def test_a_nan_in_a_file_is_refused() -> None:
    with pytest.raises(ValidationError):
        from_json(Score, '{"sample_id":"a","model":"m","draw":0,"metric":"x","value":NaN}')


@pytest.mark.parametrize(
    ("kind", "field"),
    [(Prediction, "draw"), (Prediction, "tokens"), (Prediction, "seconds"), (Score, "draw"), (Score, "dollars")],
)
def test_what_was_counted_or_spent_is_not_below_zero(kind: type[Prediction] | type[Score], field: str) -> None:
    row: Prediction | Score = Prediction("a", "m", 0, "", 3, 0.5, "stop")
    if kind is Score:
        row = Score("a", "m", 0, "x", 1.0)
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        from_json(kind, json.dumps(to_dict(row) | {field: -1}))


def test_an_integer_is_not_read_as_a_boolean() -> None:
    with pytest.raises(ValidationError):
        from_json(Check, '{"name":"a","passed":1,"wanted":"","seen":""}')


def test_the_digest_ignores_key_order_and_refuses_nan() -> None:
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert digest({"a": [1, 2]}) != digest({"a": [2, 1]})
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical({"a": math.nan})


def test_to_dict_gives_plain_json_types() -> None:
    assert to_dict(Check("a", None, "w", "s", blames=Outcome.STOP))["blames"] == "STOP"
