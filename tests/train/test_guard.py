"""When a policy counts as collapsed."""

from __future__ import annotations

import pytest

from sluicegate.train.guard import WINDOW, Health, collapsed

START = Health(valid=0.9, ended=0.95, empty=0.0, kl=0.0, entropy=0.2)


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (START, ""),
        (START._replace(valid=0.7, kl=0.1, entropy=0.05), ""),
        (START._replace(valid=0.6), "valid answers fell from 90% to 60%"),
        (START._replace(ended=0.5), "ended answers fell from 95% to 50%"),
        (START._replace(kl=0.3), "KL rose to 0.3"),
        (START._replace(entropy=0.01), "entropy went from 0.2 to 0.01"),
        (START._replace(entropy=2.0), "entropy went from 0.2 to 2"),
    ],
)
def test_each_figure_has_its_limit(now: Health, told: str) -> None:
    found = collapsed(START, [now] * WINDOW, target_kl=0.01)
    assert found.startswith(told) and bool(found) == bool(told)


def test_one_bad_step_is_no_collapse_and_a_few_steps_are_no_window() -> None:
    bad = START._replace(valid=0.3)
    assert collapsed(START, [*[START] * (WINDOW - 1), bad], target_kl=0.01) == ""
    assert collapsed(START, [bad] * (WINDOW - 1), target_kl=0.01) == ""


def test_only_the_last_steps_are_looked_at() -> None:
    bad = START._replace(valid=0.1)
    assert collapsed(START, [bad, *[START] * WINDOW], target_kl=0.01) == ""
    assert collapsed(START, [START, *[bad] * WINDOW], target_kl=0.01)
