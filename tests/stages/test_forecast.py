"""Forecasts as a user meets them: the command, the run folder, what earlier stages told, text, JSON and page."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import golden_files
from sluicegate import cli, compare, folder, study
from sluicegate.errors import UserError
from sluicegate.records import Comparison, Prediction, Score, from_json, to_json
from sluicegate.report import forecast as reading
from sluicegate.stages import forecast
from sluicegate.stages.forecast import Forecast, Quantity, figures, measured, show
from sluicegate.stages.plan import STAGES, resolve
from sluicegate.study import Machine, StageChange, Study

MACHINES = {
    "tower": Machine(does=("train", "generate"), gpu="RTX 4070 Ti", vram_gib=12, dollars_per_hour=0.5),
    "server": Machine(does=("evaluate",)),
}
SHOWN = study.parse(
    """
name: shown
question: Is <b>metadata</b> worth it?
scenarios: [python]
data: {source: demo}
arms: {control: {prompts: plain}, experiment: {prompts: enriched}}
train: {base_model: meta-llama/Meta-Llama-3-8B, load_in_4bit: "true", batch_size: 1, gradient_accumulation_steps: 8}
generate: {draws: 4, temperature: 0.7, max_new_tokens: 256, batch_size: 8}
metrics: [functional_correctness, exact_match]
primary: functional_correctness
needs_gpu: true
machines:
  tower: {does: [train, generate], gpu: RTX 4070 Ti, vram_gib: 12, dollars_per_hour: 0.5}
  server: {does: [evaluate]}
stages:
  3: {train_samples: 400, val_samples: 40, test_samples: 60, hours: 0.1}
  4: {train_samples: 2000, val_samples: 100, test_samples: 300, seeds: 3, attempts: 2}
""",
    "shown.yaml",
)
SIZES: Any = {"train_samples": 400, "val_samples": 40, "test_samples": 100, "train": {"epochs": 6}}
DEMO = study.load("demo").model_copy(
    update={"must_not_worsen": {}, "stages": {3: StageChange(**SIZES), 4: StageChange(**SIZES)}}
)


@pytest.mark.golden
@pytest.mark.parametrize(("name", "of"), [("txt", forecast.table), ("json", forecast.as_json), ("html", forecast.html)])
def test_the_plan_is_golden(name: str, of: Any) -> None:
    golden_files.check(f"plan.{name}", f"{of(SHOWN)}\n")


def test_the_text_fits_a_terminal_and_says_aloud_what_is_wrong() -> None:
    shown = forecast.table(SHOWN)
    assert max(len(line) for line in shown.splitlines()) <= 100
    for stage in STAGES:
        assert f"{stage.number} {stage.name}" in shown
    said = " ".join(shown.split())
    assert "stage 3: NOT TESTABLE as planned: power" in said
    assert "Cheapest change: stages.3: test_samples 60 →" in said
    assert "stage 3: OVER BUDGET:" in said
    assert "$242" in said
    assert "nan" not in shown


@pytest.mark.parametrize("name", study.shipped())
def test_every_shipped_study_has_a_plan(name: str) -> None:
    loaded = study.load(name).model_copy(update={"machines": MACHINES})
    assert max(len(line) for line in forecast.table(loaded).splitlines()) <= 100
    told = json.loads(forecast.as_json(loaded))
    assert [row["stage"] for row in told["stages"]] == [0, 1, 2, 3, 4]


class Page(HTMLParser):
    """Tags and attributes of a page, and whether every tag is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.names: set[str] = set()
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.names |= {name for name, _ in attrs}
        if tag not in {"meta", "br"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def close(self) -> None:
        super().close()
        assert self._open == []


def test_the_page_needs_nothing_else_and_runs_nothing() -> None:
    page = Page()
    text = forecast.html(SHOWN)
    page.feed(text)
    page.close()
    assert "script" not in page.tags
    assert not page.names & {"src", "href", "onclick", "onload"}
    assert "default-src 'none'" in text
    assert "&lt;b&gt;metadata&lt;/b&gt;" in text
    assert "b" not in page.tags
    assert 'class="loud"' in text
    assert "Testable as planned" in forecast.html(DEMO)


def plan(*argv: str) -> int:
    return cli.run(["plan", *argv])


def test_the_command_shows_a_study_and_writes_its_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = ("--runs", str(tmp_path / "none"))
    assert plan("demo", *runs, "--html", str(tmp_path / "plan.html")) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("demo: ")
    assert shown.endswith("plan.html\n")
    assert "<title>Plan · demo</title>" in (tmp_path / "plan.html").read_text()
    assert plan("--study", "demo", *runs, "--json") == 0
    assert json.loads(capsys.readouterr().out)["study"] == "demo"
    assert plan("demo", "--study", "demo", *runs) == 0
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("demo", "--study", "metadata-llama3"), "two studies are named"),
        (("dmeo",), "did you mean demo?"),
        (("--html", "no/such/folder/plan.html"), "mkdir -p no/such/folder"),
        (("--html", "."), "is a folder"),
    ],
)
def test_what_the_user_must_mend_is_said(argv: tuple[str, ...], told: str) -> None:
    with pytest.raises(UserError) as fault:
        plan(*argv)
    assert told in str(fault.value)


