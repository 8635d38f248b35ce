"""What README and docs show must exist: commands parse, settings are known, files are there, make targets are some."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from sluicegate import cli, study
from sluicegate.models import scratch
from sluicegate.settings import TrainSettings, fault_in

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SCRATCH = "python -m sluicegate.models.scratch "
TARGETS = set(re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def shown(page: Path) -> list[str]:
    """Command lines of the page's shell blocks, continued lines joined."""
    blocks = re.findall(r"```(?:sh|bash)\n(.*?)```", page.read_text(), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.split(" #")[0].strip() for line in lines if line.strip() and not line.startswith("#")]


def every(prefix: str) -> list[str]:
    return [line for page in PAGES for line in shown(page) if line.startswith(prefix)]


def test_the_readme_opens_with_the_two_commands() -> None:
    assert shown(ROOT / "README.md")[:2] == ["make demo", "make test"]


def test_the_demo_is_a_shipped_study_that_the_readme_shows_through_stage_three() -> None:
    said = re.search(r"^STUDY \?= (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert said
    assert (study.load(said[1]).name, study.load(said[1]).needs_gpu) == (said[1], False)
    page = (ROOT / "README.md").read_text()
    assert f"sluicegate run --through 3 --study {said[1]} --runs runs" in page
    assert re.search(rf"^report: runs/{said[1]}/stage3-\w+/report.html$", page, re.MULTILINE)


@pytest.mark.parametrize("line", every("sluicegate ") or ["none"])
def test_a_shown_command_parses(line: str) -> None:
    words = [re.sub(r"^<.*>$|^\[.*\]$", "x", word) for word in shlex.split(line)[1:]]
    assert cli.parser().parse_args(words).command


@pytest.mark.parametrize("line", every(SCRATCH))
def test_a_shown_base_can_be_asked_for(line: str) -> None:
    asked = scratch._parser().parse_intermixed_args(shlex.split(line.removeprefix(SCRATCH)))
    assert bool(asked.warm) != bool(asked.files)


@pytest.mark.parametrize("line", [line for line in shown(ROOT / "docs" / "dual-encoder.md") if "=" in line])
def test_shown_settings_are_known_and_what_they_are_given_to_parses(line: str) -> None:
    words = shlex.split(line.removeprefix("export "))
    assigned = [word.split("=", 1) for word in words if "=" in word]
    for name, value in assigned:
        assert name.lower() in TrainSettings.model_fields, name
        if not name.endswith(("_PATH", "_FROM")):  # nothing lies there yet
            assert fault_in(name.lower(), value) == "", name
    command = words[len(assigned) :]
    assert line.startswith("export ") or cli.parser().parse_args(command[1:]).command == "train"


@pytest.mark.parametrize("line", every("make ") or ["none"])
def test_a_shown_target_is_one(line: str) -> None:
    words = [word for word in line.split()[1:] if "=" not in word]
    assert set(words) <= TARGETS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_linked_and_named_files_are_there(page: Path) -> None:
    text = page.read_text()
    for link in re.findall(r"\]\((?!https?://|#)([^)#]+)", text):
        assert (page.parent / link).exists(), link
    for name in re.findall(r"`((?:src|scripts|docs|tests|benchmarks|datasets)/[\w./-]+)`", text):
        assert (ROOT / name).exists() or name.startswith("datasets/"), name
    for name in re.findall(r"(?<![\w/.-])scripts/[\w.]+\.(?:sh|py)", text):
        assert (ROOT / name).exists(), name
