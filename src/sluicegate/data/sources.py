"""Where samples come from: the demo corpus, the micro set, the grammar of manifests, or a folder of data sets.

A folder holds `<scenario>/samples.jsonl`. What is made is the same for the same seed, and more of it begins with less.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from sluicegate.data import demo, k8s, micro
from sluicegate.data.reader import read_samples
from sluicegate.errors import UserError, UserErrors
from sluicegate.records import Sample

DEMO_SIZE = 100
"""Demo samples where no size is asked for: as many as a scenario of the shipped data sets has."""
FILE = "samples.jsonl"
KUBERNETES = "kubernetes"
"""The source of manifests that a grammar makes."""
BUILT_IN = {"demo": (demo.SCENARIO,), "micro": micro.SCENARIOS, KUBERNETES: (k8s.SCENARIO,)}
"""Source that needs no files → its scenarios."""
SPARE = 20
"""One manifest in so many is made beyond those asked for: near-duplicate requests lie in one split."""


def load(
    source: str,
    *,
    scenarios: Sequence[str],
    seed: int,
    size: int | None = None,
    made: int | None = None,
    longest: int | None = None,
) -> list[Sample]:
    """The samples of some scenarios.

    Args:
        source: one of `BUILT_IN`, or a folder.
        scenarios: wanted, in this order.
        seed: of the demo corpus and the grammar; the others are what they are.
        size: samples needed in all. The demo corpus makes just so many, the grammar a few more; the others give all
            they have, and having fewer is an error.
        made: how many the grammar makes, whatever is needed.
        longest: characters that a manifest of the grammar may have; None for any.

    Raises:
        UserError: an unknown source, a scenario that it lacks, or too few samples.
    """
    if source in BUILT_IN:
        _refuse_missing(source, scenarios, BUILT_IN[source])
    if source == "demo":
        return demo.samples(DEMO_SIZE if size is None else size, seed=seed)
    if source == KUBERNETES:
        needed = DEMO_SIZE if size is None else size
        samples = list(_manifests(made or needed + -(-needed // SPARE), seed, longest))
    elif source == "micro":
        samples = [sample for name in scenarios for sample in micro.SAMPLES if sample.scenario == name]
    else:
        samples = _from_folder(Path(source), scenarios)
    if size is not None and len(samples) < size:
        counts = Counter(sample.scenario for sample in samples)
        raise UserError(
            f"source {source}: too few samples",
            wanted=f"{size} in all",
            seen=", ".join(f"{name} {count}" for name, count in counts.items()),
            mend="add samples, lower the sample counts, or add scenarios",
        )
    return samples


@lru_cache(maxsize=2)
def _manifests(count: int, seed: int, longest: int | None) -> tuple[Sample, ...]:
    """Pairs of a request and a manifest of the grammar, with the groups that splits keep together."""
    from sluicegate.data.k8s.pairs import samples
    from sluicegate.data.k8s.split import grouped, sets
    from sluicegate.data.k8s.synthesis import synthesise

    pairs = [sample for draft in synthesise(count, seed, longest=longest).drafts for sample in samples(draft, seed)]
    return tuple(grouped(pairs, sets(pairs)))


def available(folder: Path) -> list[str]:
    """The scenarios that a folder has samples of."""
    return sorted(path.parent.name for path in folder.glob(f"*/{FILE}"))


def _refuse_missing(source: str, wanted: Sequence[str], have: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in have]
    if missing:
        raise UserError(
            f"source {source}: no scenario {', '.join(missing)}",
            wanted=f"samples of {', '.join(wanted)}",
            seen=f"scenarios {', '.join(have)}" if have else "no scenarios",
            mend=f"write <folder>/{missing[0]}/{FILE} and name that folder as the source",
        )


def _from_folder(folder: Path, scenarios: Sequence[str]) -> list[Sample]:
    if not folder.is_dir():
        raise UserError(
            f"source {folder}: not found",
            wanted=f"{', '.join(BUILT_IN)}, or a folder with <scenario>/{FILE}",
            seen="a file" if folder.exists() else "no such folder",
        )
    _refuse_missing(str(folder), scenarios, available(folder))
    samples: list[Sample] = []
    faults: list[UserError] = []
    for name in scenarios:
        try:
            samples += _of_scenario(folder / name / FILE, name)
        except UserErrors as fault:
            faults += [UserError(fault.what), *fault.faults]
        except UserError as fault:
            faults.append(fault)
    faults += _shared_ids(folder, samples)
    if faults:
        raise UserErrors(f"source {folder}: cannot be used; nothing was read", faults)
    return samples


def _of_scenario(path: Path, name: str) -> list[Sample]:
    samples = read_samples(path)
    others = sorted({sample.scenario for sample in samples} - {name, ""})
    if others:
        raise UserError(
            f"{path}: samples of another scenario",
            wanted=f"scenario {name}, or none given",
            seen=", ".join(others),
            mend=f"move them to {path.parent.parent / others[0] / FILE}",
        )
    return [replace(sample, scenario=name) for sample in samples]


def _shared_ids(folder: Path, samples: Sequence[Sample]) -> list[UserError]:
    """Ids are unique over all scenarios of a data set, or scores could not be told apart."""
    counts = Counter(sample.id for sample in samples)
    return [
        UserError(f"{folder}: id {name!r} is used in {count} files", wanted="ids unique in the whole data set")
        for name, count in sorted(counts.items())
        if count > 1
    ][:10]
