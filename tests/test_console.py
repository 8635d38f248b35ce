"""What a person sees: in place on a terminal, plain lines elsewhere, no control characters from a child."""

from __future__ import annotations

import io

import pytest

from sluicegate.console import PROGRESS, Live, Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_without_a_terminal_is_a_plain_line_at_the_end_at_least() -> None:
    out = io.StringIO()
    with Progress("train", 3, stream=out) as progress:
        for done in (1, 2, 3):
            progress.update(done, loss=1.5 / done)
    assert out.getvalue() == "train 3/3 loss=0.5\n"


def test_progress_speaks_now_and_then() -> None:
    out = io.StringIO()
    with Progress("train", 3, every=0.0, stream=out) as progress:
        for done in (1, 2, 3):
            progress.update(done)
    assert out.getvalue().splitlines() == ["train 1/3", "train 2/3", "train 3/3"]


def test_children_speak_more_often_when_somebody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICEGATE_PROGRESS_S", "")
    assert Progress("x", 1).every == 5.0
    monkeypatch.delenv("SLUICEGATE_PROGRESS_S")
    Live(Terminal())
    assert Progress("x", 1).every == 0.5
    monkeypatch.setenv("SLUICEGATE_PROGRESS_S", "soon")
    assert Progress("x", 1).every == 5.0


def test_progress_on_a_terminal_stays_on_its_line() -> None:
    out = Terminal()
    with Progress("train", 2, stream=out) as progress:
        progress.update(2, loss=0.25)
    assert out.getvalue().count("\n") == 1
    assert "train 2/2 loss=0.25 in " in out.getvalue()


def test_the_plain_form_is_what_the_live_display_recognises() -> None:
    assert PROGRESS.search("train 40/375 loss=1.2")
    assert not PROGRESS.search("wrote runs/demo/stage1")


def test_live_draws_progress_in_place_and_keeps_other_lines() -> None:
    out = Terminal()
    live = Live(out)
    live("train 1/2")
    live("train 2/2")
    live("saved")
    assert out.getvalue().count("\n") == 1
    assert out.getvalue().endswith("\r\x1b[Ksaved\n")


def test_live_without_a_terminal_prints_every_line() -> None:
    out = io.StringIO()
    live = Live(out)
    live("train 1/2")
    live("saved")
    assert out.getvalue() == "train 1/2\nsaved\n"


def test_control_characters_of_a_child_do_not_reach_the_terminal() -> None:
    out = Terminal()
    Live(out)("evil \x1b[2J\x1b]0;title\x07 \r\x00 text")
    assert "\x1b" not in out.getvalue()
    assert "text" in out.getvalue()
