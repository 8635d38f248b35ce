"""A study with more than two arms through its stages, with a runner that only writes files: who decides and who not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from puppets import RESULT, on_stage, quiet, write_data
from sluicegate import cli, folder, jsonl, study
from sluicegate.compare import CONTRASTS, read_contrasts
from sluicegate.errors import UserError
from sluicegate.records import Outcome, Prediction, Sample, Score, Verdict, to_json
from sluicegate.runners import Job, Result
from sluicegate.stages import evidence, ledger
from sluicegate.stages import run as stages
from sluicegate.stages.forecast import of
from sluicegate.stages.plan import resolve
from sluicegate.stages.recompute import recompute
from sluicegate.stages.run import Order
from sluicegate.stages.steps import steps

TOY = study.load("k8s-demo").model_copy(
    update={"arms": study.load("k8s-dual-encoder").arms, "train": {**study.load("k8s-demo").train, "rl_steps": 8}}
)
ITEMS = 24
ARMS = ("baseline", "dual", "dual_ce", "dual_rl", "dual_reinforce")


@dataclass
class Puppet:
    """Plays all steps but comparisons, which are made in earnest; `good` is the score of each arm's answers."""

    good: dict[str, float] = field(default_factory=lambda: dict(zip(ARMS, (0.4, 0.6, 0.6, 0.7, 0.5), strict=True)))
    fails: dict[str, Callable[[], Result]] = field(default_factory=dict)
    results: dict[str, dict[str, object]] = field(default_factory=dict)
    unjudged: str = ""
    done: list[str] = field(default_factory=list)
    jobs: dict[str, Job] = field(default_factory=dict)

    def run(self, job: Job, show: Callable[[str], None], over: Callable[[], bool] = lambda: False) -> Result:
        if job.name in self.fails:
            return self.fails[job.name]()
        self.done.append(job.name)
        self.jobs[job.name] = job
        getattr(self, f"play_{job.name.split()[0]}")(job, job.argv)
        return Result(0, 0.1, "")

    def play_data(self, job: Job, argv: tuple[str, ...]) -> None:
        out = Path(argv[argv.index("--out") + 1])
        samples = "".join(
            f"{to_json(Sample(f'i{item:02}', f'p{item}', 'c', 'kubernetes', meta={'kinds': ['Pod']}))}\n"
            for item in range(ITEMS)
        )
        texts = {f"{arm}-{part}.jsonl": f"{arm} {part}\n" for arm in ARMS for part in ("train", "val")}
        texts["test.jsonl"] = samples
        fresh = "--fresh-from" in argv
        write_data(out, texts, scenario="kubernetes", items=ITEMS, prompts=dict.fromkeys(ARMS, "a"), fresh=fresh)

    def play_base(self, job: Job, argv: tuple[str, ...]) -> None:
        where = next(word for word in argv if "/base/" in word)
        jsonl.write_text(Path(where) / "config.json", "{}")

    def play_train(self, job: Job, argv: tuple[str, ...]) -> None:
        assert not job.env["INIT_FROM"] or (Path(job.env["INIT_FROM"]) / "result.json").exists()
        row = RESULT | self.results.get(job.name, {})
        jsonl.write_text(Path(job.env["OUTPUT_DIR"]) / job.env["MODEL_NAME"] / "result.json", json.dumps(row))

    def play_generate(self, job: Job, argv: tuple[str, ...]) -> None:
        name = argv[argv.index("--name") + 1]
        rows = [Prediction(f"i{item:02}", name, 0, "x", 1, 0.1, "stop") for item in range(ITEMS)]
        jsonl.write(Path(argv[argv.index("--out") + 1]), rows)

    def play_evaluate(self, job: Job, argv: tuple[str, ...]) -> None:
        name = job.name.split()[1]
        arm = name.rpartition("-s")[0]
        rows = [
            Score(f"i{item:02}", name, 0, metric, *self._value(arm, item))
            for metric in TOY.metrics
            for item in range(ITEMS)
        ]
        jsonl.write(Path(argv[argv.index("--out") + 1]), rows)

    def _value(self, arm: str, item: int) -> tuple[float | None, str]:
        if arm == self.unjudged and item % 2:
            return None, "nobody can say"
        return round(self.good[arm] + 0.01 * (item * 7 % 11), 6), "image_pinned" if item % 2 else "line 3: it is wrong"

    def play_compare(self, job: Job, argv: tuple[str, ...]) -> None:
        assert cli.run(argv[3:]) == 0


@pytest.fixture
def puppet(monkeypatch: pytest.MonkeyPatch) -> Puppet:
    played = Puppet()
    on_stage(monkeypatch, played)
    return played


@pytest.fixture
def order(tmp_path: Path) -> Order:
    return Order(TOY, tmp_path / "runs")


def through(order: Order, number: int) -> tuple[Verdict, Path]:
    """The verdict on a stage and its run folder, the stages before it passed."""
    verdict = stages.run_through(order, number, quiet)[-1]
    return verdict, folder.attempts(order.runs, TOY.name, verdict.stage)[-1]


