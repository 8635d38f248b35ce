"""Judges in a stage: what they may cost, what an empty budget means, and when they have no say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sluicegate import compare, jsonl, study
from sluicegate.errors import UserError
from sluicegate.evaluators import EVALUATORS
from sluicegate.judge import RUBRICS, Judged, Note
from sluicegate.judge.fitness import Fitness
from sluicegate.records import Outcome, Score, to_json
from sluicegate.stages import forecast, gate, preflight
from sluicegate.stages.budget import Overrun
from sluicegate.stages.criteria import CRITERIA
from sluicegate.stages.criteria.validity import judge_fit
from sluicegate.stages.evidence import Evidence
from sluicegate.stages.plan import resolve
from sluicegate.stages.steps import Step, steps
from sluicegate.study import Study

METRIC = "judged_coherence"


def changed(**changes: object) -> Study:
    told = study.load("demo").model_dump(mode="json") | {"must_not_worsen": {}, **changes}
    return Study.model_validate(told)


JUDGED = changed(metrics=[METRIC, "exact_match"], primary=METRIC)


def evaluations(the_study: Study, number: int, attempt: Path) -> list[Step]:
    return [step for step in steps(the_study, resolve(the_study, number), attempt) if step.scores]


def test_a_stage_gives_the_judge_its_dollars_from_the_ledger_of_the_study() -> None:
    attempt = Path("runs/demo/stage3-20300101T000000Z")
    for step in evaluations(JUDGED, 3, attempt):
        assert step.argv[-1] == f"{METRIC},exact_match"
        assert step.env == {
            "JUDGE_LEDGER": "runs/demo/stage3-20300101T000000Z/../judge.sqlite",
            "JUDGE_ACCOUNT": "stage3-20300101T000000Z",
            "JUDGE_STAGE_DOLLARS": "12.000000000",
        }


def test_a_stage_that_compares_nothing_asks_no_judge() -> None:
    for the_study, metrics in ((JUDGED, "exact_match"), (changed(metrics=[METRIC], primary=METRIC), "exact_match")):
        for step in evaluations(the_study, 1, Path("a")):
            assert (step.argv[-1], step.env) == (metrics, {})


def test_without_judged_metrics_nothing_is_said_of_judges() -> None:
    assert all(step.env == {} for step in evaluations(study.load("demo"), 3, Path("a")))


FIT, UNFIT = Fitness(10, 0.8, 0.1, 0.9, 0.0, 0), Fitness(10, 0.7, None, None, None, 3)


def note(fitness: Fitness = FIT, model: str = "big", metric: str = METRIC, spent: float = 0.0) -> Note:
    return Note({metric: Judged(model, "coherence-1", 512, fitness, fitness.fit)}, "a", spent)


def judged_by(**notes: Note) -> Evidence:
    plan = resolve(JUDGED, 3)
    names = {name.replace("_", "-"): found for name, found in notes.items()}
    return Evidence(study=JUDGED, plan=plan, sha256="e", judges=names)


def test_one_fit_judge_has_a_say() -> None:
    check = judge_fit(judged_by(control_s0=note(), experiment_s0=note()))
    assert (check.passed, check.seen) == (True, "big: 80% for judged_coherence")


@pytest.mark.parametrize(
    ("control", "experiment", "seen"),
    [
        (note(UNFIT), note(), "big is right on 70% of 10 known pairs, changes its choice with the order on unknown"),
        (note(), note(UNFIT), "big is right on 70%"),
        (note(), note(model="other"), "different judges: big (coherence-1), other (coherence-1)"),
        (note(), None, "1 of 2 models tell who judged them"),
        (note(), note(metric="judged_relevance"), "1 of 2 models tell who judged them"),
        (None, None, "0 of 2 models tell who judged them"),
    ],
)
def test_a_judge_that_is_not_fit_or_not_one_has_none(control: Note | None, experiment: Note | None, seen: str) -> None:
    notes = {"control_s0": control, "experiment_s0": experiment}
    check = judge_fit(judged_by(**{name: found for name, found in notes.items() if found}))
    assert check.passed is False
    assert check.blames is Outcome.RETRY
    assert seen in check.seen
    assert check.remedy


def test_a_judge_of_a_metric_that_decides_nothing_is_no_matter() -> None:
    beside = changed(metrics=["exact_match", METRIC], primary="exact_match")
    found = replace(judged_by(control_s0=note(UNFIT)), study=beside)
    assert judge_fit(found).passed is None
    guarded = changed(metrics=["exact_match", METRIC], primary="exact_match", must_not_worsen={METRIC: 0.1})
    assert judge_fit(replace(found, study=guarded)).passed is False


def test_the_gate_asks_it_in_every_stage_that_compares() -> None:
    for number in (2, 3, 4):
        assert "judge_fit" in resolve(JUDGED, number).stage.criteria


@pytest.mark.parametrize("number", [2, 3])
def test_an_empty_budget_is_open_and_inconclusive_and_spends_no_alpha(number: int) -> None:
    overrun = Overrun("dollars", 12.0, 11.9, "evaluate control-s0", 3)
    found = replace(judged_by(), overrun=overrun, plan=resolve(JUDGED, number))
    check = CRITERIA["within_budget"](found)
    assert (check.passed, check.blames) == (False, Outcome.INCONCLUSIVE)
    assert gate.outcome([check]) is Outcome.INCONCLUSIVE


def test_the_price_of_a_judge_is_in_the_forecast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUDGE_PRICES", raising=False)
    assert forecast.of(JUDGED, 3).quantity("dollars").expected is None
    (tmp_path / "prices.yaml").write_text("big: {input: 2, output: 8}\n")
    monkeypatch.setenv("JUDGE_PRICES", str(tmp_path / "prices.yaml"))
    monkeypatch.setenv("JUDGE_MODEL", "big")
    row = forecast.of(JUDGED, 3).quantity("dollars")
    assert row.low is not None and row.expected is not None and row.high is not None
    assert 0.1 < row.low < row.expected < row.high < 50
    assert forecast.of(JUDGED, 1).quantity("dollars").expected == 0


def test_stage_0_wants_a_judge_where_a_metric_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BASE_URL", "MODEL", "PRICES", "DOLLARS", "API_KEY"):
        monkeypatch.delenv(f"JUDGE_{name}", raising=False)
    assert preflight.judge(("exact_match",)) == ()
    missing = preflight.judge(JUDGED.metrics)[0]
    assert missing.passed is False
    assert "JUDGE_BASE_URL" in missing.seen
    (tmp_path / "prices.yaml").write_text("big: {input: 2, output: 8}\n")
    told = {"BASE_URL": "http://localhost:1/v1", "MODEL": "big", "PRICES": str(tmp_path / "prices.yaml")}
    for name, value in told.items():
        monkeypatch.setenv(f"JUDGE_{name}", value)
    assert preflight.judge(JUDGED.metrics)[0].passed is True


def put(path: Path, found: Note | None) -> Path:
    jsonl.write(path, [Score(f"s{n}", path.stem, 0, METRIC, n / 10) for n in range(8)])
    if found:
        jsonl.write_text(path.with_name(path.name + ".judge.json"), to_json(found) + "\n")
    return path


def test_grades_of_two_judges_are_not_compared(tmp_path: Path) -> None:
    one, same = put(tmp_path / "a.jsonl", note()), put(tmp_path / "b.jsonl", note())
    other, silent = put(tmp_path / "c.jsonl", note(model="other")), put(tmp_path / "d.jsonl", None)
    assert compare.compare_files([one], [same], primary=METRIC)[0].n == 8
    assert compare.compare_files([one], [silent], primary=METRIC)[0].n == 8
    with pytest.raises(UserError, match="judged by different judges") as caught:
        compare.compare_files([one], [other], primary=METRIC)
    assert "other" in caught.value.seen


def test_the_names_of_judged_metrics_are_registered() -> None:
    assert {f"judged_{name}" for name in ("coherence", "relevance", "similarity", "safety")} <= set(EVALUATORS)
    assert len(RUBRICS) == 4
