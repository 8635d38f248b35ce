"""The stored sample of 300 pairs is what the command makes, valid, and says what it says."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import pytest

import golden_files
from sluicegate.data.k8s import command
from sluicegate.data.reader import read_samples
from sluicegate.k8s.fidelity import fidelity
from sluicegate.k8s.score import score
from sluicegate.k8s.validity import validity
from sluicegate.records import Sample

FOLDER = Path(__file__).parents[3] / "datasets" / "kubernetes"
COUNT = 300
COUNTS = re.compile(r"(?<=<!-- counts -->\n).*?(?=<!-- /counts -->)", re.DOTALL)


@pytest.mark.golden
def test_the_stored_samples_are_what_the_command_makes_and_the_readme_counts_them(tmp_path: Path) -> None:
    command(synthesize=COUNT, seed=0, out=tmp_path)
    made = (tmp_path / "kubernetes" / "samples.jsonl").read_text()
    golden_files.check("../../datasets/kubernetes/samples.jsonl", made)
    samples, readme = read_samples(FOLDER / "samples.jsonl"), FOLDER / "README.md"
    if os.environ.get("SLUICEGATE_GOLDEN") == "write":
        readme.write_text(COUNTS.sub(lambda _: table(samples), readme.read_text()))
    found = COUNTS.search(readme.read_text())
    assert found is not None and found[0] == table(samples), "make golden, then review the diff"
    assert f"{COUNT} pairs" in readme.read_text() and f"--synthesize {COUNT} --seed 0" in readme.read_text()


def table(samples: list[Sample]) -> str:
    """Manifests a kind, and requests a level of detail."""
    kinds = Counter(kind for sample in samples for kind in set(sample.meta["kinds"]))
    details = Counter(sample.meta["detail"] for sample in samples)
    rows = [f"| {name} | {count} |" for name, count in sorted(kinds.items(), key=lambda row: (-row[1], row[0]))]
    levels = ", ".join(f"{count} {name}" for name, count in details.most_common())
    several = sum(len(sample.meta["kinds"]) > 1 for sample in samples)
    return "\n".join(
        ["| kind | manifests |", "|---|---|", *rows, "", f"Requests: {levels}. Several objects: {several} manifests.\n"]
    )


def test_all_are_valid_state_what_they_hold_and_differ_in_practice() -> None:
    samples = read_samples(FOLDER / "samples.jsonl")
    assert len(samples) == COUNT
    for sample in samples:
        assert validity(sample.completion).valid
        assert fidelity(sample.completion, sample.completion, sample.meta["facts"]).value == 1.0
        assert sample.meta["licence"] == "Apache-2.0" and sample.context == "" and sample.meta["group"]
    practice = [found.bp for sample in samples if (found := score(sample.completion)).bp is not None]
    assert min(practice) == 0.0 and max(practice) == 1.0
    assert 0.3 < sum(practice) / len(practice) < 0.7
