"""Query weights of a base made from scratch move at a rate of their own."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

torch = pytest.importorskip("torch")
from sluicegate.settings import TrainSettings  # noqa: E402
from sluicegate.train import loop, step  # noqa: E402

pytestmark = pytest.mark.torch
NAMES = ("encoder.0.SelfAttention.q.weight", "encoder.0.SelfAttention.k.weight", "encoder.norm.weight")


@pytest.mark.parametrize(("query_rate", "moved"), [(0.25, [0.025, 0.1, 0.1]), (1.0, [0.1, 0.1, 0.1])])
def test_a_first_step_moves_each_weight_by_its_rate(tmp_path: Path, query_rate: float, moved: list[float]) -> None:
    data = tmp_path / "train.jsonl"
    data.write_text("{}")
    settings = TrainSettings(dataset_path=data, max_grad_norm=100.0)
    names = {name: torch.nn.Parameter(torch.ones(2) if "norm" in name else torch.ones(2, 2)) for name in NAMES}
    for part in names.values():
        part.grad = torch.ones_like(part)
    training: Any = SimpleNamespace(
        accelerator=SimpleNamespace(clip_grad_norm_=torch.nn.utils.clip_grad_norm_),
        names=names,
        settings=settings,
        optimizer=loop._optimizer(settings, names, query_rate),
    )
    step.optimized(cast(step.Training, training), 1, 0.1)
    assert [float(1 - part.detach().max()) for part in names.values()] == pytest.approx(moved, rel=1e-3)
