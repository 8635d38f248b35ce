"""A verdict decided again from its run folder: the same bytes, or what differs; nothing is written."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from judged import judged
from sluicegate import folder, jsonl, study
from sluicegate.errors import UserError
from sluicegate.records import Outcome, Sample, Score
from sluicegate.stages import evidence, ledger, register
from sluicegate.stages.plan import resolve
from sluicegate.stages.recompute import LEDGER, read_verdict, recompute
from sluicegate.study import dump

DEMO = study.load("demo")
ITEMS = 40
RESULT = {
    "steps": 10, "first_loss": 5.0, "last_loss": 1.0, "loaded_in_4bit": True, "why_4bit": "asked",
    "peak_vram_gib": None, "forecast_vram_gib": 0.1,
}  # fmt: skip


def decided(runs: Path) -> Path:
    """A stage 3 as it is left behind, with real scores, comparisons and ledger; its verdict file."""
    attempt, plan = runs / "demo" / "stage3-20260101T000000Z", resolve(DEMO, 3)
    jsonl.write_text(attempt / folder.STUDY, dump(DEMO))
    register.register(runs / "demo" / LEDGER, attempt, DEMO, plan, override="made by hand")
    samples = [Sample(f"i{number:02}", f"p{number}", "c", "python") for number in range(ITEMS)]
    jsonl.write(attempt / folder.DATA / "test.jsonl", samples)
    digest = hashlib.sha256((attempt / folder.DATA / "test.jsonl").read_bytes()).hexdigest()
    manifest = {
        "leaks": [], "counts": {"python": {"train": 400, "test": ITEMS}},
        "files": {"test.jsonl": {"sha256": digest, "samples": ITEMS}},
    }  # fmt: skip
    jsonl.write_text(attempt / folder.DATA / "manifest.json", json.dumps(manifest))
    for model in plan.models:
        jsonl.write_text(attempt / folder.ARMS / model.name / "result.json", json.dumps(RESULT))
        right = 3 if model.arm == "control" else 7
        rows = [
            Score(sample.id, model.name, draw, metric, float((place * 7 + draw) % 10 < right))
            for metric in DEMO.metrics for place, sample in enumerate(samples) for draw in range(plan.draws)
        ]  # fmt: skip
        jsonl.write(attempt / folder.SCORES / f"{model.name}.jsonl", rows)
    path = attempt / folder.VERDICT
    verdict = judged(attempt, DEMO, plan)
    registered = register.read(attempt)
    assert registered is not None
    ledger.append(runs / "demo" / LEDGER, register.decided(verdict, attempt, registered))
    return path


@pytest.fixture
def verdict(tmp_path: Path) -> Path:
    return decided(tmp_path / "runs")


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("moved", [False, True])
def test_the_same_bytes_come_out_and_nothing_is_written(verdict: Path, tmp_path: Path, moved: bool) -> None:
    runs = tmp_path / "runs"
    if moved:
        runs = tmp_path / "years later" / "elsewhere"
        shutil.copytree(tmp_path / "runs", runs)
    before = files(runs)
    for given in (verdict, verdict.parent):
        again = recompute(runs / given.relative_to(tmp_path / "runs"))
        assert again.text.encode() == verdict.read_bytes()
        assert again.verdict.outcome is Outcome.GO
        assert again.noted[-1].startswith("the ledger tells of it")
    assert files(runs) == before


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(attempt: Path) -> None:
        text = (attempt / name).read_text()
        assert old in text
        (attempt / name).write_text(text.replace(old, new, 1))

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (edit("verdict.json", '"GO"', '"STOP"'), "another verdict comes out"),
        (edit("verdict.json", '"version": "', '"version": "0.0.'), "it was decided by sluicegate 0.0."),
        (edit("scores/control-s0.jsonl", '"value":1.0', '"value":0.0'), "not what the scores give"),
        (edit("comparisons.json", '"gain": 0.', '"gain": 0.1'), "not what the scores give"),
        (edit("study.yaml", "minimum_gain: 0.05", "minimum_gain: 0.04"), "not what the scores give"),
        (edit("study.yaml", "alpha: 0.05", "alpha: 0.04"), "not what the scores give"),
        (edit("study.yaml", "question: ", "question: is it so? "), "the evidence was changed after the verdict"),
        (edit("arms/control-s0/result.json", "5.0", "6.0"), "the evidence was changed after the verdict"),
        (edit("data/test.jsonl", '"i00"', '"i99"'), "changed since it was built"),
        (edit("registration.json", "made by hand", "no reason"), "registration.json: damaged"),
        (edit("registration.json", '"number": 1', '"number": 0'), "registration.json: damaged"),
        (edit("registration.json", '"left": []', '"left": ["a"]'), "the evidence was changed after the verdict"),
        (edit("../ledger.jsonl", '"open":false', '"open":true'), "not the verdict that the ledger tells of"),
        (edit("../ledger.jsonl", '"outcome":"GO"', '"outcome":"STOP"'), "not the verdict that the ledger tells of"),
    ],
)
def test_whatever_was_changed_is_found(verdict: Path, change: Callable[[Path], None], told: str) -> None:
    change(verdict.parent)
    with pytest.raises(UserError) as caught:
        recompute(verdict)
    assert told in str(caught.value)


def test_other_code_is_named_as_the_reason(verdict: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit("verdict.json", '"dollars": 0.0', '"dollars": 1.0')(verdict.parent)
    with pytest.raises(UserError, match="another verdict comes out") as caught:
        recompute(verdict)
    assert "verdict.json was changed" in caught.value.mend
    monkeypatch.setattr(folder, "code_sha256", lambda: "d" * 64)
    with pytest.raises(UserError, match="another verdict comes out") as caught:
        recompute(verdict)
    assert caught.value.mend == f"it was decided by other code than this: git checkout {'0' * 40}"


def test_a_verdict_without_a_ledger_says_so(verdict: Path) -> None:
    (verdict.parent.parent / LEDGER).unlink()
    assert recompute(verdict).noted[-1] == "no ledger lies beside the run folder"


def test_a_verdict_that_the_ledger_beside_it_does_not_tell_of_is_refused(verdict: Path) -> None:
    copied = shutil.copytree(verdict.parent, verdict.parent.with_name("stage3-20260102T000000Z"))
    with pytest.raises(UserError, match="does not tell of this verdict"):
        recompute(copied)
    beside = verdict.parent.parent / LEDGER
    beside.write_text("".join(beside.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(UserError, match="does not tell of this verdict"):
        recompute(verdict)


def test_score_files_that_changed_places_are_refused(verdict: Path) -> None:
    one, other = (verdict.parent / "scores" / f"{arm}-s0.jsonl" for arm in ("control", "experiment"))
    told = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(told)
    with pytest.raises(UserError, match="damaged") as caught:
        evidence.read(verdict.parent, 3)
    assert caught.value.seen == "rows of experiment-s0 in the file of control-s0"


@pytest.mark.parametrize(
    ("name", "value"),
    [("steps", None), ("steps", "10"), ("steps", 2.5), ("steps", True), ("last_loss", []), ("first_loss", 10**400),
     ("forecast_vram_gib", None), ("peak_vram_gib", {})],
)  # fmt: skip
def test_a_training_that_tells_no_numbers_is_damaged(verdict: Path, name: str, value: object) -> None:
    path = verdict.parent / folder.ARMS / "control-s0" / "result.json"
    path.write_text(json.dumps(RESULT | {name: value}))
    with pytest.raises(UserError, match="damaged") as caught:
        evidence.read(verdict.parent, 3)
    assert caught.value.seen == f"{name} is no number"


@pytest.mark.parametrize(
    ("name", "value"),
    [("leaks", 0), ("counts", None), ("counts", {"python": 3}), ("files", []), ("files", {"test.jsonl": {}}),
     ("fresh", {}), ("evaluation_prompts_sha256", "a")],
)  # fmt: skip
def test_a_manifest_of_other_types_is_damaged(verdict: Path, name: str, value: object) -> None:
    path = verdict.parent / folder.DATA / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    for look in (evidence.read, evidence.built):
        with pytest.raises(UserError, match="damaged") as caught:
            look(verdict.parent, 3)
        assert name in caught.value.seen


@pytest.mark.parametrize("stage", [-1, 5, 10**30])
def test_a_verdict_on_a_stage_that_there_is_not_is_refused(verdict: Path, stage: int) -> None:
    verdict.write_text(verdict.read_text().replace('"stage": 3', f'"stage": {stage}'))
    for look in (read_verdict, recompute):
        with pytest.raises(UserError, match="not a verdict"):
            look(verdict)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"stage": 3}'])
def test_what_is_no_verdict_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "verdict.json").write_text(text)
    with pytest.raises(UserError, match="not a verdict"):
        read_verdict(tmp_path)
    with pytest.raises(UserError, match=r"missing\.json"):
        read_verdict(tmp_path / "missing.json")
