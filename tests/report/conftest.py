"""A small run folder as a stage leaves it, with hostile answers among the predictions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sluicegate.records import Check, Comparison, Outcome, Prediction, Run, Sample, Score, Verdict, to_dict, to_json
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
        "functional_correctness gain +12.5 points, 90% interval -4.2 to +29.2, n = 8", "", Outcome.STOP,
    ),
    Check(
        "gain_is_real", False, "one-sided p of the primary metric at most 0.05",
        "p = 0.1250 (sign-flip test); functional_correctness gain +12.5 points, 90% interval -4.2 to +29.2, n = 8",
        "more test items, draws or seeds: 24 items would do", Outcome.INCONCLUSIVE,
    ),
)  # fmt: skip


_COMMON: dict[str, Any] = {"n": 8, "level": 0.9, "seed": 0, "coverage": 1.0}
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
    }  # fmt: skip
    return Verdict(**{**given, **changes})


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    return build(tmp_path / "stage3-20261122T101500Z")


@pytest.fixture
def make_verdict() -> Callable[..., Verdict]:
    return verdict


def build(root: Path) -> Path:
    (root / "data").mkdir(parents=True)
    (root / "study.yaml").write_text(dump(load("demo")))
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
        "level": 0.9,
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
