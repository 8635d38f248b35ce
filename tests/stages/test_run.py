"""The loop of a stage with a runner that only writes files: order, resuming, failures, attempts, overrides."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from puppets import RESULT, on_stage, quiet, write_data
from sluicegate import compare, folder, jsonl, study
from sluicegate.errors import Interrupted, UserError
from sluicegate.judge import Note
from sluicegate.records import Outcome, Prediction, Sample, Score, Verdict, from_json, to_json
from sluicegate.runners import Job, Result
from sluicegate.sandbox import backends
from sluicegate.stages import evidence, gate, ledger, register
from sluicegate.stages import run as stages
from sluicegate.stages.budget import Meter
from sluicegate.stages.plan import Plan, resolve
from sluicegate.stages.run import Order
from sluicegate.stages.steps import comparison
from sluicegate.study import Study

DEMO = study.load("demo")
ITEMS = 30


@dataclass
class Puppet:
    """A runner that plays the steps: `right` says how many of the items an arm answers rightly."""

    right: dict[str, int] = field(default_factory=lambda: {"control": 10, "experiment": 25})
    sandbox_is_broken: bool = False
    why: str = "pass [bwrap]"
    leaks: list[str] = field(default_factory=list)
    copies: bool = False
    fails: dict[str, Callable[[], Result]] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    clock: float = 0.0

    def run(self, job: Job, show: Callable[[str], None], over: Callable[[], bool] = lambda: False) -> Result:
        show(f"playing {job.name}")
        self.clock += self.seconds.get(job.name, 0.0)
        if over():
            return Result(130, 0.1, "asked to stop")
        if job.name in self.fails:
            return self.fails[job.name]()
        self.done.append(job.name)
        verb = job.name.split()[0]
        getattr(self, f"play_{verb}")(job, job.argv)
        return Result(0, 0.1, "")

    def play_data(self, job: Job, argv: tuple[str, ...]) -> None:
        out = Path(argv[argv.index("--out") + 1])
        names = [f"{arm}-{part}.jsonl" for arm in ("control", "experiment") for part in ("train", "val", "test")]
        samples = [to_json(Sample(f"i{item}", f"p{item}", "c", "python")) for item in range(ITEMS)]
        samples += [to_json(Sample("copy", "p0", "c", "python"))] if self.copies else []
        texts = {**{name: f"{name}\n" for name in names}, "test.jsonl": "".join(f"{row}\n" for row in samples)}
        write_data(
            out, texts, scenario="python", items=ITEMS, prompts={"control": "a", "experiment": "b"},
            fresh="--fresh-from" in argv, leaks=self.leaks,
        )  # fmt: skip

    def play_base(self, job: Job, argv: tuple[str, ...]) -> None:
        jsonl.write_text(Path(argv[3]) / "config.json", "{}")

    def play_train(self, job: Job, argv: tuple[str, ...]) -> None:
        jsonl.write_text(Path(job.env["OUTPUT_DIR"]) / job.env["MODEL_NAME"] / "result.json", json.dumps(RESULT))

    def play_generate(self, job: Job, argv: tuple[str, ...]) -> None:
        name = argv[argv.index("--name") + 1]
        draws = range(int(argv[argv.index("--draws") + 1]))
        rows = [Prediction(f"i{item}", name, draw, "x", 1, 0.1, "stop") for item in range(ITEMS) for draw in draws]
        jsonl.write(Path(argv[argv.index("--out") + 1]), rows)

    def play_evaluate(self, job: Job, argv: tuple[str, ...]) -> None:
        name = job.name.split()[1]
        right = self.right[name.split("-")[0]]
        answers = jsonl.read(Prediction, Path(argv[argv.index("--predictions") + 1]))
        rows = [
            Score(row.sample_id, name, row.draw, metric, None, "infra: no sandbox")
            if self.sandbox_is_broken and row.draw
            else Score(row.sample_id, name, row.draw, metric, float(int(row.sample_id[1:]) < right), self.why)
            for metric in DEMO.metrics
            for row in answers
        ]
        jsonl.write(Path(argv[argv.index("--out") + 1]), rows)

    def play_compare(self, job: Job, argv: tuple[str, ...]) -> None:
        names = {arm: argv[argv.index(f"--{arm}-results") + 1] for arm in ("control", "experiment")}
        control, experiment = (jsonl.read(Score, Path(names[arm])) for arm in ("control", "experiment"))
        rows = compare.compare(control, experiment, primary=DEMO.primary, metrics=DEMO.metrics, level=0.9)
        compare.write(
            Path(argv[argv.index("--out") + 1]), rows, control="control", experiment="experiment",
            primary=DEMO.primary, seed=0, level=0.9,
        )  # fmt: skip


@pytest.fixture
def puppet(monkeypatch: pytest.MonkeyPatch) -> Puppet:
    played = Puppet()
    on_stage(monkeypatch, played)
    return played


@pytest.fixture
def order(tmp_path: Path) -> Order:
    return Order(DEMO, tmp_path / "runs")


def decisions(order: Order) -> list[ledger.Decided]:
    return [line for line in ledger.read_lines(order.ledger, "demo") if isinstance(line, ledger.Decided)]


ARMS = ("control-s0", "experiment-s0")
STEPS = ["data", "base", *(f"{verb} {arm}" for verb in ("train", "generate", "evaluate") for arm in ARMS), "compare"]


def test_stages_go_in_order_and_each_step_is_played_once(puppet: Puppet, order: Order) -> None:
    verdicts = stages.run_through(order, 3, quiet)
    assert [verdict.outcome for verdict in verdicts] == [Outcome.GO] * 4, verdicts[-1].checks
    assert puppet.done == [*STEPS[:-1], *STEPS, *STEPS]
    assert [line.stage for line in decisions(order)] == [0, 1, 2, 3]
    for attempt in (order.runs / "demo").glob("stage*"):
        assert from_json(Verdict, jsonl.read_text(attempt / "verdict.json")).outcome is Outcome.GO
        assert (attempt / "report.html").read_text().startswith("<!doctype html>")


def test_a_stage_with_its_go_is_not_run_again(puppet: Puppet, order: Order) -> None:
    first = stages.run_through(order, 2, quiet)
    puppet.done.clear()
    assert stages.run_through(order, 2, quiet) == first
    assert puppet.done == []


def test_worse_answers_stop_at_stage_two_and_nothing_later_runs(puppet: Puppet, order: Order) -> None:
    puppet.right = {"control": 28, "experiment": 5}
    verdicts = stages.run_through(order, 4, quiet)
    assert [verdict.outcome for verdict in verdicts] == [Outcome.GO, Outcome.GO, Outcome.STOP]
    assert stages.exit_code(verdicts) == 20
    assert not folder.attempts(order.runs, "demo", 3)


def test_no_difference_is_not_a_go(puppet: Puppet, order: Order) -> None:
    puppet.right = {"control": 15, "experiment": 15}
    verdicts = stages.run_through(order, 3, quiet)
    assert len(verdicts) == 4
    assert verdicts[-1].outcome in {Outcome.STOP, Outcome.INCONCLUSIVE}


def test_a_stage_without_the_former_go_does_not_start(puppet: Puppet, order: Order) -> None:
    with pytest.raises(UserError, match="may not start"):
        stages.run_stage(order, 2, quiet)
    assert not (order.runs / "demo").exists()


def test_an_override_starts_it_and_is_recorded(puppet: Puppet, order: Order) -> None:
    stages.run_stage(replace(order, override="checked by hand"), 2, quiet)
    line = ledger.read_lines(order.ledger, "demo")[0]
    assert isinstance(line, ledger.Registered)
    assert line.override == "checked by hand"


def test_a_failed_step_is_retry_and_the_same_folder_goes_on(puppet: Puppet, order: Order) -> None:
    stages.run_through(order, 0, quiet)
    puppet.fails["train experiment-s0"] = lambda: Result(1, 0.1, "Traceback\nboom")
    verdict = stages.run_stage(order, 1, quiet)
    assert verdict.outcome is Outcome.RETRY
    failed = next(check for check in verdict.checks if check.name == "steps_ended")
    assert "boom" in failed.seen
    assert "train-experiment-s0.log" in failed.remedy
    puppet.fails.clear()
    puppet.done.clear()
    assert stages.run_stage(order, 1, quiet).outcome is Outcome.GO
    assert puppet.done == STEPS[3:-1]
    assert len(folder.attempts(order.runs, "demo", 1)) == 1


def test_an_interrupted_step_leaves_the_attempt_open(puppet: Puppet, order: Order) -> None:
    stages.run_through(order, 0, quiet)
    puppet.fails["generate control-s0"] = lambda: Result(130, 0.1, "")
    with pytest.raises(Interrupted):
        stages.run_stage(order, 1, quiet)
    assert len(decisions(order)) == 1
    puppet.fails.clear()
    puppet.done.clear()
    assert stages.run_stage(order, 1, quiet).outcome is Outcome.GO
    assert puppet.done == STEPS[4:-1]


def test_a_lost_output_is_made_again_with_what_follows(puppet: Puppet, order: Order) -> None:
    stages.run_through(order, 0, quiet)
    puppet.fails["evaluate experiment-s0"] = lambda: Result(1, 0.1, "")
    stages.run_stage(order, 1, quiet)
    attempt = folder.attempts(order.runs, "demo", 1)[0]
    (attempt / "predictions" / "control-s0.jsonl").unlink()
    puppet.fails.clear()
    puppet.done.clear()
    stages.run_stage(order, 1, quiet)
    assert puppet.done == ["generate control-s0", "evaluate experiment-s0"]


def test_a_decided_stage_run_again_is_a_new_attempt(puppet: Puppet, order: Order) -> None:
    stages.run_through(order, 1, quiet)
    stages.run_stage(order, 1, quiet)
    assert len(folder.attempts(order.runs, "demo", 1)) == 2


def test_a_kill_before_the_ledger_decides_again_from_the_same_files(
    puppet: Puppet, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages.run_through(order, 0, quiet)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(stages, "_enter", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        stages.run_stage(order, 1, quiet)
    attempt = folder.attempts(order.runs, "demo", 1)[0]
    before = (attempt / "verdict.json").read_bytes()
    puppet.done.clear()
    stages.run_stage(order, 1, quiet)
    assert puppet.done == []
    assert (attempt / "verdict.json").read_bytes() == before


def test_another_study_file_starts_afresh(puppet: Puppet, order: Order) -> None:
    stages.run_through(order, 2, quiet)
    changed = replace(order, study=DEMO.model_copy(update={"alpha": 0.01}))
    with pytest.raises(UserError, match="another version"):
        stages.run_stage(changed, 2, quiet)
    assert len(stages.run_through(changed, 2, quiet)) == 3
    assert len(folder.attempts(order.runs, "demo", 2)) == 2


def test_a_stage_in_use_is_refused(puppet: Puppet, order: Order) -> None:
    stages.run_through(order, 0, quiet)
    puppet.fails["data"] = lambda: Result(130, 0.1, "")
    with pytest.raises(Interrupted):
        stages.run_stage(order, 1, quiet)
    with folder.holding(folder.attempts(order.runs, "demo", 1)[0]), pytest.raises(UserError, match="in use"):
        stages.run_stage(order, 1, quiet)


def test_a_moved_run_folder_is_still_done(puppet: Puppet, order: Order, tmp_path: Path) -> None:
    stages.run_through(order, 0, quiet)
    puppet.fails["evaluate experiment-s0"] = lambda: Result(1, 0.1, "")
    stages.run_stage(order, 1, quiet)
    order.runs.rename(tmp_path / "elsewhere")
    puppet.fails.clear()
    puppet.done.clear()
    stages.run_stage(replace(order, runs=tmp_path / "elsewhere"), 1, quiet)
    assert puppet.done == ["evaluate experiment-s0"]


def test_what_could_not_be_judged_is_judged_again_once_it_is_mended(puppet: Puppet, order: Order) -> None:
    stages.run_through(order, 1, quiet)
    puppet.sandbox_is_broken = True
    verdict = stages.run_stage(order, 2, quiet)
    assert verdict.outcome is Outcome.RETRY
    assert [check.name for check in verdict.checks if check.passed is False] == ["coverage"]
    puppet.sandbox_is_broken = False
    puppet.done.clear()
    assert stages.run_stage(order, 2, quiet).outcome is Outcome.GO
    assert puppet.done == [*STEPS[-3:]]
    assert len(folder.attempts(order.runs, "demo", 2)) == 1


def test_programs_that_ran_without_a_sandbox_are_scored_again_once_there_is_one_or_the_user_allows_it(
    puppet: Puppet, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    def has(*, sandbox: bool) -> None:
        monkeypatch.setattr(backends, "choose", lambda: SimpleNamespace(is_safe=sandbox))

    stages.run_through(order, 1, quiet)
    monkeypatch.delenv("ALLOW_UNSAFE_EXEC")
    has(sandbox=False)
    puppet.why = "pass [rlimits, UNSAFE]"
    for _ in range(2):
        verdict = stages.run_stage(order, 2, quiet)
        assert verdict.outcome is Outcome.RETRY
        assert [check.name for check in verdict.checks if check.passed is False] == ["sandboxed"]
        assert "ALLOW_UNSAFE_EXEC=1" in verdict.next_steps[0]
    assert puppet.done.count("evaluate control-s0") == 2, "once in each stage: nothing better is to be had yet"
    has(sandbox=True)
    puppet.why = "pass [bwrap]"
    assert stages.run_stage(order, 2, quiet).outcome is Outcome.GO
    has(sandbox=False)
    puppet.why = "pass [rlimits, UNSAFE, allowed]"
    verdict = stages.run_stage(order, 3, quiet)
    assert verdict.outcome is Outcome.GO
    attempt = folder.attempts(order.runs, "demo", 3)[0]
    assert gate.decide(evidence.read(attempt, 3)) == verdict, "the leave stands in the scores"
    assert "as allowed" in (attempt / "report.html").read_text()


def test_changed_samples_are_a_new_attempt_and_unchanged_ones_are_not(
    puppet: Puppet, order: Order, tmp_path: Path
) -> None:
    samples = tmp_path / "samples" / "python" / "samples.jsonl"
    jsonl.write_text(samples, "one\n")
    source = study.Source(source=str(tmp_path / "samples"))
    own = replace(order, study=DEMO.model_copy(update={"data": source}))
    stages.run_through(own, 0, quiet)
    puppet.fails["evaluate experiment-s0"] = lambda: Result(1, 0.1, "")
    for text, attempts in (("one\n", 1), ("one\n", 1), ("two\n", 2), ("two\n", 2)):
        jsonl.write_text(samples, text)
        puppet.done.clear()
        assert stages.run_stage(own, 1, quiet).outcome is Outcome.RETRY
        assert len(folder.attempts(order.runs, "demo", 1)) == attempts
    samples.unlink()  # the data are built already
    puppet.fails.clear()
    assert stages.run_stage(own, 1, quiet).outcome is Outcome.GO
    assert len(folder.attempts(order.runs, "demo", 1)) == 2


def test_a_lost_data_file_is_built_again(puppet: Puppet, order: Order) -> None:
    stages.run_through(order, 0, quiet)
    puppet.fails["evaluate experiment-s0"] = lambda: Result(1, 0.1, "")
    stages.run_stage(order, 1, quiet)
    (folder.attempts(order.runs, "demo", 1)[0] / "data" / "control-train.jsonl").unlink()
    puppet.fails.clear()
    puppet.done.clear()
    stages.run_stage(order, 1, quiet)
    assert puppet.done == ["data", "evaluate experiment-s0"]


@pytest.mark.parametrize("forged", ["ledger", "verdict"])
def test_a_go_that_was_written_by_hand_starts_nothing(puppet: Puppet, order: Order, forged: str) -> None:
    stages.run_through(order, 1, quiet)
    puppet.right = {"control": 28, "experiment": 5}
    assert stages.run_stage(order, 2, quiet).outcome is Outcome.STOP
    verdict = folder.attempts(order.runs, "demo", 2)[0] / "verdict.json"
    for path in (order.ledger, verdict)[: 1 if forged == "ledger" else 2]:
        path.write_text(path.read_text().replace('"STOP"', '"GO"'))
    with pytest.raises(UserError, match="not the verdict that the ledger tells of"):
        stages.run_stage(order, 3, quiet)
    with pytest.raises(UserError, match="not the verdict that the ledger tells of"):
        stages.run_through(order, 2, quiet)
    assert not folder.attempts(order.runs, "demo", 3)


def test_data_that_were_changed_by_hand_decide_nothing_until_they_are_built_again(puppet: Puppet, order: Order) -> None:
    stages.run_through(order, 1, quiet)
    puppet.fails["compare"] = lambda: Result(1, 0.1, "")
    stages.run_stage(order, 2, quiet)
    changed = folder.attempts(order.runs, "demo", 2)[0] / "data" / "test.jsonl"
    changed.write_text("easier\n")
    puppet.fails.clear()
    with pytest.raises(UserError, match="changed since it was built"):
        stages.run_stage(order, 2, quiet)
    assert [line.stage for line in decisions(order)] == [0, 1, 2]
    changed.unlink()
    assert stages.run_stage(order, 2, quiet).outcome is Outcome.GO


def test_a_metric_that_nobody_can_judge_is_found_before_any_training(puppet: Puppet, order: Order) -> None:
    hopeful = replace(
        order, study=DEMO.model_copy(update={"metrics": (DEMO.primary, "elegance"), "must_not_worsen": {}})
    )
    verdict = stages.run_stage(hopeful, 0, quiet)
    assert verdict.outcome is Outcome.RETRY
    assert [check.seen for check in verdict.checks if check.name == "metrics"] == ["unknown: elegance"]


@pytest.mark.parametrize("name", ["comparisons.json", "data/manifest.json", "arms/control-s0/result.json"])
@pytest.mark.parametrize("text", ["", "{", "[1]", "3"])
def test_damaged_evidence_decides_nothing_and_says_which_file(
    puppet: Puppet, order: Order, name: str, text: str
) -> None:
    stages.run_through(order, 2, quiet)
    lines = order.ledger.read_text().splitlines(keepends=True)
    order.ledger.write_text("".join(lines[:-1]))  # killed before the last line: the same attempt goes on
    attempt = folder.attempts(order.runs, order.study.name, 2)[-1]
    (attempt / name).write_text(text)
    with pytest.raises(UserError, match="damaged") as caught:
        stages.run_stage(order, 2, quiet)
    assert str(attempt / name) in str(caught.value)
    (attempt / name).unlink()
    assert stages.run_stage(order, 2, quiet).outcome is Outcome.GO
    assert folder.attempts(order.runs, order.study.name, 2) == [attempt]


def budgeted(order: Order, **limits: float) -> Order:
    """The same study with another budget for stage 1, which does not change what it means."""
    changed = {**DEMO.stages, 1: DEMO.stages[1].model_copy(update=limits)}
    found = replace(order, study=DEMO.model_copy(update={"stages": changed}))
    assert found.study.sha256 == DEMO.sha256
    return found


@pytest.fixture
def clock(puppet: Puppet, monkeypatch: pytest.MonkeyPatch) -> Puppet:
    """Time passes only where the puppet's steps take some."""

    def metered(the_study: Study, plan: Plan, attempt: Path, stamps: folder.Steps) -> Meter:
        return Meter(the_study, plan, attempt, stamps, clock=lambda: puppet.clock)

    monkeypatch.setattr(stages, "Meter", metered)
    return puppet