def result(**changes: Any) -> dict[str, Any]:
    row = {
        "steps": 150, "epochs": 6.0, "first_loss": 4.0, "last_loss": 0.1, "best_val_loss": 0.1, "best_step": 150,
        "tokens": 126_000, "seconds": 20.0, "samples": 400, "dropped": 0, "loaded_in_4bit": False, "why_4bit": "fits",
        "forecast_vram_gib": 8.0, "peak_vram_gib": 10.0, "trainable_parameters": 1, "total_parameters": 2,
        "sha256": "a",
    }  # fmt: skip
    return {**row, **changes}


def attempt_at(runs: Path, number: int, changed: Study = DEMO, stamp: str = "20300101T000000Z", **changes: Any) -> Path:
    """A run folder as a stage leaves it: every step 30 s, 40 items, answers of 25 tokens in 0.01 s each."""
    path, plan = runs / changed.name / f"stage{number}-{stamp}", resolve(changed, number)
    steps: dict[str, float] = {}
    for model in plan.models:
        for part in ("arms", "predictions", "scores"):
            (path / part).mkdir(parents=True, exist_ok=True)
        (path / "arms" / model.name).mkdir()
        (path / "arms" / model.name / "result.json").write_text(json.dumps(result(**changes)))
        (path / "arms" / model.name / "weights").write_bytes(b"0" * 1_000_000)
        answers = [Prediction(f"i{i}", model.name, k, "x", 25, 0.01, "stop") for i in range(40) for k in range(4)]
        (path / "predictions" / f"{model.name}.jsonl").write_text("".join(to_json(row) + "\n" for row in answers))
        scores = [Score(f"i{i}", model.name, 0, "exact_match", 1.0, dollars=0.01) for i in range(40)]
        (path / "scores" / f"{model.name}.jsonl").write_text("".join(to_json(row) + "\n" for row in scores))
        steps |= {f"{verb} {model.name}": 30.0 for verb in ("train", "generate", "evaluate")}
    stamps = {name: {"inputs_sha256": "a", "seconds": spent, "outputs": []} for name, spent in steps.items()}
    (path / "steps.json").write_text(
        json.dumps({"data": {"inputs_sha256": "a", "seconds": 6.0, "outputs": []}} | stamps)
    )
    (path / folder.STUDY).write_text(study.dump(changed))
    row = Comparison(
        "functional_correctness", n=40, control=0.4, experiment=0.6, gain=0.2, low=0.1, high=0.3, p=0.01,
        p_adjusted=0.01, level=0.9, method="", seed=0, coverage=1.0, variance={"items": 0.05, "draws": 0.2},
    )  # fmt: skip
    compare.write(
        path / folder.COMPARISONS, [row], control="control", experiment="experiment", primary=row.metric, seed=0,
        level=0.9,
    )  # fmt: skip
    return path


