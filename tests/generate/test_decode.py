from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from sluicegate.errors import UserError  # noqa: E402
from sluicegate.generate.decode import Sampling, decode  # noqa: E402
from sluicegate.models.causal import load_trained  # noqa: E402

STOPS = frozenset({1, 2})
PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12, 13, 14], [15, 16]]


def sampling(temperature: float = 1.0, *, top_p: float = 1.0, length: int = 24) -> Sampling:
    return Sampling(temperature, top_p, length, STOPS)


def numbers(rows: int, length: int = 24) -> Any:
    return np.random.default_rng(0).random((rows, length))


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return load_trained(folder, load_in_4bit="false")[0]


def test_greedy_equals_generate(model: Any) -> None:
    ours = decode(model, PROMPTS, range(4), numbers(4, 90), sampling(0, length=90))
    width = max(map(len, PROMPTS))
    ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in PROMPTS])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in PROMPTS])
    theirs = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=90, do_sample=False)
    for mine, row in zip(ours, theirs[:, width:].tolist(), strict=True):
        assert mine == row[: len(mine)]
        assert mine[-1] in STOPS or len(mine) == 90


def test_rows_end_at_their_own_stop_and_no_later(model: Any) -> None:
    rows = [place % 4 for place in range(40)]
    answers = decode(model, PROMPTS, rows, numbers(40, 60), sampling(1.5, length=60))
    ends = [answer[-1] in STOPS for answer in answers]
    assert any(ends)
    assert all(token not in STOPS for answer in answers for token in answer[:-1])
    assert all(ended or len(answer) == 60 for ended, answer in zip(ends, answers, strict=True))
    assert len({len(answer) for answer in answers}) > 3


def test_an_answer_does_not_depend_on_its_batch(model: Any) -> None:
    rows = [0, 0, 1, 2, 2, 2, 3]
    together = decode(model, PROMPTS, rows, numbers(7), sampling(1.2))
    alone = [decode(model, [PROMPTS[p]], [0], numbers(7)[[i]], sampling(1.2))[0] for i, p in enumerate(rows)]
    assert together == alone
    assert together[3] != together[4]


def test_a_prompt_is_read_once_whatever_its_draws(model: Any) -> None:
    shapes: list[tuple[int, ...]] = []
    hook = model.get_input_embeddings().register_forward_pre_hook(lambda _, given: shapes.append(tuple(given[0].shape)))
    decode(model, PROMPTS[:2], [0, 0, 0, 1, 1], numbers(5, 2), Sampling(1.0, 1.0, 2, frozenset()))
    hook.remove()
    assert shapes == [(2, 3), (5, 1)]


def test_the_prefill_makes_logits_of_one_position(model: Any) -> None:
    shapes: list[tuple[int, ...]] = []
    hook = model.get_output_embeddings().register_forward_pre_hook(
        lambda _, given: shapes.append(tuple(given[0].shape))
    )
    decode(model, PROMPTS, range(4), numbers(4, 1), sampling(length=1))
    hook.remove()
    assert shapes == [(4, 1, 32)]


def test_random_state_of_torch_is_left_alone(model: Any) -> None:
    before = torch.random.get_rng_state()
    decode(model, PROMPTS, range(4), numbers(4), sampling())
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_broken_weights_are_told_of(folder: Path, temperature: float) -> None:
    model, _ = load_trained(folder, load_in_4bit="false")
    with torch.no_grad():
        model.lm_head.weight[3] = torch.nan
    with pytest.raises(UserError, match="not finite"):
        decode(model, PROMPTS, range(4), numbers(4), sampling(temperature))
