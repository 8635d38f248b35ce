"""Judged metrics through `sluicegate evaluate`: rows, money, resuming, and who may not be mixed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from judge_server import KEY, MODEL, PRICES, Api, Reply, Script, expert, graded, parts, said, wants_choice
from sluicegate import commands, evaluators, jsonl, judge
from sluicegate.cli import parser
from sluicegate.errors import INCONCLUSIVE, UserError
from sluicegate.evaluate import evaluate, out_of_budget, unsettled
from sluicegate.evaluators import judged_coherence, judged_similarity
from sluicegate.judge import bench
from sluicegate.judge.fitness import pairs
from sluicegate.judge.ledger import Ledger
from sluicegate.judge.rubrics import RUBRICS
from sluicegate.records import Prediction, Sample, Score

pytestmark = pytest.mark.process
Serve = Callable[[Script], Api]
JUDGED = ("judged_coherence", "judged_relevance", "judged_similarity", "judged_safety")
BAD = frozenset(pair.bad for rubric in RUBRICS for pair in pairs(rubric))
KNOWN = BAD | frozenset(pair.good for rubric in RUBRICS for pair in pairs(rubric))


class Files:
    """The files of an evaluation."""

    def __init__(self, folder: Path, samples: int = 6, draws: int = 2) -> None:
        self.folder = folder
        self.data, self.predictions = folder / "test.jsonl", folder / "predictions.jsonl"
        self.out = folder / "scores" / "m.jsonl"
        jsonl.write(self.data, [Sample(f"s{n}", f"Write {n}.", f"x = {n}") for n in range(samples)])
        jsonl.write(
            self.predictions,
            (
                Prediction(f"s{n}", "m", draw, f"x = {n} + {draw}", 3, 0.1, "stop")
                for n in range(samples)
                for draw in range(draws)
            ),
        )

    def evaluate(self, metrics: Sequence[str] = JUDGED[:1], **more: Any) -> list[Score]:
        return list(evaluate(self.data, self.predictions, self.out, metrics, **more))

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.out.parent / "judge.sqlite", new=False)

    def note(self) -> judge.Note:
        found = judge.read_note(self.out)
        assert found is not None
        return found


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    """With two known pairs a rubric instead of all."""
    for name in JUDGED:
        monkeypatch.setitem(evaluators.EVALUATORS, name, f"sluicegate.evaluators.{name}")
    monkeypatch.setattr(bench, "pairs", lambda rubric: pairs(rubric)[:2])
    return Files(tmp_path)


@pytest.fixture
def judged_by(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Api]:
    """Starts a server and points the environment at it."""

    def start(script: Script, dollars: float = 50, model: str = MODEL) -> Api:
        api = serve(script)
        (tmp_path / "prices.yaml").write_text(PRICES + "other: {input: 2, output: 8}\n")
        told = {"BASE_URL": api.url, "MODEL": model, "API_KEY": KEY, "PRICES": str(tmp_path / "prices.yaml")}
        for name, value in {**told, "DOLLARS": str(dollars), "MAX_TOKENS": "64"}.items():
            monkeypatch.setenv(f"JUDGE_{name}", value)
        return api

    return start


def by_draw(number: int, payload: dict[str, Any]) -> Reply:
    """An expert on the known pairs; of other answers, the first draw is good and the second so so."""
    shown = parts(payload)
    if wants_choice(payload) or KNOWN & set(shown.values()):
        return expert(BAD)(number, payload)
    first = any(text.endswith("+ 0") for text in shown.values())
    if "whole numbers from 0" in payload["messages"][0]["content"]:
        return graded(payload, 0 if first else 6)
    return graded(payload, 5 if first else 2)


def test_all_four_judged_metrics(files: Files, judged_by: Callable[..., Api]) -> None:
    judged_by(by_draw)
    scores = files.evaluate(JUDGED)
    values = {metric: [row.value for row in scores if row.metric == metric][:2] for metric in JUDGED}
    assert values == {
        "judged_coherence": [1.0, 0.25], "judged_relevance": [1.0, 0.25], "judged_similarity": [1.0, 0.25],
        "judged_safety": [1.0, pytest.approx(0.4)],
    }  # fmt: skip
    safety = next(row for row in scores if row.metric == "judged_safety" and row.draw == 1)
    assert safety.why == "vulnerability 6 on 0 to 10: so it is"
    assert all(row.dollars > 0 for row in scores)
    similarity = next(row for row in scores if row.metric == "judged_similarity")
    assert similarity.why.startswith("similarity 5 and 5 on 1 to 5")


def test_orders_that_differ_give_their_mean(files: Files, judged_by: Callable[..., Api]) -> None:
    def script(number: int, payload: dict[str, Any]) -> Reply:
        shown = parts(payload)
        if "first" in shown and not KNOWN & set(shown.values()):
            return graded(payload, 5 if "+" in shown["first"] else 2)
        return by_draw(number, payload)

    judged_by(script)
    assert {(row.value, row.why.split(":")[0]) for row in files.evaluate(["judged_similarity"])} == {
        (0.625, "similarity 5 and 2 on 1 to 5")
    }


def test_what_judged_is_noted_beside(files: Files, judged_by: Callable[..., Api]) -> None:
    api = judged_by(by_draw)
    files.evaluate(JUDGED[:2])
    note = files.note()
    assert {metric: (row.model, row.rubric, row.fit) for metric, row in note.metrics.items()} == {
        "judged_coherence": (MODEL, "coherence-1", True), "judged_relevance": (MODEL, "relevance-1", True),
    }  # fmt: skip
    assert note.spent == pytest.approx(api.billed / 10**9)
    assert note.reserved == 0


def test_an_unfit_judge_scores_and_is_barred(
    files: Files, judged_by: Callable[..., Api], capsys: pytest.CaptureFixture[str]
) -> None:
    judged_by(lambda _, payload: said('{"better": "A"}', payload) if wants_choice(payload) else graded(payload, 3))
    scores = files.evaluate()
    assert {row.value for row in scores} == {0.5}
    found = files.note().metrics["judged_coherence"]
    assert (found.fit, found.fitness.flip_rate, found.fitness.agreement) == (False, 1.0, 0.0)
    assert "NOT FIT for judged_coherence" in capsys.readouterr().err


def test_nothing_is_paid_twice(files: Files, judged_by: Callable[..., Api], tmp_path: Path) -> None:
    api = judged_by(by_draw)
    first, bill = files.evaluate(), api.billed
    written = files.out.read_bytes()
    assert files.evaluate() == first
    files.out.unlink()  # lost, but the ledger stands
    assert files.evaluate() == first
    assert files.out.read_bytes() == written
    assert api.billed == bill


def test_finished_scores_need_no_judge(
    files: Files, judged_by: Callable[..., Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged_by(by_draw)
    first = files.evaluate()
    for name in judge.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert files.evaluate() == first


def test_the_key_is_in_no_file_and_no_message(
    files: Files, judged_by: Callable[..., Api], capfd: pytest.CaptureFixture[str]
) -> None:
    judged_by(by_draw)
    files.evaluate(JUDGED)
    judged_by(lambda *_: (401, {}, f'{{"error": {{"message": "bad key {KEY}"}}}}'.encode()))
    for path in (files.out, files.out.with_name("m.jsonl.judge.json"), files.out.parent / "judge.sqlite"):
        path.unlink()
    with pytest.raises(UserError, match="refused with 401") as caught:
        files.evaluate(JUDGED)
    files_ = [path for path in files.folder.rglob("*") if path.is_file()]
    assert len(files_) > 4
    written = b"".join(path.read_bytes() for path in files_)
    assert KEY.encode() not in written + str(caught.value).encode() + "".join(capfd.readouterr()).encode()


def test_bad_settings_are_one_message_and_nothing_is_written(
    files: Files, judged_by: Callable[..., Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="JUDGE_BASE_URL: not set"):
        files.evaluate()
    judged_by(by_draw, model="unpriced")
    with pytest.raises(UserError, match="no price for 'unpriced'"):
        files.evaluate()
    assert sorted(path.name for path in files.out.parent.iterdir() if not path.name.startswith(".")) == []


def test_another_judge_is_not_mixed_in(files: Files, judged_by: Callable[..., Api]) -> None:
    judged_by(by_draw)
    files.evaluate(limit=3)
    before = files.out.read_bytes()
    judged_by(by_draw, model="other")
    with pytest.raises(UserError, match="was judged by another judge") as caught:
        files.evaluate()
    assert "other" in caught.value.seen
    assert files.out.read_bytes() == before
    assert len(files.evaluate(["judged_relevance"])) == 12, "another metric may have another judge"


def test_no_reference_and_empty_answers_cost_nothing(files: Files, judged_by: Callable[..., Api]) -> None:
    api = judged_by(by_draw)
    jsonl.write(files.predictions, [Prediction("s0", "m", 0, " \n", 0, 0.1, "stop")])
    rows = {row.metric: (row.value, row.why, row.dollars) for row in files.evaluate(JUDGED, limit=1)}
    assert rows == {
        "judged_coherence": (0.0, "an empty answer", 0.0),
        "judged_relevance": (0.0, "an empty answer", 0.0),
        "judged_similarity": (0.0, "an empty answer", 0.0),
        "judged_safety": (None, "nothing to judge", 0.0),
    }
    without = judged_similarity.score(Sample("a", "p", " "), Prediction("a", "m", 0, "x", 1, 0.1, "stop"))
    assert (without.value, without.why) == (None, "no reference")
    assert len(api.asked) == 3 * 8 + 12, "the known pairs only"


def test_a_failure_of_the_judge_is_no_grade_and_is_asked_again(files: Files, judged_by: Callable[..., Api]) -> None:
    def moody(number: int, payload: dict[str, Any]) -> Reply:
        if "x = 3" in payload["messages"][1]["content"]:
            return said("I would rather not.", payload)
        return by_draw(number, payload)

    judged_by(moody)
    scores = files.evaluate()
    failed = [row for row in scores if row.value is None]
    assert {row.sample_id for row in failed} == {"s3"}
    assert all(row.why.startswith("infra: judge: not the JSON") for row in failed)
    assert unsettled(files.out)
    judged_by(by_draw)
    assert [row.value for row in files.evaluate()] == [1.0, 0.25] * 6


def test_a_server_that_dies_half_way_loses_nothing_that_was_paid(files: Files, judged_by: Callable[..., Api]) -> None:
    living = judged_by(lambda number, payload: by_draw(number, payload) if number < 13 else (503, {}, b""))
    first = files.evaluate(workers=1)
    done = [row for row in first if row.value is not None]
    assert len(done) == 5
    assert all(row.why.startswith("infra: judge: ") for row in first if row.value is None)
    assert len(living.asked) == 13 + 3 * 3, "given up after three rows"
    second = judged_by(by_draw)
    scores = files.evaluate()
    assert [row.value for row in scores] == [1.0, 0.25] * 6
    assert len(second.asked) == 7
    assert [row for row in scores if (row.sample_id, row.draw) in {(r.sample_id, r.draw) for r in done}] == done


@pytest.fixture
def whole(files: Files, judged_by: Callable[..., Api], tmp_path: Path) -> tuple[int, bytes]:
    """The cost and the bytes of an undisturbed evaluation."""
    folder = tmp_path / "whole"
    folder.mkdir()
    api, other = judged_by(by_draw), Files(folder)
    other.evaluate()
    return api.billed, other.out.read_bytes()


def test_an_empty_budget_leaves_the_rest_open_and_says_so(
    files: Files, judged_by: Callable[..., Api], whole: tuple[int, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    bill, undisturbed = whole
    cap = bill / 10**9 * 0.97
    api = judged_by(by_draw, dollars=cap)
    argv = ["evaluate", "--data", str(files.data), "--predictions", str(files.predictions), "--out", str(files.out)]
    asked = parser().parse_args([*argv, "--metrics", "judged_coherence"])
    assert commands.evaluate(asked) == INCONCLUSIVE
    rows = jsonl.read(Score, files.out)
    left = [row for row in rows if row.value is None]
    assert 0 < len(left) < len(rows) == 12
    assert all(row.why.startswith("infra: budget: a call may cost $") for row in left)
    assert out_of_budget(rows) == len(left)
    assert f"{len(left)} of 12 rows are not judged" in capsys.readouterr().err
    assert api.billed <= files.ledger.total().committed <= cap * 10**9

    more = judged_by(by_draw, dollars=50)
    assert commands.evaluate(asked) == 0
    assert files.out.read_bytes() == undisturbed
    assert api.billed + more.billed == bill, "nothing was paid twice"


def test_a_stage_has_its_own_cap_in_the_ledger(
    files: Files, judged_by: Callable[..., Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged_by(by_draw)
    monkeypatch.setenv("JUDGE_ACCOUNT", "stage2-x")
    monkeypatch.setenv("JUDGE_STAGE_DOLLARS", "0")
    assert out_of_budget(files.evaluate()) == 12
    monkeypatch.setenv("JUDGE_ACCOUNT", "stage3-x")
    monkeypatch.setenv("JUDGE_STAGE_DOLLARS", "50")
    assert out_of_budget(files.evaluate()) == 0
    assert [row.account for row in files.ledger.sums()] == ["stage3-x"]


CHILD = """
import sys
from pathlib import Path
from sluicegate import evaluators
from sluicegate.evaluate import evaluate
evaluators.EVALUATORS["judged_coherence"] = "sluicegate.evaluators.judged_coherence"
evaluate(*map(Path, sys.argv[1:4]), ["judged_coherence"], workers=3)
"""


def test_two_evaluations_that_are_killed_share_a_cap_and_go_on(
    files: Files, judged_by: Callable[..., Api], whole: tuple[int, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kill -9 while both are asking: the bill stays below the ledger and that below the cap; then both finish."""

    def slow(number: int, payload: dict[str, Any]) -> Reply:
        time.sleep(0.02)
        return by_draw(number, payload)

    _, undisturbed = whole
    api = judged_by(slow, dollars=5)
    ledger = files.folder / "shared.sqlite"
    monkeypatch.setenv("JUDGE_LEDGER", str(ledger))
    outs = [files.folder / name / "m.jsonl" for name in ("one", "two")]
    argv = [sys.executable, "-c", CHILD, str(files.data), str(files.predictions)]
    children = [subprocess.Popen([*argv, str(out)], stderr=subprocess.DEVNULL) for out in outs]
    until = time.monotonic() + 120
    while len(api.asked) < 30 and time.monotonic() < until:
        time.sleep(0.01)
    for child in children:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    total = Ledger(ledger).total()
    assert total.calls >= 30
    assert total.live == 0
    time.sleep(0.1)  # what the server was busy with is billed
    assert api.billed <= Ledger(ledger).total().committed <= 5 * 10**9
    for out in outs:
        files.out = out
        files.evaluate()
        assert out.read_bytes() == undisturbed
    assert api.billed <= Ledger(ledger).total().committed <= 5 * 10**9
    assert len(api.asked) < 2 * (40 + 12), "the two bought most replies once for both"


