import json
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest
from filelock import FileLock

from sluicegate import jsonl
from sluicegate.cli import run
from sluicegate.errors import UserError
from sluicegate.evaluate import evaluate, summary
from sluicegate.evaluators import exact_match, fitting
from sluicegate.records import Prediction, Sample, Score

METRICS = ["exact_match"]
BOTH = ["functional_correctness", "exact_match"]


def sample(number: int) -> Sample:
    completion = f"def f(x):\n    return x + {number}"
    return Sample(f"s{number}", "p", completion, scenario="python", tests=f"assert f(1) == {number + 1}")


def prediction(number: int, draw: int = 0, text: str | None = None, model: str = "m-s0") -> Prediction:
    answer = f"def f(x):\n    return x + {number + draw}" if text is None else text
    return Prediction(f"s{number}", model, draw, answer, 9, 0.1, "stop")


class Files:
    """The three files of an evaluation."""

    def __init__(self, folder: Path) -> None:
        self.data, self.predictions = folder / "test.jsonl", folder / "predictions.jsonl"
        self.out = folder / "scores" / "m-s0.jsonl"

    def put(self, samples: Sequence[Sample], predictions: Sequence[Prediction]) -> None:
        jsonl.write(self.data, samples)
        jsonl.write(self.predictions, predictions)

    def evaluate(self, metrics: Sequence[str] = METRICS, *, limit: int | None = None, workers: int = 2) -> list[Score]:
        return list(evaluate(self.data, self.predictions, self.out, metrics, limit=limit, workers=workers))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    files = Files(tmp_path)
    files.put([sample(n) for n in range(4)], [prediction(n, draw) for n in range(4) for draw in range(2)])
    return files


def test_rows_are_samples_times_draws_times_metrics_in_order(files: Files) -> None:
    scores = files.evaluate(BOTH)
    assert [(row.sample_id, row.draw, row.metric) for row in scores] == [
        (f"s{n}", draw, metric) for n in range(4) for draw in range(2) for metric in BOTH
    ]
    assert [row.value for row in scores] == [1.0, 1.0, 0.0, 0.0] * 4
    assert jsonl.read(Score, files.out) == scores


def test_the_order_of_the_predictions_does_not_matter(files: Files) -> None:
    files.evaluate()
    first = files.out.read_bytes()
    jsonl.write(files.predictions, reversed(jsonl.read(Prediction, files.predictions)))
    files.out.unlink()
    files.evaluate()
    assert files.out.read_bytes() == first


@pytest.mark.process
def test_one_worker_and_eight_write_the_same_bytes(files: Files, tmp_path: Path) -> None:
    texts = ["raise SystemExit", "def f(x): return {}", "while True: f", "def f(x):\n    return x + 1", ""]
    files.put(
        [sample(n) for n in range(10)],
        [prediction(n, d, texts[(n + d) % 5]) for n in range(10) for d in range(3)],
    )
    written = []
    for workers in (1, 8):
        files.out = tmp_path / f"{workers}.jsonl"
        files.evaluate(BOTH, workers=workers)
        written.append(files.out.read_bytes())
    assert written[0] == written[1]


