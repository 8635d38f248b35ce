"""What an arm changes of the samples that all arms share: variants, the order of training, the second input.

The items of every split stay the same for all arms, so that they can be compared sample by sample; the variants that an
arm is trained on as well come from its training samples alone, and look up their patterns as these do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sluicegate.data import k8s
from sluicegate.recipes import Order
from sluicegate.records import Sample
from sluicegate.study import Pattern, Study

if TYPE_CHECKING:
    from sluicegate.data.k8s.patterns import Library


@dataclass(frozen=True, slots=True)
class Change:
    """What an arm changes.

    Args:
        augment: share of the Kubernetes training samples that get a security-emphasised variant, in [0, 1].
        order: of the training samples; `shuffled` leaves them as they were split, for the training shuffles itself.
        pattern: the second input: each sample's own, another sample's of the same split, or none.
    """

    augment: float = 0.0
    order: Order = "shuffled"
    pattern: Pattern = "kept"

    @property
    def asks_apart(self) -> bool:
        """Whether the arm cannot be asked by the file that all share."""
        return self.pattern != "kept"


UNCHANGED = Change()


def change_of(study: Study, arm: str) -> Change:
    """What an arm of a study changes: what it says itself, else its recipe.

    >>> from sluicegate import study
    >>> change_of(study.load("demo"), "control") == UNCHANGED
    True
    """
    said, recipe = study.arms[arm], study.recipe_of(arm)
    augment = recipe.augment if said.augment is None else said.augment
    return Change(augment, said.order or recipe.order, said.pattern)


def training(samples: Sequence[Sample], change: Change, library: Library | None, seed: int) -> list[Sample]:
    """The training samples of an arm, in its order.

    Args:
        library: the patterns of the training split; None where no sample wants one.
        seed: of the choice of samples that get a variant, and of the order.
    """
    found = [*samples, *(_variants(samples, change.augment, library, seed) if change.augment else ())]
    if change.order != "shuffled":
        from sluicegate.data.k8s.curriculum import ordered

        found = ordered(found, change.order, seed)
    return patterned(found, change.pattern, seed)


def _variants(samples: Sequence[Sample], share: float, library: Library | None, seed: int) -> list[Sample]:
    from sluicegate.data.k8s.augment import augmented
    from sluicegate.data.k8s.patterns import filled

    made = augmented([sample for sample in samples if sample.scenario == k8s.SCENARIO], share, seed)
    return made if library is None else filled(library, made)


def patterned(samples: Sequence[Sample], pattern: Pattern, seed: int) -> list[Sample]:
    """The samples with their own second input, with that of the next one in a shuffle, or without.

    >>> pair = [Sample("a", "p", "c", context="x"), Sample("b", "q", "d", context="y")]
    >>> [sample.context for sample in patterned(pair, "shuffled", 0)]
    ['y', 'x']
    """
    if pattern == "kept":
        return list(samples)
    if pattern == "none":
        return [replace(sample, context="") for sample in samples]
    ring = sorted(samples, key=lambda sample: hashlib.sha256(f"{seed} {sample.id}".encode()).digest())
    lent = {one.id: other.context for one, other in zip(ring, [*ring[1:], *ring[:1]], strict=True)}
    return [replace(sample, context=lent[sample.id]) for sample in samples]
