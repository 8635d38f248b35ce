"""The simulated gate against the real one, its error rates on a small grid, and the page against its data."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sluicegate import compare, stats, study
from sluicegate.errors import UserError
from sluicegate.records import Check, Comparison, Score
from sluicegate.stages import gate
from sluicegate.stages.criteria import CRITERIA
from sluicegate.stages.evidence import Evidence
from sluicegate.stages.operating import Guard, Rule, deciding_test, exact_bounds, simulate
from sluicegate.stages.operating import rule as simulated
from sluicegate.stages.operating.figures import dump, grouped, rows_in
from sluicegate.stages.operating.findings import COVERED, findings, verdicts
from sluicegate.stages.operating.grid import Averaged, Cell, Sizing, beyond, tasks
from sluicegate.stages.operating.page import page
from sluicegate.stages.plan import resolve
from sluicegate.stats import Design
from sluicegate.stats.results import Floats
from sluicegate.stats.simulate import clusters
from sluicegate.study import Study

DOCS = Path(__file__).parents[2] / "docs"
METRIC, GUARDED = "exact_match", "functional_correctness"
RULE = ("gain_not_too_small", "gain_is_real", "recipe", "across_scenarios", "must_not_worsen")
OUTCOMES = {simulated.STOP: "STOP", simulated.GO: "GO", simulated.INCONCLUSIVE: "INCONCLUSIVE"}

# The simulated rule is the real one

CASES = {
    "items": (Design(items=20, draws=4, gain=0.12), Rule()),
    "single draws": (Design(items=40, draws=1, base=0.3, gain=0.15), Rule()),
    "nothing differs": (Design(items=15, draws=1, base=0.02, agreement=1.0), Rule()),
    "no gain, a third attempt": (Design(items=30, draws=3), Rule(attempts=3, minimum=0.02)),
    "recipe": (Design(items=20, draws=3, gain=0.15, seeds=3, seed_sd=0.05), Rule()),
    "scenarios": (Design(items=25, draws=3, gain=0.15, clusters=5, cluster_sd=0.08), Rule()),
    "four scenarios": (Design(items=20, draws=3, gain=0.15, clusters=4, cluster_sd=0.2), Rule()),
    "recipe over scenarios": (Design(20, 2, gain=0.2, seeds=3, seed_sd=0.03, clusters=5, cluster_sd=0.05), Rule()),
    "guard": (Design(items=25, draws=4, gain=0.2), Rule(guards=(Guard(0.1, 0.85),))),
}


def study_of(design: Design, rule: Rule) -> Study:
    demo = study.load("demo")
    margins = {GUARDED: rule.guards[0].margin} if rule.guards else {}
    return Study.model_validate(
        {
            **demo.model_dump(),
            "metrics": (METRIC, GUARDED),
            "primary": METRIC,
            "alpha": rule.alpha,
            "attempts": rule.attempts,
            "minimum_gain": rule.minimum,
            "must_not_worsen": margins,
            "stages": {3: {"seeds": design.seeds, "draws": design.draws, "train": {}}},
        }
    )


def scores(shares: Floats, draws: int, metric: str) -> list[Score]:
    """As many passes as the share says, in the first draws; shape (runs, items)."""
    return [
        Score(f"item-{item:03}", f"run-{run}", draw, metric, float(draw < round(share * draws)))
        for run, row in enumerate(shares)
        for item, share in enumerate(row)
        for draw in range(draws)
    ]


def decided(found: Evidence) -> str:
    checks: list[Check] = [CRITERIA[name](found) for name in RULE]
    return gate.outcome(checks).value


def compared(before: Floats, after: Floats, design: Design, rule: Rule, metric: str) -> Comparison:
    return compare.compare(
        scores(before, design.draws, metric),
        scores(after, design.draws, metric),
        primary=metric,
        metrics=[metric],
        level=round(1 - 2 * rule.each, 9),
        scenarios={f"item-{item:03}": f"s{which}" for item, which in enumerate(clusters(design))},
        minimum=rule.minimum,
    )[0]


@pytest.mark.parametrize("name", CASES)
def test_it_decides_as_compare_and_the_criteria_do(name: str) -> None:
    design, rule = CASES[name]
    repeats, rng, again = 30, np.random.default_rng(1), np.random.default_rng(2)
    batch = simulated.draw(design, repeats, rng)
    mine = simulated.decide(batch, rule, np.random.default_rng(2))
    guards = [simulated._guarded(batch, guard, again) for guard in rule.guards]
    bounds = simulated.gain_bounds(batch, 1 - 2 * rule.each)
    the_study = study_of(design, rule)
    plan = resolve(the_study, 3)
    assert plan.alpha == pytest.approx(rule.each)
    manifest = {"counts": {f"s{number}": {"test": 9} for number in range(design.clusters)}}
    seen = set()
    for row in range(repeats):
        rows = [compared(batch.before[row], batch.after[row], design, rule, METRIC)]
        rows += [compared(other.before[row], other.after[row], design, rule, GUARDED) for other in guards]
        found = Evidence(the_study, plan, "", manifest=manifest, comparisons=tuple(rows))
        assert (rows[0].low, rows[0].high) == pytest.approx(
            (bounds.low[row], bounds.high[row]), abs=1e-8
        )  # the level is rounded
        assert rows[0].p == pytest.approx(mine.items[row], abs=1e-12)
        for effect, p in (("recipe_p", mine.recipe), ("cluster_p", mine.clusters)):
            if p is not None:
                told = rows[0].effects[effect]
                assert (1.0 if told is None else told) == pytest.approx(p[row], rel=1e-9)
        assert decided(found) == OUTCOMES[int(mine.outcome[row])]
        seen.add(decided(found))
    assert len(seen) > 1 or name == "nothing differs"


def test_the_intervals_of_a_batch_are_those_of_each_experiment() -> None:
    design = Design(items=25, draws=4, gain=0.1, seeds=3, seed_sd=0.03, clusters=5, cluster_sd=0.04)
    batch = simulated.draw(design, 20, np.random.default_rng(0))
    names = [f"s{which}" for which in clusters(design)]
    recipe, scenario = simulated.recipe_bounds(batch, 0.95), simulated.cluster_bounds(batch, 0.95)
    welch = simulated.welch_ps(batch)
    for row in range(20):
        before, after = batch.before[row], batch.after[row]
        expected = stats.recipe_level(before, after, clusters=names)
        assert (recipe.low[row], recipe.high[row]) == pytest.approx((expected.low, expected.high))
        expected = stats.cluster_robust(batch.differences[row], names)
        assert (scenario.low[row], scenario.high[row]) == pytest.approx((expected.low, expected.high))
        assert welch[row] == pytest.approx(stats.seed_level(before.mean(axis=1), after.mean(axis=1)).p)


# Its error rates, on a grid small enough for every push

NOTHING = [
    (Design(15, 1, 0.5), 1), (Design(15, 10, 0.05), 1), (Design(20, 5, 0.95), 1), (Design(75, 10), 1),
    (Design(75, 10), 5), (Design(150, 1, 0.25), 1), (Design(150, 5, heterogeneity=0.8, agreement=1.0), 1),
    (Design(75, 10, clusters=5, cluster_sd=0.05), 1), (Design(75, 10, seeds=3, seed_sd=0.03), 1),
    (Design(75, 10, seeds=5, seed_sd=0.02), 1), (Design(75, 5, seeds=3, seed_sd=0.02, clusters=5, cluster_sd=0.05), 1),
]  # fmt: skip


@pytest.mark.parametrize(("design", "attempts"), NOTHING)
def test_a_change_without_gain_is_rarely_go(design: Design, attempts: int) -> None:
    found = simulate(design, Rule(minimum=0.0, attempts=attempts), 4000, seed=7)
    assert not beyond(found.go, found.n, 0.05, len(NOTHING)), found.go
    assert found.go + found.stop + found.inconclusive == pytest.approx(1)


@pytest.mark.parametrize(
    "design",
    [Design(20, 10, gain=0.15), Design(75, 10, gain=0.1), Design(75, 1, 0.05, 0.15), Design(75, 5, 0.75, 0.1),
     Design(75, 10, gain=0.15, seeds=3, seed_sd=0.03), Design(75, 10, gain=0.15, clusters=5, cluster_sd=0.05)],
)  # fmt: skip
def test_what_the_planner_calls_testable_is_found(design: Design) -> None:
    planned = stats.power(deciding_test(design), design).power
    found = simulate(design, Rule(), 4000, seed=8)
    assert planned >= 0.8
    assert found.go == pytest.approx(planned, abs=0.03)


@pytest.mark.parametrize("design", [Design(15, 10), Design(75, 1), Design(75, 10, 0.3, 0.1), Design(150, 5, 0.2, 0.1)])
def test_intervals_cover_where_ten_items_differ(design: Design) -> None:
    found = simulate(design, Rule(), 4000, seed=9)
    low, high = exact_bounds(found.coverage["items"], found.n, 0.99)
    assert low <= COVERED[1] and high >= COVERED[0]
    assert simulate(design, Rule(), 1000, level=0.5).coverage["items"] == pytest.approx(0.5, abs=0.06)


def test_the_planned_n_is_within_ten_percent() -> None:
    for design in (Design(2, 10, 0.1, 0.1), Design(2, 5, 0.5, 0.1)):
        row = Sizing(design, repeats=2000).run()
        assert row["needed"] == pytest.approx(row["simulated"], rel=0.1)
        assert row["plan prints"] == pytest.approx(row["simulated"], rel=0.2)  # its formula errs to the safe side


def test_a_lucky_seed_passes_the_test_over_items_and_not_that_of_the_recipe() -> None:
    checkpoint = simulate(Design(75, 10, seed_sd=0.03), Rule(minimum=0.0), 3000)
    recipe = simulate(Design(75, 10, seeds=3, seed_sd=0.03), Rule(minimum=0.0), 3000)
    assert checkpoint.go > 0.15
    assert recipe.tests["items"] > 0.10
    assert recipe.go < 0.06


def test_a_guard_holds_its_error_rate_and_the_bounds_of_the_claim_are_wider() -> None:
    falls = Rule(minimum=0.0, guards=(Guard(0.05, 0.9, -0.05),))
    sure = Design(75, 10, gain=0.4)
    assert simulate(sure, falls, 3000).go == pytest.approx(0.05, abs=0.025)
    noisy = replace(sure, seeds=3, seed_sd=0.05)
    assert simulate(noisy, falls, 2000).go < 0.07 < simulate(noisy, replace(falls, bounds="items"), 2000).go


def test_the_same_seed_gives_the_same_rates_and_bad_input_is_refused() -> None:
    design = Design(30, 4, gain=0.1)
    assert simulate(design, Rule(), 300, seed=1) == simulate(design, Rule(), 300, seed=1)
    assert simulate(design, Rule(), 300, seed=1) != simulate(design, Rule(), 300, seed=2)
    with pytest.raises(UserError, match="too little"):
        simulate(Design(1))
    with pytest.raises(UserError, match="too little"):
        simulate(design, repeats=0)
    with pytest.raises(UserError, match="rule"):
        Rule(alpha=0.7)
    with pytest.raises(UserError, match="rule"):
        Rule(attempts=0)


def test_large_designs_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    design = Design(40, 4, gain=0.1)
    whole = simulate(design, Rule(), 400, seed=3)
    monkeypatch.setattr("sluicegate.stages.operating.rates.CELLS", 1000)
    parts = simulate(design, Rule(), 400, seed=3)
    assert parts.n == whole.n == 400
    assert parts.go == pytest.approx(whole.go, abs=0.12)


# The grid, the page and the data


def test_every_task_has_a_seed_of_its_own_and_the_groups_of_the_page() -> None:
    found = tasks()
    assert len({task.seed for task in found}) == len(found)
    assert all(task.repeats >= 4000 for task in found)
    assert {task.group for task in found} == {*_figures(), "table"}


def test_rows_keep_their_figures_through_the_file() -> None:
    cells = [Cell("a", Design(15, gain=gain), Rule(), 50) for gain in (0.0, 0.1)]
    rows = [cell.run() for cell in cells]
    told = json.loads(dump(grouped(["a", "a"], rows)))
    assert rows_in(told, "a") == rows
    assert rows == [cell.run() for cell in cells]


def _figures() -> dict[str, dict[str, object]]:
    return json.loads((DOCS / "operating.json").read_text("utf-8"))  # type: ignore[no-any-return]


def test_the_page_says_what_the_data_say() -> None:
    assert (DOCS / "operating.md").read_text("utf-8") == page(_figures()), (
        "make operating, or scripts/operating.py --pages"
    )


def test_the_picture_is_that_of_the_data() -> None:
    picture = pytest.importorskip("sluicegate.stages.operating.picture")
    drawn = picture.draw(_figures())
    assert drawn == picture.draw(_figures())
    assert "<dc:date>" not in drawn
    assert (DOCS / "operating.svg").read_text("utf-8") == drawn


def test_cells_of_the_data_are_what_the_simulation_gives_now() -> None:
    """The code has not changed under the page: a few cells, drawn again with fewer experiments."""
    again = {
        Design(15, 10, 0.5): "no gain",
        Design(75, 1, 0.25): "no gain",
        Design(75, 10, seeds=3, seed_sd=0.03): "recipes",
    }
    for design, group in again.items():
        row = next(row for row in rows_in(_figures(), group) if _same(row, design))
        found = simulate(design, Rule(minimum=0.0), 4000, seed=11)
        assert found.go == pytest.approx(row["go"], abs=0.015)
        assert found.coverage["items"] == pytest.approx(row["items covers"], abs=0.02)


def _same(row: dict[str, float], design: Design) -> bool:
    told = (row["n"], row["draws"], row["base"], row["heterogeneity"], row["seeds"], row["seed_sd"], row["scenarios"])
    return told == (
        design.items, design.draws, design.base, design.heterogeneity, design.seeds, design.seed_sd, design.clusters,
    )  # fmt: skip


def test_every_finding_is_told_with_what_was_wanted() -> None:
    lines = verdicts(_figures())
    assert len(lines) == len(findings(_figures())) == 4
    assert all("wanted" in line for line in lines)


def test_the_older_criterion_in_a_row() -> None:
    row = Averaged("older", 15, 7, "paired", 1500).run()
    assert 0.05 < row["false_go"] < row["false_go_with_retries"] < 0.6
    assert row["power_one"] < row["power"]
