from __future__ import annotations

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from sluicegate.models.choosing import CHUNK, Sampling, choose, not_finite  # noqa: E402


def sampling(temperature: float = 1.0, *, top_p: float = 1.0) -> Sampling:
    return Sampling(temperature, top_p, 1, frozenset())


def test_chosen_tokens_follow_the_distribution() -> None:
    logits = torch.tensor([0.0, 1.0, 2.0, -1.0])
    count = 10_000
    uniforms = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    chosen = choose(logits.expand(count, 4), uniforms, sampling(0.7))
    shares = torch.bincount(chosen, minlength=4) / count
    assert torch.allclose(shares, torch.softmax(logits / 0.7, -1), atol=2 / count)


def test_extreme_random_numbers_choose_possible_tokens() -> None:
    logits = torch.tensor([[-torch.inf, 3.0, 1.0, -torch.inf]]).expand(2, 4)
    uniforms = torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64)
    assert choose(logits, uniforms, sampling()).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("top_p", "kept"), [(0.49, {2}), (0.5, {2}), (0.51, {2, 0}), (0.81, {2, 0, 3}), (1.0, {0, 1, 2, 3})]
)
def test_nucleus_is_the_smallest_set_that_holds_top_p(top_p: float, kept: set[int]) -> None:
    logits = torch.tensor([0.3, 0.05, 0.5, 0.15], dtype=torch.float64).log().expand(1000, 4)
    uniforms = torch.linspace(0, 1 - 1e-9, 1000, dtype=torch.float64)
    assert set(choose(logits, uniforms, sampling(top_p=top_p)).tolist()) == kept


def test_a_large_vocabulary_is_drawn_from_as_one_cumulative_sum_would() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(200, 5 * CHUNK + 7, generator=generator)
    uniforms = torch.rand(200, generator=generator, dtype=torch.float64)
    upto = torch.softmax(logits.double(), -1).cumsum(-1)
    wanted = torch.searchsorted(upto, uniforms.unsqueeze(-1), right=True).squeeze(-1)
    assert choose(logits, uniforms, sampling()).tolist() == wanted.tolist()


def test_the_ends_of_chunks_with_no_mass_are_never_chosen() -> None:
    logits = torch.full((3, 3 * CHUNK), -torch.inf)
    logits[:, CHUNK + 5] = 1.0
    uniforms = torch.tensor([0.0, 0.5, 1 - 2**-53], dtype=torch.float64)
    assert choose(logits, uniforms, sampling()).tolist() == [CHUNK + 5] * 3


@pytest.mark.parametrize("top_p", [0.9, 1.0])
def test_a_damaged_row_gives_a_token_of_the_vocabulary_and_is_known(top_p: float) -> None:
    logits = torch.zeros(2, 10)
    logits[1, 3] = torch.nan
    assert choose(logits, torch.full((2,), 0.99, dtype=torch.float64), sampling(top_p=top_p)).max() < 10
    assert not_finite(logits).tolist() == [False, True]
