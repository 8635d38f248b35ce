"""Evidence: all that a gate looks at, read from the files of a run folder, and its digest.

Reading is the only I/O of a decision; everything after it is pure, so the same files give the same verdict for ever.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sluicegate import compare, folder, jsonl, judge, stats, study
from sluicegate.compare import Contrast
from sluicegate.data.content import duplicates
from sluicegate.data.manifest import File
from sluicegate.data.reader import read_samples
from sluicegate.errors import UserError
from sluicegate.evaluate.unconfined import has_leave
from sluicegate.judge import Note
from sluicegate.records import Check, Comparison, Prediction, Score, digest, from_json
from sluicegate.sandbox import is_unsafe
from sluicegate.stages import budget, register
from sluicegate.stages.budget import Overrun
from sluicegate.stages.plan import Model, Plan, resolve
from sluicegate.stages.register import Registration
from sluicegate.study import Study

RESULT_FIELDS = (
    "steps", "first_loss", "last_loss", "loaded_in_4bit", "why_4bit", "peak_vram_gib", "forecast_vram_gib",
)  # fmt: skip
"""What the criteria read of a result.json."""
MEASURED = ("steps", "first_loss", "last_loss", "peak_vram_gib", "forecast_vram_gib")
"""Those of them that are numbers."""
LARGEST = 10**300
"""A whole number below it can be a float."""
FAILURE, PREFLIGHT, TRACKING = "failure.json", "preflight.jsonl", "tracking.json"


@dataclass(frozen=True)
class Evidence:
    """What one attempt at a stage left behind.

    Args:
        registration: what the attempt was registered with, None where it was not.
        preflight: checks of this machine, where the stage looks at it.
        overrun: the budget that ran out, or None.
        failure: the step that failed (name, code, tail of its output), or None.
        manifest: of the data folder.
        repeated: ids of test items with the same question and answer, a tuple a group.
        results: model → its result.json; a model that did not end well is absent.
        answers: model → finish reasons of its predictions, counted.
        scored: model → its answers that have a score of the primary metric, be it None.
        judged: model → those of them that have a value.
        unsafe: model → its scores of programs that ran without a sandbox, and without the user's leave.
        allowed: model → those that had it.
        judging: dollars that judging cost.
        judges: model → who judged its answers, where somebody did.
        comparisons: primary metric first.
        contrasts: the comparisons of arms that decide nothing.
        unsent: model → tracking lines that the server does not have.
        seconds: step → wall seconds.
        sha256: digest over all evidence files, empty where it is not complete.
    """

    study: Study
    plan: Plan
    sha256: str
    registration: Registration | None = None
    preflight: tuple[Check, ...] = ()
    overrun: Overrun | None = None
    failure: Mapping[str, Any] | None = None
    manifest: Mapping[str, Any] = field(default_factory=dict)
    repeated: tuple[tuple[str, ...], ...] = ()
    results: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    answers: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    scored: Mapping[str, int] = field(default_factory=dict)
    judged: Mapping[str, int] = field(default_factory=dict)
    unsafe: Mapping[str, int] = field(default_factory=dict)
    allowed: Mapping[str, int] = field(default_factory=dict)
    judging: float = 0.0
    judges: Mapping[str, Note] = field(default_factory=dict)
    comparisons: tuple[Comparison, ...] = ()
    contrasts: tuple[Contrast, ...] = ()
    unsent: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def primary(self) -> Comparison | None:
        """The comparison that decides."""
        return next((row for row in self.comparisons if row.metric == self.study.primary), None)

    @property
    def deciding(self) -> tuple[Model, ...]:
        """The models of the control and the experiment, on which the question rests."""
        return tuple(model for model in self.plan.models if model.arm in self.study.roles)

    @property
    def dollars(self) -> float:
        """What judging and the machines cost."""
        return round(self.judging + budget.machine_dollars(self.study, self.seconds), 6)

    @property
    def asked(self) -> int:
        """Answers that each model owes: test items × draws; 0 where the manifest tells of no test."""
        files = self.manifest.get("files", {})
        return int(files["test.jsonl"]["samples"]) * self.plan.draws if "test.jsonl" in files else 0

    @property
    def of_recipe(self) -> bool:
        """Whether there are runs enough for a claim on the recipe."""
        return self.plan.seeds >= stats.RUNS_FOR_A_RECIPE

    @property
    def across(self) -> bool:
        """Whether there are scenarios enough for a claim on scenarios like these."""
        return self.scenarios >= stats.CLUSTERS_TO_DECIDE

    @property
    def scenarios(self) -> int:
        """Scenarios that are tested."""
        return sum(counts.get("test", 0) > 0 for counts in self.manifest.get("counts", {}).values())


def at_entry(attempt: Path, number: int) -> Evidence:
    """As much of it as there is before any step: what was registered, and the machine.

    Raises:
        UserError: as `read`.
    """
    the_study = study.load(attempt / folder.STUDY)
    checks = attempt / PREFLIGHT
    return Evidence(
        study=the_study,
        plan=resolve(the_study, number),
        sha256="",
        registration=register.read(attempt),
        preflight=tuple(jsonl.read(Check, checks)) if checks.exists() else (),
    )


def built(attempt: Path, number: int) -> Evidence:
    """What there is when the data are built: that, and what they say of themselves.

    Raises:
        UserError: as `read`.
    """
    data = attempt / folder.DATA
    manifest = _manifest(data)
    return replace(at_entry(attempt, number), manifest=manifest, repeated=_repeated(data / "test.jsonl"))


def read(attempt: Path, number: int) -> Evidence:
    """The evidence of an attempt.

    Raises:
        UserError: a file of it cannot be read, or a data file was changed; nothing is decided then.
    """
    the_study = study.load(attempt / folder.STUDY)
    plan = resolve(the_study, number)
    try:
        return _read(attempt, the_study, plan)
    except (ValidationError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as fault:
        raise UserError(
            f"{attempt}: evidence cannot be read", wanted="files as the stage wrote them", seen=str(fault)
        ) from None


def _read(attempt: Path, the_study: Study, plan: Plan) -> Evidence:
    names = [model.name for model in plan.models]
    manifest = _manifest(attempt / folder.DATA)
    scores = {name: _scores(attempt / folder.SCORES / f"{name}.jsonl", name, the_study.primary) for name in names}
    notes = {name: judge.read_note(attempt / folder.SCORES / f"{name}.jsonl") for name in names}
    judges = {name: note for name, note in notes.items() if note}
    pairs = attempt / folder.COMPARISONS
    checks = attempt / PREFLIGHT
    return Evidence(
        study=the_study,
        plan=plan,
        sha256=_digest(attempt, names, tuple(the_study.against)),
        registration=register.read(attempt),
        preflight=tuple(jsonl.read(Check, checks)) if checks.exists() else (),
        overrun=_overrun(attempt / budget.FILE),
        failure=_json(attempt / FAILURE),
        manifest=manifest,
        repeated=_repeated(attempt / folder.DATA / "test.jsonl"),
        results={name: row for name in names if (row := _result(attempt / folder.ARMS / name / "result.json"))},
        answers={name: _finishes(attempt / folder.PREDICTIONS / f"{name}.jsonl", name) for name in names},
        scored={name: scores[name].scored for name in names},
        judged={name: scores[name].judged for name in names},
        unsafe={name: scores[name].unsafe for name in names},
        allowed={name: scores[name].allowed for name in names},
        judging=_judging(scores, judges),
        judges=judges,
        comparisons=_comparisons(pairs) if pairs.exists() else (),
        contrasts=_contrasts(contrast_files(attempt, the_study)),
        unsent=(_json(attempt / TRACKING) or {}).get("unsent", {}),
        seconds=folder.Steps(attempt / "steps.json").seconds(),
    )


@dataclass(frozen=True, slots=True)
class _Fresh:
    items: int
    reused: list[str]


@dataclass(frozen=True, slots=True)
class _Manifest:
    """The types of what is read of a manifest; it may tell of more, and of less."""

    files: Mapping[str, File] = field(default_factory=dict)
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    leaks: list[Any] | None = None
    fresh: _Fresh | None = None
    evaluation_prompts_sha256: Mapping[str, str] = field(default_factory=dict)
    duplicates: list[Any] = field(default_factory=list)


def _manifest(data: Path) -> dict[str, Any]:
    """The manifest of a data folder, empty where there is none, of files that are what it says of them."""
    path = data / "manifest.json"
    found = _json(path) or {}
    try:
        from_json(_Manifest, json.dumps(found))
    except ValidationError as fault:
        raise _damaged(path, jsonl.explain(fault)[:200]) from None
    _refuse_altered(data, found)
    return found


def _refuse_altered(data: Path, manifest: Mapping[str, Any]) -> None:
    """What the manifest says of leaks and prompts is of the files that it names; one that is gone says nothing else."""
    for name, told in manifest.get("files", {}).items():
        path = data / name
        if path.exists() and jsonl.sha256(path) != told["sha256"]:
            raise UserError(
                f"{path}: changed since it was built; nothing is decided",
                wanted=f"SHA-256 {told['sha256'][:12]}…, as the manifest says",
                seen=f"{jsonl.sha256(path)[:12]}…",
                mend=f"rm {path}  (then run the stage again: it builds the same file anew)",
            )


def _repeated(path: Path) -> tuple[tuple[str, ...], ...]:
    return tuple(duplicates(read_samples(path))) if path.exists() else ()


def _json(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        found = json.loads(jsonl.read_text(path))
    except (ValueError, RecursionError) as fault:
        raise _damaged(path, str(fault)) from None
    if not isinstance(found, dict):
        raise _damaged(path, f"a JSON {type(found).__name__}")
    return found


def _result(path: Path) -> dict[str, Any] | None:
    row = _json(path)
    if row is not None and (missing := [name for name in RESULT_FIELDS if name not in row]):
        raise _damaged(path, f"no {', '.join(missing)}")
    if row is not None and (odd := [name for name in MEASURED if not _is_measured(name, row[name])]):
        raise _damaged(path, f"{odd[0]} is no number")
    return row


def _is_measured(name: str, value: Any) -> bool:
    """Whether it is a number that a float holds, or none of a GPU that was not there; steps are whole."""
    if value is None:
        return name == "peak_vram_gib"
    if isinstance(value, float):
        return name != "steps"
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST


def _comparisons(path: Path) -> tuple[Comparison, ...]:
    try:
        return compare.read(path).comparisons
    except UserError as fault:
        raise _damaged(path, fault.seen) from None


def contrast_files(attempt: Path, the_study: Study) -> tuple[Path, ...]:
    """The files of the comparisons that decide nothing, in the study's order, as far as they are there."""
    paths = (attempt / compare.CONTRASTS / f"{arm}.json" for arm in the_study.against)
    return tuple(path for path in paths if path.exists())


