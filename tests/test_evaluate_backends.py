"""The same scores, to the byte, wherever answers are judged; a backend that is missing is named with its remedy."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import pytest

from sluicegate import jsonl
from sluicegate.errors import UserError
from sluicegate.evaluate import BACKENDS, evaluate, pools
from sluicegate.records import Prediction, Sample

METRICS = ["token_f1", "exact_match", "functional_correctness"]
PACKAGES = {"processes": "joblib", "ray": "ray", "dask": "distributed"}


@pytest.fixture
def given(tmp_path: Path) -> tuple[Path, Path]:
    """Data and predictions, some right, some wrong, some not generated."""
    texts = ["def f(x):\n    return x + 1", "def f(x): return {}", "raise SystemExit", ""]
    data, predictions = tmp_path / "test.jsonl", tmp_path / "predictions.jsonl"
    jsonl.write(
        data,
        [Sample(f"s{n}", "p", texts[0], scenario="python", tests="assert f(1) == 2") for n in range(10)],
    )
    rows = [
        Prediction(f"s{n}", "m", draw, texts[(n + draw) % 4], 1, 0.1, "error" if n == draw else "stop")
        for n in range(9)
        for draw in range(2)
    ]
    jsonl.write(predictions, rows)
    return data, predictions


def scored(given: tuple[Path, Path], name: str, metrics: Sequence[str] = METRICS) -> bytes:
    out = given[0].with_name(f"{name}.jsonl")
    evaluate(*given, out, metrics, workers=2, backend=name)
    return out.read_bytes()


@pytest.mark.process
@pytest.mark.parametrize("name", PACKAGES)
def test_every_backend_writes_the_bytes_that_threads_write(given: tuple[Path, Path], name: str) -> None:
    if importlib.util.find_spec(PACKAGES[name]) is None:
        pytest.skip(f"--backend {name} cannot be tested here: no package {PACKAGES[name]}")
    whole = scored(given, "threads")
    assert whole.count(b"\n") == 19 * len(METRICS)
    assert scored(given, name) == whole


@pytest.mark.process
def test_processes_go_on_where_threads_were_killed(given: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = METRICS[:2]
    whole = scored(given, "threads", metrics)
    torn, out = whole.splitlines(keepends=True), given[0].with_name("processes.jsonl")
    out.write_bytes(b"".join([torn[9], *torn[:5]]) + torn[20][:30])
    out.with_name(f"{out.name}.inputs.json").write_bytes(given[0].with_name("threads.jsonl.inputs.json").read_bytes())
    asked: list[pools.Job] = []
    judge = pools.BACKENDS["processes"]

    def watched(jobs: Sequence[pools.Job], workers: int | None) -> object:
        asked.extend(jobs)
        return judge(asked, workers)

    monkeypatch.setitem(pools.BACKENDS, "processes", watched)
    assert scored(given, "processes", metrics) == whole
    assert len(asked) == 18 * 2 - 6


def test_an_unknown_backend_lists_the_known_ones(given: tuple[Path, Path]) -> None:
    with pytest.raises(UserError, match="backend 'thread': unknown") as refused:
        scored(given, "thread")
    assert all(name in refused.value.wanted for name in BACKENDS)
    assert refused.value.seen == "did you mean threads?"


@pytest.mark.parametrize(("name", "package"), [*PACKAGES.items(), ("ray", "joblib")])
def test_a_backend_without_its_package_says_what_to_install(
    given: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    there = importlib.util.find_spec("json")
    monkeypatch.setattr(importlib.util, "find_spec", lambda asked: None if asked == package else there)
    with pytest.raises(UserError, match=f"--backend {name}: no package {package}") as refused:
        scored(given, name)
    assert package.removesuffix("ributed") in refused.value.mend
    assert not given[0].with_name(f"{name}.jsonl").exists() or not given[0].with_name(f"{name}.jsonl").stat().st_size