def test_hours_are_enforced_while_a_step_runs_and_a_larger_budget_goes_on(clock: Puppet, order: Order) -> None:
    stages.run_through(order, 0, quiet)
    clock.seconds = {"train control-s0": 1200.0, "train experiment-s0": 1200.0}
    verdict = stages.run_stage(order, 1, quiet)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert stages.exit_code([verdict]) == 15
    assert [check.name for check in verdict.checks if check.passed is False] == ["within_budget"]
    assert "stopped at step train experiment-s0, 5 step(s) left" in verdict.checks[-1].seen
    assert verdict.open
    assert clock.done == STEPS[:3]
    clock.seconds = {}
    again = stages.run_stage(order, 1, quiet)  # nothing is left to spend: no step is begun
    assert (again.outcome, clock.done) == (Outcome.INCONCLUSIVE, STEPS[:3])
    assert stages.run_stage(budgeted(order, hours=1.0), 1, quiet).outcome is Outcome.GO
    assert clock.done[3:] == ["data", *STEPS[3:-1]]  # the study file's bytes changed, so the data are checked anew
    assert len(folder.attempts(order.runs, "demo", 1)) == 1
    assert not (folder.attempts(order.runs, "demo", 1)[0] / "budget.json").exists()


def test_time_is_kept_over_a_kill(clock: Puppet, order: Order) -> None:
    stages.run_through(order, 0, quiet)
    clock.seconds = {"train control-s0": 1000.0}
    clock.fails["train experiment-s0"] = lambda: Result(130, 0.1, "")
    with pytest.raises(Interrupted):
        stages.run_stage(order, 1, quiet)
    clock.fails.clear()
    clock.seconds = {"train experiment-s0": 900.0}
    assert stages.run_stage(order, 1, quiet).outcome is Outcome.INCONCLUSIVE