def _contrasts(paths: tuple[Path, ...]) -> tuple[Contrast, ...]:
    for path in paths:
        _comparisons(path)
    return compare.read_contrasts(paths)


def _overrun(path: Path) -> Overrun | None:
    if not path.exists():
        return None
    try:
        return from_json(Overrun, jsonl.read_text(path))
    except ValidationError as fault:
        raise _damaged(path, jsonl.explain(fault)) from None


def _damaged(path: Path, seen: str) -> UserError:
    return UserError(
        f"{path}: damaged; nothing is decided",
        wanted="the file as the stage wrote it",
        seen=seen,
        mend=f"rm -r {path}  (then run the stage again: the step that writes it is done again)",
    )


def _finishes(path: Path, model: str) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for _, row in jsonl.each(Prediction, path) if path.exists() else ():
        _refuse_others(path, model, row.model)
        counts[row.finish] += 1
    return dict(counts)


@dataclass(frozen=True, slots=True)
class _Scored:
    """What a model's score file comes to; the rows themselves are not kept.

    Args:
        scored, judged, unsafe, allowed: as in `Evidence`.
        dollars: those that judging cost, row by row.
    """

    scored: int
    judged: int
    unsafe: int
    allowed: int
    dollars: tuple[float, ...]


def _scores(path: Path, model: str, primary: str) -> _Scored:
    answers: dict[tuple[str, int], bool] = {}
    dollars: list[float] = []
    unsafe = allowed = 0
    for _, row in jsonl.each(Score, path) if path.exists() else ():
        _refuse_others(path, model, row.model)
        unsafe += is_unsafe(row.why)
        allowed += has_leave(row.why)
        if row.dollars:
            dollars.append(row.dollars)
        if row.metric == primary:
            place = (row.sample_id, row.draw)
            answers[place] = answers.get(place, False) or row.value is not None
    return _Scored(len(answers), sum(answers.values()), unsafe, allowed, tuple(dollars))


