"""The data files of a stage, or plain ones: laid out, checked for leaks, digested and told.

What goes into them is decided in `recipe`, how they are put in place in `manifest`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from sluicegate import study as studies
from sluicegate.data import k8s, leaks, sources
from sluicegate.data.changes import change_of
from sluicegate.data.content import duplicates, kin
from sluicegate.data.manifest import HELD_OUT, TRAINING, File, Fresh, Manifest, Overlap, place
from sluicegate.data.reader import read_samples
from sluicegate.data.recipe import Recipe, Size, drawn, files, patterns, with_patterns
from sluicegate.data.splits import Splits, contents
from sluicegate.errors import UserError
from sluicegate.jsonl import sha256
from sluicegate.records import Sample, digest, to_json
from sluicegate.study import Prompts, Study

SHIPPED = "datasets"
"""The source of plain files where none is named."""
PATTERNS = "patterns.jsonl"
"""The library that the patterns of Kubernetes samples come from, and those of later requests."""


def build(
    study: Study,
    size: Size,
    out: Path,
    *,
    scenario: str | None = None,
    train_samples: int | None = None,
    val_samples: int | None = None,
    test_samples: int | None = None,
    test_prompts: Prompts | None = None,
    fresh_from: Path | None = None,
    force: bool = False,
) -> Manifest:
    """Write `<arm>-train.jsonl`, `<arm>-val.jsonl`, `test.jsonl` and `manifest.json` for the arms of a study.

    Where the study asks each arm the way it was trained, or an arm has other patterns, there is `<arm>-test.jsonl`
    too; `test_prompts` asks all arms the same, whatever the study says: plainly, or with the metadata. Numbers of
    samples are totals over the scenarios, variants apart; None leaves the size's own: 5 samples (`micro`), 20, 5 and 20
    (`small`), 70, 15 and 15% of what the source has (`scenario`: the one named, or the study's first; `all`). None of
    the samples in `fresh_from`, the test items of an earlier stage, becomes a test item again.

    Raises:
        UserError: an unknown size or scenario, a source with too few samples, metadata that gives an answer away,
            or a folder that holds other data and no `force`.
    """
    recipe = Recipe(
        size=size,
        source=study.data.source,
        seed=study.data.seed,
        scenarios=_chosen(size, study.scenarios, scenario),
        counts=(train_samples, val_samples, test_samples),
        arms={f"{name}-": arm.prompts for name, arm in study.arms.items()},
        as_trained=study.test_prompts == "as_trained" and test_prompts is None,
        test_prompts=test_prompts or "plain",
        study=study.name,
        tested=tuple(read_samples(fresh_from)) if fresh_from else (),
        changes={f"{name}-": change_of(study, name) for name in study.arms},
        synthesize=study.data.synthesize,
        longest=study.data.longest,
    )
    return _write(recipe, out, force=force, fresh_from=fresh_from)


def build_plain(
    size: Size,
    out: Path,
    *,
    source: str | None = None,
    scenario: str | None = None,
    seed: int = 0,
    train_samples: int | None = None,
    val_samples: int | None = None,
    test_samples: int | None = None,
    test_prompts: Prompts | None = None,
    force: bool = False,
) -> Manifest:
    """Write `train.jsonl`, `val.jsonl`, `test.jsonl` (not for `micro`) and `manifest.json`, prompts plain.

    The source is the authored micro set for `micro`, otherwise the folder `datasets`, where none is named.

    Raises:
        UserError: as `build`.
    """
    origin = source or ("micro" if size == "micro" else SHIPPED)
    known = scenarios_of(origin if size == "micro" or scenario else source)
    recipe = Recipe(
        size=size,
        source=origin,
        seed=seed,
        scenarios=_chosen(size, known, scenario),
        counts=(train_samples, val_samples, test_samples),
        arms={"": "plain"},
        test_prompts=test_prompts or "plain",
    )
    return _write(recipe, out, force=force)


def command(
    size: str,
    *,
    study: str | None = None,
    source: str | None = None,
    out: Path | None = None,
    scenario: str | None = None,
    seed: int = 0,
    fresh_from: Path | None = None,
    force: bool = False,
    train_samples: int | None = None,
    val_samples: int | None = None,
    test_samples: int | None = None,
    test_prompts: Prompts | None = None,
) -> str:
    """`sluicegate data`: build, and tell what was built.

    With a study, `source` takes the place of the study's own, and the seed is the study's. Files go to
    `datasets/<size>` where no folder is named, `datasets/scenario-<name>` for one scenario.

    Raises:
        UserError: as `build`.
    """
    known = _known_size(size)
    counts = {"train_samples": train_samples, "val_samples": val_samples, "test_samples": test_samples}
    _refuse_untested(known, test_prompts)
    if study is None:
        _refuse_without_study(fresh_from)
        where = out or _default_out(known, scenario)
        built = build_plain(
            known, where, source=source, scenario=scenario, seed=seed, test_prompts=test_prompts, force=force, **counts
        )
        return _told(where, built)
    loaded = _from(studies.load(study), source, seed)
    where = out or _default_out(known, scenario or loaded.scenarios[0])
    built = build(
        loaded,
        known,
        where,
        scenario=scenario,
        test_prompts=test_prompts,
        fresh_from=fresh_from,
        force=force,
        **counts,
    )
    return _told(where, built)


def _refuse_untested(size: Size, test_prompts: Prompts | None) -> None:
    if size == "micro" and test_prompts is not None:
        raise UserError("--test-prompts with size micro", wanted="a size with test items", seen="micro has none")


def _refuse_without_study(fresh_from: Path | None) -> None:
    if fresh_from is not None:
        raise UserError("--fresh-from without --study", wanted="the study whose earlier test items they are", seen="")


def _known_size(size: str) -> Size:
    for known in get_args(Size):
        if size == known:
            return known  # type: ignore[no-any-return]
    raise UserError(f"size {size!r}: unknown", wanted=", ".join(get_args(Size)), seen=size)


def _default_out(size: Size, scenario: str | None) -> Path:
    return Path(SHIPPED) / (f"scenario-{scenario}" if size == "scenario" and scenario else size)


def _from(study: Study, source: str | None, seed: int) -> Study:
    """The study with another source; another seed than its own is refused, since its file is what is recorded."""
    if seed not in {0, study.data.seed}:
        raise UserError(
            f"--seed {seed}: study {study.name} has a seed of its own",
            wanted=f"seed {study.data.seed}, or no --seed",
            seen=str(seed),
            mend="change data.seed in the study file",
        )
    if source is None:
        return study
    return study.model_copy(update={"data": study.data.model_copy(update={"source": source})})


def scenarios_of(source: str | None) -> tuple[str, ...]:
    """All scenarios of a source; of the shipped folder, where none is named, those of programs.

    Manifests have no tests: they are taken where the source, or their scenario, is named.

    Raises:
        UserError: a folder without any.
    """
    if source in sources.BUILT_IN:
        return sources.BUILT_IN[source]
    folder = source or SHIPPED
    found = tuple(sources.available(Path(folder)))
    if not found:
        raise UserError(
            f"source {folder}: no scenarios",
            wanted=f"{folder}/<scenario>/{sources.FILE}",
            seen="no such folder" if not Path(folder).is_dir() else "no such file in it",
            mend="name another folder with --source, or use --source demo or --study demo",
        )
    return found if source else tuple(name for name in found if name != k8s.SCENARIO) or found


def _chosen(size: Size, scenarios: tuple[str, ...], scenario: str | None) -> tuple[str, ...]:
    """The scenarios of a size: all of them, or one."""
    if scenario is None:
        return scenarios[:1] if size == "scenario" else scenarios
    if size != "scenario" or scenario not in scenarios:
        raise UserError(
            f"--scenario {scenario} with size {size}",
            wanted=f"size scenario and one of {', '.join(scenarios)}",
            seen=f"size {size}, scenario {scenario}",
        )
    return (scenario,)


def _write(recipe: Recipe, out: Path, *, force: bool, fresh_from: Path | None = None) -> Manifest:
    splits = drawn(recipe)
    library = patterns(splits)
    named = files(recipe, with_patterns(splits, library), library)
    texts = {name: "".join(f"{to_json(row)}\n" for row in rows) for name, rows in named.items()}
    if library is not None:
        texts[PATTERNS] = library.text
    manifest = replace(_manifest(recipe, splits, named, texts), fresh=_fresh(recipe, splits, fresh_from))
    place(out, texts, manifest, force=force)
    return manifest


def _manifest(
    recipe: Recipe, splits: Splits, rows: Mapping[str, Sequence[Sample]], texts: Mapping[str, str]
) -> Manifest:
    named = {"train": splits.train, "val": splits.val, "test": splits.test}
    counted = {name: Counter(sample.scenario for sample in part) for name, part in named.items()}
    variants = _variants(recipe, splits, rows)
    seen = [*splits.train, *(sample for made in variants.values() for sample in made), *splits.val]
    found, overlap = _leaks(recipe, seen, splits.test) if splits.test else (None, None)
    return Manifest(
        study=recipe.study,
        size=recipe.size,
        source=recipe.source,
        seed=recipe.seed,
        counts={scenario: {name: counted[name][scenario] for name in named} for scenario in recipe.scenarios},
        validation=TRAINING if recipe.size == "micro" else HELD_OUT,
        files=digests(texts),
        evaluation_prompts_sha256=_evaluation_prompts(recipe, rows),
        leaks=found,
        overlap=overlap,
        duplicates=tuple(duplicates(splits.train)),
        noted={f"{arm}: training samples that ask for security": len(made) for arm, made in variants.items() if made},
    )


def _variants(recipe: Recipe, splits: Splits, rows: Mapping[str, Sequence[Sample]]) -> dict[str, list[Sample]]:
    """Arm → the samples that it is trained on beside those of the split."""
    known = {sample.id for sample in splits.train}
    return {
        prefix.removesuffix("-"): [row for row in rows[f"{prefix}train.jsonl"] if row.id not in known]
        for prefix in recipe.arms
    }


def digests(texts: Mapping[str, str]) -> dict[str, File]:
    """What the manifest says of each file, which holds one sample a line."""
    return {name: File(hashlib.sha256(text.encode()).hexdigest(), text.count("\n")) for name, text in texts.items()}


def _fresh(recipe: Recipe, splits: Splits, fresh_from: Path | None) -> Fresh | None:
    """What the test shares with an earlier one; looked at anew, whatever the split was told."""
    if fresh_from is None:
        return None
    tested = contents(recipe.tested)
    reused = tuple(sample.id for sample in splits.test if not contents([sample]).isdisjoint(tested))
    return Fresh(sha256(fresh_from), len(recipe.tested), reused)


def _evaluation_prompts(recipe: Recipe, named: Mapping[str, Sequence[Sample]]) -> dict[str, str]:
    """Arm → digest of the ids and prompts that its models are tested with."""
    digests = {}
    for prefix in recipe.arms if "test.jsonl" in named else ():
        rows = named[f"{prefix}test.jsonl" if recipe.asks_apart(prefix) else "test.jsonl"]
        digests[prefix.removesuffix("-")] = digest([[row.id, row.prompt, row.context] for row in rows])
    return digests


def _leaks(recipe: Recipe, seen: Sequence[Sample], test: Sequence[Sample]) -> tuple[tuple[str, ...], Overlap]:
    """What training, with the variants of every arm, and validation give away of the test.

    The demo corpus is made from templates, so there overlap of 13-grams is told and not counted as a leak; nor is it
    for a sample with a `group`, which was kept apart from all that is near it when it was made.
    """
    made_apart = {sample.id for sample in test if recipe.source == "demo" or kin(sample)}
    found = leaks.find(seen, test)
    known = [share for share in leaks.overlap(seen, test) if share is not None]
    overlap = Overlap(
        threshold=leaks.DIRTY,
        mean=round(sum(known) / len(known), 4) if known else None,
        highest=round(max(known), 4) if known else None,
        dirty=tuple(leak.test_id for leak in found if leak.kind == "overlap"),
        counted=len(made_apart) < len(test),
    )
    return tuple(leak.told for leak in found if leak.kind != "overlap" or leak.test_id not in made_apart), overlap


def _told(folder: Path, manifest: Manifest) -> str:
    """What was built, a line a file."""
    lines = [f"{folder}: {', '.join(manifest.counts)} from {manifest.source}, seed {manifest.seed}"]
    width = max(len(name) for name in manifest.files)
    lines += [f"  {name:<{width}}  {file.samples} samples" for name, file in manifest.files.items()]
    lines.append(f"validation: {manifest.validation}")
    if manifest.leaks is not None and manifest.overlap is not None:
        highest = manifest.overlap.highest
        lines.append(
            f"leaks: {len(manifest.leaks)}; highest 13-gram overlap: {highest if highest is not None else 'none'}"
        )
    lines += [f"{what}: {number}" for what, number in manifest.noted.items()]
    if manifest.duplicates:
        lines.append(f"repeated training samples: {sum(len(group) - 1 for group in manifest.duplicates)}")
    return "\n".join(lines)
