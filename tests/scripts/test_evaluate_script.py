import json
import subprocess
import sys
from pathlib import Path

import pytest

from sluicegate import jsonl
from sluicegate.evaluators import EVALUATORS, fitting
from sluicegate.records import Prediction, Sample, Score

pytestmark = pytest.mark.process

SCRIPTS = Path(__file__).parents[2] / "scripts"


def run(script: str, *words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPTS / script), *map(str, words)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def samples(scenario: str, count: int) -> list[Sample]:
    return [
        Sample(
            f"{scenario}-{n}", "p", f"def f(x):\n    return x + {n}", scenario=scenario, tests=f"assert f(1) == {n + 1}"
        )
        for n in range(count)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two test sets and the predictions of two arms: the control is right on even samples, the experiment on all."""
    python, bugfix = samples("python", 8), samples("bugfix", 4)
    jsonl.write(tmp_path / "python.jsonl", python)
    jsonl.write(tmp_path / "bugfix.jsonl", bugfix)
    for arm, step in (("control", 2), ("experiment", 1)):
        texts = {s.id: s.completion if n % step == 0 else "x" for n, s in enumerate(python + bugfix)}
        answers = [Prediction(name, arm, 0, text, 1, 0.1, "stop") for name, text in texts.items()]
        jsonl.write(tmp_path / f"{arm}.jsonl", answers)
        jsonl.write(tmp_path / f"{arm}-python.jsonl", [row for row in answers if row.sample_id.startswith("python")])
    return tmp_path


GIVEN = ["--control-predictions", "control.jsonl", "--experiment-predictions", "experiment.jsonl"]
PYTHON_ONLY = ["--control-predictions", "control-python.jsonl", "--experiment-predictions", "experiment-python.jsonl"]


def test_two_arms_are_scored_on_several_test_sets(folder: Path) -> None:
    done = run("evaluate.py", *GIVEN, "--test-sets", "python.jsonl", "bugfix.jsonl", "--all-metrics", cwd=folder)
    assert done.returncode == 0, done.stderr
    control = jsonl.read(Score, folder / "results" / "control-results.jsonl")
    asked = fitting(["python", "bugfix"])
    assert len(control) == 12 * len(asked)
    assert {row.metric for row in control} == set(asked)
    assert "control     functional_correctness  0.500  12      100%" in done.stdout
    assert "experiment  functional_correctness  1.000  12      100%" in done.stdout
    assert "stats_analysis.py --control-results results/control-results.jsonl" in done.stdout


def test_names_may_have_blanks_between_them_and_an_unknown_one_is_told_before_anything_is_made(folder: Path) -> None:
    some = [*PYTHON_ONLY, "--test-set", "python.jsonl", "--scenarios", " python ,", "--limit", 1]
    done = run("evaluate.py", *some, "--metrics", "exact_match, token_f1,", cwd=folder)
    assert done.returncode == 0, done.stderr
    rows = jsonl.read(Score, folder / "results" / "control-results.jsonl")
    assert [row.metric for row in rows] == ["exact_match", "token_f1"]
    done = run("evaluate.py", *some, "--metrics", "token_f2", "--out", "none", cwd=folder)
    assert done.returncode == 2
    assert "did you mean token_f1?" in done.stderr
    assert all(name in done.stderr for name in EVALUATORS)
    assert not (folder / "none").exists()


def test_scenarios_limit_and_metrics_choose(folder: Path) -> None:
    done = run(
        "evaluate.py", *PYTHON_ONLY, "--test-set", "python.jsonl", "bugfix.jsonl", "--scenarios", "python",
        "--limit", 3, "--metrics", "exact_match", "--out", "few", cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = jsonl.read(Score, folder / "few" / "experiment-results.jsonl")
    assert [(row.sample_id, row.metric) for row in rows] == [(f"python-{n}", "exact_match") for n in range(3)]


def test_running_it_again_changes_nothing(folder: Path) -> None:
    words = [*PYTHON_ONLY, "--test-set", "python.jsonl"]
    first = run("evaluate.py", *words, cwd=folder)
    before = {path: path.read_bytes() for path in (folder / "results").glob("*.json*")}
    second = run("evaluate.py", *words, cwd=folder)
    assert (first.returncode, first.stdout) == (second.returncode, second.stdout) == (0, first.stdout)
    assert {path: path.read_bytes() for path in (folder / "results").glob("*.json*")} == before


def test_other_samples_in_the_output_folder_are_not_replaced(folder: Path) -> None:
    assert run("evaluate.py", *PYTHON_ONLY, "--test-set", "python.jsonl", cwd=folder).returncode == 0
    before = (folder / "results" / "test.jsonl").read_bytes()
    done = run("evaluate.py", *GIVEN, "--test-set", "bugfix.jsonl", cwd=folder)
    assert done.returncode == 2
    assert "other samples" in done.stderr
    assert (folder / "results" / "test.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--control-model", "m", "--test-set", "python.jsonl"], "--experiment-model"),
        ([*GIVEN, "--test-set", "nothing.jsonl"], "nothing.jsonl: not found"),
        ([*GIVEN, "--test-set", "python.jsonl", "python.jsonl"], "ids repeat"),
        ([*GIVEN, "--test-set", "python.jsonl", "--scenarios", "rust"], "none of rust"),
        ([*GIVEN, "--test-set", "python.jsonl", "--metrics", "exact_mach"], "did you mean exact_match?"),
        (["--control-model", "m", "--experiment-model", "m", "--test-set", "python.jsonl"], "model m: not found"),
    ],
)
def test_wrong_arguments_are_one_message_and_exit_code_2(folder: Path, words: list[str], message: str) -> None:
    done = run("evaluate.py", *words, cwd=folder)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.torch
def test_two_models_answer_and_are_scored(folder: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "sluicegate.models.tiny", "base", "python.jsonl"],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    done = run(
        "evaluate.py", "--control-model", "base", "--experiment-model", "base", "--test-set", "python.jsonl",
        "bugfix.jsonl", "--limit", 2, "--scenarios", "bugfix", "--max-new-tokens", 4, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for arm in ("control", "experiment"):
        answers = jsonl.read(Prediction, folder / "results" / f"{arm}-predictions.jsonl")
        assert [(row.sample_id, row.model) for row in answers] == [("bugfix-0", arm), ("bugfix-1", arm)]
        assert len(jsonl.read(Score, folder / "results" / f"{arm}-results.jsonl")) == 4


def test_predictions_on_other_scenarios_too_are_no_fault(folder: Path) -> None:
    words = [*GIVEN, "--test-sets", "python.jsonl", "bugfix.jsonl", "--metrics", "exact_match"]
    done = run("evaluate.py", *words, "--scenarios", "bugfix", cwd=folder)
    assert done.returncode == 0, done.stderr
    rows = jsonl.read(Score, folder / "results" / "control-results.jsonl")
    assert {row.sample_id for row in rows} == {f"bugfix-{n}" for n in range(4)}


def test_the_statistics_read_what_the_evaluation_wrote(folder: Path) -> None:
    words = [*PYTHON_ONLY, "--test-set", "python.jsonl", "--metrics", "functional_correctness"]
    assert run("evaluate.py", *words, cwd=folder).returncode == 0
    results = ["--control-results", "results/control-results.jsonl", "--experiment-results"]
    done = run("stats_analysis.py", *results, "results/experiment-results.jsonl", "--out", "results", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "functional_correctness" in done.stdout
    assert "functional_correctness" in json.dumps(json.loads((folder / "results" / "comparisons.json").read_text()))


def test_the_statistics_name_a_missing_file(tmp_path: Path) -> None:
    done = run("stats_analysis.py", "--control-results", "a", "--experiment-results", "b", cwd=tmp_path)
    assert done.returncode == 2
    assert "a: not found" in done.stderr


@pytest.mark.parametrize("script", ["evaluate.py", "stats_analysis.py"])
def test_the_scripts_do_not_stand_in_for_hugging_face_s_evaluate(script: str, tmp_path: Path) -> None:
    code = (
        f"import runpy, sys, importlib.util\nsys.path.insert(0, {str(SCRIPTS)!r})\n"
        f"runpy.run_path({str(SCRIPTS / script)!r})\nfound = importlib.util.find_spec('evaluate')\n"
        "print(found.origin if found else 'none')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert str(SCRIPTS) not in done.stdout


@pytest.mark.parametrize("script", ["evaluate.py", "stats_analysis.py"])
def test_help_needs_no_gpu_stack(script: str, tmp_path: Path) -> None:
    code = (
        "import runpy, sys\nsys.argv = ['x', '--help']\n"
        f"try:\n    runpy.run_path({str(SCRIPTS / script)!r}, run_name='__main__')\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "assert not {'torch', 'transformers', 'mlflow', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