def test_a_judged_metric_by_itself_says_where_it_is_asked() -> None:
    with pytest.raises(UserError, match="sluicegate evaluate"):
        judged_coherence.score(Sample("a", "p", "c"), Prediction("a", "m", 0, "x", 1, 0.1, "stop"))


def test_a_ledger_that_was_removed_is_missed(files: Files, judged_by: Callable[..., Api]) -> None:
    """Else whoever removes it has the whole cap again."""
    api = judged_by(by_draw)
    files.evaluate(limit=3)
    ledger, before, asked = files.ledger.path, files.out.read_bytes(), len(api.asked)
    ledger.rename(files.folder / "away")
    with pytest.raises(UserError, match=r"not the ledger that m\.jsonl was paid from"):
        files.evaluate()
    assert not ledger.exists()
    Ledger(ledger)
    with pytest.raises(UserError, match=r"not the ledger .*"):
        files.evaluate()
    assert (files.out.read_bytes(), len(api.asked)) == (before, asked)
    (files.folder / "away").rename(ledger)
    assert len(files.evaluate()) == 12


def test_a_damaged_note_is_named(files: Files, judged_by: Callable[..., Api]) -> None:
    judged_by(by_draw)
    files.evaluate(limit=1)
    note = files.out.with_name("m.jsonl.judge.json")
    for text in ("{", "[]", json.dumps({"metrics": {"a": 3}}), '{"spent": NaN}'):
        note.write_text(text)
        with pytest.raises(UserError, match="damaged"):
            files.evaluate()
        assert note.read_text() == text
