"""The report as one HTML page: the template, filled; everything foreign goes through `clean` and is escaped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from sluicegate.folder import VERDICT
from sluicegate.records import Check, Outcome, Run, Verdict
from sluicegate.report import baselines, clean, contrasts, failures, figures, text, wording
from sluicegate.report.content import STAGES, Content, Model
from sluicegate.report.samples import RULES, WORST
from sluicegate.study import Study

SIGNS = {Outcome.GO: "✓", Outcome.STOP: "✕", Outcome.INCONCLUSIVE: "≈", Outcome.RETRY: "↻"}
HELD = {"inside": "✓", "above": "↑", "below": "↓"}
"""Signs of where an actual figure lies against its forecast."""
SHOWN_ROWS = 80
"""Rows shown of the manifest, files apart."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the models were made with: names of the models, rows that differ, rows that all share."""

    models: list[str]
    differ: list[tuple[str, list[str]]]
    same: list[tuple[str, str]]


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "visible": clean.visible, "one_line": clean.one_line, "points": clean.points, "share": clean.share,
        "chance": clean.chance, "span": clean.span, "figure": clean.figure, "seconds": clean.seconds,
        "amount": clean.amount,
    }  # fmt: skip
    return environment.from_string((resources.files("sluicegate.report") / "report.html.j2").read_text("utf-8"))


def html(content: Content) -> str:
    """The page."""
    pairs, verdict = content.pairs, content.verdict
    drawn = figures.forest(pairs.rows, pairs.primary, _bounds(content.study), "forest") if pairs else ""
    return _template().render(
        c=content,
        verdict=verdict,
        stage=STAGES.get(verdict.stage, "") if verdict else "",
        sign=SIGNS[verdict.outcome] if verdict else "…",
        meaning=wording.meaning(verdict) if verdict else f"{content.lacks(VERDICT)}, so nothing is decided here.",
        why=text.why(verdict) if verdict else "",
        checks=_sorted_checks(verdict) if verdict else (),
        pairs=pairs,
        words=wording,
        fixed=baselines,
        beside=contrasts,
        short=failures,
        held=HELD,
        said=clean.LIMIT,
        minimum_gain=content.study.minimum_gain if content.study else None,
        forest=Markup(drawn),  # noqa: S704 (drawn by matplotlib, which escapes the labels)
        curves=list(_curves(content.models)),
        rules=(*RULES, WORST),
        settings=settings_of(content.models),
        files=list(_files(content.manifest)),
        manifest=list(_flat({key: value for key, value in content.manifest.items() if key != "files"}))[:SHOWN_ROWS],
        longest=max(content.steps.values(), default=0.0) or 1.0,
        limit=clean.LIMIT,
    )


def _bounds(study: Study | None) -> dict[str, float]:
    """Metric → the gain that its interval is held against."""
    if study is None:
        return {}
    return {study.primary: study.minimum_gain} | {name: -margin for name, margin in study.must_not_worsen.items()}


def _sorted_checks(verdict: Verdict) -> list[Check]:
    """Failed ones first, those that only show last; else as the gate gave them."""
    return sorted(verdict.checks, key=lambda check: {False: 0, True: 1, None: 2}[check.passed])


def _curves(models: tuple[Model, ...]) -> Iterator[tuple[str, Markup]]:
    """(model, picture) with one axis for all."""
    values = [value for model in models for key in ("train/loss", "val/loss") for _, value in model.curves.get(key, [])]
    top = 1.05 * max(values) if values and max(values) > 0 else None
    for place, model in enumerate(models):
        drawn = figures.losses(model.curves, top, f"loss{place}")
        yield model.name, Markup(drawn)  # noqa: S704 (drawn by matplotlib from numbers)


def settings_of(models: tuple[Model, ...]) -> Settings:
    """Settings and versions of the models' runs, those that differ apart from those that all share."""
    named = [(model.name, model.run) for model in models if model.run]
    columns = [_column(run) for _, run in named]
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = [(name, [column.get(name, clean.NONE) for column in columns]) for name in names]
    return Settings(
        models=[name for name, _ in named],
        differ=[row for row in rows if len(set(row[1])) > 1],
        same=[(name, values[0]) for name, values in rows if len(set(values)) == 1],
    )


def _column(run: Run) -> dict[str, str]:
    values = {
        "git commit": run.git_commit,
        "base model": run.base_model,
        "data sha256": run.data_sha256,
        **{name: value for name, value in sorted(run.settings.items()) if name != "base_model"},
        **{f"{name} (version)": version for name, version in sorted(run.versions.items())},
    }
    return {clean.one_line(name): clean.figure(value) for name, value in values.items()}


def _files(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(file, samples, digest) of the data folder."""
    files = manifest.get("files")
    for name, file in files.items() if isinstance(files, Mapping) else ():
        told = file if isinstance(file, Mapping) else {}
        yield name, clean.figure(told.get("samples")), clean.figure(told.get("sha256"))


def _flat(value: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """A nested mapping as (dotted name, value).

    >>> list(_flat({"a": {"b": 1, "c": []}, "d": [1, 2]}))
    [('a.b', '1'), ('a.c', 'none'), ('d', '1, 2')]
    """
    for key, inner in value.items():
        name = f"{above}{key}"
        if isinstance(inner, Mapping):
            yield from _flat(inner, f"{name}.")
        elif isinstance(inner, list | tuple):
            yield name, clean.one_line(", ".join(str(part) for part in inner)) or "none"
        else:
            yield name, clean.figure(inner)
