from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from judge_server import PATIENCE, PRICE, PRICES, Api, Script, expert
from sluicegate.judge import outlook
from sluicegate.judge.asking import Judge
from sluicegate.judge.fitness import measure, pairs
from sluicegate.judge.grading import grade
from sluicegate.judge.ledger import Ledger
from sluicegate.judge.money import NANO
from sluicegate.judge.rubrics import RUBRICS
from sluicegate.judge.settings import Settings
from sluicegate.records import Sample


def test_the_price_of_the_judge_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(PRICES)
    assert outlook.price({"JUDGE_PRICES": str(path), "JUDGE_MODEL": "grader"}) == PRICE
    assert outlook.price({"JUDGE_PRICES": str(path), "JUDGE_MODEL": "other"}) is None
    assert outlook.price({"JUDGE_PRICES": str(tmp_path / "none.yaml"), "JUDGE_MODEL": "grader"}) is None
    assert outlook.price({"JUDGE_MODEL": "grader"}) is None


@pytest.mark.process
@pytest.mark.parametrize("rubric", RUBRICS)
def test_what_is_forecast_holds_what_it_costs(
    serve: Callable[[Script], Api], settings_for: Callable[..., Settings], rubric: str
) -> None:
    """Of a server that counts four characters a token."""
    api = serve(expert(frozenset(pair.bad for pair in pairs(rubric))))
    settings = settings_for(api.url, dollars=100)
    judge = Judge(settings, Ledger(settings.ledger), PATIENCE)
    sample, answer = Sample("a", "Write it. " * 20, "y = 2\n" * 30), "x = 1\n" * 40
    grade(judge, RUBRICS[rubric], sample, answer)
    low, expected, high = outlook.an_answer(rubric, PRICE, 200, (50, 70, 90))
    assert low < api.billed / NANO < high
    assert 0.5 < expected / (api.billed / NANO) < 2
    before = api.billed
    measure(judge, RUBRICS[rubric], pairs(rubric))
    low, expected, high = outlook.fitness(rubric, PRICE)
    assert low < (api.billed - before) / NANO < high
    assert 0.5 < expected / ((api.billed - before) / NANO) < 2
