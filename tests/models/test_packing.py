from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.models.packing import QUARTERS, packed, padded, width

LENGTHS = st.lists(st.integers(1, 50), max_size=30)


@dataclass(frozen=True)
class Length:
    tokens: int
    targets: int = 1


def _lengths(batches: list[list[Length]]) -> list[int]:
    return [example.tokens for batch in batches for example in batch]


@given(lengths=LENGTHS, size=st.integers(1, 6))
def test_padded_batches_hold_everything_with_neighbours_in_length(lengths: list[int], size: int) -> None:
    batches = padded([Length(tokens) for tokens in lengths], size)
    assert all(1 <= len(batch) <= size for batch in batches)
    assert _lengths(batches) == sorted(lengths, reverse=True)


@given(lengths=LENGTHS, capacity=st.integers(1, 120))
def test_packs_hold_everything_within_the_capacity(lengths: list[int], capacity: int) -> None:
    packs = packed([Length(tokens) for tokens in lengths], capacity)
    assert Counter(_lengths(packs)) == Counter(lengths)
    for pack in packs:
        assert len(pack) == 1 or sum(example.tokens for example in pack) <= capacity


@given(lengths=LENGTHS)
def test_packs_are_few(lengths: list[int]) -> None:
    packs = packed([Length(tokens) for tokens in lengths], 50)
    fewest = -(-sum(lengths) // 50)
    assert len(packs) <= 11 / 9 * max(fewest, sum(tokens > 25 for tokens in lengths)) * 1.5 + 1
    # First-fit leaves no two packs that would fit into one.
    sums = sorted(sum(example.tokens for example in pack) for pack in packs)
    assert len(sums) < 2 or sums[0] + sums[1] > 50


def test_the_fullest_pack_that_takes_it_gets_the_next_example() -> None:
    packs = packed([Length(tokens) for tokens in (60, 50, 45, 30, 10)], 100)
    assert [[example.tokens for example in pack] for pack in packs] == [[60, 30, 10], [50, 45]]


@pytest.mark.parametrize("capacity", [8, 100, 2048, 8192])
def test_widths_are_few_and_wide_enough(capacity: int) -> None:
    widths = {tokens: width(tokens, capacity) for tokens in range(1, capacity + 1)}
    assert all(wide >= tokens for tokens, wide in widths.items())
    assert len(set(widths.values())) == QUARTERS
    assert width(capacity, capacity) == capacity
