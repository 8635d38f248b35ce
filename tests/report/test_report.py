"""The report of a run folder: golden files, what is missing, what is hostile, and the same bytes twice."""

from __future__ import annotations

import html.parser
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import golden_files
from sluicegate.errors import UserError
from sluicegate.records import Check, Outcome, Verdict, to_json
from sluicegate.report import write
from sluicegate.report.content import STAGES, read
from sluicegate.report.tables import WIDTH
from sluicegate.report.text import check_lines, verdict_table
from sluicegate.stages import plan

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(html.parser.HTMLParser):
    """Collects tags and visible text, and holds every end tag against its start."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def page(folder: Path) -> tuple[str, Page]:
    source = write(folder)["html"].read_text()
    return source, Page(source)


@pytest.mark.golden
def test_the_three_files_are_as_reviewed(run_folder: Path) -> None:
    made = write(run_folder)
    golden_files.check("report.html", made["html"].read_text())
    golden_files.check("report.txt", made["txt"].read_text())
    golden_files.check("report.json", made["json"].read_text())


def test_the_figures_draw_what_the_files_say(run_folder: Path) -> None:
    source, _ = page(run_folder)
    forest, *curves = re.findall(r"<svg.*?</svg>", source, re.DOTALL)
    assert "functional_correctness" in forest
    assert "+12.5" in forest
    assert len(curves) == 2
    assert all("optimizer step" in curve for curve in curves)
    assert "var(--train)" in curves[0]
    assert not re.findall(r"#0[1-6]0[1-6]0[1-6]", source), "a colour that stands for a variable was left over"


def test_the_same_folder_gives_the_same_bytes_wherever_it_lies(run_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / run_folder.name
    shutil.copytree(run_folder, copy)
    first, second = write(run_folder), write(copy)
    again = write(run_folder)
    for kind in ("html", "txt", "json"):
        assert first[kind].read_bytes() == second[kind].read_bytes() == again[kind].read_bytes()


def test_the_page_is_whole_and_reaches_for_nothing(run_folder: Path) -> None:
    source, parsed = page(run_folder)
    assert parsed.open == []
    assert not {"script", "iframe", "link", "img", "object", "form"} & set(parsed.tags)
    assert all(value.startswith("#") for name, value in parsed.attributes if name in {"src", "href", "xlink:href"})
    assert not [name for name, _ in parsed.attributes if name.startswith("on")]
    assert not re.search(r"url\((?!#)", source)
    ids = [value for name, value in parsed.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_hostile_answers_are_shown_and_do_nothing(run_folder: Path) -> None:
    source, parsed = page(run_folder)
    shown = "".join(parsed.text)
    assert "<script>alert(1)</script>" in shown
    assert "{{ 7 * 7 }}" in shown
    assert "⟨U+001B⟩[31mred" in shown
    assert "⟨U+202E⟩gnp.exe" in shown
    assert "(1,000,000 characters, 2,000 shown)" in shown
    assert len(source) < 150_000
    text = write(run_folder)["txt"].read_text()
    for told in (source, text):
        assert not [sign for sign in told if (ord(sign) < 32 and sign != "\n") or sign in "\u202e\u2066\u2069"]


def test_hostile_names_and_checks_are_only_text(run_folder: Path, make_verdict: Callable[..., Verdict]) -> None:
    bad = '"><script>x</script>\x1b[2J\u202e'
    check = Check(bad, False, bad, bad, bad, Outcome.RETRY)
    told = make_verdict(Outcome.RETRY, checks=(check,), next_steps=(bad,))
    (run_folder / "verdict.json").write_text(to_json(told))
    (run_folder / "arms" / "control-s0").rename(run_folder / "arms" / '<b onclick="x">')
    source, parsed = page(run_folder)
    assert "script" not in parsed.tags
    assert not [name for name, _ in parsed.attributes if name == "onclick"]
    assert "\x1b" not in source + write(run_folder)["txt"].read_text()


PARTS = ("study.yaml", "verdict.json", "comparisons.json", "steps.json", "data", "arms", "predictions", "scores",
         "arms/control-s0/run.json", "arms/control-s0/result.json", "arms/control-s0/events.jsonl")  # fmt: skip


@pytest.mark.parametrize("part", PARTS)
def test_a_missing_part_is_said_and_fails_nothing(part: str, run_folder: Path) -> None:
    path = run_folder / part
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    _, parsed = page(run_folder)
    assert parsed.open == []
    assert json.loads((run_folder / "report.json").read_text())["unreadable"] == []


def test_an_empty_folder_has_a_report_too(tmp_path: Path) -> None:
    _, parsed = page(tmp_path)
    shown = " ".join("".join(parsed.text).split())
    assert "No verdict" in shown
    for said in (
        "study.yaml is not there", "verdict.json is not there", "comparisons.json is not there", "nothing was trained",
        "No predictions are there", "No run.json is there", "manifest.json is not there", "steps.json is not there",
    ):  # fmt: skip
        assert said in shown


@pytest.mark.parametrize("part", [part for part in PARTS if "." in part and "events" not in part])
@pytest.mark.parametrize("damage", ["{", "[1, 2]", '{"a": {"b": null}}', '{"a": NaN}', "\x00\xff"])
def test_a_damaged_part_is_named_and_fails_nothing(part: str, damage: str, run_folder: Path) -> None:
    (run_folder / part).write_bytes(damage.encode("latin-1"))
    content = read(run_folder)
    harmless = part.endswith("result.json") and damage.endswith("}}")
    assert [fault.partition(":")[0] for fault in content.faults] == ([] if harmless else [part])
    assert str(run_folder) not in str(content.faults)


def test_a_number_that_no_float_holds_is_named_and_fails_nothing(run_folder: Path) -> None:
    path = run_folder / "comparisons.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"level": 10**400}))
    assert [fault.partition(":")[0] for fault in read(run_folder).faults] == ["comparisons.json"]


def test_damaged_lines_are_named_and_the_rest_is_shown(run_folder: Path) -> None:
    with (run_folder / "predictions" / "control-s0.jsonl").open("a") as stream:
        stream.write("not json\n")
    (run_folder / "arms" / "control-s0" / "result.json").write_text('{"steps": "<b>", "first_loss": [1]}')
    with (run_folder / "arms" / "control-s0" / "events.jsonl").open("a") as stream:
        stream.write('not json\n{"kind":"metrics","step":99,"time_ms":1,"values":{"train/loss":"NaN"}}\n')
    content = read(run_folder)
    assert [fault.partition(":")[0] for fault in content.faults] == ["predictions/control-s0.jsonl"]
    assert content.models[0].curves["train/loss"][-1][0] == 12
    assert "Could not be read" in "".join(page(run_folder)[1].text)


def test_samples_are_chosen_by_the_rule(run_folder: Path) -> None:
    chosen = [(shown.rule, shown.id) for shown in read(run_folder).samples]
    assert chosen == [
        ("the arms differ", "t1"), ("the arms differ", "t3"), ("the arms differ", "t5"),
        ("no arm solves it", "t0"), ("no arm solves it", "t4"), ("every arm solves it", "t2"), ("not judged", "t7"),
    ]  # fmt: skip
    assert all(answer.prediction and answer.prediction.draw == 0 for answer in read(run_folder).samples[0].answers)


def test_a_folder_that_is_not_there_is_the_users_to_mend(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run folder"):
        write(tmp_path / "gone")


def test_the_table_shows_each_stage_in_a_hundred_columns(make_verdict: Callable[..., Verdict]) -> None:
    crash = Check("steps_ended", False, "all end", "step train ended with 1: " + "\x1b[31mTraceback " * 40, "mend it")
    table = verdict_table(
        [
            make_verdict(Outcome.GO, stage=0, primary=None, checks=(Check("disk", True, "10 GB", "80 GB"),)),
            make_verdict(Outcome.RETRY, stage=2, primary=None, checks=(crash, crash)),
            make_verdict(),
        ]
    )
    lines = table.splitlines()
    assert max(len(line) for line in lines) <= WIDTH
    assert lines[2].split() == ["0", "environment", "GO", "–", "all", "1", "checks", "hold"]
    assert lines[3].startswith("2      small        RETRY         –                         steps_ended: step train")
    assert "+12.5 (−4.2 to +29.2)" in table
    assert "\x1b" not in table


def test_check_lines_mark_what_decides_and_wrap() -> None:
    lines = check_lines(
        [Check("a", True, "x", "y " * 80), Check("b", None, "x", "z"), Check("c", False, "x", "y", "m")]
    )
    assert [line[:4] for line in lines if line[:1].strip()] == ["ok  ", "--  ", "FAIL"]
    assert lines[-2:] == ["      wanted: x", "      mend:   m"]
    assert max(len(line) for line in lines) <= WIDTH


def test_the_names_of_the_stages_are_the_plans() -> None:
    assert {stage.number: stage.name for stage in plan.STAGES} == STAGES


def test_the_text_side_needs_neither_jinja_nor_matplotlib() -> None:
    code = "import sys, sluicegate.report.text; print({'jinja2', 'matplotlib', 'mlflow', 'torch'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"