def test_dollars_are_read_from_the_scores_and_the_machines(clock: Puppet, order: Order) -> None:
    stages.run_through(order, 0, quiet)
    tower = study.Machine(does=("train",), dollars_per_hour=3.0)
    priced = replace(order, study=DEMO.model_copy(update={"machines": {"tower": tower}}))
    clock.seconds = {"train control-s0": 360.0}
    verdict = stages.run_stage(priced, 1, quiet)
    assert verdict.outcome is Outcome.INCONCLUSIVE  # stage 1 has no dollars to spend
    assert "dollars used" in verdict.checks[-1].seen
    assert clock.done == STEPS[:2]


def test_dollars_are_counted_as_the_scores_grow(tmp_path: Path) -> None:
    plan = resolve(DEMO, 3)
    meter = Meter(DEMO, plan, tmp_path, folder.Steps(tmp_path / "steps.json"), clock=lambda: 0.0)
    path = tmp_path / "scores" / "control-s0.jsonl"
    rows = [Score(f"i{n}", "m", 0, "judge", 1.0, dollars=3.0) for n in range(5)]
    jsonl.write(path, rows[:2])
    assert meter.spent().dollars == 6.0
    with jsonl.Journal(path) as journal:
        journal.append(rows[2])
    path.write_bytes(path.read_bytes() + b'{"sample_id": "torn')
    assert meter.spent().dollars == 9.0
    assert not meter.over()
    jsonl.write(path, rows)
    assert meter.spent().dollars == 15.0
    assert meter.over()
    path.write_text("not json\n[1]\n")
    assert meter.spent().dollars == 0.0


