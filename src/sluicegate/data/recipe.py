"""What the data of a stage consists of: how many items of which scenarios in which split, asked how.

All arms get the same items; what an arm changes of them (variants, order, second input) is in `arms`, and the prompts
differ. Size `micro` has no held-out items: it validates on its training samples and is not tested. Nothing here writes
files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from sluicegate.data import k8s, micro, sources
from sluicegate.data.changes import UNCHANGED, Change, patterned, training
from sluicegate.data.enrich import render
from sluicegate.data.splits import FRACTIONS, Splits, contents, shares, split, split_counts
from sluicegate.errors import UserError
from sluicegate.records import Sample
from sluicegate.study import Prompts

if TYPE_CHECKING:
    from sluicegate.data.k8s.patterns import Library

Size = Literal["micro", "small", "scenario", "all"]
Counts = tuple[int | None, int | None, int | None]
MICRO = len(micro.SAMPLES)
SMALL = (20, 5, 20)
"""Training, validation and test samples of size `small`."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is built: everything that the bytes of the files depend on.

    Args:
        arms: prefix of the file names → prompts; one with an empty prefix for plain files.
        as_trained: whether each arm is asked the way it was trained, in a test file of its own.
        test_prompts: how `test.jsonl` asks, the same of all arms.
        tested: test items of an earlier stage; none of them is one here.
        changes: prefix of an arm's file names → what else it changes; nothing where it is not named.
        synthesize: how many samples the source `kubernetes` makes; None: as many as are needed.
        longest: characters that a manifest of that source may have; None for any.
    """

    size: Size
    source: str
    seed: int
    scenarios: tuple[str, ...]
    counts: Counts
    arms: Mapping[str, Prompts]
    as_trained: bool = False
    test_prompts: Prompts = "plain"
    study: str = ""
    tested: tuple[Sample, ...] = ()
    changes: Mapping[str, Change] = field(default_factory=dict)
    synthesize: int | None = None
    longest: int | None = None

    def asks_apart(self, prefix: str) -> bool:
        """Whether an arm has a test file of its own."""
        return self.as_trained or self.changes.get(prefix, UNCHANGED).asks_apart


def drawn(recipe: Recipe) -> Splits:
    """The items of each split; for size `micro` validation is training, and the test is empty.

    Raises:
        UserError: the source lacks a scenario or has too few samples, or a number of samples makes no sense.
    """
    if recipe.size == "micro":
        return _micro(recipe)
    samples = _load(recipe, None)
    if recipe.size != "small" and recipe.counts == (None, None, None):
        return split(samples, seed=recipe.seed, tested=contents(recipe.tested))
    own = SMALL if recipe.size == "small" else shares(len(samples), FRACTIONS)
    counts = tuple(own[place] if asked is None else asked for place, asked in enumerate(recipe.counts))
    _refuse_empty(counts)
    if sum(counts) > len(samples):
        samples = _load(recipe, sum(counts))
    train, val, test = counts
    return split_counts(samples, seed=recipe.seed, counts=(train, val, test), tested=contents(recipe.tested))


def _micro(recipe: Recipe) -> Splits:
    asked, val, test = recipe.counts
    if val is not None or test is not None:
        raise UserError(
            "size micro takes no number of validation or test samples",
            wanted="none: it validates on its training samples and is not tested",
            seen=", ".join(f"{name} {n}" for name, n in (("val", val), ("test", test)) if n is not None),
            mend="leave the number out, or use size small",
        )
    count = MICRO if asked is None else asked
    _refuse_empty((count,))
    train = split_counts(_load(recipe, count), seed=recipe.seed, counts=(count, 0, 0)).train
    return Splits(train, val=train, test=())


def _refuse_empty(counts: Sequence[int]) -> None:
    if min(counts) < 1:
        raise UserError(
            "a number of samples is too small", wanted="1 or more in each split", seen=", ".join(map(str, counts))
        )


def _load(recipe: Recipe, size: int | None) -> list[Sample]:
    return sources.load(
        recipe.source,
        scenarios=recipe.scenarios,
        seed=recipe.seed,
        size=size,
        made=recipe.synthesize,
        longest=recipe.longest,
    )


def patterns(splits: Splits) -> Library | None:
    """The library of Kubernetes patterns of the training split; None where no sample is in want of a pattern.

    It can only be made once the samples are split: a pattern comes from the training split alone.
    """
    if not any(_in_want(sample) for sample in (*splits.train, *splits.val, *splits.test)):
        return None
    from sluicegate.data.k8s.patterns import Library

    return Library.of([sample for sample in splits.train if sample.scenario == k8s.SCENARIO])


def with_patterns(splits: Splits, library: Library | None) -> Splits:
    """The items with their patterns as context; those of other scenarios, and those that have one, as they are."""
    if library is None:
        return splits
    from sluicegate.data.k8s.patterns import filled

    every = {sample.id: sample for sample in (*splits.train, *splits.val, *splits.test) if _in_want(sample)}
    found = {sample.id: sample for sample in filled(library, list(every.values()))}
    train, val, test = (
        tuple(found.get(sample.id, sample) for sample in part) for part in (splits.train, splits.val, splits.test)
    )
    return Splits(train, val, test)


def _in_want(sample: Sample) -> bool:
    return sample.scenario == k8s.SCENARIO and not sample.context


def files(recipe: Recipe, splits: Splits, library: Library | None = None) -> dict[str, list[Sample]]:
    """File name → samples, each with the prompt that it is asked with there.

    Args:
        library: that the patterns of `splits` come from, for the variants of an arm.

    Raises:
        UserError: the metadata of a sample gives its answer away.
    """
    named: dict[str, list[Sample]] = {}
    for prefix, prompts in recipe.arms.items():
        change = recipe.changes.get(prefix, UNCHANGED)
        named[f"{prefix}train.jsonl"] = _asked(training(splits.train, change, library, recipe.seed), prompts)
        named[f"{prefix}val.jsonl"] = _asked(patterned(splits.val, change.pattern, recipe.seed), prompts)
        if splits.test and recipe.asks_apart(prefix):
            asked = prompts if recipe.as_trained else "plain"
            named[f"{prefix}test.jsonl"] = _asked(patterned(splits.test, change.pattern, recipe.seed), asked)
    if splits.test:
        named["test.jsonl"] = _asked(splits.test, recipe.test_prompts)
    return named


def _asked(samples: Sequence[Sample], prompts: Prompts) -> list[Sample]:
    return [replace(sample, prompt=render(sample, prompts)) for sample in samples]