def width(row: Quantity) -> float:
    assert row.low is not None
    assert row.high is not None
    return row.high / row.low


def test_what_an_earlier_stage_measured_narrows_the_ranges(tmp_path: Path) -> None:
    attempt = attempt_at(tmp_path, 2)
    before, after = forecast.of(DEMO, 3), forecast.of(DEMO, 3, tmp_path)
    assert (before.basis, after.basis) == ("prior", "measured")
    for name in ("train", "generate", "evaluate", "wall", "tokens trained", "tokens generated"):
        one, two = before.quantity(name), after.quantity(name)
        assert attempt.name in two.basis, name
        assert width(two) < width(one), name
    # 400 samples × 6 epochs of 52.5 tokens at 20 s for 126,000 tokens, and a start of 30 - 20 s, for two models
    assert after.quantity("train").expected == pytest.approx(2 * (20 + 10) / 3600, rel=1e-3)
    # 400 answers in 7 batches of 64; 160 took 1.6 s in 3 batches; a start of 28.4 s
    each = (1.6 / 3 * 1.6 / 160 * 64) ** 0.5
    assert after.quantity("generate").expected == pytest.approx(2 * (28.4 + 7 * each) / 3600, rel=1e-3)
    assert after.chances is not None
    assert after.chances.basis == f"measured in {attempt.name} (base 40%, 40 items)"
    assert after.chances.design_gain == DEMO.design_gain
    assert "Refined by stage2-20300101T000000Z." in forecast.table(DEMO, tmp_path)
    assert forecast.of(DEMO, 2, tmp_path) == forecast.of(DEMO, 2)


def test_speeds_of_other_settings_do_not_carry_over(tmp_path: Path) -> None:
    other = DEMO.model_copy(update={"train": DEMO.train | {"batch_size": 2, "lora_r": 4}})
    attempt_at(tmp_path, 2, other)
    found = forecast.of(DEMO, 3, tmp_path)
    assert found.quantity("train").basis == "prior"
    assert "measured" in found.quantity("tokens trained").basis
    few = tmp_path / "few"
    attempt_at(few, 2, steps=3, epochs=1.0, samples=5)
    assert forecast.of(DEMO, 3, few).quantity("train").basis == "prior"


def test_memory_is_forecast_from_the_peak_that_was_seen(tmp_path: Path) -> None:
    frugal = SHOWN.model_copy(update={"train": SHOWN.train | {"vram_limit_gb": 1}})  # no layer is kept
    attempt_at(tmp_path, 2, frugal)
    before, after = forecast.of(frugal, 3).quantity("vram"), forecast.of(frugal, 3, tmp_path).quantity("vram")
    assert before.expected is not None
    assert after.expected is not None
    assert after.expected == pytest.approx(before.expected * 1.25, rel=1e-3)
    assert width(after) < width(before)
    assert "training does NOT FIT" not in " ".join(forecast.of(SHOWN, 3, tmp_path).notes)


def test_a_training_is_forecast_to_fill_the_gpu_it_is_given() -> None:
    filled, frugal = (
        forecast.of(SHOWN.model_copy(update={"train": SHOWN.train | {"vram_limit_gb": limit}}), 3).quantity("vram")
        for limit in (11, 1)
    )
    assert filled.expected is not None
    assert frugal.expected is not None
    assert 9.0 < filled.expected <= 10.5
    assert frugal.expected < 9


def test_the_newest_attempt_of_the_latest_stage_is_believed(tmp_path: Path) -> None:
    attempt_at(tmp_path, 1)
    attempt_at(tmp_path, 2, stamp="20290101T000000Z", seconds=5.0)
    newest = attempt_at(tmp_path, 2, stamp="20310101T000000Z")
    assert newest.name in forecast.of(DEMO, 3, tmp_path).quantity("train").basis
    (newest / "steps.json").write_text("{")
    found = forecast.of(DEMO, 3, tmp_path)
    assert "stage2-20290101T000000Z" in found.quantity("train").basis
    assert any(newest.name in note for note in found.notes)