def test_a_decision_that_was_not_declared_decides_nothing_and_runs_nothing(puppet: Puppet, order: Order) -> None:
    puppet.right = {"control": 14, "experiment": 17}
    assert stages.run_through(order, 3, quiet)[-1].outcome is Outcome.INCONCLUSIVE
    puppet.done.clear()
    puppet.right = {"control": 5, "experiment": 30}
    verdict = stages.run_stage(order, 3, quiet)
    assert verdict.outcome is Outcome.RETRY
    assert [check.name for check in verdict.checks if check.passed is False] == ["declared"]
    assert puppet.done == []
    more = DEMO.model_copy(update={"stages": {**DEMO.stages, 3: DEMO.stages[3].model_copy(update={"attempts": 2})}})
    late = stages.run_stage(replace(order, study=more), 3, quiet)
    assert [check.name for check in late.checks if check.passed is False] == ["declared"]
    assert "0.025 wanted, 0 of 0.05 left" in late.checks[-1].seen


def test_declared_decisions_share_alpha_and_the_first_that_holds_is_a_go(puppet: Puppet, order: Order) -> None:
    twice = DEMO.model_copy(update={"stages": {**DEMO.stages, 3: DEMO.stages[3].model_copy(update={"attempts": 2})}})
    declared = replace(order, study=twice)
    puppet.right = {"control": 14, "experiment": 17}
    first = stages.run_through(declared, 3, quiet)[-1]
    assert (first.outcome, first.attempt, first.alpha) == (Outcome.INCONCLUSIVE, 1, 0.025)
    assert any("1 of 2 declared decisions left" in step for step in first.next_steps)
    puppet.right = {"control": 5, "experiment": 30}
    second = stages.run_stage(declared, 3, quiet)
    assert (second.outcome, second.attempt, second.alpha) == (Outcome.GO, 2, 0.025)


