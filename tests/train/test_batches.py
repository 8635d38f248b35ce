import random
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.train.batches import Schedule, learning_rate, schedule, share


@given(samples=st.integers(1, 40), per_step=st.integers(1, 12), seed=st.integers(0, 5))
def test_every_pass_takes_every_sample_once(samples: int, per_step: int, seed: int) -> None:
    plan = Schedule(samples, per_step, steps=1000, seed=seed)
    for epoch in range(2):
        first = epoch * plan.steps_per_epoch + 1
        seen = [index for step in range(first, first + plan.steps_per_epoch) for index in plan.indices(step)]
        assert sorted(seen) == list(range(samples))


def test_passes_and_seeds_have_orders_of_their_own() -> None:
    orders = [tuple(Schedule(30, 30, 9, seed).indices(step)) for seed in (0, 1) for step in (1, 2)]
    assert len(set(orders)) == 4
    assert orders[0] == tuple(Schedule(30, 30, 9, 0).indices(1))


@pytest.mark.parametrize(
    ("epochs", "max_steps", "steps"), [(3.0, None, 9), (0.5, None, 2), (0.01, None, 1), (3.0, 4, 4), (1.0, 100, 3)]
)
def test_the_training_ends_at_whichever_comes_first(epochs: float, max_steps: int | None, steps: int) -> None:
    assert schedule(10, per_step=4, epochs=epochs, max_steps=max_steps, seed=0).steps == steps


def test_epochs_count_the_samples_taken() -> None:
    plan = Schedule(10, 4, 9, 0)
    assert [plan.epochs(step) for step in (0, 1, 2, 3, 4)] == [0.0, 0.4, 0.8, 1.0, 1.4]


@pytest.mark.torch
@pytest.mark.parametrize("warmup", [0, 3, 20])
def test_the_rate_is_that_of_transformers_linear_schedule(warmup: int) -> None:
    import torch
    from transformers import get_linear_schedule_with_warmup

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    theirs = get_linear_schedule_with_warmup(optimizer, warmup, 10)
    for step in range(1, 11):
        assert learning_rate(step, steps=10, peak=0.1, warmup=warmup) == pytest.approx(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()


def test_processes_share_the_work_without_gaps() -> None:
    draw = random.Random(0)  # noqa: S311 - lengths
    for processes, count in ((1, 3), (2, 1), (3, 7), (4, 36), (4, 38), (8, 72)):
        items = [SimpleNamespace(tokens=int(draw.lognormvariate(5.85, 0.6))) for _ in range(count)]
        parts = [share(items, rank, processes) for rank in range(processes)]
        assert sorted(map(id, (item for part in parts for item in part))) == sorted(map(id, items))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
        if count > 20:
            sums = [sum(item.tokens for item in part) for part in parts]
            assert max(sums) < 1.05 * sum(sums) / processes


def test_a_long_sample_leaves_its_process_no_fewer_samples_than_one_less() -> None:
    items = [SimpleNamespace(tokens=tokens) for tokens in (100, 1, 1, 1, 1, 1, 1)]
    assert sorted(len(share(items, rank, 3)) for rank in range(3)) == [2, 2, 3]
