from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.errors import UserError
from sluicegate.judge.money import NANO, Price, nano, prompt_bound, read_price, read_prices, shown


def put(folder: Path, text: str, name: str = "prices.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_prices_are_of_a_million_tokens(tmp_path: Path) -> None:
    path = put(tmp_path, "a/b: {input: 0.15, output: 0.6}\nfree: {input: 0, output: 0}\n")
    assert read_price(path, "a/b") == Price(Fraction(150), Fraction(600))
    assert read_price(path, "a/b").cost(1_000_000, 1_000_000) == 750_000_000
    assert read_price(path, "free").cost(10**9, 10**9) == 0


def test_json_is_read_too(tmp_path: Path) -> None:
    path = put(tmp_path, json.dumps({"m": {"input": 1e-3, "output": 2}}), "prices.json")
    assert read_price(path, "m") == Price(Fraction(1), Fraction(2000))


def test_an_unknown_price_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    path = put(tmp_path, "m: {input: 1, output: 1}\n")
    with pytest.raises(UserError, match="no price for 'n'") as caught:
        read_price(path, "n")
    assert "'m'" in caught.value.seen


BAD = {
    "negative": "m: {input: -1, output: 1}",
    "not a number": "m: {input: .nan, output: 1}",
    "infinite": "m: {input: .inf, output: 1}",
    "huge": "m: {input: 1.0e+9, output: 1}",
    "text": 'm: {input: "1", output: 1}',
    "a yes": "m: {input: yes, output: 1}",
    "none": "m: {input: , output: 1}",
    "one is missing": "m: {input: 1}",
    "one too many": "m: {input: 1, output: 1, cached: 0}",
    "one number": "m: 3",
    "a list": "- m",
    "a number for a name": "4: {input: 1, output: 1}",
    "twice": "m: {input: 1, output: 1}\nm: {input: 0, output: 0}",
    "twice inside": "m: {input: 1, input: 0, output: 1}",
    "a bomb": "a: &a [x,x]\nb: &b [*a,*a]\nm: {input: *b, output: 1}",
    "a tag": "m: !!python/object/apply:os.system [true]",
    "no YAML": "m: {input: 1",
    "empty": "",
    "nested": "[" * 400,
    "not UTF-8": "\udcff",
}


@pytest.mark.parametrize("case", BAD)
def test_bad_price_files_are_one_message(tmp_path: Path, case: str) -> None:
    path = tmp_path / "prices.yaml"
    path.write_bytes(BAD[case].encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError):
        read_prices(path)


TWICE = '{"m": {"input": 1, "output": 1}, "m": {"input": 0, "output": 0}}'


def test_bad_json_price_files_are_one_message(tmp_path: Path) -> None:
    for text in (TWICE, "{", "[" * 100_000, '{"m": {"input": NaN, "output": 1}}'):
        with pytest.raises(UserError):
            read_prices(put(tmp_path, text, "prices.json"))
    with pytest.raises(UserError, match="not found"):
        read_prices(tmp_path / "none.yaml")


@given(st.text())
def test_the_bound_is_above_any_count_of_tokens_of_a_byte_or_more(text: str) -> None:
    payload = json.dumps({"messages": [{"content": text}]}, ensure_ascii=False).encode("utf-8", "replace")
    assert prompt_bound(payload) > len(text.encode("utf-8", "replace"))


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.floats(0, 1000), st.floats(0, 1000))
def test_costs_are_never_rounded_down(prompt: int, completion: int, input_price: float, output_price: float) -> None:
    price = Price(Fraction(input_price), Fraction(output_price))
    exact = Fraction(input_price) * prompt + Fraction(output_price) * completion
    assert exact <= price.cost(prompt, completion) < exact + 1


@given(st.floats(0, 10**8))
def test_caps_are_never_rounded_up(dollars: float) -> None:
    assert nano(dollars) <= Fraction(str(dollars)) * NANO


def test_amounts_are_shown_exactly_enough() -> None:
    assert [shown(value) for value in (0, 1, 999_999, 1_000_000, NANO, 12_345_678_900)] == [
        "$0", "$0.000000001", "$0.000999999", "$0.001", "$1", "$12.3457",
    ]  # fmt: skip