def test_a_retry_spends_no_alpha(puppet: Puppet, order: Order) -> None:
    stages.run_through(order, 2, quiet)
    puppet.fails["compare"] = lambda: Result(1, 0.1, "boom")
    for _ in range(3):
        assert stages.run_stage(order, 3, quiet).outcome is Outcome.RETRY
    puppet.fails.clear()
    verdict = stages.run_stage(order, 3, quiet)
    assert (verdict.outcome, verdict.attempt) == (Outcome.GO, 1)
    assert len(folder.attempts(order.runs, "demo", 3)) == 1


def test_what_later_stages_change_leaves_earlier_verdicts_standing(puppet: Puppet, order: Order) -> None:
    stages.run_through(order, 2, quiet)
    changed = {**DEMO.stages, 3: DEMO.stages[3].model_copy(update={"draws": 6})}
    later = replace(order, study=DEMO.model_copy(update={"stages": changed}))
    puppet.done.clear()
    assert [verdict.outcome for verdict in stages.run_through(later, 3, quiet)] == [Outcome.GO] * 4
    assert puppet.done == STEPS


def test_the_attempt_is_registered_before_any_step(puppet: Puppet, order: Order) -> None:
    seen: list[ledger.Line] = []
    play = puppet.play_data

    def look(job: Job, argv: tuple[str, ...]) -> None:
        seen.append(ledger.read_lines(order.ledger, "demo")[-1])
        play(job, argv)

    puppet.play_data = look  # type: ignore[method-assign]
    stages.run_through(order, 3, quiet)
    line = seen[-1]
    assert isinstance(line, ledger.Registered)
    assert (line.stage, line.primary, line.alpha, line.number) == (3, DEMO.primary, 0.05, 1)
    assert line.attempt == folder.attempts(order.runs, "demo", 3)[0].name