def check(verdict: Verdict, name: str) -> tuple[bool | None, str]:
    found = next(row for row in verdict.checks if row.name == name)
    return found.passed, found.seen


def test_every_arm_is_trained_asked_and_scored_and_the_extra_ones_are_compared_behind(
    puppet: Puppet, order: Order
) -> None:
    verdict, _ = through(order, 3)
    assert (verdict.stage, verdict.outcome) == (3, Outcome.GO), verdict.checks
    each = [f"{verb} {arm}-s0" for verb in ("train", "generate", "evaluate") for arm in ARMS]
    first = ["data", "base seq2seq-tiny", "base dual-tiny", *each]
    compared = ["compare", "compare dual_ce", "compare dual_rl", "compare dual_reinforce"]
    assert puppet.done == [*first, *first, *compared, *first, *compared]


def test_an_arm_starts_from_the_trained_model_of_the_other(puppet: Puppet, order: Order) -> None:
    _, attempt = through(order, 1)
    assert puppet.jobs["train dual-s0"].env["INIT_FROM"] == ""
    for arm in ("dual_ce", "dual_rl", "dual_reinforce"):
        assert puppet.jobs[f"train {arm}-s0"].env["INIT_FROM"] == str(attempt / "arms" / "dual-s0")
    made = {step.name: step for step in steps(TOY, resolve(TOY, 1), attempt)}
    assert attempt / "arms" / "dual-s0" / "result.json" in made["train dual_rl-s0"].inputs
    assert made["train baseline-s0"].env["BASE_MODEL"] == str(attempt / "base" / "seq2seq-tiny")
    assert made["train dual_rl-s0"].env["BASE_MODEL"] == str(attempt / "base" / "dual-tiny")
    assert made["base dual-tiny"].inputs == made["base seq2seq-tiny"].inputs  # so both have one vocabulary


def test_a_model_that_is_trained_anew_is_followed_by_what_starts_from_it(puppet: Puppet, order: Order) -> None:
    puppet.fails["compare"] = lambda: Result(1, 0.1, "")
    _, attempt = through(order, 2)
    (attempt / "arms" / "dual-s0" / "result.json").unlink()
    puppet.results["train dual-s0"] = {"sha256": "b"}
    puppet.fails.clear()
    puppet.done.clear()
    stages.run_stage(order, 2, quiet)
    trained = [f"train {arm}-s0" for arm in ARMS[1:]]
    # Those that came out with the same weights are not asked again.
    assert [name for name in puppet.done if name.split()[0] in {"train", "generate"}] == [*trained, "generate dual-s0"]


def test_the_gains_beside_the_question_are_held_against_the_named_arm_and_adjusted(
    puppet: Puppet, order: Order
) -> None:
    verdict, attempt = through(order, 3)
    found = evidence.read(attempt, 3).contrasts
    told = {row.arm: (row.against, round(row.rows[0].gain or 0, 6)) for row in found}
    assert told == {
        "dual_ce": ("dual", 0.0), "dual_rl": ("dual_ce", 0.1), "dual_reinforce": ("dual_ce", -0.1),
    }  # fmt: skip
    alone = {row.arm: row.rows[0].p or 0 for row in found}
    adjusted = {row.arm: row.rows[0].p_adjusted or 0 for row in found}
    assert adjusted["dual_rl"] == pytest.approx(3 * alone["dual_rl"])
    assert verdict.primary is not None
    assert verdict.primary.gain == pytest.approx(0.2)
    assert verdict.primary.p_adjusted == verdict.primary.p
    assert found == read_contrasts([attempt / CONTRASTS / f"{arm}.json" for arm in TOY.against])


def test_what_the_extra_arms_do_decides_nothing_and_spends_no_alpha(puppet: Puppet, order: Order) -> None:
    before, _ = through(order, 3)
    puppet.good |= {"dual_rl": 0.0, "dual_ce": 0.9, "dual_reinforce": 0.9}
    puppet.unjudged = "dual_reinforce"
    other = replace(order, runs=order.runs.parent / "other")
    after, _ = through(other, 3)
    assert [(row.name, row.passed) for row in after.checks] == [(row.name, row.passed) for row in before.checks]
    assert (after.outcome, after.alpha, after.primary) == (before.outcome, before.alpha, before.primary)
    assert after.evidence_sha256 != before.evidence_sha256


def test_an_extra_arm_that_was_not_trained_stops_the_stage_all_the_same(puppet: Puppet, order: Order) -> None:
    puppet.fails["train dual_rl-s0"] = lambda: Result(1, 0.1, "")
    verdict, _ = through(order, 1)
    assert verdict.outcome is Outcome.RETRY
    assert check(verdict, "arms_trained") == (False, "3 of 5; missing dual_rl-s0, dual_reinforce-s0")


