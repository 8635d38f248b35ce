"""`sluicegate plan`: which study, shown how."""

from __future__ import annotations

from pathlib import Path

from sluicegate import study
from sluicegate.errors import UserError
from sluicegate.jsonl import write_text
from sluicegate.stages.forecast import show

DEMO = "demo"
DOCTYPE, TITLE = b"<!doctype html>", "<title>Plan · ".encode()
HEAD = 1000
"""Bytes at the start of a page, by which a plan is known."""


def command(given: str | None, named: str | None, *, runs: Path, json: bool = False, page: Path | None = None) -> str:
    """The plan of a study as text or JSON, and as a page where a file is named for it.

    Args:
        given, named: the study as an argument and as an option; the demo where neither is.
        runs: where its earlier stages may lie; a folder that is not there is no fault.

    Raises:
        UserError: two studies, an unknown one, a page that cannot be written, or a file in its place that is none.
    """
    if given is not None and named is not None and given != named:
        raise UserError(
            "two studies are named", wanted="one", seen=f"{given} and --study {named}", mend=f"sluicegate plan {given}"
        )
    if page is not None and not page.resolve().parent.is_dir():
        raise UserError(
            f"{page}: cannot be written",
            wanted="a file in a folder that exists",
            seen=f"no folder {page.parent}",
            mend=f"mkdir -p {page.parent}",
        )
    if page is not None and page.is_dir():
        raise UserError(f"{page}: is a folder", wanted="a file", mend=f"--html {page / 'plan.html'}")
    if page is not None and page.is_file() and page.stat().st_size:
        _refuse_foreign(page)
    chosen = next((name for name in (given, named) if name is not None), DEMO)
    if not chosen:
        raise UserError(
            "no study is named",
            wanted="a shipped study or a study file",
            seen="an empty name",
            mend="sluicegate plan demo",
        )
    found = show.content(study.load(chosen), runs)
    if page is not None:
        write_text(page, show.page(found))
    text = show.json_text(found) if json else show.text(found)
    return text if json or page is None else f"{text}\n\n{page}"


def _refuse_foreign(page: Path) -> None:
    """A slip in `--html` must not put a plan in the place of somebody's file."""
    with page.open("rb") as stream:
        head = stream.read(HEAD)
    if not head.startswith(DOCTYPE) or TITLE not in head:
        raise UserError(
            f"{page}: holds something else; nothing was written",
            wanted="a new file, or one of an earlier plan",
            seen="a file that is no plan",
            mend="choose another --html, or move this file away",
        )
