"""What README and docs show must exist: every command parses, every file is there, every make target is one."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from sluicegate import cli

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
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


@pytest.mark.parametrize("line", every("sluicegate ") or ["none"])
def test_a_shown_command_parses(line: str) -> None:
    words = [re.sub(r"^<.*>$|^\[.*\]$", "x", word) for word in shlex.split(line)[1:]]
    assert cli.parser().parse_args(words).command


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
