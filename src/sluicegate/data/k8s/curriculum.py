"""How hard a manifest is to write, and orders of the training samples by it.

    complexity = 0.5 * leaves / (leaves + 40) + 0.25 * depth / (depth + 8) + 0.25 * (objects - 1) / objects

leaves: scalars of the manifest; depth: of maps and lists within one another. Each share grows towards 1 and needs no
knowledge of other samples, so a sample has the same complexity in every data set. `curriculum` goes from simple through
medium to complex, by thirds and shuffled within each; `reversed` goes the other way and `shuffled` knows no order, as
ablations. A trainer that shuffles again undoes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from sluicegate.data.k8s.pairs import bodies
from sluicegate.errors import UserError
from sluicegate.k8s.leaves import leaves
from sluicegate.records import Sample

LEAVES, DEPTH = 40, 8
"""Where a share is one half."""
LEVELS = ("simple", "medium", "complex")


def complexity(manifest: str) -> float:
    """How hard a manifest is, in [0, 1); 0 for a text without an object.

    >>> complexity("{apiVersion: v1, kind: Namespace, metadata: {name: a}}") < complexity("{apiVersion: v1, kind: Pod, "
    ...     "metadata: {name: a}, spec: {containers: [{name: b, image: c}]}}")
    True
    """
    found = bodies(manifest)
    if not found:
        return 0.0
    count, deepest = sum(len(leaves(body)) for body in found), max(map(_depth, found))
    shares = count / (count + LEAVES), deepest / (deepest + DEPTH), (len(found) - 1) / len(found)
    return 0.5 * shares[0] + 0.25 * shares[1] + 0.25 * shares[2]


def _depth(value: Any) -> int:
    below = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else None
    return 0 if below is None else 1 + max(map(_depth, below), default=0)


def levels(samples: Sequence[Sample]) -> list[list[Sample]]:
    """Samples in thirds by complexity, simple ones first; the order within a third is that of their complexity."""
    by_complexity = sorted(samples, key=lambda sample: (complexity(sample.completion), sample.id))
    cuts = [round(place * len(by_complexity) / len(LEVELS)) for place in range(len(LEVELS) + 1)]
    return [by_complexity[start:end] for start, end in pairwise(cuts)]


def _shuffled(samples: Sequence[Sample], seed: int) -> list[Sample]:
    return sorted(samples, key=lambda sample: hashlib.sha256(f"{seed} {sample.id}".encode()).digest())


def _curriculum(samples: Sequence[Sample], seed: int) -> list[Sample]:
    return [sample for level in levels(samples) for sample in _shuffled(level, seed)]


def _reversed(samples: Sequence[Sample], seed: int) -> list[Sample]:
    return _curriculum(samples, seed)[::-1]


ORDERS: dict[str, Callable[[Sequence[Sample], int], list[Sample]]] = {
    "shuffled": _shuffled,
    "curriculum": _curriculum,
    "reversed": _reversed,
}


def ordered(samples: Sequence[Sample], order: str, seed: int) -> list[Sample]:
    """The samples in one of `ORDERS`; the order of the input does not matter.

    Raises:
        UserError: another order.
    """
    if order not in ORDERS:
        raise UserError(f"order {order!r}: unknown", wanted=", ".join(ORDERS), seen=order)
    return ORDERS[order](samples, seed)