def _judging(scores: Mapping[str, _Scored], judges: Mapping[str, Note]) -> float:
    """What the ledger had when the newest note was written: with lost calls and known pairs; else what the rows say."""
    noted = max((note.spent for note in judges.values()), default=0.0)
    return round(noted or sum(dollars for one in scores.values() for dollars in one.dollars), 6)


def _refuse_others(path: Path, model: str, found: str) -> None:
    """Two files that changed places would turn the verdict round."""
    if found != model:
        raise _damaged(path, f"rows of {found} in the file of {model}")


def _digest(attempt: Path, names: list[str], beside: tuple[str, ...]) -> str:
    """Over every evidence file by name: what is missing counts as missing."""
    files = [
        folder.STUDY, folder.COMPARISONS, register.FILE, budget.FILE, FAILURE, PREFLIGHT, TRACKING, "steps.json",
        f"{folder.DATA}/manifest.json",
        *(f"{folder.ARMS}/{name}/result.json" for name in names),
        *(f"{part}/{name}.jsonl" for part in (folder.PREDICTIONS, folder.SCORES) for name in names),
        *(f"{folder.SCORES}/{name}.jsonl{judge.NOTE}" for name in names),
        *(f"{compare.CONTRASTS}/{arm}.json" for arm in beside),
    ]  # fmt: skip
    return digest({name: jsonl.sha256(attempt / name) if (attempt / name).exists() else None for name in sorted(files)})