DAMAGE = {
    "study.yaml": "name: [",
    "steps.json": "[1]",
    "comparisons.json": '{"rows": 1}',
    "arms/control-s0/result.json": '{"tokens": "many"}',
    "predictions/control-s0.jsonl": "{}\n",
}


@pytest.mark.parametrize("file", DAMAGE)
def test_a_run_folder_that_cannot_be_read_is_left_out_with_a_word(file: str, tmp_path: Path) -> None:
    attempt = attempt_at(tmp_path, 2)
    (attempt / file).write_text(DAMAGE[file])
    found = forecast.of(DEMO, 3, tmp_path)
    assert found.basis == "prior"
    assert [note for note in found.notes if note.startswith(f"{attempt.name} is left out")], found.notes
    assert attempt.name in forecast.table(DEMO, tmp_path)


def test_half_a_run_folder_tells_what_it_can(tmp_path: Path) -> None:
    attempt = attempt_at(tmp_path, 2)
    (attempt / "comparisons.json").unlink()
    (attempt / "predictions" / "experiment-s0.jsonl").unlink()
    (attempt / "arms" / "control-s0" / "result.json").unlink()
    found = forecast.of(DEMO, 3, tmp_path)
    assert found.notes == ()
    assert "prior" in found.quantity("train").basis
    assert "measured" in found.quantity("train").basis
    assert measured.before(tmp_path / "nowhere", "demo", 3) == measured.NOTHING_MEASURED


def test_what_a_stage_took_is_put_beside_what_was_forecast(tmp_path: Path) -> None:
    priced = SHOWN.model_copy(update={"name": "demo"})
    attempt = attempt_at(tmp_path, 2, priced)
    forecast.write(attempt, priced, 2, tmp_path)
    first = json.loads((attempt / forecast.FILE).read_text())
    assert {row["actual"] for row in first["quantities"]} == {None}
    forecast.settle(attempt)
    told = json.loads((attempt / forecast.FILE).read_text())
    actual = {row["name"]: row["actual"] for row in told["quantities"]}
    assert actual == {
        "train": pytest.approx(60 / 3600, rel=1e-3),
        "generate": pytest.approx(60 / 3600, rel=1e-3),
        "evaluate": pytest.approx(60 / 3600, rel=1e-3),
        "wall": pytest.approx(186 / 3600, rel=1e-3),
        "vram": 10.0,
        "disk": pytest.approx(2_040_000 / 2**30, rel=0.1),
        "tokens trained": 252_000,
        "tokens generated": 8000,
        "judge calls": 0,
        "dollars": pytest.approx(80 * 0.01 + 0.5 * 120 / 3600, rel=1e-3),
    }
    for row in first["quantities"]:
        row.pop("actual")
    assert [{key: value for key, value in row.items() if key != "actual"} for row in told["quantities"]] == first[
        "quantities"
    ]


def test_settling_never_fails(tmp_path: Path) -> None:
    forecast.settle(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / forecast.FILE).write_text("{")
    forecast.settle(tmp_path)
    assert (tmp_path / forecast.FILE).read_text() == "{"
    forecast.write(tmp_path, DEMO, 3, None)
    written = (tmp_path / forecast.FILE).read_text()
    forecast.settle(tmp_path)  # without a study nothing is known
    assert (tmp_path / forecast.FILE).read_text() == written
    (tmp_path / folder.STUDY).write_text(study.dump(DEMO))
    (tmp_path / "steps.json").write_text("[")
    (tmp_path / "predictions").mkdir()
    (tmp_path / "predictions" / "control-s0.jsonl").write_text("{")
    forecast.settle(tmp_path)
    actual = {row["name"]: row["actual"] for row in json.loads((tmp_path / forecast.FILE).read_text())["quantities"]}
    assert (actual["train"], actual["tokens generated"], actual["vram"]) == (None, None, None)
    (tmp_path / "arms" / "control-s0").mkdir(parents=True)
    (tmp_path / "arms" / "control-s0" / "result.json").write_text(json.dumps({"tokens": 10**400}))
    forecast.settle(tmp_path)  # no float holds it


