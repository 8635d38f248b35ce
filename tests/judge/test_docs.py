"""docs/judge.md says what the code says."""

from __future__ import annotations

from pathlib import Path

from sluicegate.judge.asking import SILENT_IN_A_ROW
from sluicegate.judge.fitness import LEAST
from sluicegate.judge.money import LEAST_BYTES_A_TOKEN, SPARE_TOKENS
from sluicegate.judge.settings import FILE, MAX_TOKENS, VARIABLES

PAGE = (Path(__file__).parents[2] / "docs" / "judge.md").read_text()


def test_every_variable_is_told_as_it_is() -> None:
    for name, meaning in VARIABLES.items():
        assert f"| `{name}` | {meaning} |" in PAGE


def test_the_numbers_are_those_of_the_code() -> None:
    for told in (
        f"right on fewer than {LEAST:.0%}", f"{SPARE_TOKENS} for the chat template", f"(default: {MAX_TOKENS})",
        f"a token for {LEAST_BYTES_A_TOKEN} bytes", f"(default: {FILE} beside the scores)",
    ):  # fmt: skip
        assert told in PAGE
    assert SILENT_IN_A_ROW == 3
