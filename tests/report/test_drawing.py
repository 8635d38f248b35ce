"""A picture has the same bytes whatever else was set: by a user's matplotlibrc, by other code, by the machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest
from matplotlib.figure import Figure

from sluicegate.records import Comparison
from sluicegate.report import drawing, figures

ROWS = [
    Comparison("em", 8, 0.0, 0.0, 0.0, None, None, None, None, 0.95, "none", 0, 1.0),
    Comparison("fc", 8, 0.375, 0.5, 0.125, -0.042, 0.292, 0.125, 0.125, 0.95, "sign-flip", 0, 1.0),
]
CURVES = {"train/loss": [(step, 5.0 * 0.87**step) for step in range(1, 13)], "val/loss": [(4, 3.1), (12, 1.4)]}
FOREIGN = {
    "font.family": ["serif"], "font.size": 17.0, "axes.linewidth": 3.0, "svg.hashsalt": "other",
    "lines.markersize": 9.0, "svg.fonttype": "path", "axes.facecolor": "black", "figure.constrained_layout.use": True,
    "path.simplify": False, "axes.formatter.use_locale": True, "text.parse_math": True, "figure.dpi": 33.0,
    "axes.autolimit_mode": "round_numbers",
}  # fmt: skip


def drawn() -> str:
    return figures.forest(ROWS, "fc", {"fc": 0.05}, "gains") + figures.losses(CURVES, 5.0, "loss")


def test_what_other_code_has_set_changes_nothing_and_is_set_again() -> None:
    before = drawn()
    with matplotlib.rc_context(FOREIGN):
        assert drawn() == before
        assert {name: matplotlib.rcParams[name] for name in FOREIGN} == FOREIGN


@pytest.mark.process
def test_another_home_locale_clock_folder_and_matplotlibrc_give_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("font.family: serif\naxes.linewidth: 3\naxes.labelpad: 9\n")
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_drawing as t; print(t.drawn())"
    strange = {
        "HOME": str(tmp_path / "home"), "MPLCONFIGDIR": str(tmp_path / "config"), "LC_ALL": "C", "TZ": "Asia/Tokyo",
        "OPENBLAS_CORETYPE": "Prescott", "PYTHONHASHSEED": "7", "PYTHONUTF8": "1",
    }  # fmt: skip
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, **strange}, capture_output=True, check=True
    )
    assert said.stdout.decode() == drawn() + "\n"


def test_every_reference_has_its_counted_id() -> None:
    with drawing.styled({}):
        figure = Figure(figsize=(2, 2))
        figure.add_axes((0.1, 0.1, 0.8, 0.8)).plot([0, 1], [0, 1], marker="o")
        svg = drawing.svg(figure, "p")
    ids = re.findall(r'\bid="([^"]+)"', svg)
    assert ids == [f"p-{number}" for number in range(1, len(ids) + 1)]
    referred = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    assert referred
    assert referred <= set(ids)