def test_overrides_are_told_in_every_later_registration(puppet: Puppet, order: Order) -> None:
    stages.run_stage(replace(order, override="checked by hand"), 2, quiet)
    stages.run_stage(order, 3, quiet)
    found = register.read(folder.attempts(order.runs, "demo", 3)[0])
    assert found is not None
    assert [(row.stage, row.reason) for row in found.overrides] == [(2, "checked by hand")]


def test_stage_four_spends_nothing_under_other_code_than_its_go(
    puppet: Puppet, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages.run_through(order, 3, quiet)
    puppet.done.clear()
    with monkeypatch.context() as patch:
        patch.setattr(folder, "code_sha256", lambda: "d" * 64)
        verdict = stages.run_stage(order, 4, quiet)
    assert verdict.outcome is Outcome.RETRY
    assert [check.name for check in verdict.checks if check.passed is False] == ["same_code"]
    assert puppet.done == []
    assert stages.run_stage(order, 4, quiet).outcome is Outcome.GO
    assert puppet.done == STEPS
    attempt = folder.attempts(order.runs, "demo", 4)[0]
    assert (attempt / "former-test.jsonl").read_bytes() == (
        folder.attempts(order.runs, "demo", 3)[0] / "data" / "test.jsonl"
    ).read_bytes()


def test_a_ledger_that_lost_its_newest_lines_starts_nothing(puppet: Puppet, order: Order) -> None:
    stages.run_through(order, 2, quiet)
    order.ledger.write_text("".join(order.ledger.read_text().splitlines(keepends=True)[:2]))
    with pytest.raises(UserError, match="the ledger does not know stage1"):
        stages.run_stage(order, 3, quiet)
    with pytest.raises(UserError, match="the ledger does not know stage1"):
        stages.run_through(order, 3, quiet)


def test_a_ledger_of_another_study_starts_nothing(puppet: Puppet, order: Order) -> None:
    stages.run_through(order, 1, quiet)
    other = DEMO.model_copy(update={"name": "other"})
    order.ledger.parent.rename(order.runs / "other")
    with pytest.raises(UserError, match="the ledger of another study"):
        stages.run_through(replace(order, study=other), 1, quiet)


def with_draws(order: Order, draws: int) -> Order:
    """The same study with other draws in stage 3: earlier stages stand."""
    changed = {**DEMO.stages, 3: DEMO.stages[3].model_copy(update={"draws": draws})}
    return replace(order, study=DEMO.model_copy(update={"stages": changed}))


def test_an_attempt_that_was_judged_and_left_for_another_has_spent_its_alpha(puppet: Puppet, order: Order) -> None:
    """Else one could look at the scores, break something, and try anew until they please."""
    stages.run_through(order, 2, quiet)
    puppet.fails["compare"] = lambda: Result(1, 0.1, "boom")
    assert stages.run_stage(order, 3, quiet).outcome is Outcome.RETRY
    puppet.fails.clear()
    puppet.done.clear()
    other = with_draws(order, 6)
    verdict = stages.run_stage(other, 3, quiet)
    assert verdict.outcome is Outcome.RETRY
    check = next(check for check in verdict.checks if check.passed is False)
    first = folder.attempts(order.runs, "demo", 3)[0].name
    assert check.name == "declared"
    assert check.seen == f"decision 2; alpha 0.05 wanted, 0 of 0.05 left; judged and left undecided: {first}"
    assert f"study file and samples of {first}" in check.remedy
    assert puppet.done == []
    went_on = stages.run_stage(order, 3, quiet)
    assert (went_on.outcome, went_on.attempt) == (Outcome.GO, 1)
    assert puppet.done == ["compare"]


def test_an_attempt_that_broke_before_anything_was_judged_has_spent_nothing(puppet: Puppet, order: Order) -> None:
    stages.run_through(order, 2, quiet)
    puppet.fails["generate experiment-s0"] = lambda: Result(1, 0.1, "out of memory")
    assert stages.run_stage(order, 3, quiet).outcome is Outcome.RETRY
    puppet.fails.clear()
    verdict = stages.run_stage(with_draws(order, 6), 3, quiet)
    assert (verdict.outcome, verdict.attempt) == (Outcome.GO, 1)


def test_a_decision_that_was_cut_off_the_ledger_still_counts(puppet: Puppet, order: Order) -> None:
    stages.run_through(order, 2, quiet)
    puppet.right = {"control": 14, "experiment": 17}
    assert stages.run_stage(order, 3, quiet).outcome is Outcome.INCONCLUSIVE
    whole = order.ledger.read_bytes()
    order.ledger.write_text("".join(order.ledger.read_text().splitlines(keepends=True)[:-1]))
    puppet.right = {"control": 5, "experiment": 30}
    puppet.done.clear()
    with pytest.raises(UserError, match="does not know the verdict of stage3"):
        stages.run_stage(with_draws(order, 6), 3, quiet)
    assert stages.run_stage(order, 3, quiet).outcome is Outcome.INCONCLUSIVE
    assert puppet.done == []
    assert len(order.ledger.read_bytes()) == len(whole)


def test_a_copied_run_folder_starts_nothing(puppet: Puppet, order: Order) -> None:
    stages.run_through(order, 3, quiet)
    attempt = folder.attempts(order.runs, "demo", 3)[0]
    shutil.copytree(attempt, attempt.with_name(f"{attempt.name}-2"))
    with pytest.raises(UserError, match=f"does not know {attempt.name}-2"):
        stages.run_stage(order, 4, quiet)


@pytest.mark.parametrize(
    ("name", "value", "failed"), [("leaks", ["demo-1 = demo-7"], "no_leak"), ("copies", True, "distinct_items")]
)
def test_nothing_is_trained_on_data_that_leak_or_test_an_item_twice(
    puppet: Puppet, order: Order, name: str, value: object, failed: str
) -> None:
    stages.run_through(order, 2, quiet)
    puppet.done.clear()
    setattr(puppet, name, value)
    for _ in range(2):
        verdict = stages.run_stage(order, 3, quiet)
        assert verdict.outcome is Outcome.RETRY
        assert [check.name for check in verdict.checks if check.passed is False] == [failed]
        assert puppet.done == ["data"]
    assert [type(line).__name__ for line in ledger.read_lines(order.ledger, "demo")][-2:] == ["Registered", "Decided"]


def test_futility_is_judged_by_the_same_interval_whatever_alpha_is(order: Order) -> None:
    strict = DEMO.model_copy(update={"alpha": 0.01})
    assert [round(comparison(strict, resolve(strict, number), order.runs).level, 9) for number in (2, 3)] == [0.9, 0.98]


def test_a_go_stands_where_the_stage_was_run_once_more_and_decided_nothing(puppet: Puppet, order: Order) -> None:
    stages.run_through(order, 3, quiet)
    assert stages.run_stage(order, 3, quiet).outcome is Outcome.RETRY  # not declared
    puppet.done.clear()
    assert [verdict.outcome for verdict in stages.run_through(order, 4, quiet)] == [Outcome.GO] * 5
    assert puppet.done == STEPS
    found = register.read(folder.attempts(order.runs, "demo", 4)[0])
    assert found is not None and found.former is not None
    assert found.former.attempt == folder.attempts(order.runs, "demo", 3)[0].name


def test_a_judge_without_money_leaves_the_stage_open_and_more_money_goes_on(puppet: Puppet, order: Order) -> None:
    """`evaluate` ends with the code of INCONCLUSIVE: nothing is compared, and no row passes for all of them."""
    stages.run_through(order, 2, quiet)
    puppet.done.clear()
    puppet.fails["evaluate experiment-s0"] = lambda: Result(15, 0.1, "the judge's budget is used up")
    verdict = stages.run_stage(order, 3, quiet)
    assert (verdict.outcome, verdict.open, verdict.alpha) == (Outcome.INCONCLUSIVE, True, 0.0)
    assert [check.name for check in verdict.checks if check.passed is False] == ["within_budget"]
    assert "compare" not in puppet.done
    puppet.fails.clear()
    assert stages.run_stage(order, 3, quiet).outcome is Outcome.GO
    assert len(folder.attempts(order.runs, "demo", 3)) == 1


def test_who_judged_and_at_what_cost_is_evidence(puppet: Puppet, order: Order) -> None:
    stages.run_through(order, 3, quiet)
    attempt = folder.attempts(order.runs, "demo", 3)[0]
    before = evidence.read(attempt, 3)
    note = Note({}, attempt.name, spent=1.5)
    jsonl.write_text(attempt / "scores" / "control-s0.jsonl.judge.json", to_json(note))
    after = evidence.read(attempt, 3)
    assert (before.judges, before.judging) == ({}, 0.0)
    assert (after.judges, after.judging, after.dollars) == ({"control-s0": note}, 1.5, 1.5)
    assert after.sha256 != before.sha256
    assert Meter(DEMO, resolve(DEMO, 3), attempt, folder.Steps(attempt / "steps.json")).spent().dollars == 1.5
