"""The report of a run folder: one HTML page, the same in text, the same in JSON, made from its files alone.

It formats and decides nothing: every figure was computed by `compare` or the gate before. jinja2 and matplotlib are
imported when a report is written, not before.
"""

from __future__ import annotations

import json
from pathlib import Path

from sluicegate.errors import UserError
from sluicegate.jsonl import write_text

HTML, TEXT, JSON = "report.html", "report.txt", "report.json"


def write(folder: Path) -> dict[str, Path]:
    """Write report.html, report.txt and report.json into a run folder; the same files give the same bytes.

    Whatever is missing or unreadable is said in the report.

    Returns:
        kind (`html`, `txt`, `json`) → the file.

    Raises:
        UserError: the folder is missing or cannot be written to, or the packages for reports are not installed.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no run folder", wanted="runs/<study>/stage<N>-<time>", seen="no such folder")
    try:
        from sluicegate.report.page import html
    except ModuleNotFoundError as fault:
        mend = "pip install 'sluicegate[eval]'"
        raise UserError("reports need jinja2 and matplotlib", seen=f"no {fault.name}", mend=mend) from None
    from sluicegate.report.content import as_json, read
    from sluicegate.report.text import text

    content = read(folder)
    made = {"html": folder / HTML, "txt": folder / TEXT, "json": folder / JSON}
    write_text(made["html"], html(content))
    write_text(made["txt"], text(content))
    write_text(made["json"], json.dumps(as_json(content), indent=1, ensure_ascii=True) + "\n")
    return made
