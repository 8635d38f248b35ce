"""Training, validation and test samples: seeded, by scenario, and never the same task in two of them.

Samples that share a question, an answer (as `content` spells them) or a `group` in their metadata form a group,
through chains too, and a group lies whole in one split. Which split depends on the texts and the seed alone,
not on ids or the order of the input; ids only order samples of equal text.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sluicegate.data.content import answer, kin, question
from sluicegate.errors import UserError, UserErrors
from sluicegate.records import Sample

NAMES = ("train", "val", "test")
FRACTIONS = (0.7, 0.15, 0.15)
Sizes = tuple[int, int, int]
Group = tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Splits:
    """Three disjoint lists of samples, each in an order that depends on texts and seed alone."""

    train: tuple[Sample, ...]
    val: tuple[Sample, ...]
    test: tuple[Sample, ...]


def split(
    samples: Iterable[Sample],
    *,
    seed: int,
    fractions: tuple[float, float, float] = FRACTIONS,
    tested: frozenset[str] = frozenset(),
) -> Splits:
    """Split each scenario by shares of training, validation and test, each > 0, adding up to 1.

    Args:
        tested: what `contents` says of samples that were test items before: none of them is one again.

    Raises:
        ValueError: fractions that are not.
        UserError: a scenario with too few samples, or too many equal ones, to give each split at least one.
    """
    if min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-9:
        raise ValueError(f"fractions: wanted three > 0 that add up to 1, seen {fractions}")
    samples = list(samples)
    seen = Counter(sample.scenario for sample in samples)
    dealt = _deal(samples, seed, {name: _three(shares(seen[name], fractions)) for name in seen}, tested, exact=False)
    _refuse_shortfall(dealt, samples, dict.fromkeys(seen or [""], (1, 1, 1)))
    return dealt


def split_counts(
    samples: Iterable[Sample], *, seed: int, counts: Sizes, tested: frozenset[str] = frozenset()
) -> Splits:
    """Split into so many training, validation and test samples in all, and leave the rest out.

    They are spread evenly over the scenarios. A count of 0 leaves a split empty. `tested` is as in `split`.

    Raises:
        UserError: a scenario has too few samples.
    """
    samples = list(samples)
    scenarios = sorted({sample.scenario for sample in samples}) or [""]
    even = [1 / len(scenarios)] * len(scenarios)
    rows = zip(*(shares(count, even) for count in counts), strict=True)
    sizes = {name: _three(row) for name, row in zip(scenarios, rows, strict=True)}
    dealt = _deal(samples, seed, sizes, tested, exact=True)
    _refuse_shortfall(dealt, samples, sizes)
    return dealt


def shares(total: int, fractions: Sequence[float]) -> tuple[int, ...]:
    """Whole numbers that add up to `total`, by largest remainder; ties go to the first.

    >>> shares(100, (0.7, 0.15, 0.15)), shares(5, (0.7, 0.15, 0.15))
    ((70, 15, 15), (3, 1, 1))
    """
    # Rounding first: 0.15 * 100 is 15.000000000000002, and its remainder must be 0.
    exact = [round(total * fraction, 9) for fraction in fractions]
    whole = [int(number) for number in exact]
    by_remainder = sorted(range(len(exact)), key=lambda place: whole[place] - exact[place])
    for place in by_remainder[: total - sum(whole)]:
        whole[place] += 1
    return tuple(whole)


def _three(sizes: Sequence[int]) -> Sizes:
    train, val, test = sizes
    return train, val, test


def groups(samples: Sequence[Sample]) -> list[Group]:
    """Samples that share a question, an answer or a group, directly or through others."""
    root: dict[str, str] = {}

    def find(name: str) -> str:
        while root.setdefault(name, name) != name:
            root[name] = root[root[name]]
            name = root[name]
        return name

    keys = [_keys(sample) for sample in samples]
    for asked, *others in keys:
        for other in others:
            root[find(other)] = find(asked)
    found: dict[str, list[Sample]] = {}
    for sample, (asked, *_) in zip(samples, keys, strict=True):
        found.setdefault(find(asked), []).append(sample)
    return [tuple(group) for group in found.values()]


def _keys(sample: Sample) -> list[str]:
    """What ties a sample to others, its question first."""
    return [question(sample), answer(sample), *filter(None, [kin(sample)])]


def _rank(sample: Sample, seed: int) -> tuple[str, str]:
    """A place in a shuffle that the text and the seed decide."""
    text = f"{seed} {question(sample)} {answer(sample)} {sample.scenario}"
    return hashlib.sha256(text.encode()).hexdigest(), sample.id


def contents(samples: Iterable[Sample]) -> frozenset[str]:
    """Questions, answers and groups of samples, as a group shares them."""
    return frozenset(key for sample in samples for key in _keys(sample))


def _deal(
    samples: Sequence[Sample], seed: int, sizes: Mapping[str, Sizes], tested: frozenset[str], *, exact: bool
) -> Splits:
    """Deal groups one by one, each to the split of its scenario that lacks the most.

    `exact` stops at the sizes and leaves the rest out; otherwise every sample is dealt, the largest groups
    first so that they overshoot the least. Groups that were tested before are dealt first, to the other two splits.
    """
    ranks = {id(sample): _rank(sample, seed) for sample in samples}
    bundles = [sorted(group, key=lambda sample: ranks[id(sample)]) for group in groups(samples)]
    known = {id(bundle): not contents(bundle).isdisjoint(tested) for bundle in bundles} if tested else {}
    bundles.sort(
        key=lambda bundle: (not known.get(id(bundle), False), 0 if exact else -len(bundle), ranks[id(bundle[0])])
    )
    dealt: tuple[list[Sample], ...] = ([], [], [])
    lacking = {scenario: list(wanted) for scenario, wanted in sizes.items()}
    for bundle in bundles:
        lack = lacking[bundle[0].scenario]
        open_to = lack[:2] if known.get(id(bundle)) else lack
        place = lack.index(max(open_to))
        for sample in bundle:
            if not exact or lacking[sample.scenario][place] > 0:
                dealt[place].append(sample)
                lacking[sample.scenario][place] -= 1
    train, val, test = (tuple(sorted(part, key=lambda sample: ranks[id(sample)])) for part in dealt)
    return Splits(train, val, test)


def _refuse_shortfall(splits: Splits, samples: Sequence[Sample], wanted: Mapping[str, Sizes]) -> None:
    """Every split must hold what was wanted of every scenario."""
    faults = []
    have = [Counter(sample.scenario for sample in part) for part in (splits.train, splits.val, splits.test)]
    for scenario, sizes in wanted.items():
        seen = tuple(counter[scenario] for counter in have)
        if any(one < size for one, size in zip(seen, sizes, strict=True)):
            faults.append(_shortfall(scenario, [s for s in samples if s.scenario == scenario], sizes, seen))
    if faults:
        raise faults[0] if len(faults) == 1 else UserErrors("too few samples; nothing was split", faults)


def _shortfall(scenario: str, samples: Sequence[Sample], wanted: Sizes, seen: Sequence[int]) -> UserError:
    distinct = len(groups(samples))
    others = f"other prompts and answers{' in other groups' if any(map(kin, samples)) else ''}"
    return UserError(
        f"scenario {scenario or '(none)'}: too few samples",
        wanted=f"at least {_spelled(wanted)}",
        seen=f"{len(samples)} samples, {distinct} of them distinct, which gave {_spelled(seen)}",
        mend=f"add {max(sum(wanted) - distinct, 1)} or more with {others}, or ask for fewer",
    )


def _spelled(sizes: Sequence[int]) -> str:
    return ", ".join(f"{size} {name}" for size, name in zip(sizes, NAMES, strict=True))
