"""The loop of a stage with a runner that only writes files: order, resuming, failures, attempts, overrides."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from sluicegate import compare, folder, jsonl, runners, study
from sluicegate.errors import Interrupted, UserError
from sluicegate.records import Outcome, Prediction, Score, Verdict, from_json
from sluicegate.runners import Job, Result
from sluicegate.stages import ledger
from sluicegate.stages import run as stages
from sluicegate.stages.run import Order

DEMO = study.load("demo")
ITEMS = 30
RESULT = {
    "steps": 10, "first_loss": 5.0, "last_loss": 1.0, "loaded_in_4bit": True, "why_4bit": "asked", "epochs": 1.0,
    "peak_vram_gib": None, "forecast_vram_gib": 0.1, "best_val_loss": 1.0, "best_step": 10, "tokens": 1, "seconds": 1.0,
    "samples": 5, "dropped": 0, "trainable_parameters": 1, "total_parameters": 2, "sha256": "a",
}  # fmt: skip


@dataclass
class Puppet:
    """A runner that plays the steps: `right` says how many of the items an arm answers rightly."""

    right: dict[str, int] = field(default_factory=lambda: {"control": 10, "experiment": 25})
    sandbox_is_broken: bool = False
    fails: dict[str, Callable[[], Result]] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    def run(self, job: Job, show: Callable[[str], None]) -> Result:
        show(f"playing {job.name}")
        if job.name in self.fails:
            return self.fails[job.name]()
        self.done.append(job.name)
        verb = job.name.split()[0]
        getattr(self, f"play_{verb}")(job, job.argv)
        return Result(0, 0.1, "")

    def play_data(self, job: Job, argv: tuple[str, ...]) -> None:
        out = Path(argv[argv.index("--out") + 1])
        names = [f"{arm}-{part}.jsonl" for arm in ("control", "experiment") for part in ("train", "val", "test")]
        texts = {name: f"{name}\n" for name in (*names, "test.jsonl")}
        for name, text in texts.items():
            jsonl.write_text(out / name, text)
        manifest = {
            "leaks": [],
            "evaluation_prompts_sha256": {"control": "a", "experiment": "b"},
            "files": {
                name: {"sha256": hashlib.sha256(text.encode()).hexdigest(), "samples": ITEMS}
                for name, text in texts.items()
            },
        }
        jsonl.write_text(out / "manifest.json", json.dumps(manifest))

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
            else Score(row.sample_id, name, row.draw, metric, float(int(row.sample_id[1:]) < right))
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


@contextlib.contextmanager
def nothing(*_: object) -> Iterator[None]:
    yield


@pytest.fixture
def puppet(monkeypatch: pytest.MonkeyPatch) -> Puppet:
    """The puppet in place of every runner, and no tracking server."""
    played = Puppet()
    monkeypatch.setattr(runners, "load", lambda name: played)
    monkeypatch.setattr(stages, "probe", SimpleNamespace(check=lambda uri: None))
    monkeypatch.setattr(stages, "sender", SimpleNamespace(sending=nothing, drain=lambda folders, uri: None))
    return played


@pytest.fixture
def order(tmp_path: Path) -> Order:
    return Order(DEMO, tmp_path / "runs")


def quiet(_: str) -> None:
    """Shows nothing."""


ARMS = ("control-s0", "experiment-s0")
STEPS = ["data", "base", *(f"{verb} {arm}" for verb in ("train", "generate", "evaluate") for arm in ARMS), "compare"]


def test_stages_go_in_order_and_each_step_is_played_once(puppet: Puppet, order: Order) -> None:
    verdicts = stages.run_through(order, 3, quiet)
    assert [verdict.outcome for verdict in verdicts] == [Outcome.GO] * 4, verdicts[-1].checks
    assert puppet.done == [*STEPS[:-1], *STEPS, *STEPS]
    assert [entry.stage for entry in ledger.read_entries(order.ledger)] == [0, 1, 2, 3]
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
    assert ledger.read_entries(order.ledger)[0].override == "checked by hand"


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
    assert len(ledger.read_entries(order.ledger)) == 1
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
    assert [entry.stage for entry in ledger.read_entries(order.ledger)] == [0, 1, 2]
    changed.unlink()
    assert stages.run_stage(order, 2, quiet).outcome is Outcome.GO


def test_a_metric_that_nobody_can_judge_is_found_before_any_training(puppet: Puppet, order: Order) -> None:
    hopeful = replace(order, study=DEMO.model_copy(update={"metrics": (DEMO.primary, "elegance")}))
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
