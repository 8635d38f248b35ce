"""The files of Kubernetes data: a source for `sluicegate data …`, the splits of it, and the library of patterns.

    <out>/kubernetes/samples.jsonl   every sample, without patterns: `--source <out>` builds the data of stages from it
                     train.jsonl, val.jsonl, test.jsonl   with the pattern of each as its context
                     patterns.jsonl  the library that the patterns come from, and those of later requests
                     manifest.json   counts, digests, near-duplicates across the splits, what was left out and why

The same arguments give the same bytes, and a folder with other data is left alone unless `force` is given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sluicegate.data import leaks
from sluicegate.data.build import PATTERNS, digests
from sluicegate.data.content import duplicates
from sluicegate.data.k8s import SCENARIO
from sluicegate.data.k8s.augment import augmented
from sluicegate.data.k8s.curriculum import ORDERS, ordered
from sluicegate.data.k8s.importer import load
from sluicegate.data.k8s.intents import DETAILS
from sluicegate.data.k8s.manifests import harvest
from sluicegate.data.k8s.pairs import samples
from sluicegate.data.k8s.patterns import Library, filled
from sluicegate.data.k8s.split import Sets, grouped, nearness, sets
from sluicegate.data.k8s.synthesis import synthesise
from sluicegate.data.manifest import HELD_OUT, Manifest, Near, place
from sluicegate.data.sources import FILE
from sluicegate.data.splits import NAMES, Splits, split
from sluicegate.errors import UserError
from sluicegate.records import Sample, digest, to_json

OUT = Path("datasets") / "k8s"
SIZE = "k8s"


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for.

    Args:
        folder: of real manifests; None for none.
        synthesize: manifests of the grammar; None for none.
        imported: a training file, and a test file where there is one; not together with the other two.
        seed: of the grammar, the requests, the splits, the variants and the order.
        intents: requests a manifest, 1 to 5.
        depth: how many leading folders of `folder` name a repository.
        version: of Kubernetes, whose schemas real manifests must follow; empty for the newest.
        augment: share of the training samples that get a security-emphasised variant, in [0, 1].
        order: of the training samples, one of `curriculum.ORDERS`.
    """

    folder: Path | None = None
    synthesize: int | None = None
    imported: tuple[Path, ...] = ()
    seed: int = 0
    intents: int = 1
    depth: int = 1
    version: str = ""
    augment: float = 0.0
    order: str = "shuffled"

    @property
    def source(self) -> str:
        """Where the samples come from, as it was named."""
        told = [f"from {self.folder}"] if self.folder is not None else []
        told += [f"synthesize {self.synthesize}"] if self.synthesize is not None else []
        told += [f"import {' '.join(map(str, self.imported))}"] if self.imported else []
        return ", ".join(told)


@dataclass(frozen=True, slots=True)
class _Gathered:
    """Samples with their groups, how they are split and how near the splits come, and what was noted on the way."""

    samples: tuple[Sample, ...]
    splits: Splits
    near: tuple[Near, ...]
    noted: Mapping[str, int]


def build(order: Order, out: Path, *, force: bool = False) -> Manifest:
    """Write the files into `<out>/kubernetes`.

    Raises:
        UserError: nothing is asked for, or something that makes no sense; a source that cannot be read, or has too
            little to split; or a folder that holds other data and no `force`.
    """
    _refuse(order)
    found = _gathered(order)
    library = Library.of(found.splits.train)
    train, val, test = (filled(library, part) for part in (found.splits.train, found.splits.val, found.splits.test))
    rows = {
        FILE: found.samples,
        "train.jsonl": ordered(train, order.order, order.seed),
        "val.jsonl": val,
        "test.jsonl": test,
    }
    texts = {name: "".join(f"{to_json(row)}\n" for row in part) for name, part in rows.items()}
    texts[PATTERNS] = library.text
    manifest = _manifest(order, found, texts, test)
    place(out / SCENARIO, texts, manifest, force=force)
    return manifest


def _refuse(order: Order) -> None:
    """Every fault of the arguments that can be told before anything is read."""
    asked = order.folder is not None or order.synthesize is not None
    if asked == bool(order.imported):
        raise UserError(
            "data k8s: where do the manifests come from?",
            wanted="--from DIR and/or --synthesize N; or --import TRAIN [TEST] alone",
            seen="both" if asked else "none of them",
        )
    ranges: dict[str, tuple[bool, str, object]] = {
        "--intents": (1 <= order.intents <= len(DETAILS), f"1 to {len(DETAILS)}", order.intents),
        "--depth": (order.depth >= 0, "0 or more", order.depth),
        "--augment": (0.0 <= order.augment <= 1.0, "a share from 0 to 1", order.augment),
        "--order": (order.order in ORDERS, ", ".join(ORDERS), order.order),
    }
    for option, (fits, wanted, seen) in ranges.items():
        if not fits:
            raise UserError(f"{option} {seen}: out of range", wanted=wanted, seen=str(seen))


