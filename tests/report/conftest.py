"""A small run folder as a stage leaves it, with hostile answers among the predictions."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sluicegate.records import (
    Check,
    Comparison,
    Need,
    Outcome,
    Prediction,
    Run,
    Sample,
    Score,
    Verdict,
    to_dict,
    to_json,
)
from sluicegate.report import write
from sluicegate.study import dump, load
from sluicegate.tracking.spool import Spool

SAMPLES = 8
HOSTILE = {
    0: "</pre><script>alert(1)</script><img src=x onerror=alert(2)>",
    1: "\x1b[31mred\x1b[0m \0 \x07 \u202egnp.exe \u2066x\u2069",
    2: "z" * 1_000_000,
    3: "{{ 7 * 7 }} {% raw %}",
}
CHECKS = (
    Check("steps_ended", True, "every step ends with exit code 0", "all did"),
    Check("coverage", True, "at least 95% of the items judged for both arms", "100.0% of the items"),
    Check("prompt_parity", None, "the same evaluation prompts for both arms", "declared otherwise"),
    Check(
        "gain_not_too_small", True, "upper bound of the gain at least +5.0 points",
        "functional_correctness gain +12.5 points, 95% interval -4.2 to +29.2, n = 8", "", Outcome.STOP,
    ),
    Check(
        "gain_is_real", False, "one-sided p of the primary metric at most 0.025 (0.05 over 2 declared decisions)",
        "p = 0.1250 (sign-flip test); functional_correctness gain +12.5 points, 95% interval -4.2 to +29.2, n = 8",
        "more test items, draws or seeds: 24 items would do", Outcome.INCONCLUSIVE,
    ),
    Check(
        "older_gate", None, "average relative improvement above 10% and any p below 0.05: not used to decide",
        "average relative improvement +33.3% over 1 metric (wanted above 10%), smallest p 0.2500 (wanted below 0.05): "
        "no GO; left out, the control being at 0 or unknown: exact_match; not used to decide, because it lets 4.8% of "
        "changes without gain through, 21.5% within five attempts, and 30% of those with a gain of 10 points on every "
        "metric, 20% where one metric gains (simulated: 15 items, 1 metrics, 4000 experiments)",
    ),
)  # fmt: skip
NEEDS = (
    Need("items", 8, 24, 18, 41, 0.0426, 0.0),
    Need("draws", 2, None),
    Need("seeds", 1, 6, 4, None, 0.1065, 0.25),
)


_COMMON: dict[str, Any] = {"n": 8, "level": 0.95, "seed": 0, "coverage": 1.0}
ROWS = (
    Comparison("exact_match", control=0.0, experiment=0.0, gain=0.0, low=None, high=None, p=None, p_adjusted=None,
               method="no test", note="all differences are 0: no interval.", **_COMMON),
    Comparison("functional_correctness", control=0.375, experiment=0.5, gain=0.125, low=-0.042, high=0.292, p=0.125,
               p_adjusted=0.125, method="paired sign-flip test, t interval",
               effects={"d_z": 0.35, "cliffs_delta": None}, **_COMMON),
)  # fmt: skip


def verdict(outcome: Outcome = Outcome.INCONCLUSIVE, **changes: Any) -> Verdict:
    given = {
        "stage": 3, "outcome": outcome, "checks": CHECKS, "dollars": 0.0, "hours": 0.0213,
        "evidence_sha256": "e" * 64, "study": "demo", "primary": ROWS[1],
        "next_steps": ("gain_is_real: more test items, draws or seeds: 24 items would do",),
        "attempt": 1, "attempts": 2, "alpha": 0.025, "needs": NEEDS, "version": "0.1.0",
    }  # fmt: skip
    return Verdict(**{**given, **changes})


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("built") / "stage3-20261122T101500Z")


@pytest.fixture
def run_folder(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / built.name)


@pytest.fixture
def make_verdict() -> Callable[..., Verdict]:
    return verdict


@pytest.fixture
def make_registration() -> Callable[..., dict[str, Any]]:
    return registration


@pytest.fixture
def make_forecast() -> Callable[..., dict[str, Any]]:
    return forecast


@pytest.fixture
def told() -> Callable[[Path], dict[str, str]]:
    """What a reader sees of each report of a folder: kind → its text on one line, without tags."""

    def see(root: Path) -> dict[str, str]:
        texts = {kind: path.read_text() for kind, path in write(root).items()}
        body = texts["html"].partition("</style>")[2]
        texts["html"] = html.unescape(re.sub(r"<[^>]+>", "", body))
        texts["json"] = json.dumps(json.loads(texts["json"]), ensure_ascii=False)
        return {kind: " ".join(text.split()) for kind, text in texts.items()}

    return see


def registration(**changes: Any) -> dict[str, Any]:
    line = {
        "event": "registered", "previous": "0" * 64, "time": "2026-11-22T10:15:00+00:00", "study": "demo",
        "study_sha256": "d" * 64, "stage": 3, "attempt": "stage3-20261122T101500Z", "number": 1, "attempts": 2,
        "alpha": 0.025, "spent": 0.0, "allowed": 0.05, "primary": "functional_correctness", "minimum_gain": 0.05,
        "must_not_worsen": {"exact_match": 0.02}, "code_sha256": "c" * 64, "git_commit": "a" * 40, "override": "",
    }  # fmt: skip
    former = {"event": "decided", "stage": 2, "attempt": "stage2-20261122T101000Z", "time": "2026-11-22T10:11:30+00:00"}
    found = {
        "line": line, "sha256": "b" * 64, "former": former, "sources": {}, "former_sources": {}, "version": "0.1.0",
        "overrides": [
            {"stage": 1, "time": "2026-11-22T10:05:00+00:00", "reason": "the tower was checked by hand"},
            {"stage": 2, "time": "2026-11-22T10:10:00+00:00", "reason": "stage 1 said RETRY for a full disk, mended"},
        ],
    }  # fmt: skip
    return {**found, **changes}


BASES = {"disk": "models.memory", "dollars": "no machine and no metric of the study has a price"}


def forecast(**changes: Any) -> dict[str, Any]:
    rows = [
        ("train", "h", 0.008, 0.011, 0.02, "tower", 0.0127), ("generate", "h", 0.001, 0.002, 0.004, "tower", 0.0051),
        ("evaluate", "h", 0.0005, 0.001, 0.002, "server", 0.0003), ("wall", "h", 0.01, 0.014, 0.03, "", 0.0213),
        ("vram", "GiB", 2.1, 2.4, 3.0, "tower", None), ("disk", "GiB", 0.5, 0.5, 0.6, "tower", 0.52),
        ("tokens trained", "", 22000.0, 24690.0, 26000.0, "", 24690.0), ("dollars", "$", 0.0, 0.0, 0.0, "", 0.0),
    ]  # fmt: skip
    names = ("name", "unit", "low", "expected", "high", "machine", "actual")
    chances = {
        "test": "paired sign-flip over items", "alpha": 0.025, "attempts": 2, "power": 0.31, "false_go": 0.021,
        "false_stop": 0.052, "mde": 0.21, "design_gain": 0.1, "needed": {"items": 96, "draws": None, "seeds": None},
        "claim": "checkpoint", "false_go_recipe": 0.083, "stop_without_gain": 0.41,
        "method": "2,000 simulated experiments", "basis": "the study file (expected:)",
    }  # fmt: skip
    found = {
        "stage": 3, "basis": "measured", "chances": chances, "testable": False,
        "quantities": [
            {**dict(zip(names, row, strict=True)), "basis": BASES.get(str(row[0]), "measured")} for row in rows
        ],
        "why": "power 31% at a gain of 10 points, 80% wanted", "budget": {"hours": 5.0, "dollars": 12.0},
        "cheapest": "stages.3: test_samples 8 → 96 (+13 min); draws and seeds alone cannot",
        "notes": ["datasets: No such file or directory: 100 samples a scenario are assumed"],
    }  # fmt: skip
    return {**found, **changes}


def build(root: Path) -> Path:
    (root / "data").mkdir(parents=True)
    study = load("demo").model_copy(update={"must_not_worsen": {"exact_match": 0.02}, "attempts": 2})
    (root / "study.yaml").write_text(dump(study))
    (root / "registration.json").write_text(json.dumps(registration(), indent=1))
    (root / "forecast.json").write_text(json.dumps(forecast(), indent=1))
    (root / "verdict.json").write_text(to_json(verdict(), indent=1))
    (root / "comparisons.json").write_text(json.dumps(_comparisons()))
    stamps = {"data": 0.41, "train control-s0": 21.5, "train experiment-s0": 24.25, "compare": 0.9}
    (root / "steps.json").write_text(
        json.dumps(
            {name: {"inputs_sha256": "0" * 64, "seconds": spent, "outputs": []} for name, spent in stamps.items()}
        )
    )
    files = {
        f"{arm}-{part}.jsonl": {"sha256": part * 8, "samples": 8}
        for arm in ("control", "experiment")
        for part in ("train", "test")
    }
    (root / "data" / "manifest.json").write_text(
        json.dumps({"study": "demo", "size": "scenario", "leaks": [], "files": files})
    )
    for number, arm in enumerate(("control", "experiment")):
        _arm(root, arm, number)
    return root


def _comparisons() -> dict[str, Any]:
    head = {
        "control": "control",
        "experiment": "experiment",
        "primary": "functional_correctness",
        "seed": 0,
        "level": 0.95,
    }
    return {**head, "comparisons": [to_dict(row) for row in ROWS]}


def _arm(root: Path, arm: str, number: int) -> None:
    name = f"{arm}-s0"
    samples = [
        Sample(
            f"t{i}",
            f"Write f{i}." + (" Language: Python." if number else ""),
            f"def f{i}(x):\n    return x + {i}\n",
            "python",
        )
        for i in range(SAMPLES)
    ]
    _lines(root / "data" / f"{arm}-test.jsonl", samples)
    answers = [
        Prediction(
            f"t{i}",
            name,
            draw,
            HOSTILE.get(i, f"def f{i}(x):\n    return x\n") if draw == 0 else "later",
            9,
            0.1,
            "stop",
        )
        for i in range(SAMPLES)
        for draw in range(2)
    ]
    _lines(root / "predictions" / f"{name}.jsonl", answers)
    _lines(root / "scores" / f"{name}.jsonl", [row for i in range(SAMPLES) for row in _scores(i, name, number)])
    model = root / "arms" / name
    model.mkdir(parents=True)
    settings = {
        "epochs": 3.0,
        "batch_size": 8,
        "base_model": "tiny",
        "lora_r": 16,
        "model_name": name,
        "max_steps": None,
    }
    run = Run(name, "tiny", 0, str(number) * 64, arm, 3, "a" * 40, settings, {"python": "3.11.7", "torch": "2.13.0"})
    (model / "run.json").write_text(to_json(run))
    result = {
        "steps": 12, "epochs": 3.0, "first_loss": 5.1, "last_loss": 1.2, "best_val_loss": 1.6, "best_step": 12,
        "tokens": 12345, "seconds": 12.3, "samples": 70, "loaded_in_4bit": True, "trainable_parameters": 65536,
        "total_parameters": 2_000_000,
    }  # fmt: skip
    (model / "result.json").write_text(json.dumps(result))
    spool = Spool(model)
    spool.run(name, "demo")
    for step in range(1, 13):
        spool.metrics({"train/loss": 5.0 * 0.87**step + 0.2 * number + 0.1 * (step % 3)}, step)
        if step % 4 == 0:
            spool.metrics({"val/loss": 5.3 * 0.88**step + 0.3}, step)


def _scores(i: int, name: str, number: int) -> list[Score]:
    value = None if i == 7 else float((i + number) % 4 > 1)
    why = "the sandbox did not start <b>" if value is None else ""
    return [Score(f"t{i}", name, 0, "functional_correctness", value, why), Score(f"t{i}", name, 0, "exact_match", 0.0)]


def _lines(path: Path, rows: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(to_json(row) + "\n" for row in rows))
