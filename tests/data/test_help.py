"""The help of `sluicegate data` and its commands is golden."""

import argparse

import pytest

import golden_files
from sluicegate import cli


@pytest.mark.golden
def test_help_of_the_data_commands_is_golden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    parts = next(row for row in cli.parser()._actions if isinstance(row, argparse._SubParsersAction))
    inner = next(row for row in parts.choices["data"]._actions if isinstance(row, argparse._SubParsersAction))
    pages = [part.format_help() for part in inner.choices.values()]
    golden_files.check("data-help.txt", ("\n" + "-" * 100 + "\n\n").join(pages))
