"""The rows of the two answers that no model wrote: in every report about manifests, and in no other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sluicegate.evaluators.baselines import CONSTANT, COPY, Baselines, Row
from sluicegate.records import to_json
from sluicegate.report import baselines, write
from sluicegate.report.content import read
from sluicegate.report.tables import WIDTH
from sluicegate.study import dump, load

Told = Callable[[Path], dict[str, str]]
ROWS = (
    Row(CONSTANT, "k8s_quality", 0.726, 40, 40),
    Row(COPY, "k8s_quality", 0.511, 40, 40),
    Row(CONSTANT, "quality_gated", 0.004, 40, 40),
    Row(COPY, "quality_gated", 0.511, 40, 40),
    Row(CONSTANT, "k8s_bp", None, 0, 40),
    Row(COPY, "k8s_bp", 1.0, 1, 40),
)


@pytest.fixture
def kubernetes(run_folder: Path) -> Path:
    """The run folder of a study about manifests."""
    study = load("demo").model_copy(update={"scenarios": ("kubernetes",)})
    (run_folder / "study.yaml").write_text(dump(study))
    (run_folder / baselines.FILE).write_text(to_json(Baselines("0" * 64, ROWS), indent=1))
    return run_folder


def test_each_report_has_two_rows_a_metric(kubernetes: Path, told: Told) -> None:
    shown = told(kubernetes)
    for kind in ("html", "txt"):
        assert baselines.TITLE in shown[kind]
        for metric, name, mean in (("k8s_quality", CONSTANT, "72.6%"), ("quality_gated", COPY, "51.1%")):
            assert f"{metric} {name} (no model) {mean} 40 of 40" in shown[kind]
        assert f"k8s_bp {CONSTANT} (no model) – 0 of 40" in shown[kind]
        assert "They decide nothing" in shown[kind]
    found = json.loads((kubernetes / "report.json").read_text())["baselines"]
    assert found[0] == {"name": CONSTANT, "metric": "k8s_quality", "mean": 0.726, "n": 40, "samples": 40}
    assert len(found) == len(ROWS)


def test_the_text_keeps_to_its_width(kubernetes: Path) -> None:
    lines = write(kubernetes)["txt"].read_text().splitlines()
    assert max(map(len, lines)) <= WIDTH


def test_a_report_about_manifests_says_that_they_are_missing(kubernetes: Path, told: Told) -> None:
    (kubernetes / baselines.FILE).unlink()
    for kind, text in told(kubernetes).items():
        assert (f"{baselines.FILE} is not there" in text) == (kind != "json")
    assert json.loads((kubernetes / "report.json").read_text())["baselines"] is None


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"inputs_sha256": "", "rows": [{"name": "<b>"}]}', "\x00"])
def test_a_damaged_file_is_named_and_the_rest_is_shown(kubernetes: Path, told: Told, damage: str) -> None:
    (kubernetes / baselines.FILE).write_text(damage)
    assert [fault.partition(":")[0] for fault in read(kubernetes).faults] == [baselines.FILE]
    for kind in ("html", "txt"):
        assert f"{baselines.FILE} could not be read" in told(kubernetes)[kind]


def test_other_reports_do_not_have_them(run_folder: Path, told: Told) -> None:
    for text in told(run_folder).values():
        assert baselines.TITLE not in text
        assert "(no model)" not in text


@pytest.mark.parametrize(
    ("scenarios", "metrics", "has"),
    [
        (("python",), ("exact_match",), False),
        (("python", "kubernetes"), ("exact_match",), True),
        (("python",), ("exact_match", "k8s_bp"), True),
    ],
)
def test_which_studies_are_about_manifests(scenarios: tuple[str, ...], metrics: tuple[str, ...], has: bool) -> None:
    study = load("demo").model_copy(update={"scenarios": scenarios, "metrics": metrics})
    assert baselines.belong(study) is has
