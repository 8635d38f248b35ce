"""`sluicegate data arms`: whole scenarios as each arm sees them, `<arm>/<scenario>/samples.jsonl`.

For those who train on a scenario without a split of ours; the folders bear the names that they are called by (`NAMES`).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from sluicegate import study as studies
from sluicegate.data import sources
from sluicegate.data.build import SHIPPED, scenarios_of
from sluicegate.data.enrich import render
from sluicegate.data.manifest import write_new
from sluicegate.records import to_json
from sluicegate.study import Prompts

NAMES: Final = {
    "react": "react-components",
    "express": "express-apis",
    "python": "python-functions",
    "bugfix": "bug-fixes",
    "sql": "sql-queries",
}
"""Scenario → folder; others keep their name."""
ARMS: Final[dict[str, Prompts]] = {"control": "plain", "experiment": "enriched"}


def command(
    *, study: str | None = None, source: str | None = None, out: Path | None = None, force: bool = False
) -> str:
    """Write the files of the arms of a study, or of a plain and an enriched one, a line of text for each.

    Raises:
        UserError: no such study or source, metadata that gives an answer away, or other data at the same places and no
            `force`; nothing is written then.
    """
    loaded = studies.load(study) if study else None
    arms = {name: arm.prompts for name, arm in loaded.arms.items()} if loaded else ARMS
    origin = source or (loaded.data.source if loaded else SHIPPED)
    scenarios = loaded.scenarios if loaded else scenarios_of(source)
    samples = sources.load(origin, scenarios=scenarios, seed=loaded.data.seed if loaded else 0)
    texts = {}
    for arm, prompts in arms.items():
        for scenario in scenarios:
            told = [replace(one, prompt=render(one, prompts)) for one in samples if one.scenario == scenario]
            path = (out or Path(SHIPPED)) / arm / NAMES.get(scenario, scenario) / sources.FILE
            texts[path] = "".join(f"{to_json(one)}\n" for one in told)
    write_new(texts, force=force)
    return "\n".join(f"{path}  {text.count(chr(10))} samples" for path, text in texts.items())
