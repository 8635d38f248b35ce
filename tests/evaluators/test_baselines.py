"""The two fixed answers: what they score, when they are scored, and where that is kept."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sluicegate import jsonl
from sluicegate.cli import run
from sluicegate.errors import UserError
from sluicegate.evaluators import MANIFEST_METRICS, PROGRAM_METRICS, Evaluator, baselines, fitting, load
from sluicegate.evaluators.baselines import CONSTANT, COPY, FILE, METRICS, NAMES, TEMPLATE, Row, keep, read
from sluicegate.k8s.score import score
from sluicegate.k8s.validity import validity
from sluicegate.records import Prediction, Sample, Score

TEXT_METRICS = ("code_accuracy", "length", "semantic_similarity", "token_f1")

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: NAME}\nspec: {containers: [{name: a, image: 'nginx:1'}]}\n"
SAMPLES = [Sample(f"s{n}", "a pod", POD.replace("NAME", f"pod-{n}"), scenario="kubernetes") for n in range(3)]
PYTHON = [Sample("p", "a function", "def f(): pass", scenario="python")]


def by_name(rows: tuple[Row, ...]) -> dict[tuple[str, str], float | None]:
    return {(row.metric, row.name): row.mean for row in rows}


def test_the_template_is_valid_and_passes_every_check() -> None:
    assert validity(TEMPLATE).valid
    found = score(TEMPLATE)
    assert (found.bp, found.security) == (1.0, 1.0)


def test_two_rows_a_metric(tmp_path: Path) -> None:
    rows = keep(tmp_path, SAMPLES, load(METRICS))
    assert [(row.metric, row.name) for row in rows] == [
        (metric, name) for metric in METRICS for name in (CONSTANT, COPY)
    ]
    assert all((row.n, row.samples, row.coverage) == (3, 3, 1.0) for row in rows)
    found = by_name(rows)
    assert found["intent_fidelity", COPY] == found["codebleu_k8s", COPY] == found["exact_match", COPY] == 1.0
    assert found["k8s_bp", CONSTANT] == found["k8s_valid", CONSTANT] == 1.0
    assert (
        found["quality_gated", CONSTANT] == found["intent_fidelity", CONSTANT] == found["exact_match", CONSTANT] == 0.0
    )


def test_they_are_scored_by_the_metrics_that_are_asked_for(tmp_path: Path) -> None:
    assert {row.metric for row in keep(tmp_path, SAMPLES, load(["k8s_bp"]))} == {"k8s_bp"}
    assert {row.metric for row in keep(tmp_path, SAMPLES, load(["exact_match", "functional_correctness"]))} == {
        "exact_match"
    }
    found = read(tmp_path / FILE)
    assert found is not None
    assert [row.metric for row in found.rows] == ["exact_match", "exact_match", "k8s_bp", "k8s_bp"]


@pytest.mark.parametrize("metrics", [["exact_match"], list(MANIFEST_METRICS), ["functional_correctness"]])
def test_samples_about_no_manifest_have_none(tmp_path: Path, metrics: list[str]) -> None:
    assert keep(tmp_path, PYTHON, load(metrics)) == ()
    assert list(tmp_path.iterdir()) == []


def test_manifests_of_no_scenario_have_them_where_a_manifest_metric_is_asked_for(tmp_path: Path) -> None:
    bare = [replace(sample, scenario="") for sample in SAMPLES]
    assert keep(tmp_path, bare, load(["exact_match"])) == ()
    mixed = keep(tmp_path, [*bare, *PYTHON], load(["intent_fidelity"]))
    assert [(row.n, row.samples) for row in mixed] == [(3, 4), (3, 4)]


class Counting:
    """Counts what it is asked."""

    NAME = "k8s_bp"

    def __init__(self, why: str = "") -> None:
        self.calls, self.why = 0, why

    def score(self, sample: Sample, prediction: Prediction) -> Score:
        self.calls += 1
        value = None if self.why else 0.5
        return Score(sample.id, prediction.model, prediction.draw, self.NAME, value, self.why)


def test_what_is_known_of_the_same_samples_is_not_scored_again(tmp_path: Path) -> None:
    judge = Counting()
    judges: list[Evaluator] = [judge]
    first = keep(tmp_path, SAMPLES, judges)
    before = (tmp_path / FILE).read_bytes()
    assert keep(tmp_path, SAMPLES, judges) == first
    assert judge.calls == 6
    assert (tmp_path / FILE).read_bytes() == before
    assert keep(tmp_path, SAMPLES[:2], judges) != first
    assert judge.calls == 10


def test_another_program_scores_them_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Counting()
    keep(tmp_path, SAMPLES, [judge])
    monkeypatch.setattr(baselines, "code_sha256", lambda: "another")
    keep(tmp_path, SAMPLES, [judge])
    assert judge.calls == 12


def test_what_was_our_failure_is_scored_again(tmp_path: Path) -> None:
    keep(tmp_path, SAMPLES, [Counting()])
    failing, other = Counting("infra: no schemas"), load(["exact_match"])[0]
    keep(tmp_path, SAMPLES[:1], [failing, other])
    keep(tmp_path, SAMPLES[:1], [failing, other])
    assert failing.calls == 4


def holding(row: str) -> str:
    return f'{{"inputs_sha256": "", "rows": [{{{row}}}]}}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"inputs_sha256": 1, "rows": []}',
        holding('"name": "copy of reference"'),
        holding('"name": "mine", "metric": "k8s_bp", "mean": 1.0, "n": 1, "samples": 1'),
        holding('"name": "copy of reference", "metric": "mine", "mean": 1.0, "n": 1, "samples": 1'),
        holding('"name": "copy of reference", "metric": "k8s_bp", "mean": NaN, "n": 1, "samples": 1'),
        holding('"name": "copy of reference", "metric": "k8s_bp", "mean": 7.0, "n": 1, "samples": 1'),
        holding('"name": "copy of reference", "metric": "k8s_bp", "mean": 1.0, "n": 2, "samples": 1'),
        holding('"name": "copy of reference", "metric": "k8s_bp", "mean": null, "n": 1, "samples": 1'),
    ],
)
def test_something_else_under_the_name_is_not_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(UserError, match="not what the two fixed answers score"):
        keep(tmp_path, SAMPLES, load(["k8s_bp"]))
    assert (tmp_path / FILE).read_text() == text


def test_the_file_is_plain_json(tmp_path: Path) -> None:
    keep(tmp_path, SAMPLES, load(["k8s_bp"]))
    found = json.loads((tmp_path / FILE).read_text())
    assert len(found["inputs_sha256"]) == 64
    assert found["rows"][0] == {"name": CONSTANT, "metric": "k8s_bp", "mean": 1.0, "n": 3, "samples": 3}


def test_evaluate_scores_them_beside_the_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, predictions = tmp_path / "test.jsonl", tmp_path / "predictions.jsonl"
    jsonl.write(data, SAMPLES)
    jsonl.write(predictions, [Prediction(sample.id, "m", 0, "", 1, 0.1, "stop") for sample in SAMPLES])
    words = ["--data", data, "--predictions", predictions, "--out", tmp_path / "scores" / "m.jsonl"]
    asked = ["evaluate", *map(str, words), "--metrics", "k8s_bp,quality_gated", "--limit", "2"]
    assert run(asked) == 0
    shown = capsys.readouterr().out
    assert [line.split("  ")[0] for line in shown.splitlines()[1:]] == [
        "m", "m", *(f"{name} (no model)" for _ in range(2) for name in NAMES),
    ]  # fmt: skip
    assert "constant template (no model)  k8s_bp         1.000  2      100%" in shown
    found = read(tmp_path / "scores" / FILE)
    assert found is not None
    assert {row.samples for row in found.rows} == {2}
    before = {path: path.read_bytes() for path in (tmp_path / "scores").iterdir()}
    assert run(asked) == 0
    assert {path: path.read_bytes() for path in (tmp_path / "scores").iterdir()} == before


@pytest.mark.process
def test_all_metrics_of_manifests_leave_out_programs_and_show_the_two(tmp_path: Path) -> None:
    jsonl.write(tmp_path / "test.jsonl", SAMPLES)
    for arm in ("control", "experiment"):
        answers = [Prediction(sample.id, arm, 0, sample.completion, 1, 0.1, "stop") for sample in SAMPLES]
        jsonl.write(tmp_path / f"{arm}.jsonl", answers)
    given = [word for arm in ("control", "experiment") for word in (f"--{arm}-predictions", f"{arm}.jsonl")]
    script = Path(__file__).parents[2] / "scripts" / "evaluate.py"
    done = subprocess.run(
        [sys.executable, str(script), *given, "--test-set", "test.jsonl", "--all-metrics"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("(no model)") == 2 * len(METRICS)
    rows = jsonl.read(Score, tmp_path / "results" / "control-results.jsonl")
    assert {row.metric for row in rows} == {*METRICS, *TEXT_METRICS}


def test_metrics_that_fit_the_scenarios() -> None:
    programs = {"exact_match", *TEXT_METRICS, *PROGRAM_METRICS}
    assert {*fitting([])} == {*fitting(["python"])} == programs
    assert {*fitting(["kubernetes"])} == {*METRICS, *TEXT_METRICS}
    assert {*fitting(["kubernetes", "python"])} == {*METRICS, *programs}