def _gathered(order: Order) -> _Gathered:
    if order.imported:
        return _imported(order)
    harvests = []
    if order.folder is not None:
        harvests.append(harvest(order.folder, depth=order.depth, version=order.version))
    if order.synthesize is not None:
        harvests.append(synthesise(order.synthesize, order.seed))
    left_out = sum((Counter(each.left_out) for each in harvests), Counter[str]())
    made = [
        sample for each in harvests for draft in each.drafts for sample in samples(draft, order.seed, order.intents)
    ]
    if not made:
        raise UserError(
            f"{order.folder}: no manifest was kept",
            wanted="manifests that follow the schemas of Kubernetes",
            seen=", ".join(f"{number} {why}" for why, number in left_out.items()),
            mend="name another folder, or an older --kube-version",
        )
    known = sets(made)
    whole = grouped(made, known)
    return _apart(order, whole, _split(order, whole), known, {f"left out, {why}": n for why, n in left_out.items()})


def _split(order: Order, whole: Sequence[Sample]) -> Splits:
    try:
        return split(whole, seed=order.seed)
    except UserError as fault:
        if order.folder is None:
            raise
        mend = f"{fault.mend}; if {order.folder} holds one repository, --depth 0 or 2 divides it"
        raise UserError(fault.what, wanted=fault.wanted, seen=fault.seen, mend=mend) from None


def _imported(order: Order) -> _Gathered:
    """The owner's split where there is one; validation then comes out of its training samples.

    They are grouped among themselves: what the test file holds decides nothing about training or its patterns.
    """
    found = load(order.imported)
    every = [*found.train, *found.test]
    known = sets(every)
    whole = grouped(every, known)
    dealt = split(grouped(found.train, known), seed=order.seed)
    if found.test:
        dealt = Splits((*dealt.train, *dealt.test), dealt.val, tuple(whole[len(found.train) :]))
    return _apart(order, whole, dealt, known, {f"kept, {why}": number for why, number in found.noted.items()})


def _apart(order: Order, whole: Sequence[Sample], dealt: Splits, known: Sets, noted: Mapping[str, int]) -> _Gathered:
    """With the variants in training, and measured."""
    variants = augmented(dealt.train, order.augment, order.seed)
    splits = replace(dealt, train=(*dealt.train, *variants))
    near = nearness(splits, {**known, **sets(variants)})
    return _Gathered(tuple(whole), splits, near, noted)


def _manifest(order: Order, found: _Gathered, texts: Mapping[str, str], test: Sequence[Sample]) -> Manifest:
    """Leaks are equalities here: what is merely near is measured for every pair, and written on the same line."""
    splits = found.splits
    parts = dict(zip(NAMES, (splits.train, splits.val, splits.test), strict=True))
    return Manifest(
        study="",
        size=SIZE,
        source=order.source,
        seed=order.seed,
        counts={SCENARIO: {name: len(part) for name, part in parts.items()}},
        validation=HELD_OUT,
        files=digests(texts),
        evaluation_prompts_sha256={"": digest([[row.id, row.prompt, row.context] for row in test])},
        leaks=tuple(leak.told for leak in leaks.equal([*splits.train, *splits.val], splits.test)),
        overlap=None,
        duplicates=tuple(duplicates(splits.train)),
        near=found.near,
        noted=found.noted,
    )


def command(
    *,
    folder: Path | None = None,
    synthesize: int | None = None,
    imported: Sequence[Path] = (),
    out: Path | None = None,
    seed: int = 0,
    intents: int = 1,
    depth: int = 1,
    version: str = "",
    augment: float = 0.0,
    order: str = "shuffled",
    force: bool = False,
) -> str:
    """`sluicegate data k8s`: build, and tell what was built. Files go to `datasets/k8s` where no folder is named.

    Raises:
        UserError: as `build`.
    """
    asked = Order(folder, synthesize, tuple(imported), seed, intents, depth, version, augment, order)
    where = out or OUT
    return _told(where, build(asked, where, force=force))


def _told(out: Path, manifest: Manifest) -> str:
    """What was built, a line a file; what was left out and why; how near the splits come."""
    lines = [f"{out / SCENARIO}: {manifest.source}, seed {manifest.seed}"]
    width = max(len(name) for name in manifest.files)
    lines += [
        f"  {name:<{width}}  {file.samples} {'patterns' if name == PATTERNS else 'samples'}"
        for name, file in manifest.files.items()
    ]
    lines += [f"{why}: {number}" for why, number in manifest.noted.items()]
    lines += [
        f"near-duplicates of training in {each.held_out}, by {each.what}: {each.near} of {each.pairs} pairs "
        f"({each.share:.4%}), {each.items} samples"
        for each in manifest.near
    ]
    lines.append(f"leaks: {len(manifest.leaks or ())}")
    lines.append(f"next:  sluicegate data small --source {out}")
    return "\n".join(lines)
