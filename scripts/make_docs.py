"""Writes the generated pages of docs/ from the registries they describe; `--check` says whether they are true."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sluicegate.evaluators import EVALUATORS, codebleu
from sluicegate.evaluators.answer import LANGUAGE_OF_SCENARIO, SPELLINGS
from sluicegate.k8s.checks.page import page as k8s_checks
from sluicegate.recipes import RECIPES
from sluicegate.settings import TrainSettings
from sluicegate.stages.criteria import CRITERIA
from sluicegate.stages.plan import STAGES
from sluicegate.study import Arm, Bound, Expected, Generation, Machine, Source, StageChange, Study, shipped

DOCS = Path(__file__).parent.parent / "docs"
HEAD = "<!-- made by scripts/make_docs.py; `make docs` writes it again -->\n\n"


def settings() -> str:
    """Every environment variable of `sluicegate train`."""
    lines = [
        "# Settings",
        "",
        "What `sluicegate train`, and so the training image, reads from the environment.",
        "",
    ]
    lines += ["| variable | default | wanted | meaning |", "| --- | --- | --- | --- |"]
    for name, field in TrainSettings.model_fields.items():
        extra = field.json_schema_extra
        wanted = extra["wanted"] if isinstance(extra, dict) else ""
        default = "required" if field.is_required() else "" if field.default is None else f"`{field.default}`"
        lines.append(f"| `{name.upper()}` | {default} | {wanted} | {field.description} |")
    return "\n".join(lines) + "\n"


def stages() -> str:
    """The plan and the criteria."""
    lines = [
        "# Stages",
        "",
        "`first` is looked at before any step: a stage that fails it spends nothing. `last` is looked at at the end.",
        "",
        "| stage | goal | passes when | hours | $ | first | last |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for stage in STAGES:
        first, last = (", ".join(f"`{name}`" for name in names) for names in (stage.entry, stage.criteria))
        cells = (
            f"{stage.number} {stage.name}",
            stage.goal,
            stage.passes_when,
            f"{stage.hours:.2g}",
            f"{stage.dollars:g}",
        )
        lines.append(f"| {' | '.join(cells)} | {first} | {last} |")
    lines += ["", "## Criteria", "", "| criterion | what it asks |", "| --- | --- |"]
    lines += [f"| `{name}` | {_first_line(rule.__doc__)} |" for name, rule in CRITERIA.items()]
    return "\n".join(lines) + "\n"


def study() -> str:
    """Every field of a study file."""
    lines = [
        "# Study files",
        "",
        "YAML. Every fault of a file is told at once, before anything runs.",
        "`sluicegate plan FILE` shows what it comes to.",
        f"The shipped ones ({', '.join(f'`{name}`' for name in shipped())}) are in `src/sluicegate/studies`.",
        "",
        "The question is control against experiment. Any other arm names the one that it is held `against`: it is",
        "trained, asked, scored and compared as well, shown with interval and p, and decides nothing; see",
        "`decisions/0019-arms-beside-the-question.md`. An arm that takes no part is refused.",
    ]
    for part, where in PARTS:
        lines += ["", f"## {where}", "", _first_line(part.__doc__), ""]
        lines += ["| field | default | meaning |", "| --- | --- | --- |"]
        lines += [
            f"| `{name}` | {_default(field)} | {field.description} |" for name, field in part.model_fields.items()
        ]
    return "\n".join([*lines, "", *_recipes()]) + "\n"


def _recipes() -> list[str]:
    """The presets, a column each."""
    rows = {name: {**one.train, "augment": one.augment, "order": one.order} for name, one in RECIPES.items()}
    fields = list(dict.fromkeys(field for row in rows.values() for field in row))
    return [
        "## Recipes",
        "",
        "Presets of training settings, and of what the training samples of an arm are (`recipe:` of the study or of an",
        "arm). What the study, a stage or an arm says itself wins over them.",
        "",
        f"| setting | {' | '.join(f'`{name}`' for name in rows)} |",
        f"| --- |{' --- |' * len(rows)}",
        *(f"| `{field}` | {' | '.join(str(row.get(field, '')) for row in rows.values())} |" for field in fields),
    ]


PARTS: tuple[tuple[type[BaseModel], str], ...] = (
    (Study, "The file"),
    (Arm, "arms.NAME"),
    (Source, "data"),
    (Generation, "generate"),
    (StageChange, "stages.N"),
    (Machine, "machines.NAME"),
    (Bound, "machines.NAME.mounts[]"),
    (Expected, "expected"),
)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    return "" if value in (None, (), {}, "") or isinstance(value, BaseModel) else f"`{str(value).lower()}`"


def evaluators() -> str:
    """The evaluators that there are."""
    lines = [
        "# Evaluators",
        "",
        "Every score is in [0, 1], higher is better; what cannot be judged has no value and a reason.",
        "",
    ]
    lines += ["| metric | what it says |", "| --- | --- |"]
    lines += [f"| `{name}` | {_first_line(import_module(path).__doc__)} |" for name, path in EVALUATORS.items()]
    return "\n".join([*lines, "", *_languages()]) + "\n"


def _languages() -> Iterator[str]:
    """How a sample names its language."""
    yield "## Languages"
    yield ""
    yield "A sample's language is its `meta.language`, in upper or lower case and in any of these spellings; where that"
    yield "is missing, its scenario tells it. What a metric cannot read has no value, and the reason says so."
    yield "`codebleu` reads those marked, with `pip install 'sluicegate[eval,codebleu]'`."
    yield ""
    yield "| language | other spellings | scenarios | `codebleu` |"
    yield "| --- | --- | --- | --- |"
    for language in sorted({*SPELLINGS.values(), *LANGUAGE_OF_SCENARIO.values()}):
        told = [
            ", ".join(f"`{name}`" for name, meant in names.items() if meant == language)
            for names in (SPELLINGS, LANGUAGE_OF_SCENARIO)
        ]
        yield f"| `{language}` | {' | '.join(told)} | {'yes' if language in codebleu.LANGUAGES else ''} |"


def _first_line(text: str | None) -> str:
    return (text or "").strip().splitlines()[0]


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings,
    "study.md": study,
    "stages.md": stages,
    "evaluators.md": evaluators,
    "k8s-checks.md": k8s_checks,
}


def main() -> int:
    """Write the pages, or with `--check` name those that are out of date."""
    stale = [name for name, page in PAGES.items() if not _same(DOCS / name, HEAD + page())]
    if "--check" in sys.argv[1:]:
        print("\n".join(f"docs/{name} is out of date: make docs" for name in stale), end="")
        return 1 if stale else 0
    for name in stale:
        (DOCS / name).write_text(HEAD + PAGES[name](), encoding="utf-8")
        print(f"wrote docs/{name}")
    return 0


def _same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