def test_the_file_has_the_fields_that_others_read(tmp_path: Path) -> None:
    forecast.write(tmp_path, SHOWN, 4, None)
    text = (tmp_path / forecast.FILE).read_text()
    told = json.loads(text)
    assert {"stage", "basis", "quantities", "chances", "testable", "why", "cheapest"} <= set(told)
    names = [row["name"] for row in told["quantities"]]
    assert names == ["train", "generate", "evaluate", "wall", "vram", "disk", "tokens trained", "tokens generated",
                     "judge calls", "dollars"]  # fmt: skip
    assert set(told["quantities"][0]) == {"name", "unit", "low", "expected", "high", "machine", "basis", "actual"}
    assert {"test", "alpha", "attempts", "power", "false_go", "false_stop", "mde", "design_gain", "needed"} <= set(
        told["chances"]
    )
    assert from_json(Forecast, text) == forecast.of(SHOWN, 4)
    assert from_json(reading.Forecast, text).stage == 4


def numbers(row: Forecast) -> Iterator[tuple[float, float, float]]:
    for found in row.quantities:
        if found.low is not None and found.expected is not None and found.high is not None:
            yield found.low, found.expected, found.high


def test_every_range_is_in_order() -> None:
    for changed in (DEMO, SHOWN):
        for stage in STAGES:
            for low, expected, high in numbers(forecast.of(changed, stage.number)):
                assert 0 <= low <= expected <= high


def test_a_long_name_does_not_break_the_table() -> None:
    machine = Machine(does=("train", "generate", "evaluate"), gpu="NVIDIA H200", tflops=700)
    changed = SHOWN.model_copy(update={"machines": {"m" * 64: machine}})
    assert max(len(line) for line in forecast.table(changed).splitlines()) <= 100
    assert show.WIDTH == 100


def test_figures_are_short() -> None:
    assert figures.ranged(Quantity("vram", "GiB", 8.123, 8.123, 8.123)) == "8.1"
    assert figures.ranged(Quantity("tokens trained", "", 90_000.0, 120_000.0, 4e9)) == "120k (90k–4G)"


@pytest.mark.process
def test_a_page_replaces_an_earlier_plan_and_nothing_else(tmp_path: Path) -> None:
    page, notes, other = tmp_path / "plan.html", tmp_path / "notes.txt", tmp_path / "index.html"
    page.touch()
    forecast.command("demo", None, runs=tmp_path, page=page)
    forecast.command("k8s-demo", None, runs=tmp_path, page=page)
    assert "<title>Plan · k8s-demo</title>" in page.read_text("utf-8")
    for path, text in ((notes, "hours of work"), (other, "<!doctype html>\n<title>Report · demo</title>\n")):
        path.write_text(text, "utf-8")
        with pytest.raises(UserError, match="holds something else; nothing was written"):
            forecast.command("demo", None, runs=tmp_path, page=path)
        assert path.read_text("utf-8") == text


def test_an_empty_name_is_no_study(tmp_path: Path) -> None:
    for given, named in (("", None), (None, "")):
        with pytest.raises(UserError, match="no study is named"):
            forecast.command(given, named, runs=tmp_path)


def test_a_plan_needs_no_gpu_stack() -> None:
    code = (
        "import sys\nfrom sluicegate import cli\n"
        "cli.run(['plan', 'demo', '--runs', 'nowhere'])\n"
        "print([name for name in ('torch', 'mlflow', 'jinja2') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stderr.strip() == "[]"