def test_a_collapse_of_an_extra_arm_is_shown_and_one_of_the_experiment_is_a_retry(puppet: Puppet, order: Order) -> None:
    fallen: dict[str, object] = {"collapsed": True, "collapses": 2, "why_stopped": "validity fell"}
    puppet.results["train dual_rl-s0"] = fallen
    verdict, _ = through(order, 1)
    assert (verdict.outcome, check(verdict, "stable")) == (Outcome.GO, (None, "dual_rl-s0: validity fell"))
    puppet.results["train dual-s0"] = fallen
    verdict, _ = through(replace(order, runs=order.runs.parent / "other"), 1)
    assert (verdict.outcome, check(verdict, "stable")[0]) == (Outcome.RETRY, False)


def test_a_training_that_went_back_and_recovered_is_shown(puppet: Puppet, order: Order) -> None:
    puppet.results["train dual-s0"] = {"collapsed": False, "collapses": 1}
    verdict, _ = through(order, 1)
    assert (verdict.outcome, check(verdict, "stable")) == (Outcome.GO, (True, "dual-s0: went back 1 time(s)"))


def test_a_loss_that_does_not_fall_is_a_fault_of_models_that_start_from_a_base_alone(
    puppet: Puppet, order: Order
) -> None:
    risen: dict[str, object] = {"first_loss": 1.0, "last_loss": 2.0}
    puppet.results |= {f"train {arm}-s0": risen for arm in ARMS[2:]}
    puppet.results["train dual_ce-s0"] = risen | {"steps": 3}  # as its compute buys
    assert through(order, 1)[0].outcome is Outcome.GO
    puppet.results["train dual-s0"] = risen
    assert check(through(replace(order, runs=order.runs.parent / "other"), 1)[0], "loss_falls")[0] is False


def test_the_verdict_comes_out_of_the_files_again_and_a_changed_score_of_an_extra_arm_is_found(
    puppet: Puppet, order: Order
) -> None:
    verdict, attempt = through(order, 3)
    again = recompute(attempt)
    assert again.verdict == verdict
    assert sum("come out of the scores again" in line for line in again.noted) == 4
    path = attempt / "scores" / "dual_rl-s0.jsonl"
    path.write_text(path.read_text().replace('"value":0.7,', '"value":0.9,'))
    with pytest.raises(UserError, match=r"dual_rl\.json: not what the scores give"):
        recompute(attempt)


@pytest.mark.parametrize("text", ["", "{", "[1]"])
def test_a_damaged_comparison_of_an_extra_arm_decides_nothing(puppet: Puppet, order: Order, text: str) -> None:
    _, attempt = through(order, 2)
    lines = order.ledger.read_text().splitlines(keepends=True)
    order.ledger.write_text("".join(lines[:-1]))
    (attempt / CONTRASTS / "dual_ce.json").write_text(text)
    with pytest.raises(UserError, match="damaged"):
        stages.run_stage(order, 2, quiet)


def test_another_tie_between_arms_is_another_study(order: Order) -> None:
    arms = {**TOY.arms, "dual_rl": TOY.arms["dual_rl"].model_copy(update={"against": "dual"})}
    assert TOY.model_copy(update={"arms": arms}).sha256 != TOY.sha256
    assert TOY.model_copy(update={"recipe": "v1"}).sha256 != TOY.sha256


def test_the_ledger_registers_the_digest_of_all_arms(puppet: Puppet, order: Order) -> None:
    through(order, 1)
    lines = ledger.read_lines(order.ledger, TOY.name)
    assert {line.study_sha256 for line in lines if line.stage == 1} == {TOY.sha256_to(1)}


def test_the_forecast_counts_every_arm(order: Order) -> None:
    two = {name: TOY.arms[name] for name in TOY.roles}
    alone = of(TOY.model_copy(update={"arms": two}), 3)
    whole = of(TOY, 3)
    for name in ("train", "generate", "evaluate", "tokens generated", "disk"):
        less, more = alone.quantity(name).expected, whole.quantity(name).expected
        assert less is not None
        assert more is not None
        assert more > less, name
    longer = of(TOY.model_copy(update={"train": {**TOY.train, "rl_steps": 500}}), 3)
    for name in ("train", "tokens trained"):
        less, more = whole.quantity(name).expected, longer.quantity(name).expected
        assert less is not None
        assert more is not None
        assert more > 1.5 * less, name


def test_the_report_shows_the_extra_arms_and_where_answers_fall_short(puppet: Puppet, order: Order) -> None:
    _, attempt = through(order, 3)
    page, text = ((attempt / f"report.{kind}").read_text() for kind in ("html", "txt"))
    for told in (page, text):
        assert "Beside the question" in told
        assert "dual_rl against dual_ce" in told
        assert "+10.0" in told
        assert "Where answers fall short" in told
        assert "image_pinned" in told
        assert "the experiment does worst" in told
    found = json.loads((attempt / "report.json").read_text())
    assert [row["arm"] for row in found["contrasts"]] == ["dual_ce", "dual_rl", "dual_reinforce"]
    assert [part["title"] for part in found["failures"]] == ["quality_gated, mean by kind", "failed check"]
    assert found["failures"][0]["arms"] == list(ARMS)
    assert found["failures"][1]["rows"] == [["image_pinned", *["50.0%"] * 5]]