def counting(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What exact_match is asked from now on."""
    asked: list[tuple[str, int]] = []
    judge, lock = exact_match.score, threading.Lock()

    def count(sample: Sample, answer: Prediction) -> Score:
        with lock:
            asked.append((sample.id, answer.draw))
        return judge(sample, answer)

    monkeypatch.setattr(exact_match, "score", count)
    return asked


def test_what_was_scored_is_not_scored_again(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    first = files.evaluate()
    before = files.out.read_bytes()
    asked = counting(monkeypatch)
    assert files.evaluate() == first
    assert asked == []
    assert files.out.read_bytes() == before


def test_a_torn_journal_goes_on_to_the_same_bytes(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    files.evaluate()
    whole = files.out.read_bytes()
    lines = whole.splitlines(keepends=True)
    files.out.write_bytes(b"".join([lines[5], lines[0], lines[2]]) + lines[3][:40])
    asked = counting(monkeypatch)
    files.evaluate()
    assert files.out.read_bytes() == whole
    assert len(asked) == 5


def test_added_predictions_and_metrics_are_added(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = jsonl.read(Prediction, files.predictions)
    jsonl.write(files.predictions, answers[:3])
    files.evaluate()
    jsonl.write(files.predictions, answers)
    asked = counting(monkeypatch)
    assert [row.value for row in files.evaluate()] == [1.0, 0.0] * 4
    assert sorted(asked) == [("s1", 1), ("s2", 0), ("s2", 1), ("s3", 0), ("s3", 1)]


def test_rows_of_other_metrics_and_samples_are_kept(files: Files) -> None:
    files.evaluate(BOTH)
    scores = files.evaluate(["exact_match"], limit=1)
    assert [(row.sample_id, row.metric) for row in scores] == [("s0", "exact_match")] * 2
    assert len(jsonl.read(Score, files.out)) == 16


def test_limit_takes_the_first_samples(files: Files) -> None:
    assert {row.sample_id for row in files.evaluate(limit=2)} == {"s0", "s1"}
    assert len(files.out.read_text().splitlines()) == 4
    assert len(files.evaluate()) == 8


def test_a_sample_without_a_prediction_counts_in_the_coverage_until_it_has_one(files: Files) -> None:
    jsonl.write(files.predictions, [prediction(1)])
    scores = files.evaluate()
    assert [(row.sample_id, row.value, row.why) for row in scores] == [
        ("s0", None, "no prediction"),
        ("s1", 1.0, ""),
        ("s2", None, "no prediction"),
        ("s3", None, "no prediction"),
    ]
    jsonl.write(files.predictions, [prediction(n) for n in range(4)])
    assert [row.value for row in files.evaluate()] == [1.0] * 4


def test_a_failed_generation_is_not_a_wrong_answer(files: Files) -> None:
    jsonl.write(files.predictions, [Prediction("s0", "m-s0", 0, "", 0, 0.0, "error"), prediction(1)])
    first = files.evaluate(limit=1)[0]
    assert (first.value, first.why) == (None, "generation failed")


def test_our_failure_is_scored_again_and_never_zero(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(
            exact_match,
            "score",
            lambda s, p: Score(s.id, p.model, p.draw, "exact_match", None, "infra: disk full"),
        )
        assert {row.value for row in files.evaluate()} == {None}
    assert [row.value for row in files.evaluate()] == [1.0, 0.0] * 4


def test_scores_of_other_answers_are_neither_mixed_nor_lost(files: Files) -> None:
    files.evaluate()
    before = files.out.read_bytes()
    answers = jsonl.read(Prediction, files.predictions)
    jsonl.write(files.predictions, [prediction(0, 0, "another"), *answers[1:]])
    with pytest.raises(UserError, match="holds scores of other answers"):
        files.evaluate()
    jsonl.write(files.predictions, answers)
    jsonl.write(files.data, [Sample("s0", "p", "another"), *(sample(n) for n in range(1, 4))])
    with pytest.raises(UserError, match="holds scores of other answers"):
        files.evaluate()
    assert files.out.read_bytes() == before


def test_scores_without_their_digests_and_of_another_model_are_refused(files: Files) -> None:
    files.evaluate()
    jsonl.write(files.predictions, [prediction(n, model="other") for n in range(4)])
    with pytest.raises(UserError, match="holds scores of other answers"):
        files.evaluate()
    files.put([sample(0)], [prediction(0)])
    files.out.with_name(files.out.name + ".inputs.json").unlink()
    with pytest.raises(UserError, match="is not beside it"):
        files.evaluate()


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        ([], "predictions.jsonl: empty"),
        ([prediction(7)], "predictions.jsonl:1: sample 's7' is not in"),
        ([prediction(0), prediction(1), prediction(0)], "given twice: s0, draw 0"),
        ([prediction(0), prediction(1, model="n")], "predictions.jsonl: 2 models"),
    ],
)
def test_bad_predictions_are_named_and_nothing_is_written(
    files: Files, predictions: Sequence[Prediction], message: str
) -> None:
    jsonl.write(files.predictions, predictions)
    with pytest.raises(UserError, match=message):
        files.evaluate()
    assert not files.out.exists()


def test_bad_arguments_and_data_are_named_and_nothing_is_written(files: Files) -> None:
    for limit, workers, metrics in ((0, 1, METRICS), (1, 0, METRICS), (1, 1, ["exact"]), (1, 1, [])):
        with pytest.raises(UserError):
            files.evaluate(metrics, limit=limit, workers=workers)
    jsonl.write(files.data, [sample(0), sample(0)])
    with pytest.raises(UserError, match=r"test\.jsonl"):
        files.evaluate()
    files.data.write_text("")
    with pytest.raises(UserError, match=r"test\.jsonl: empty"):
        files.evaluate()
    assert not files.out.parent.exists()


def test_a_score_file_is_written_by_one_process_at_a_time(files: Files) -> None:
    files.evaluate()
    before = files.out.read_bytes()
    with FileLock(files.out.with_name(f".{files.out.name}.lock")), pytest.raises(UserError, match="in use"):
        files.evaluate()
    assert files.out.read_bytes() == before


def test_a_score_file_in_the_way_of_a_folder_is_named(files: Files) -> None:
    files.out = files.data / "scores.jsonl"
    with pytest.raises(UserError, match="cannot be written"):
        files.evaluate()


SLOW = """
import sys, time
from pathlib import Path
from sluicegate.evaluate import evaluate
from sluicegate.evaluators import exact_match, fitting
judge = exact_match.score
def slowly(sample, prediction):
    time.sleep(0.05)
    return judge(sample, prediction)
exact_match.score = slowly
evaluate(*map(Path, sys.argv[1:4]), ["exact_match"], workers=2)
"""


@pytest.mark.process
def test_killed_and_run_again_it_writes_the_bytes_of_an_undisturbed_run(files: Files, tmp_path: Path) -> None:
    numbers = range(60)
    files.put([sample(n) for n in numbers], [prediction(n, 1) for n in numbers])
    argv = [sys.executable, "-c", SLOW, str(files.data), str(files.predictions), str(files.out)]
    child = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    while child.poll() is None and (not files.out.exists() or files.out.read_bytes().count(b"\n") < 5):
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    done = files.out.read_bytes().count(b"\n")
    assert 5 <= done < 60
    files.evaluate()
    killed = files.out.read_bytes()
    files.out = tmp_path / "undisturbed.jsonl"
    files.evaluate()
    assert killed == files.out.read_bytes()


def test_no_time_and_no_path_is_written(files: Files, tmp_path: Path) -> None:
    files.evaluate()
    noted = json.loads(files.out.with_name("m-s0.jsonl.inputs.json").read_text())
    assert set(noted) == {f"s{n}#{draw}" for n in range(4) for draw in range(2)}
    assert str(tmp_path) not in files.out.read_text()


def test_the_summary_averages_draws_within_a_sample_and_counts_what_was_not_judged() -> None:
    rows = [
        Score("a", "m", 0, "exact_match", 1.0),
        Score("a", "m", 1, "exact_match", 0.0),
        Score("b", "m", 0, "exact_match", 1.0),
        Score("b", "m", 1, "exact_match", None, "infra"),
        Score("c", "m", 0, "length", None, "nothing"),
    ]
    assert summary(rows).splitlines()[1:] == [
        "m      exact_match  0.750  2       75%",
        "m      length           -  0        0%",
    ]


def test_somebody_elses_file_is_left_as_it_is(files: Files) -> None:
    files.out.parent.mkdir(parents=True)
    files.out.write_text('{"one line": "without an end"}')
    with pytest.raises(UserError, match="is not beside it"):
        files.evaluate()
    assert files.out.read_text() == '{"one line": "without an end"}'


def test_a_folder_is_no_score_file(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for files.out in (tmp_path, Path(), Path("..")):
        with pytest.raises(UserError, match="is a folder"):
            files.evaluate()


def two_sets(folder: Path) -> list[str]:
    """Two scenarios in two files, an answer to each of their samples, and the options that name them."""
    for scenario in ("python", "bugfix"):
        samples = [Sample(f"{scenario}-{n}", "p", f"x = {n}", scenario=scenario) for n in range(3)]
        jsonl.write(folder / f"{scenario}.jsonl", samples)
    names = [f"{scenario}-{n}" for scenario in ("python", "bugfix") for n in range(3)]
    jsonl.write(folder / "answers.jsonl", [Prediction(name, "m", 0, "x = 1", 1, 0.1, "stop") for name in names])
    sets = ["--test-sets", str(folder / "python.jsonl"), str(folder / "bugfix.jsonl")]
    return ["evaluate", *sets, "--predictions", str(folder / "answers.jsonl"), "--out", str(folder / "scores.jsonl")]


@pytest.mark.parametrize(
    ("words", "samples", "metrics"),
    [
        (["--metrics", "exact_match, length"], 6, ["exact_match", "length"]),
        (["--metrics", "exact_match", "--scenarios", "bugfix", "--limit", "2"], 2, ["exact_match"]),
        (["--metrics", "exact_match", "--scenarios", "bugfix,python", "--backend", "threads"], 6, ["exact_match"]),
        (["--all-metrics", "--limit", "1"], 1, fitting(["python"])),
    ],
)
def test_the_command_takes_several_sets_scenarios_and_metrics(
    tmp_path: Path, words: list[str], samples: int, metrics: list[str]
) -> None:
    assert run([*two_sets(tmp_path), *words]) == 0
    rows = jsonl.read(Score, tmp_path / "scores.jsonl")
    assert len({row.sample_id for row in rows}) == samples
    assert {row.metric for row in rows} == set(metrics)
    assert len(rows) == samples * len(metrics)


@pytest.mark.parametrize(
    ("words", "what", "hint"),
    [
        (["--metrics", "exact_mach"], "metric 'exact_mach': unknown", "did you mean exact_match?"),
        (["--scenarios", "bugfx"], "--scenarios: none of bugfx", "did you mean bugfix?"),
        (["--backend", "proceses"], "backend 'proceses': unknown", "did you mean processes?"),
        (["--limit", "0"], "limit: too small", "0"),
    ],
)
def test_an_unknown_name_is_told_with_the_known_ones(tmp_path: Path, words: list[str], what: str, hint: str) -> None:
    with pytest.raises(UserError) as refused:
        run([*two_sets(tmp_path), *words])
    assert (refused.value.what, refused.value.seen) == (what, hint)
    assert not (tmp_path / "scores.jsonl").exists()


def test_an_id_in_two_sets_is_named(tmp_path: Path) -> None:
    words = two_sets(tmp_path)
    words.insert(2, str(tmp_path / "bugfix.jsonl"))
    with pytest.raises(UserError, match="ids repeat"):
        run(words)


def test_scenarios_that_are_added_keep_what_is_there(tmp_path: Path) -> None:
    words = [*two_sets(tmp_path), "--metrics", "exact_match"]
    run([*words, "--scenarios", "bugfix"])
    run([*words, "--scenarios", "python"])
    added = (tmp_path / "scores.jsonl").read_bytes()
    (tmp_path / "scores.jsonl").unlink()
    run(words)
    assert (tmp_path / "scores.jsonl").read_bytes() == added


def test_neither_predictions_nor_scores_are_held(files: Files) -> None:
    """The texts of 3,000 answers of 10,000 characters, and their rows, pass through: a tenth of them is in memory."""
    text = "x" * 10_000
    jsonl.write(files.predictions, (prediction(n % 4, n // 4, f"{text}{n}") for n in range(3000)))
    tracemalloc.start()
    try:
        found = evaluate(files.data, files.predictions, files.out, METRICS, workers=2)
        summary(found)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found) == 3000
    assert peak < 3_000_000


def test_predictions_with_a_mark_and_windows_line_ends_are_read(files: Files) -> None:
    text = files.predictions.read_text()
    files.predictions.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() + b"\r\n")
    assert [row.value for row in files.evaluate()] == [1.0, 0.0] * 4


@pytest.mark.parametrize("place", [0, 3, 7])
def test_a_bad_line_of_the_predictions_is_named(files: Files, place: int) -> None:
    lines = files.predictions.read_text().splitlines()
    lines[place] = lines[place][:-9]
    files.predictions.write_text("\n".join(lines))
    with pytest.raises(UserError, match=rf"predictions\.jsonl:{place + 1}: "):
        files.evaluate()
